"""What prompts share is computed once, and the numbers are those of every prompt by itself.

The truth is transformers' own eager attention over one complete sequence, on every family of
`core/tree_attention.py`: soft-cap, sliding window shorter than the prompt, biases,
grouped heads.
"""

import random
from pathlib import Path

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from core import prefix_tree
from core.prefix_tree import pack
from core.tree_attention import FAMILIES
from eval.engines.hf import Engine
from eval.engines.shared_attention import NAME, Chunks

TOLERANCE = 1e-4  # float32; measured: at most 2e-5
SMALL = {
    "vocab_size": 128,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 256,
    "initializer_range": 0.3,
    "sliding_window": 12,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MORE = {"qwen2": {"use_sliding_window": True, "max_window_layers": 2}}
OTHER = "olmo"  # a family that is not among them


def save(family: str, folder: Path) -> Path:
    """A random model of a family whose letters' probabilities differ clearly."""
    torch.manual_seed(0)
    config = AutoConfig.for_model(family, **{**SMALL, **MORE.get(family, {})})
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def talks(dialogues: int = 4) -> list[list[int]]:
    """Prompts over dialogues: 3 questions each, one of them twice and one the start of another."""
    rng = random.Random(3)

    def some(count: int) -> list[int]:
        return [rng.randrange(3, 128) for _ in range(count)]

    head, prompts = some(5), []
    for _ in range(dialogues):
        talk = [*head, *some(rng.randrange(15, 30))]
        prompts += [[*talk, *some(rng.randrange(3, 20))] for _ in range(3)]
    prompts += [prompts[1], prompts[4][:-2]]
    rng.shuffle(prompts)
    return prompts


@torch.inference_mode()
def eager(folder: Path, sequence: list[int]) -> torch.Tensor:
    """(tokens, vocabulary) log-probabilities after each token of one sequence."""
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager")
    return model(torch.tensor([sequence])).logits[0].log_softmax(-1)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("family", [*sorted(FAMILIES), OTHER])
def test_packed_prompts_get_the_numbers_they_get_alone(
    family: str, fused: bool, tmp_path: Path
) -> None:
    folder, prompts = save(family, tmp_path), talks()
    engine = Engine(folder, dtype="float32", batch_size=7)
    assert (engine.about["attention"] == NAME) is (family != OTHER)
    engine.fused = fused  # as on a GPU, where the same mask and arithmetic are compiled
    letters = [[9, 10, 11], [9, 10, 11, 12, 13]] * (len(prompts) // 2)
    found = engine.letter_logprobs(prompts, letters)
    for prompt, wanted, mine in zip(prompts, letters, found, strict=True):
        truth = eager(folder, prompt)[-1, wanted].tolist()
        assert mine == pytest.approx(truth, rel=0, abs=TOLERANCE)


@pytest.mark.parametrize("family", ["gemma2", OTHER])
def test_each_token_of_each_continuation_follows_those_before_it(
    family: str, tmp_path: Path
) -> None:
    folder, prompts = save(family, tmp_path), talks()
    rng = random.Random(5)
    tails = [
        [[rng.randrange(3, 128) for _ in range(rng.randrange(1, 6))] for _ in range(3)]
        for _ in prompts
    ]
    tails[1] = [[7, 8], [7, 8, 9], [7, 10], [7]]  # continuations may begin alike too
    engine = Engine(folder, dtype="float32", batch_size=7)
    found = engine.continuation_logprobs(prompts, tails)
    for prompt, own, mine in zip(prompts, tails, found, strict=True):
        for tail, values in zip(own, mine, strict=True):
            logprobs = eager(folder, [*prompt, *tail])[len(prompt) - 1 : -1]
            truth = logprobs[range(len(tail)), tail].tolist()
            assert values == pytest.approx(truth, rel=0, abs=TOLERANCE)


def test_the_last_layer_computes_what_is_read_and_no_more(tmp_path: Path) -> None:
    prompts, seen = talks(), []
    engine = Engine(save("gemma2", tmp_path), dtype="float32", batch_size=len(prompts))
    for layer in engine.model.model.layers:
        inner = layer.mlp.mlp.down_proj
        inner.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    engine.letter_logprobs(prompts, [[9, 10]] * len(prompts))
    distinct = len(pack(prompts).ids)
    assert seen == [distinct, distinct, distinct, len(prompts)]
    assert len(prompts) < distinct / 10
    # and leaves the model as it was, for replies
    assert not any(part._forward_hooks for part in engine.model.modules())


def test_an_mlp_in_chunks_is_the_mlp() -> None:
    torch.manual_seed(0)
    seen = []
    mlp = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.GELU(), torch.nn.Linear(32, 8))
    mlp.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[1]))
    hidden = torch.randn(1, 23, 8)
    found = Chunks(mlp, tokens=10)(hidden)
    assert seen == [10, 10, 3]
    assert torch.allclose(found, mlp(hidden), atol=1e-6)


def test_a_pack_holds_each_distinct_beginning_once() -> None:
    packed = pack([[1, 2, 3, 4], [1, 2, 5], [1, 2], [9], [1, 2, 3, 4, 6]])
    assert packed.ids == [9, 1, 2, 5, 3, 4, 6]
    assert packed.positions == [0, 0, 1, 2, 2, 3, 4]
    assert packed.last == [5, 3, 2, 0, 6]
    assert [(s.start, s.stop, s.before) for s in packed.segments] == [
        (0, 1, ()),
        (1, 4, ()),
        (4, 7, ((1, 3),)),
    ]


def test_parts_lose_as_little_as_they_can() -> None:
    prompts = [[1] * 100 + [k] for k in (2, 3, 4)] + [[5] * 100 + [k] for k in (2, 3)]
    parts = prefix_tree.parts(prompts, 4)  # never four and one
    assert sorted(sorted(part) for part in parts) == [[0, 1, 2], [3, 4]]
    assert sorted(len(part) for part in prefix_tree.parts(prompts, 2)) == [1, 2, 2]
    assert prefix_tree.parts([], 2) == []
    nested = [[1, 2, 3], [1, 2], [1], [1, 2, 3], [4]]
    assert sorted(sorted(part) for part in prefix_tree.parts(nested, 1)) == [[0, 1, 2, 3], [4]]


def test_what_prompts_share_is_computed_a_wave_before_it_is_found() -> None:
    head = [1] * 8
    talks = [[*head, *[talk] * 8] for talk in (2, 3)]
    rows = [[*talk, 9, k] for talk in talks for k in (4, 5, 6)] + [[7] * 5]
    by_talk = [{0, 1, 2}, {3, 4, 5}]
    first, second, third = (set(wave) for wave in prefix_tree.waves(rows, 4))
    assert first == {6, *first}
    assert [len(wave) for wave in (first, second, third)] == [2, 3, 2]
    opener = next(talk for talk in by_talk if talk & first)  # the others find the head it computed
    assert len(second & opener) == 2
    assert third.isdisjoint(opener)
    for wave in prefix_tree.waves(rows, 32):  # nothing as long as a block is shared
        assert set(wave) == set(range(7))


def test_a_token_is_seen_by_those_that_continue_it_and_no_others() -> None:
    prompts = talks()
    packed = pack(prompts)
    for segment in packed.segments:
        for query in range(segment.start, segment.stop):
            before = [k for start, stop in segment.before for k in range(start, stop)]
            sees = [k for k in range(len(packed.ids)) if k <= query < packed.ends[k]]
            assert sees == [*before, *range(segment.start, query + 1)]
