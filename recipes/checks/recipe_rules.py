"""This project's rules: what would ruin a run without a word, and what a reader must find."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core.files import read_text
from core.jsonl import read_json
from core.layout import DATA, OUTPUTS, exported
from core.yaml_io import read_mapping
from prep.guards.track import NAMES, Track, check_model
from recipes.checks.precision import lost_steps
from recipes.members.tables import BACKBONES, Family, backbones
from recipes.weights.lora import HEAD

Recipe = dict[str, Any]
GUARD = "recipes.plugins.guard.GuardPlugin"
SOFTCAP = "attn_logit_softcapping"
KEEPS_SOFTCAP = {"eager", "flash_attention_2", "flex_attention"}
# rows of one pack do not see each other: proven for eager by
# tests/recipes/test_trained_is_scored.py
ISOLATES = {"eager", "flash_attention_2", "flex_attention"}
SHARDED = ("deepspeed", "fsdp_config")
# losses that take the head and the loss together, some rows at a time, and never hold all logits:
# Gemma-2's 256,000 words make 1 MB of float32 logits a token, several times over in the backward
# pass. Axolotl's plugin for the second wants a fork that is in no package registry
FUSED_LOSSES = ("liger_fused_linear_cross_entropy", "cut_cross_entropy")
RECIPES = Path(__file__).resolve().parent.parent  # the project's own, which introduce themselves


def rule_problems(
    path: Path, recipe: Recipe, others: Sequence[Recipe], text: str | None = None
) -> Iterator[str]:
    """Problems of a recipe at `path`, one sentence each; `text` is its file if not written yet.

    `others` are the recipes that may have made its base.
    """
    yield from header_problems(path, text)
    family = family_of(recipe, others)
    config = local_config(str(first_of(recipe, others).get("base_model")))
    softcap = bool(config.get(SOFTCAP)) or (family is not None and family.softcap)
    yield from run_problems(recipe, family, softcap)
    yield from chain_problems(recipe, others)
    yield from track_problems(recipe, others)


def header_problems(path: Path, text: str | None = None) -> Iterator[str]:
    """A recipe of the project's own whose first comment does not say how to run it."""
    if not path.resolve().is_relative_to(RECIPES):
        return
    place = path.resolve().relative_to(RECIPES.parent).as_posix()
    command = f"accelerate launch -m axolotl.cli.train {place}"
    if command not in (read_text(path) if text is None else text).split("\n\n")[0]:
        yield f"the first comment must say how to run this recipe: {command}"


def base_warnings(recipe: Recipe, others: Sequence[Recipe]) -> Iterator[str]:
    """What cannot be checked of a base that no family file knows, and another model's revision.

    Of a chain only the first recipe is warned of, and a base that this project's commands are yet
    to make is checked when it is trained.
    """
    base, known = str(recipe.get("base_model")), backbones()
    to_make = Path(base).is_relative_to("outputs") and not local_config(base)
    begins = first_of(recipe, others) is recipe
    if begins and not family_of(recipe, others) and not to_make:
        yield (
            f"no file of {BACKBONES} knows base_model {base}, so that template, licence and date "
            "are not checked; see that eot_tokens holds what ends an answer in chat_template "
            f"{recipe.get('chat_template')}"
        )
    revision = recipe.get("revision_of_model")
    owners = [name for name, one in known.items() if revision == one.backbone.revision]
    if revision and owners and base not in owners:
        yield f"revision_of_model is a commit of {owners[0]}, not of {base}; name its own"


def run_problems(recipe: Recipe, family: Family | None, softcap: bool) -> Iterator[str]:
    """What would spoil a run of this recipe on a model of this family, wherever its file lies.

    `softcap` says whether the model's attention has one.
    """
    yield from data_problems(recipe)
    if family:
        yield from answer_problems(recipe, family)
    yield from attention_problems(recipe, softcap)
    yield from precision_problems(recipe)


def data_problems(recipe: Recipe) -> Iterator[str]:
    """Rows that would vanish, leak or be used again after they changed."""
    if recipe.get("excess_length_strategy") != "raise":
        yield "set excess_length_strategy: raise; otherwise long rows vanish"
    if recipe.get("val_set_size"):
        yield "take out val_set_size, which splits rows of one dialogue; use test_datasets"
    if recipe.get("load_best_model_at_end") and not recipe.get("test_datasets"):
        yield "load_best_model_at_end has nothing to choose by; give test_datasets, or take it out"
    if recipe.get("dataset_prepared_path"):
        yield f"take out dataset_prepared_path; {GUARD} names it by content"
    if GUARD not in (recipe.get("plugins") or []):
        yield f"add {GUARD} to plugins"
    if recipe.get("trust_remote_code"):
        yield "take out trust_remote_code; a model that brings code of its own is not trained here"


def answer_problems(recipe: Recipe, family: Family) -> Iterator[str]:
    """A template that is not the family's, or an end of the answer that is not learnt."""
    template = recipe.get("chat_template")
    if template not in family.ends:
        yield f"chat_template {template} is none of {', '.join(family.ends)}"
        return
    end = family.ends[template]
    if end is None and recipe.get("eot_tokens") is not None:
        yield f"take out eot_tokens: {template} ends an answer with the tokenizer's own eos"
    elif end is not None and recipe.get("eot_tokens") != [end]:
        yield f"set eot_tokens to [{end}], which ends an answer in chat_template {template}"


def attention_problems(recipe: Recipe, softcap: bool) -> Iterator[str]:
    """Attention that computes something else than the model was made for."""
    attention = recipe.get("attn_implementation")
    if softcap and attention not in KEEPS_SOFTCAP:
        yield (
            f"attn_implementation {attention} may lose the model's soft-cap (Gemma-2's); "
            f"use one of {', '.join(sorted(KEEPS_SOFTCAP))}"
        )
    if recipe.get("sample_packing") and attention not in ISOLATES:
        yield (
            f"sample_packing with attn_implementation {attention} may show rows of a pack to one "
            f"another; use one of {', '.join(sorted(ISOLATES))}, or do not pack"
        )


def precision_problems(recipe: Recipe) -> Iterator[str]:
    """Dtypes the scorer does not compute in, updates that are lost, optimizers that break."""
    optimizer = str(recipe.get("optimizer"))
    half = recipe.get("fp16") or recipe.get("float16")
    if half or recipe.get("bf16") not in (True, False):
        yield (
            "set bf16 to true or false, and neither fp16 nor float16: scoring computes in bfloat16 "
            "or float32"
        )
    sharding = next((key for key in SHARDED if recipe.get(key)), None)
    if sharding and "8bit" in optimizer and "torch" not in optimizer:
        yield (
            f"optimizer {optimizer} does not work with {sharding}: bitsandbytes' states cannot be "
            "parted; use adamw_torch_fused or adamw_torch_8bit"
        )
    yield from (problem for problem in (lost_steps(recipe), unseen_head(recipe)) if problem)


def unseen_head(recipe: Recipe) -> str | None:
    """A sentence where a fused loss would pass an adapter of the head by.

    Fused losses read the weight of the head and not the head: an adapter around it has no part in
    the loss and learns nothing (tests/recipes/test_fused_loss.py). Saved in full, the head learns.
    """
    fused = [key for key in FUSED_LOSSES if recipe.get(key)]
    targets = recipe.get("lora_target_modules") or []
    targets = [targets] if isinstance(targets, str) else targets
    if fused and recipe.get("adapter") and any(HEAD in target for target in targets):
        return (
            f"{fused[0]} passes the adapter of {HEAD} by, which would learn nothing; take out "
            f"{fused[0]}, or move {HEAD} from lora_target_modules to lora_modules_to_save"
        )
    return None


def chain_problems(recipe: Recipe, others: Sequence[Recipe]) -> Iterator[str]:
    """A base that no other recipe makes, or that learnt to write answers otherwise."""
    base = str(recipe.get("base_model"))
    if not (Path(base).is_relative_to(OUTPUTS) and base.endswith("model")):
        return
    makers = [other for other in others if Path(result_of(other)) == Path(base)]
    if not makers and not local_config(base):
        yield f"base_model {base} is made by no recipe given here; name the one that makes it too"
    for maker in makers:
        for key in ("chat_template", "chat_template_jinja", "eot_tokens"):
            if maker.get(key) != recipe.get(key):
                yield f"{key} differs from that of the stage which makes {base}"


def track_problems(
    recipe: Recipe, others: Sequence[Recipe], params: Path = Path("params.yaml")
) -> Iterator[str]:
    """A backbone, or a teacher, that the track of the recipe's rows refuses."""
    if recipe.get("teacher_letters") and track_of(recipe, params) == "ga":
        yield f"track {NAMES['ga']} allows no teacher; take teacher_letters out"
    first = first_of(recipe, others)
    known = backbones().get(str(first.get("base_model")))
    for verdict in check_model(track_of(recipe, params), known.facts) if known else []:
        if verdict.verdict == "refused":
            yield str(verdict)


def track_of(recipe: Recipe, params: Path) -> Track | None:
    """The track of the run that makes a recipe's rows, found by the folder they lie in."""
    if not params.is_file():
        return None
    folder = Path(str((recipe.get("datasets") or [{}])[0].get("path"))).parent
    runs = read_mapping(params).get("runs") or {}
    return runs[folder.name].get("track") if folder.parent == DATA and folder.name in runs else None


def first_of(recipe: Recipe, others: Sequence[Recipe]) -> Recipe:
    """The recipe that begins a chain, whose base no other recipe makes."""
    base = Path(str(recipe.get("base_model")))
    makers = [one for one in others if one is not recipe and Path(result_of(one)) == base]
    rest = [one for one in others if one not in makers]
    return first_of(makers[0], rest) if makers else recipe


def family_of(recipe: Recipe, others: Sequence[Recipe]) -> Family | None:
    """The family of the backbone at the beginning of a recipe's chain, or None if not known."""
    base = str(first_of(recipe, others).get("base_model"))
    known = backbones().get(base)
    if known:
        return known.family
    kind = local_config(base).get("model_type")
    families = {one.family.model_type: one.family for one in backbones().values()}
    return families.get(kind) if kind != "llama" else None


def local_config(base: str | Path) -> dict[str, Any]:
    """The text model's settings in a folder's config.json; empty where there is none."""
    path = Path(base) / "config.json"
    config = read_json(path) if path.is_file() else {}
    return config.get("text_config") or config


def result_of(recipe: Recipe) -> str:
    """The folder of full weights that a recipe leads to by export.py."""
    return str(exported(Path(str(recipe.get("output_dir")))))
