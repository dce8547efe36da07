"""Merging an adapter into its base: added to the weights, and compared with what was trained."""

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, PreTrainedModel

from core.errors import UserError
from core.jsonl import read_objects
from recipes.weights.base_model import check_base, require_full_weights, require_none_missing
from recipes.weights.finite import is_finite
from recipes.weights.lora import check_fit, grow, held, read_adapter, tensors, untie

ROWS = 8
SENTENCES = (
    "어제는 비가 와서 집에 있었다.",
    "다음 글을 읽고 물음에 답하세요. 버스가 늦게 온 까닭은?",
    "1 + 1 = ",
    "The tram stops at the old harbour.",
)
# root mean square of the logits' change over that of the logits: float32 is exact but for the order
# of sums; bfloat16 rounds each merged weight to 8 bits
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 5e-3}
ROOM = 1.3  # times the weights' bytes: logits of 256,000 words take some 3 GiB a long prompt
RESULT = "merge.json"  # what was merged, and how exact the result is
TAKEN = ("tokenizer*", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")


def device_for(folder: Path) -> str:
    """The GPU where one holds a base's weights and a prompt's logits, else the CPU."""
    if not torch.cuda.is_available():
        return "cpu"
    size = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    _, memory = torch.cuda.mem_get_info()
    if size * ROOM <= memory:
        return "cuda"
    print(f"{folder}: too large for this GPU, so that the CPU merges it")
    return "cpu"


def load(base: str, revision: str | None, device: str, **options: Any) -> PreTrainedModel:
    """The base model on a device; eager attention keeps Gemma-2's soft-cap."""
    model, about = AutoModelForCausalLM.from_pretrained(
        base,
        revision=revision,
        attn_implementation="eager",
        device_map={"": device},
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
    """The first prompts of the recipe's training rows, as token ids; without rows, some sentences.

    They are what merged and unmerged weights are compared by.
    """
    if not recipe.get("datasets"):
        return [tokenizer(text).input_ids for text in SENTENCES]
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

    `recipe` names base_model and, where they are known, datasets and load_in_4bit. Raises
    `UserError` where the adapter is not one of this base or cannot be merged.
    """
    base, revision = recipe["base_model"], recipe.get("revision_of_model")
    source = folder_of(base, revision)
    require_full_weights(base, revision)
    check_base(base, revision, adapter)
    adapted = read_adapter(adapter)
    check_fit(source, adapted)
    words = adapter if any(adapter.glob("tokenizer*")) else source  # PEFT alone saves none
    tokenizer = AutoTokenizer.from_pretrained(words)
    prompts, device = prompts_of(recipe, tokenizer), device_for(source)

    bare = load(base, revision, device, dtype="auto")
    loaded = held(bare)
    grow(bare, adapted)
    untied = untie(bare, adapted.changed)
    model = PeftModel.from_pretrained(bare, adapter)
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
    del model, bare

    if recipe.get("load_in_4bit"):
        # as Axolotl loads it for training
        four = BitsAndBytesConfig(
            load_in_4bit=True,
            bnb_4bit_quant_type="nf4",
            bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16 if recipe.get("bf16") else torch.float32,
        )
        rounded = load(base, revision, device, dtype="auto", quantization_config=four)
        grow(rounded, adapted)
        trained = PeftModel.from_pretrained(rounded, adapter)
        trained_logits = logits(trained, prompts)
        same = (trained_logits.argmax(-1) == merged.argmax(-1)).float().mean()
        measured["off_4bit_base_and_adapter"] = distance(merged, trained_logits)
        measured["same_first_token_as_4bit"] = float(same)

    for pattern in TAKEN:
        for path in sorted(words.glob(pattern)):
            shutil.copyfile(path, part / path.name)
    check_weights(source, part, adapted.changed, untied, loaded)
    return measured
