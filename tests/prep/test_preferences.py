"""Preference rows: which option is rejected, and what Axolotl makes of the rows."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.jsonl import write_records
from core.option_orders import shown
from core.records import Prediction, Preference, Question, Turn
from prep.preferences import drawn, preferences
from prep.render import Renderer, load_prompt
from tests.support.paths import ROOT

BASE = ROOT / "recipes/tiny/base"
OPTIONS = ["화자1은 연을 날린다.", "화자2는 팽이를 돌린다.", "두 사람은 썰매를 탄다."]


def question(number: int, answer: int = 0, **fields: Any) -> Question:
    turns = [Turn(speaker="화자1", text=f"{number}번 놀이를 하자.", id="u")]
    record = {"id": f"q-{number}", "source": "made", "split": "train", "group": f"g-{number // 3}"}
    record |= {"turns": turns, "focus": ["u"], "category": "원인", "options": OPTIONS}
    return Question(**{**record, "answer": answer, **fields})


def predicted(number: str, *logprobs: float) -> Prediction:
    choice = max(range(len(logprobs)), key=lambda i: logprobs[i])
    return Prediction(id=number, order=[0, 1, 2], logprobs=list(logprobs), choice=choice)


def renderer(**options: Any) -> Renderer:
    return Renderer(load_prompt("reference"), **options)


def test_the_right_option_is_chosen_and_one_wrong_one_rejected() -> None:
    asked = [question(number, number % 3) for number in range(30)]
    for row, one in zip(preferences(asked, renderer()), asked, strict=True):
        assert row.chosen[:-1] == row.rejected[:-1] == renderer().scoring(one).messages
        assert row.chosen[-1].content == f"{'ABC'[one.answer]}. {OPTIONS[one.answer]}"
        assert row.rejected[-1].content == f"{'ABC'[row.wrong]}. {OPTIONS[row.wrong]}"
        assert row.wrong != one.answer


def test_drawn_wrong_options_depend_on_the_id_alone_and_are_spread() -> None:
    asked = [question(number) for number in range(200)]
    rows = {row.id: row.wrong for row in preferences(asked, renderer())}
    assert rows == {row.id: row.wrong for row in preferences(asked[::-1], renderer())}
    assert {drawn(one, 1) for one in asked} == {1, 2}
    assert 70 < sum(wrong == 1 for wrong in rows.values()) < 130
    assert any(drawn(one, 1) != drawn(one, 2) for one in asked)


def test_predictions_reject_the_most_probable_wrong_option() -> None:
    asked = [question(1, 0), question(2, 1), question(3, 2)]
    found = [
        predicted("q-1", -0.1, -5.0, -3.0),
        predicted("q-2", -1.0, -2.0, -0.7),  # the model is wrong: its choice is rejected
        predicted("q-3", -1.5, -1.5, -0.5),  # of equal ones the first
    ]
    assert [row.wrong for row in preferences(asked, renderer(), found)] == [2, 2, 0]


def test_predictions_of_several_orders_are_averaged() -> None:
    found = [predicted("q-1", -0.1, -2.0, -9.0), predicted("q-1", -0.1, -7.0, -2.0)]
    [row] = preferences([question(1)], renderer(), found)
    assert row.wrong == 1  # -4.5 against -5.5


@pytest.mark.parametrize("found", [[], [Prediction(id="q-1", order=[0], logprobs=[0.0], choice=0)]])
def test_missing_predictions_are_an_error(found: list[Prediction]) -> None:
    with pytest.raises(UserError, match=r"question q-1: the predictions hold no .* 3 options"):
        preferences([question(1)], renderer(), found)


def test_predictions_of_other_sizes_are_an_error() -> None:
    found = [predicted("q-1", -1.0, -1.0, -1.0), predicted("q-1", -1.0, -1.0)]
    with pytest.raises(UserError, match="prediction q-1: other numbers of options"):
        preferences([question(1)], renderer(), found)


@given(st.integers(0, 99), st.integers(0, 2), st.sampled_from(["balanced", "cyclic", "all"]))
def test_orders_move_letters_and_keep_options(number: int, answer: int, orders: str) -> None:
    rows = preferences([question(number, answer)], renderer(orders=orders))
    assert len(rows) == {"balanced": 1, "cyclic": 3, "all": 6}[orders]
    assert len({row.wrong for row in rows}) == 1
    for row in rows:
        assert row.id == f"q-{number}~{shown(row.order)}"
        assert row.chosen[-1].content == f"{row.answer}. {OPTIONS[answer]}"
        letter = row.labels[row.order.index(row.wrong)]
        assert row.rejected[-1].content == f"{letter}. {OPTIONS[row.wrong]}"


def test_a_system_text_that_is_kept_stands_apart() -> None:
    [row] = preferences([question(1)], renderer(system="keep", answer="letter"))
    assert row.system.startswith("You are ")
    assert [message.role for message in row.chosen] == ["user", "assistant"]
    assert row.chosen[-1].content == "A"
    assert row.rejected[-1].content in ("B", "C")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"wrong": 0}, "wrong 0 is the option of the answer A"),
        ({"rejected": "chosen"}, "the same answer"),
        ({"chosen": "other"}, "different prompts"),
    ],
)
def test_an_inconsistent_preference_is_refused(change: dict[str, Any], sentence: str) -> None:
    [row] = preferences([question(1)], renderer())
    [other] = preferences([question(2)], renderer())
    values = {"chosen": row.chosen, "other": other.chosen}
    changed = {key: values.get(value, value) for key, value in change.items()}
    with pytest.raises(ValueError, match=sentence):
        Preference(**{**dict(row), **changed})


@pytest.mark.slow
@pytest.mark.parametrize("system", ["fold", "keep"])
def test_axolotl_trains_the_ids_of_the_supervised_row(tmp_path: Path, system: str) -> None:
    from axolotl.core.trainers import AxolotlORPOTrainer
    from axolotl.loaders import load_tokenizer
    from axolotl.prompt_strategies import load
    from axolotl.utils.data.rl import _load_split
    from axolotl.utils.dict import DictDefault
    from axolotl.utils.schemas.enums import RLType

    by = renderer(system=system, orders="cyclic")
    asked = [question(number, number % 3) for number in range(4)]
    rows = preferences(asked, by)
    write_records(tmp_path / "orpo.jsonl", rows)
    part = {"path": str(tmp_path / "orpo.jsonl"), "ds_type": "json", "split": "train"}
    cfg = DictDefault(
        {
            "rl": RLType.ORPO,
            "base_model": str(BASE),
            "base_model_config": str(BASE),
            "tokenizer_config": str(BASE),
            "chat_template": "alpaca",
            "datasets": [part | {"type": "chat_template.argilla"}],
            "sequence_len": 512,
            "excess_length_strategy": "raise",
            "dataset_num_proc": 1,
            "dataset_prepared_path": str(tmp_path / "prepared"),
            "shuffle_merged_datasets": False,
        }
    )
    tokenizer = load_tokenizer(cfg)
    trainer = AxolotlORPOTrainer.__new__(AxolotlORPOTrainer)
    trainer.processing_class, trainer.is_encoder_decoder = tokenizer, False
    trainer.max_length = 512
    prepared = [trainer.tokenize_row(sample) for sample in _load_split(cfg, "train")]

    supervised = load(
        "chat_template", tokenizer, cfg, {"type": "chat_template", "field_messages": "messages"}
    )
    wanted = [supervised.tokenize_prompt(row.model_dump()) for row in by.training(asked)]
    assert [one["chosen_input_ids"] for one in prepared] == [one["input_ids"] for one in wanted]
    assert [one["chosen_labels"] for one in prepared] == [one["labels"] for one in wanted]
    for one, row in zip(prepared, rows, strict=True):
        learnt = [label for label in one["rejected_labels"] if label != -100]
        assert tokenizer.decode(learnt) == f"{row.rejected[-1].content}{tokenizer.eos_token}"
        prompt = len(one["prompt_input_ids"])
        assert one["rejected_input_ids"][:prompt] == one["chosen_input_ids"][:prompt]
        assert one["rejected_labels"][:prompt] == [-100] * prompt
