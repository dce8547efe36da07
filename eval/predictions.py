"""Prediction files: `NAME.jsonl` and beside it `NAME.meta.json`, which says what made them."""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from prep.errors import UserError
from prep.jsonl import read_json, read_records, sha256, validated, write_json, write_records
from prep.records import Prediction, Row, Strict


class Data(Strict):
    """The file that was scored."""

    path: str
    sha256: str
    rows: int


class LetterMass(Strict):
    """Probability that falls on the letters, over all rows; far below 1 means a wrong prompt."""

    mean: float
    min: float
    below_half: float


class Meta(BaseModel):
    """What every reader needs of the sidecar; whoever writes it may add more."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    method: str
    prompts: list[str] = Field(default_factory=list)
    permutations: Literal["none", "cyclic", "all"] = "none"
    data: Data
    predictions_sha256: str
    letter_mass: LetterMass | None = Field(default=None)

    @property
    def source(self) -> str:
        """What was scored, for messages: the file and its prompts."""
        return ", ".join([self.data.path, *self.prompts])


def meta_path(path: Path) -> Path:
    """Where the sidecar of a prediction file stands."""
    if path.suffix != ".jsonl":
        raise UserError(f"{path}: a prediction file's name must end in .jsonl; rename it")
    return path.with_suffix(".meta.json")


def write(path: Path, predictions: Iterable[Prediction], meta: dict[str, Any]) -> None:
    """Replace a prediction file and its sidecar; the sidecar's hash ties the two together."""
    beside = meta_path(path)
    write_records(path, predictions)
    full = {**meta, "predictions_sha256": sha256(path)}
    Meta.model_validate(full)
    write_json(beside, full)


def read(path: Path) -> tuple[dict[str, Prediction], Meta]:
    """Predictions by id, and what made them.

    Raises `UserError` for a missing sidecar, a sidecar of another run, a doubled id, and a
    prediction whose log-probabilities, order and choice do not fit together.
    """
    beside = meta_path(path)
    if path.is_file() and not beside.is_file():
        raise UserError(f"{beside}: missing, so what made {path} is unknown; score it again")
    predictions: dict[str, Prediction] = {}
    for number, prediction in enumerate(read_records(path, Prediction), start=1):
        _check(prediction, f"{path}, prediction {number} ({prediction.id})")
        if prediction.id in predictions:
            raise UserError(f"{path}: id {prediction.id} stands there twice; score it again")
        predictions[prediction.id] = prediction
    meta = validated(read_json(beside), Meta, str(beside))
    if meta.predictions_sha256 != sha256(path):
        raise UserError(f"{path}: not the file that {beside} describes; score it again")
    return predictions, meta


def require_comparable(members: Sequence[tuple[Path, Meta]]) -> None:
    """Raise `UserError` unless all were scored on the same rows, and so prompts and orders."""
    first_path, first = members[0]
    for path, meta in members[1:]:
        if meta.data.sha256 != first.data.sha256:
            raise UserError(
                f"{path}: made from other data ({meta.source}) than {first_path} ({first.source}); "
                "score both on the same file"
            )
        if meta.permutations != first.permutations:
            raise UserError(
                f"{path}: saw the options in other orders (permutations: {meta.permutations}) than "
                f"{first_path} ({first.permutations}); score both with the same --permutations"
            )


def join(
    path: Path, predictions: dict[str, Prediction], rows: Iterable[Row], data: Path
) -> dict[str, int | None]:
    """Choices by id for exactly the ids of `rows`; raises `UserError` where the two sets differ."""
    ids = [row.id for row in rows]
    require_same_ids(path, predictions, ids, data)
    return {id_: predictions[id_].choice for id_ in ids}


def require_same_ids(
    path: Path, predictions: dict[str, Prediction], ids: list[str], against: Path
) -> None:
    """Raise `UserError` unless `path` holds a prediction for each of `ids` and for no other."""
    missing = [id_ for id_ in ids if id_ not in predictions]
    if missing:
        raise UserError(
            f"{path}: no prediction for {len(missing)} of {len(ids)} ids of {against}, "
            f"the first is {missing[0]}; score that file with this model"
        )
    extra = sorted(predictions.keys() - set(ids))
    if extra:
        raise UserError(
            f"{path}: {len(extra)} ids are not in {against}, the first is {extra[0]}; "
            "score that file with this model"
        )


def _check(prediction: Prediction, where: str) -> None:
    logprobs, order, choice = prediction.logprobs, prediction.order, prediction.choice
    if not all(math.isfinite(value) for value in logprobs or []):
        raise UserError(f"{where}: a log-probability is not a finite number; score it again")
    if (
        sorted(order) != list(range(len(order)))
        or (logprobs is not None and len(logprobs) != len(order))
        or (choice is not None and not 0 <= choice < len(order))
    ):
        raise UserError(
            f"{where}: log-probabilities {logprobs}, order {order} and choice {choice} do not fit "
            "together; score it again"
        )
