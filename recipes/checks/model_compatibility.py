"""Whether a recipe fits its model: checked on the model's own config.json and tokenizer.

No weights are loaded: the architecture is built without memory, to ask it for its modules' names.
"""

from collections.abc import Iterator
from typing import Any

import torch
from axolotl.prompt_strategies.chat_template import load as load_strategy
from axolotl.utils.chat_templates import get_chat_template_from_config
from axolotl.utils.dict import DictDefault
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

from core.errors import UserError
from recipes.checks.recipe_rules import KEEPS_SOFTCAP, SOFTCAP, Recipe
from recipes.members.tables import Family
from recipes.plugins.tokenization import check_bos, check_letter, tokenised

LETTERS = ("A", "B", "C")
TEXT = "[Conversation]\n화자1: 어제 뭐 했어?\n화자2: 도서관에서 책을 읽었어.\n\n[Option]\n"


def sample(letter: str) -> dict[str, Any]:
    """A row as prep writes it, answered by a letter and its option."""
    options = "\n".join(f"{one}. {one}안을 고른다." for one in LETTERS)
    answer = f"{letter}. {letter}안을 고른다."
    return {
        "messages": [
            {"role": "user", "content": TEXT + options},
            {"role": "assistant", "content": answer},
        ],
        "labels": list(LETTERS),
        "answer": letter,
    }


def config_problems(recipe: Recipe, family: Family, config: Any) -> Iterator[str]:
    """What the architecture does not have or cannot do."""
    if config.model_type != family.model_type:
        yield f"the model is a {config.model_type}, not a {family.model_type}; correct its family"
    room = getattr(config, "max_position_embeddings", None)
    if room and recipe["sequence_len"] > room:
        yield f"sequence_len {recipe['sequence_len']} is over the model's {room}"
    attention = recipe.get("attn_implementation")
    if getattr(config, SOFTCAP, None) and attention not in KEEPS_SOFTCAP:
        yield f"attn_implementation {attention} may lose the model's soft-cap"
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, trust_remote_code=False)
    there = {name.rpartition(".")[2] for name, _ in model.named_modules()}
    targets = set(recipe.get("lora_target_modules") or [])
    if targets - there:
        yield f"lora_target_modules: the model has no {', '.join(sorted(targets - there))}"
    if config.tie_word_embeddings and (shared := targets & {"lm_head", "embed_tokens"}):
        yield f"lora_target_modules: {', '.join(shared)} shares its weights with the embedding"


def tokenizer_problems(recipe: Recipe, family: Family, tokenizer: Any) -> Iterator[str]:
    """What would be learnt or scored otherwise than it reads; the sample rows are ours."""
    back = tokenizer.decode(tokenizer.encode(TEXT, add_special_tokens=False))
    if back.strip() != TEXT.strip():
        yield "the tokenizer does not give Korean text back as it was"
    end = family.ends.get(str(recipe.get("chat_template"))) or tokenizer.eos_token
    if end is None or len(tokenizer.encode(end, add_special_tokens=False)) != 1:
        yield f"{end} is no single token of the tokenizer, so that no answer would learn to end"
        return
    tokenizer.chat_template = get_chat_template_from_config(DictDefault(recipe), None, tokenizer)
    letters: dict[str, int] = {}
    strategy = load_strategy(tokenizer, DictDefault(recipe), DictDefault(recipe["datasets"][0]))
    for letter in LETTERS:
        row, where = sample(letter), f"a row answered {letter}"
        try:
            ids, start = tokenised(row, tokenizer, where)
            check_bos(ids, tokenizer, where)
            check_letter(row, ids[start or 0], letters, tokenizer, where)
        except UserError as error:
            yield str(error)
            return
        if recipe.get("rl"):
            continue
        learnt = [label for label in strategy.tokenize_prompt(row)["labels"] if label != -100]
        if learnt[:1] != [ids[start or 0]]:
            yield f"{where}: Axolotl does not learn the letter first"
        if learnt[-1:] != tokenizer.encode(end, add_special_tokens=False):
            yield f"{where}: Axolotl does not learn its end, {end}"
    if len(set(letters.values())) < len(LETTERS):
        yield "two letters share a token"


def live_problems(recipe: Recipe, family: Family) -> Iterator[str]:
    """The same from the hub's own files, which are small; raises `UserError` without a network."""
    base, revision = recipe["base_model"], recipe.get("revision_of_model")
    try:
        config = AutoConfig.from_pretrained(base, revision=revision, trust_remote_code=False)
        tokenizer = AutoTokenizer.from_pretrained(base, revision=revision, trust_remote_code=False)
    except (OSError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{base}: its config and tokenizer cannot be had from the hub ({reason}); check the "
            "network, accept its licence there and run `hf auth login`, or leave out --live"
        ) from None
    yield from config_problems(recipe, family, config)
    yield from tokenizer_problems(recipe, family, tokenizer)
