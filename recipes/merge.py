"""Merge the adapter that a recipe trained into its base, and prove that nothing else changed.

Run as: python recipes/merge.py recipes/stage1.yml

The adapter was learnt on top of weights rounded to 4 bits, and is added here to the weights as they
were before rounding, in their own precision: the rounding is a makeshift of training, and the
stage that follows needs none. How far the merged model is from the one trained is printed. The
stock merge rounds instead, embeddings and head too, which training never did.

An adapter of the head or of the embeddings parts the two where the base ties them (Gemma-2): the
merged model has a head of its own. transformers reads it; vLLM's Gemma-2 has no place for one.
"""

import argparse
import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from core.errors import UserError, entry
from core.files import atomic_dir, read_text, sha256
from core.jsonl import read_objects, write_json
from recipes.plugins import quiet  # noqa: F401, before the libraries that it quiets
from recipes.weights.base_model import check_base, require_none_missing
from recipes.weights.finite import is_finite
from recipes.weights.lora import WEIGHTS, check_fit, grow, held, read_adapter, tensors, untie


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        description="Merge the adapter that a recipe trained into its base, and check the result.",
        epilog="example:\n  python recipes/merge.py recipes/stage1.yml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path, help="the recipe that trained the adapter")
    parser.add_argument(
        "--adapter", type=Path, help="folder of the adapter (default: the recipe's output_dir)"
    )
    parser.add_argument("--out", type=Path, help="folder of the result (default: ADAPTER-merged)")
    return parser


ROWS = 8
# root mean square of the logits' change over that of the logits: float32 is exact but for the order
# of sums; bfloat16 rounds each merged weight to 8 bits
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 5e-3}
RESULT = "merge.json"  # what was merged, and how exact the result is
TAKEN = ("tokenizer*", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")


def load(base: str, revision: str | None, **options: Any) -> PreTrainedModel:
    """The base model on the GPU where there is one; eager attention keeps Gemma-2's soft-cap."""
    model, about = AutoModelForCausalLM.from_pretrained(
        base,
        revision=revision,
        attn_implementation="eager",
        device_map={"": "cuda" if torch.cuda.is_available() else "cpu"},
        output_loading_info=True,
        **options,
    )
    require_none_missing(base, about["missing_keys"])
    return model


@torch.inference_mode()
def logits(model: PreTrainedModel, prompts: list[list[int]]) -> Tensor:
    """Logits (row, vocabulary) in float32 after the last token of each prompt."""
    model.eval()
    rows = [model(torch.tensor([ids], device=model.device)).logits[0, -1] for ids in prompts]
    return torch.stack(rows).float().cpu()


def distance(one: Tensor, other: Tensor) -> float:
    """Root mean square of the difference over that of `other`, each row around its mean."""
    centred = other - other.mean(-1, keepdim=True)
    moved = (one - other) - (one - other).mean(-1, keepdim=True)
    return float(moved.square().mean().sqrt() / centred.square().mean().sqrt())


def prompts_of(recipe: dict[str, Any], tokenizer: Any) -> list[list[int]]:
    """The first prompts of the recipe's training rows, as token ids."""
    rows = [row for _, row in read_objects(Path(recipe["datasets"][0]["path"]))][:ROWS]
    return [
        tokenizer.apply_chat_template(
            (row.get("messages") or row["chosen"])[:-1],
            add_generation_prompt=True,
            return_dict=False,
        )
        for row in rows
    ]


def check_weights(
    base: Path, merged: Path, changed: set[str], untied: dict[str, str], loaded: set[str]
) -> None:
    """Raise unless exactly the weights that the adapter changes did, and no weight went or came.

    `untied` says of weights that are new in the merged model which one of the base they were, and
    `loaded` which the base model holds: files may have others too, such as a tied head once more.
    Weights are compared in the dtype that the base was loaded in.
    """
    old, new = tensors(base), tensors(merged)
    names = {name: name for name in old if name in loaded or name in new} | untied
    if set(names) != set(new) or changed - set(names):
        odd = sorted(set(names) ^ set(new) | changed - set(names))
        raise RuntimeError(f"{merged}: not the base's weights, for instance {', '.join(odd[:3])}")
    for name, was in names.items():
        before, after = old[was].get_tensor(was), new[name].get_tensor(name)
        same = torch.equal(before.to(after.dtype), after)
        if name not in changed and not same:
            raise RuntimeError(f"{merged}: weight {name} has no adapter and yet changed")
        if name in changed and same:
            raise RuntimeError(f"{merged}: the adapter of {name} changed nothing; was it trained?")


def folder_of(base: str, revision: str | None) -> Path:
    """The local folder of a base model: itself, or where the hub's files were downloaded to."""
    if Path(base).is_dir():
        return Path(base)
    from huggingface_hub import snapshot_download

    return Path(snapshot_download(base, revision=revision, local_files_only=True))


def merge(recipe: dict[str, Any], adapter: Path, part: Path) -> dict[str, Any]:
    """Merge into the folder `part`, check it, and return what was measured.

    Raises `UserError` where the adapter is not one of this base or cannot be merged.
    """
    base, revision = recipe["base_model"], recipe.get("revision_of_model")
    source = folder_of(base, revision)
    check_base(base, revision, adapter)
    adapted = read_adapter(adapter)
    check_fit(source, adapted)
    tokenizer = AutoTokenizer.from_pretrained(adapter)
    prompts = prompts_of(recipe, tokenizer)

    whole = load(base, revision, dtype="auto")
    loaded = held(whole)
    grow(whole, adapted)
    untied = untie(whole, adapted.changed)
    model = PeftModel.from_pretrained(whole, adapter)
    apart = logits(model, prompts)
    if not is_finite(apart):
        raise UserError(f"{base}: gives logits that are no numbers; name another base_model")
    model = model.merge_and_unload(safe_merge=True)
    change = distance(logits(model, prompts), apart)
    if not change <= TOLERANCE[model.dtype]:  # nor may it be no number
        raise RuntimeError(f"merged logits are {change:.2g} off base + adapter's; nothing is kept")
    merged = logits(model, prompts)
    model.save_pretrained(part)
    measured = {
        "pairs": len(adapted.modules),
        "dtype": str(model.dtype),
        "untied": ", ".join(untied) or None,
        "off_base_and_adapter": change,
    }
    del model, whole

    if recipe.get("load_in_4bit"):
        # as Axolotl loads it for training
        four = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if recipe.get("bf16") else torch.float32,
        )
        rounded = load(base, revision, dtype="auto", quantization_config=four)
        grow(rounded, adapted)
        trained = PeftModel.from_pretrained(rounded, adapter)
        trained_logits = logits(trained, prompts)
        same = (trained_logits.argmax(-1) == merged.argmax(-1)).float().mean()
        measured["off_4bit_base_and_adapter"] = distance(merged, trained_logits)
        measured["same_first_token_as_4bit"] = float(same)

    for pattern in TAKEN:
        for path in sorted(adapter.glob(pattern)):
            shutil.copyfile(path, part / path.name)
    check_weights(source, part, adapted.changed, untied, loaded)
    return measured


def read_recipe(path: Path) -> dict[str, Any]:
    """A recipe with an adapter; raises `UserError` for anything else."""
    try:
        recipe = yaml.safe_load(read_text(path))
    except yaml.YAMLError as error:
        raise UserError(f"{path}: malformed YAML ({error}); mend it") from None
    if not isinstance(recipe, dict) or not recipe.get("adapter"):
        raise UserError(f"{path}: trains no adapter, so there is nothing to merge; name a stage 1")
    if lost := [key for key in ("base_model", "datasets", "output_dir") if not recipe.get(key)]:
        raise UserError(f"{path}: names no {', '.join(lost)}; name the recipe that was trained")
    return recipe


def main() -> None:
    """Merge, check, and put the result in its place only when it is whole."""
    args = parser().parse_args()

    recipe = read_recipe(args.recipe)
    adapter = args.adapter or Path(recipe["output_dir"])
    adapter = adapter if adapter.name.strip(".") else adapter.resolve()  # . has no name to add to
    out = args.out or adapter.with_name(f"{adapter.name}-merged")
    if not (adapter / WEIGHTS).is_file():
        raise UserError(
            f"{adapter}: no finished adapter; run "
            f"accelerate launch -m axolotl.cli.train {args.recipe}"
        )
    inputs = [args.recipe, adapter, Path(recipe["base_model"]), Path(recipe["datasets"][0]["path"])]
    with atomic_dir(out, RESULT, inputs) as part:
        measured = merge(recipe, adapter, part)
        digest = sha256(adapter / WEIGHTS)
        write_json(part / RESULT, {"recipe": str(args.recipe), "adapter": digest, **measured})
    print(f"{out}: {measured.pop('pairs')} adapter pairs merged, all other weights bit-equal")
    for name, value in measured.items():
        if value is not None:
            shown = f"{value:.2g}" if isinstance(value, float) else value
            print(f"  {name.replace('_', ' ')}: {shown}")


if __name__ == "__main__":
    entry(main)
