"""Prediction files: `NAME.jsonl` and next to it `NAME.meta.json`, which says what made them."""

import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from core.errors import UserError
from core.files import sha256
from core.jsonl import read_json, read_objects, validated, write_json, write_records
from core.records import Prediction, Row, Strict

IMPORTED = "imported"  # the method of predictions that were made elsewhere
LETTERS = "letter"  # the method that chooses the most probable letter of each row
SUM = 0.01  # how far from 1 the sum of probabilities may be: as of logarithms with 2 decimals
Bits = Literal["4bit", "8bit"] | None  # to which linear layers were quantised; None: as stored
Model = TypeVar("Model", bound=BaseModel)


class Data(Strict):
    """The file that was scored."""

    path: str
    sha256: str
    rows: int


class LetterMass(Strict):
    """Probability that falls on the letters, over all rows; far below 1 means a wrong prompt."""

    mean: FiniteFloat
    min: FiniteFloat
    below_half: FiniteFloat


class Meta(BaseModel):
    """What every reader needs of the sidecar; whoever writes it may add more.

    `probabilities`: whether log-probabilities are a model's own or a mean of such, so that
    calibration can be asked of them; shares of votes and scores are on a scale of their own.
    `load_in`: the bits in which its weights were loaded.
    """

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    method: str
    prompts: list[str] = Field(default_factory=list)
    permutations: Literal["none", "cyclic", "all"] = "none"
    data: Data
    predictions_sha256: str
    letter_mass: LetterMass | None = Field(default=None)
    probabilities: bool = False
    load_in: Bits = None

    @property
    def source(self) -> str:
        """What was scored, for messages: the file and its prompts."""
        return ", ".join([self.data.path, *self.prompts])


def meta_path(path: Path) -> Path:
    """Where the sidecar of a prediction file stands; raises `UserError` for another name."""
    if path.is_dir():
        raise UserError(f"{path}: is a folder; name the files in it, {path}/*.jsonl")
    if path.suffix != ".jsonl":
        raise UserError(f"{path}: prediction files are named NAME.jsonl; leave it out, or rename")
    return path.with_suffix(".meta.json")


def read_meta(path: Path) -> Meta:
    """The sidecar of a prediction file; raises `UserError` where it is missing or malformed."""
    sidecar = meta_path(path)
    if path.is_file() and not sidecar.is_file():
        raise UserError(f"{sidecar}: missing, so what made {path} is unknown; score it again")
    return _validated(read_json(sidecar), Meta, str(sidecar))


def write(path: Path, predictions: Iterable[Prediction], meta: dict[str, Any]) -> None:
    """Replace a prediction file and its sidecar; the sidecar's hash ties the two together."""
    sidecar = meta_path(path)
    write_records(path, predictions)
    full = {**meta, "predictions_sha256": sha256(path)}
    Meta.model_validate(full)
    write_json(sidecar, full)


def read(path: Path) -> tuple[dict[str, Prediction], Meta]:
    """Predictions by id, and what made them.

    Raises `UserError` for an empty file, one cut off, a missing sidecar or that of another run, a
    doubled id, and a prediction that contradicts itself.
    """
    sidecar = meta_path(path)
    if path.is_file() and not sidecar.is_file():
        read_meta(path)  # which says what is missing
    if cut_off(path):
        raise UserError(f"{path}: its last line is cut off; score it again")
    predictions: dict[str, Prediction] = {}
    for number, value in read_objects(path):
        prediction = _validated(value, Prediction, f"{path}, line {number}")
        fault = fault_of(prediction)
        if fault:
            raise UserError(f"{path}, line {number} ({prediction.id}): {fault}; score it again")
        if prediction.id in predictions:
            raise UserError(f"{path}: id {prediction.id} stands there twice; score it again")
        predictions[prediction.id] = prediction
    if not predictions:
        raise UserError(f"{path}: holds no prediction; score it again")
    meta = read_meta(path)
    if meta.predictions_sha256 != sha256(path):
        raise UserError(f"{path}: not the file that {sidecar} describes; score it again")
    if meta.method == LETTERS:
        for prediction in predictions.values():
            _require_greatest(prediction, path)
    return predictions, meta


def cut_off(path: Path) -> bool:
    """Whether a file that exists ends within a line: our writers end every line, the last too."""
    if not path.is_file() or path.stat().st_size == 0:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() != b"\n"


def fault_of(prediction: Prediction) -> str | None:
    """What a prediction contradicts itself in, or None: orders, options and log-probabilities."""
    logprobs, order, choice = prediction.logprobs, prediction.order, prediction.choice
    options = len(order)
    if options < 2 or sorted(order) != list(range(options)):
        return f"order {order} is no permutation of two options or more"
    if choice is not None and not 0 <= choice < options:
        return f"choice {choice} is none of its {options} options, which count from 0"
    if logprobs is None:
        return None
    if not all(math.isfinite(value) for value in logprobs):
        return f"log-probabilities {logprobs} are not all finite numbers"
    if len(logprobs) != options:
        return f"{len(logprobs)} log-probabilities for {options} options"
    if max(logprobs) > SUM or abs(math.fsum(map(math.exp, logprobs)) - 1) > SUM:
        return f"probabilities of log-probabilities {logprobs} do not sum to 1"
    return None


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
    """Choices by record id for exactly the records of `rows`.

    Raises `UserError` where the two sets of ids, or an item's number of options, differ.
    """
    options = {row.record: len(row.labels or []) for row in rows}
    require_same_ids(path, predictions, list(options), data)
    for id_, count in options.items():
        if len(predictions[id_].order) != count:
            raise UserError(
                f"{path}, id {id_}: {len(predictions[id_].order)} options, but {data} has {count}; "
                "score its rows with this model"
            )
    return {id_: predictions[id_].choice for id_ in options}


def names(paths: Sequence[Path]) -> list[str]:
    """What each file is called: its stem, with its folder where another has the same stem."""
    stems = Counter(path.stem for path in paths)
    names = [path.stem if stems[path.stem] == 1 else str(path.with_suffix("")) for path in paths]
    for name, count in Counter(names).items():
        if count > 1:
            raise UserError(f"{name}: is given {count} times; give each prediction file once")
    return names


def require_same_ids(
    path: Path, predictions: dict[str, Prediction], ids: list[str], against: Path
) -> None:
    """Raise `UserError` unless `path` holds a prediction for each of `ids` and for no other."""
    missing = [id_ for id_ in ids if id_ not in predictions]
    if missing:
        raise UserError(
            f"{path}: no prediction for {len(missing)} of {len(ids)} ids of {against}, "
            f"the first is {missing[0]}; score its rows with this model"
        )
    extra = sorted(predictions.keys() - set(ids))
    if extra:
        raise UserError(
            f"{path}: {len(extra)} ids are not in {against}, the first is {extra[0]}; "
            "score its rows with this model"
        )


def _require_greatest(prediction: Prediction, path: Path) -> None:
    logprobs, choice = prediction.logprobs, prediction.choice
    if logprobs is not None and choice is not None and logprobs[choice] < max(logprobs):
        raise UserError(
            f"{path}, id {prediction.id}: choice {choice} is not the greatest of log-probabilities "
            f"{logprobs}, as method {LETTERS} chooses; score it again"
        )


def _validated(value: Any, model: type[Model], where: str) -> Model:
    try:
        return validated(value, model, where)
    except UserError as error:
        raise UserError(f"{error}; score it again") from None
