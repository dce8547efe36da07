"""Prompt and letter ids are those that Axolotl trains on; everything else is refused by name."""

from pathlib import Path

import pytest
from tokenizers import AddedToken

from core.errors import UserError
from core.records import Message, Row
from eval.answer_tokens import encode, load_tokenizer, split_answers
from eval.options import choose, gold, letter_mass, option_logprobs
from tests.support.tiny_models import TEMPLATE, save_tokenizer

TALK = (
    "1: 어제 산책하다가 비를 맞았어.\n2: 감기 조심해.\n보기\nA. 비\nB. 눈\nC. 바람\nD. 해\nE. 달\n"
)


def row(labels: list[str] | None = None, content: str = TALK, role: str = "user") -> Row:
    labels = list("ABC") if labels is None else labels
    return Row(
        id="합성-1",
        record="합성-1",
        source="test",
        split="test",
        group="g",
        category="원인",
        prompt="test@1",
        messages=[Message(role=role, content=content)],
        labels=labels,
        order=list(range(len(labels))),
        answer=None,
    )


@pytest.mark.parametrize("count", [2, 3, 4, 5])
def test_tokens_of_two_to_five_labels(tmp_path: Path, count: int) -> None:
    tokenizer = save_tokenizer(tmp_path)
    labels = list("ABCDE"[:count])
    prompt, tokens = encode(load_tokenizer(tmp_path), row(labels))
    assert tokenizer.decode(prompt) == f"<bos>### Instruction:\n{TALK}\n\n### Response:\n"
    assert [tokenizer.decode([token]) for token in tokens] == labels


@pytest.mark.parametrize("answer", ["B. 눈이 왔다", "B"])
def test_ids_are_those_that_axolotl_trains_on(tmp_path: Path, answer: str) -> None:
    from axolotl.prompt_strategies.chat_template import load
    from axolotl.utils.dict import DictDefault

    tokenizer = save_tokenizer(tmp_path)
    settings = DictDefault(sequence_len=512, train_on_inputs=False, chat_template="jinja")
    settings.chat_template_jinja = TEMPLATE
    strategy = load(tokenizer, settings, {"type": "chat_template", "field_messages": "messages"})
    trained = strategy.tokenize_prompt(
        {
            "messages": [
                {"role": "user", "content": TALK},
                {"role": "assistant", "content": answer},
            ]
        }
    )
    prompt, tokens = encode(tokenizer, row())
    first = next(k for k, label in enumerate(trained["labels"]) if label != -100)
    assert trained["input_ids"][:first] == prompt
    assert trained["labels"][first] == tokens[1]
    _, [tail] = split_answers(tokenizer, row().messages, [answer], "row")
    assert trained["input_ids"] == prompt + tail


def test_a_letter_that_depends_on_what_follows_is_refused(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    tokenizer.add_tokens(AddedToken("A.", normalized=False))
    with pytest.raises(UserError, match=r"row 합성-1.*letter A one token"):
        encode(tokenizer, row())


def test_labels_of_several_tokens_are_refused(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    with pytest.raises(UserError, match="letter 뷁 one token"):
        encode(tokenizer, row(["뷁", "B", "C"]))


def test_labels_that_share_a_token_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="share a token"):
        encode(save_tokenizer(tmp_path), row(["A", "B", "A"]))


def test_two_bos_are_refused(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path, "{{ bos_token }}" + TEMPLATE)
    with pytest.raises(UserError, match="two BOS"):
        encode(tokenizer, row())


def test_a_generation_prompt_unlike_the_training_text_is_refused(tmp_path: Path) -> None:
    wrong = TEMPLATE.replace("{{ '### Response:\n' }}{% endif %}", "{{ 'Answer:' }}{% endif %}")
    tokenizer = save_tokenizer(tmp_path, wrong)
    with pytest.raises(UserError, match="not the beginning of prompt and answer 'A'"):
        encode(tokenizer, row())


def test_a_token_across_the_seam_is_refused(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    tokenizer.add_tokens(AddedToken(":\nA", normalized=False))
    with pytest.raises(UserError, match="not the beginning of prompt and answer 'A'"):
        encode(tokenizer, row())


def test_a_template_that_refuses_a_role_names_the_remedy(tmp_path: Path) -> None:
    template = "{{ raise_exception('System role not supported') }}"
    with pytest.raises(UserError, match=r"System role not supported.*system: fold"):
        encode(save_tokenizer(tmp_path, template), row())


def test_a_training_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not a scoring row"):
        encode(save_tokenizer(tmp_path), row(role="assistant"))


def test_a_folder_without_template_says_what_to_do(tmp_path: Path) -> None:
    save_tokenizer(tmp_path, None)
    with pytest.raises(UserError, match=r"no chat template; .*--chat-template"):
        load_tokenizer(tmp_path)
    template = tmp_path / "training.jinja"
    template.write_text(TEMPLATE, encoding="utf-8")
    assert encode(load_tokenizer(tmp_path, template), row())[1]


def test_a_folder_without_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="tokenizer cannot be loaded"):
        load_tokenizer(tmp_path)


def test_option_arithmetic_by_hand() -> None:
    # letters A, B, C have probabilities 0.2, 0.4, 0.2 of the full vocabulary
    shown = [-1.6094379124341003, -0.916290731874155, -1.6094379124341003]
    assert letter_mass(shown) == pytest.approx(0.8, abs=1e-12)
    # A shows published option 2, B option 0, C option 1: normalised 0.25, 0.5, 0.25
    assert option_logprobs(shown, [2, 0, 1]) == [-0.693147, -1.386294, -1.386294]
    assert option_logprobs([-2000.0, -2000.0], [1, 0]) == [-0.693147, -0.693147]


def test_equal_options_go_to_the_one_published_first() -> None:
    assert choose([-2.0, -0.5, -0.5]) == 1
    assert choose([-1.0, -2.0]) == 0


def test_gold_follows_the_order() -> None:
    shuffled = row().model_copy(update={"order": [2, 0, 1], "answer": "A"})
    assert gold(shuffled) == 2
    assert gold(row()) is None
