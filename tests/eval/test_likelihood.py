"""Option texts: which tokens are scored, and what their likelihood is divided by."""

from collections.abc import Sequence
from math import log
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from core.errors import UserError
from core.records import Row
from eval.answer_tokens import split_answers
from eval.engines.hf import Engine
from eval.engines.interface import Engine as Protocol
from eval.methods.base import predict
from eval.methods.likelihood import NEUTRAL, Option, Pmi, likelihood, pmi
from eval.options import option_logprobs
from tests.support.scored_rows import rows
from tests.support.tiny_models import save_gemma2, save_tokenizer

# lists, not floats: a token's log-probability in nats
TOKENS = st.lists(st.floats(-30, 0), min_size=1, max_size=8)


class Halving(Protocol):
    """Gives every token the probability 1/2, after an empty turn that of its id's parity."""

    def __init__(self, neutral: Sequence[int] = ()) -> None:
        self.neutral = tuple(neutral)

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        found = []
        for prompt, wanted in zip(prompts, letters, strict=True):
            neutral = bool(self.neutral) and tuple(prompt[: len(self.neutral)]) == self.neutral
            found.append([log(0.25 if neutral and token % 2 else 0.5) for token in wanted])
        return found


def row(*options: str) -> Row:
    [one] = rows(1)
    size = len(options)
    changed = {
        "options": list(options),
        "labels": list("ABCDE"[:size]),
        "order": list(range(size))[::-1],
        "answer": None,
    }
    return one.model_copy(update=changed)


def test_normalisations_by_hand() -> None:
    text, logprobs = "비 A", [-1.0, -2.5, -0.5]  # 3 characters, 3 + 1 + 1 bytes
    found = {how: likelihood(logprobs, text, how) for how in ("sum", "characters", "bytes")}
    assert found == {"sum": -4.0, "characters": -4.0 / 3, "bytes": -0.8}
    assert likelihood(logprobs[:2], text, "tokens") == -1.75
    assert pmi([-1.0, -2.0], [-4.0, -0.5]) == 1.5


@given(st.lists(TOKENS, min_size=2, max_size=5), st.floats(-50, 50))
def test_a_uniform_shift_of_the_scores_changes_nothing(options: list, shift: float) -> None:
    scores = [likelihood(tokens, "글", "sum") for tokens in options]
    order = list(range(len(scores)))
    shifted = option_logprobs([score + shift for score in scores], order)
    assert shifted == pytest.approx(option_logprobs(scores, order), rel=0, abs=2e-6)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_the_text_is_scored_without_what_ends_the_answer(tmp_path: Path, size: int) -> None:
    tokenizer = save_tokenizer(tmp_path)
    texts = ["감기에 걸렸다.", "비", "비를 맞았어.", "0", "가"][:size]
    [tails] = Option().ask(tokenizer, row(*texts)).continuations
    assert [tokenizer.decode(tail) for tail in tails] == texts
    _, together = split_answers(tokenizer, row(*texts).messages, texts, "row")
    assert [len(one) - len(tail) for one, tail in zip(together, tails, strict=True)] == [1] * size


def test_longer_options_lose_by_the_sum_and_win_by_the_mean(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    asked = Option().ask(tokenizer, row("비", "비를 흠뻑 맞았어."))
    [short, long] = asked.continuations[0]
    assert len(short) < len(long)
    [by_sum] = Option("sum").answers(Halving(), tokenizer, [asked])
    assert by_sum.scores == pytest.approx([len(short) * log(0.5), len(long) * log(0.5)])
    [by_token] = Option("tokens").answers(Halving(), tokenizer, [asked])
    assert by_token.scores == pytest.approx([log(0.5), log(0.5)])
    assert predict(asked.row, by_sum).choice == 1  # shown first, published second
    assert predict(asked.row, by_token).choice == 0  # equal: the one published first


def test_pmi_is_what_the_context_adds(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    asked = Pmi().ask(tokenizer, row("비", "눈이 왔다.", "감기"))
    assert tokenizer.decode(asked.prompts[1]) == "<bos>### Instruction:\n\n\n### Response:\n"
    assert asked.prompts[1] == split_answers(tokenizer, NEUTRAL, ["비"], "row")[0]
    assert asked.continuations[0] == asked.continuations[1]
    [answer] = Pmi().answers(Halving(asked.prompts[1]), tokenizer, [asked])
    odd = [sum(token % 2 for token in tail) for tail in asked.continuations[0]]
    assert len(set(odd)) > 1
    assert answer.scores == pytest.approx([count * log(2) for count in odd])


def test_a_real_model_gives_the_likelihood_of_the_complete_text(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    folder = save_gemma2(tmp_path)
    tokenizer = save_tokenizer(tmp_path)
    asked = Option().ask(tokenizer, row("비를 맞았어.", "등산", "도서관에 있다."))
    engine = Engine(folder, dtype="float32", batch_size=4)
    [answer] = Option().answers(engine, tokenizer, [asked])
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    prompt = asked.prompts[0]
    for tail, score in zip(asked.continuations[0], answer.scores, strict=True):
        logits = model(torch.tensor([prompt + tail])).logits[0, len(prompt) - 1 : -1]
        picked = logits.log_softmax(-1)[range(len(tail)), tail]
        assert score == pytest.approx(picked.sum().item(), abs=1e-3)


def test_rows_that_have_no_text_to_score_are_refused(tmp_path: Path) -> None:
    tokenizer = save_tokenizer(tmp_path)
    bare = row("비", "눈").model_copy(update={"options": None})
    for method in (Option(), Pmi()):
        with pytest.raises(
            UserError, match=r"row 합성-000: carries no option texts; build the data"
        ):
            method.ask(tokenizer, bare)
        with pytest.raises(UserError, match="one of its options is empty"):
            method.ask(tokenizer, row("비", " "))
