"""Predictions that were made elsewhere: every form, joined by id, refused in words, and voting."""

import importlib.util
import json
import math
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.jsonl import write_json, write_records
from core.records import Message, Row
from ensemble import foreign_predictions
from ensemble.foreign_predictions import Reading
from eval import predictions
from tests.support.paths import ROOT
from tests.support.vote_case import Case

# a file called import.py cannot be imported by a statement
SPEC = importlib.util.spec_from_file_location("import_command", ROOT / "ensemble/import.py")
COMMAND = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(COMMAND)
IDS = ("가-1", "가-2")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two rows of three options, the second shown in another order."""
    path = tmp_path / "rows.jsonl"
    options = (["봄", "여름", "가을"], ["셋", "하나", "둘"])
    orders = ([0, 1, 2], [2, 0, 1])
    write_records(
        path,
        [
            Row(
                id=id_,
                record=id_,
                source="made",
                split="test",
                group=id_,
                category="철",
                prompt="task@1",
                messages=[Message(role="user", content=f"물음 {id_}\n\n고르라.")],
                labels=["A", "B", "C"],
                order=order,
                options=shown,
                answer=None,
            )
            for id_, order, shown in zip(IDS, orders, options, strict=True)
        ],
    )
    return path


def save(path: Path, content: Any) -> Path:
    if isinstance(content, str):
        path.write_text(content, "utf-8")
    elif path.suffix == ".jsonl":
        write_records(path, content)
    else:
        write_json(path, content)
    return path


def read(path: Path, data: Path, **how: Any) -> tuple[str, list[Any]]:
    items = foreign_predictions.items_of_rows(data)
    form, made = foreign_predictions.read(path, items, data, Reading(**how))
    assert [one.id for one in made] == [*IDS]
    return form, [(one.choice, one.logprobs) for one in made]


def harness(id_: str, results: list[Any], **doc: Any) -> dict[str, Any]:
    return {
        "doc_id": 0,
        "doc": {"id": id_, **doc},
        "target": "0",
        "arguments": [],
        "resps": [[one] for one in results],
        "filtered_resps": results,
    }


@pytest.mark.parametrize(
    ("name", "content", "how"),
    [
        ("a.csv", "id,answer\n가-2,1\n가-1,3\n", {"answers": "from 1"}),
        ("a.csv", "id,answer\n가-1,2\n가-2,0\n", {"answers": "from 0"}),
        ("a.csv", "id,answer\n가-1,C\n가-2,A\n", {"answers": "A"}),
        ("a.csv", "번호,정답\n가-1,③\n가-2,①\n", {"answers": "①"}),
        ("a.tsv", "id\tanswer\n가-1\t가을\n가-2\t하나\n", {"answers": "text"}),
        ("a.csv", "k,v\n가-1,3\n가-2,1\n", {"answers": "from 1", "id": "k", "answer": "v"}),
        (
            "a.jsonl",
            [{"id": "가-1", "choice": 2}, {"id": "가-2", "choice": 0}],
            {"answers": "from 0"},
        ),
        (
            "a.json",
            [
                {"id": "가-2", "input": {}, "output": "inference_1"},
                {"id": "가-1", "input": {}, "output": "inference_3"},
            ],
            {},
        ),
        (
            "generated_predictions.jsonl",
            [
                {
                    "prompt": "<bos>user\n물음 가-2\n\n고르라.\nmodel\n",
                    "predict": "B",
                    "label": "A",
                },
                {"prompt": "물음 가-1\n 고르라.", "predict": "C. 가을", "label": ""},
            ],
            {},
        ),
        ("samples_t.jsonl", [harness("가-1", ["C"]), harness("가-2", ["B"])], {}),
    ],
)
def test_choices_in_every_form(
    name: str, content: Any, how: dict[str, Any], data: Path, tmp_path: Path
) -> None:
    _, made = read(save(tmp_path / name, content), data, **how)
    assert made == [(2, None), (0, None)]


LOGS = [math.log(0.2), math.log(0.3), math.log(0.5)]


@pytest.mark.parametrize(
    ("content", "second"),
    [
        ([{"id": i, "logprobs": [v - 3 for v in LOGS]} for i in IDS], (2, LOGS)),
        ([{"id": i, "probs": [0.2, 0.3, 0.5]} for i in IDS], (2, LOGS)),
        ([{"id": i, "probs": {"C": 0.5, "A": 0.2, "B": 0.3}} for i in IDS], (2, LOGS)),
        ([harness(i, [[v, False] for v in LOGS]) for i in IDS], (2, LOGS)),
        ([harness(i, [[str(v), "False"] for v in LOGS]) for i in IDS], (2, LOGS)),
        # a task of eval/lm_eval_task/make.py shows the options as the row does: C, A, B
        (
            [harness(i, [[v, False] for v in [*LOGS, -0.1]], gold=0) for i in IDS],
            (1, [LOGS[1], LOGS[2], LOGS[0]]),
        ),
    ],
)
def test_log_probabilities_in_every_form(
    content: Any, second: tuple[int, list[float]], data: Path, tmp_path: Path
) -> None:
    _, made = read(save(tmp_path / "a.jsonl", content), data)
    assert made[0] == (2, pytest.approx(LOGS, abs=1e-5))
    assert made[1] == (second[0], pytest.approx(second[1], abs=1e-5))


def test_no_answer_stays_none(data: Path, tmp_path: Path) -> None:
    path = save(tmp_path / "a.csv", "id,answer\n가-1,\n가-2,2\n")
    assert read(path, data, answers="from 1")[1] == [(None, None), (1, None)]
    said = [{"prompt": f"물음 {i}\n\n고르라.", "predict": "글쎄, A나 B.", "label": ""} for i in IDS]
    assert read(save(tmp_path / "a.jsonl", said), data)[1] == [(None, None), (None, None)]


@pytest.mark.parametrize(
    ("name", "content", "how", "sentence"),
    [
        ("a.csv", "id,answer\n가-1,1\n가-2,2\n", {}, "how its column answer counts is not stated"),
        (
            "a.csv",
            "id,answer\n가-1,0\n가-2,2\n",
            {"answers": "from 1"},
            "line 2: answer '0' is none",
        ),
        (
            "a.csv",
            "id,answer\n가-1,1\n가-2,4\n",
            {"answers": "from 1"},
            "line 3: answer '4' is none",
        ),
        ("a.csv", "id,answer\n가-1,1\n", {"answers": "from 1"}, "no answer to 1 of 2 ids"),
        (
            "a.csv",
            "id,answer\n가-1,1\n가-1,1\n",
            {"answers": "from 1"},
            "id 가-1 stands there twice",
        ),
        ("a.csv", "id,answer\n가-1,1\nx,1\n", {"answers": "from 1"}, "1 ids are not in"),
        ("a.csv", "k,answer\n가-1,1\n", {"answers": "from 1"}, "has no id, and predictions are"),
        ("a.csv", "id,score\n가-1,1\n", {}, r"of no known form .its columns: id, score"),
        ("a.jsonl", [{"id": "가-1", "logprobs": [-1, -2]}], {}, "holds no 3 finite numbers"),
        ("a.jsonl", [{"id": "가-1", "probs": [0.5, 0.1, 0.1]}], {}, "do not sum to 1"),
        ("a.jsonl", [{"id": "가-1", "probs": {"A": 1}}], {}, "probs names A, not A, B, C"),
        ("a.jsonl", [harness("가-1", [[-1, True]])], {}, "filtered_resps holds no 3 finite"),
        ("a.jsonl", [{"doc": {}, "filtered_resps": ["A"]}], {}, "name its column by --id"),
        (
            "a.jsonl",
            [{"prompt": "다른 물음", "predict": "A", "label": "B"}],
            {},
            "its prompt holds the text of 0 rows",
        ),
        ("a.csv", "", {}, "is empty"),
    ],
)
def test_what_cannot_be_joined_or_read_is_one_sentence(
    name: str, content: Any, how: dict[str, Any], sentence: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        read(save(tmp_path / name, content), data, **how)
    assert "\n" not in str(caught.value)


@pytest.fixture
def case(tmp_path: Path) -> Case:
    return Case(tmp_path)


def test_old_submissions_vote_with_predictions_of_ours(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    ours = case.scored("ours.jsonl", "00000")
    for name, choice in (("one", 2), ("two", 2)):
        old = [{**item, "output": f"inference_{choice}"} for item in case.items]
        write_json(case.folder / f"{name}.json", old)
    out = case.folder / "imported"
    files = [str(case.folder / f"{name}.json") for name in ("one", "two")]
    COMMAND.main([*files, "--test", str(case.test), "--out", str(out)])
    assert f"5 predictions from {case.folder}/one.json (official JSON)" in capsys.readouterr().out
    meta = predictions.read_meta(out / "one.jsonl")
    assert (meta.method, meta.model_extra["making"]) == ("imported", "unknown")
    assert meta.model_extra["imported"]["path"] == str(case.folder / "one.json")
    members = (ours, out / "one.jsonl", out / "two.jsonl")
    assert case.vote(*members, more=("--mixed",)) == ["inference_2"] * 5
    case.refused("one.jsonl: was made elsewhere, .* say --mixed", *members)
    for rule in ("soft", "log-odds"):
        case.refused(
            f"one.jsonl: holds answers without .* .method imported., which rule {rule}",
            *members,
            more=("--mixed", "--rule", rule),
        )
    (case.folder / "k").mkdir()
    for file in out.glob("one.*"):
        (case.folder / "k" / file.name).write_bytes(file.read_bytes())
    case.refused(
        "one.jsonl: was made elsewhere, of no known fold, which rule k-fold needs",
        out / "one.jsonl",
        case.folder / "k/one.jsonl",
        more=("--mixed", "--rule", "k-fold"),
    )


def test_one_file_or_a_folder(case: Case) -> None:
    for name in ("a.csv", "a.json"):
        (case.folder / name).write_text(json.dumps(case.items), "utf-8")
    files = [str(case.folder / name) for name in ("a.csv", "a.json")]
    with pytest.raises(UserError, match=r"a\.jsonl: is named by .*a\.csv and .*a\.json"):
        COMMAND.main([*files, "--test", str(case.test), "--out", str(case.folder / "out")])
    assert not (case.folder / "out/a.jsonl").exists()
