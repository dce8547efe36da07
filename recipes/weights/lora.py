"""What an adapter's folder holds: which weights of its base it changes, and by how much.

| method                    | change of a weight W (out, in)                                    |
|---------------------------|-------------------------------------------------------------------|
| LoRA (arXiv:2106.09685)   | α/r · B A, with A (r, in) and B (out, r)                          |
| rsLoRA (arXiv:2312.03732) | α/√r · B A                                                        |
| DoRA (arXiv:2402.09353)   | m · (W + s B A) / ‖W + s B A‖ - W, by row, s of the two above     |
| LoRA+ (arXiv:2402.12354)  | LoRA's: only its optimizer differs                                |

An embedding's pair is stored transposed: W (words, width), A (r, words), B (width, r).
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig
from peft.utils.other import get_pattern_key
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel

from core.errors import UserError
from core.jsonl import read_json
from recipes.weights.finite import not_finite

HEAD = "lm_head"  # what all families here call it
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
SINGLE = "model.safetensors"
PREFIX = "base_model.model."
# a tensor's name is that of a module of the base, and what it is to that module
NAME = re.compile(
    rf"{re.escape(PREFIX)}(?P<module>.+?)\."
    r"(?P<part>lora_A\.weight|lora_B\.weight|lora_embedding_A|lora_embedding_B"
    r"|lora_magnitude_vector|base_layer\.weight|base_layer\.bias|weight|bias)"
)
# PEFT writes a module that is saved in full by its own name, and where the vocabulary grew once
# more with the wrapper around it
COPY = re.compile(r".+\.(modules_to_save|original_module)\.(weight|bias)")
GROWING = (HEAD, "embed_tokens")  # modules with a row for each token
LINEAR = ("lora_A.weight", "lora_B.weight")
EMBEDDING = ("lora_embedding_A", "lora_embedding_B")
# what changes the base before or along with the pairs: base + pairs is not what was trained
UNFIT = {
    "layer_replication": "repeats layers",
    "target_parameters": "adapts parameters that are no layers",
    "ensure_weight_tying": "adapts head and embeddings by one pair, which a merge would add twice",
    "trainable_token_indices": "trains single rows of the embeddings",
    "lora_bias": "gives its pairs a bias",
    "alora_invocation_tokens": "is active after some tokens only",
}
PLAIN_STARTS = (True, False, "gaussian", "orthogonal", "eva")  # others move weights of the base


@dataclass(frozen=True)
class Adapter:
    """An adapter of the LoRA family: names of its modules and weights are those of the base."""

    folder: Path
    config: LoraConfig
    modules: frozenset[str]  # with a pair A and B
    embeddings: frozenset[str]  # of these, embeddings
    magnitudes: frozenset[str]  # of these, with a magnitude (DoRA)
    full: frozenset[str]  # weights and biases trained in full, without a pair

    @property
    def changed(self) -> set[str]:
        """Names of all weights of the base that it changes."""
        return {f"{module}.weight" for module in self.modules} | self.full

    def scale(self, module: str, rank: int) -> float:
        """What the product B A of a module is multiplied with: alpha / r, or alpha / sqrt(r)."""
        pattern = self.config.alpha_pattern or {}
        alpha = pattern.get(get_pattern_key(pattern.keys(), module), self.config.lora_alpha)
        return alpha / (rank**0.5 if self.config.use_rslora else rank)

    def saved(self) -> dict[str, list[int]]:
        """Shapes of the weights trained in full, by name."""
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            stored = {name.removeprefix(PREFIX): name for name in file.keys()}  # noqa: SIM118
            return {
                name: file.get_slice(stored[name]).get_shape()
                for name in sorted(self.full & stored.keys())
            }

    def pair(self, module: str) -> tuple[Tensor, Tensor]:
        """A (r, in) and B (out, r) of a module in float32, on the CPU."""
        down, up = EMBEDDING if module in self.embeddings else LINEAR
        with safe_open(self.folder / WEIGHTS, "pt") as file:
            return (
                file.get_tensor(f"{PREFIX}{module}.{down}").float(),
                file.get_tensor(f"{PREFIX}{module}.{up}").float(),
            )


def read_adapter(folder: Path) -> Adapter:
    """The adapter in a folder, by the names of its tensors.

    Raises `UserError` where it is not of the LoRA family, is not complete, cannot be merged, or
    holds numbers that are not finite.
    """
    config = read_config(folder)
    with safe_open(folder / WEIGHTS, "pt") as file:
        names = [name for name in file.keys() if not COPY.fullmatch(name)]  # noqa: SIM118
        if broken := not_finite((name, file.get_tensor(name)) for name in names):
            raise UserError(
                f"{folder}: {len(broken)} of its tensors hold numbers that are not finite, for "
                f"instance {broken[0]}; train it again, with a lower learning_rate"
            )
    parts: dict[str, set[str]] = {}
    for name in names:
        if not (match := NAME.fullmatch(name)):
            raise UserError(f"{folder}: {name} is no part of a LoRA adapter; train it again")
        parts.setdefault(match["part"], set()).add(match["module"])

    def having(*kinds: str) -> frozenset[str]:
        return frozenset().union(*(parts.get(kind, ()) for kind in kinds))

    halves = [having(*half) for half in zip(LINEAR, EMBEDDING, strict=True)]
    modules, embeddings = halves[0], having(EMBEDDING[0])
    if not modules or modules != halves[1]:
        raise UserError(f"{folder}: not a plain LoRA adapter of pairs A and B; train it again")
    magnitudes = having("lora_magnitude_vector")
    if config.use_dora != bool(magnitudes) or magnitudes - modules:
        raise UserError(f"{folder}: {CONFIG} and the weights differ about DoRA; train it again")
    # PEFT copies a base layer's weight next to a head's or an embedding's pair; it learns nothing
    full = {f"{m}.weight" for m in having("weight")}
    full |= {f"{m}.bias" for m in having("bias", "base_layer.bias")}
    return Adapter(folder, config, modules, embeddings, magnitudes, frozenset(full))


def read_config(folder: Path) -> LoraConfig:
    """An adapter's config; raises `UserError` where a merge of it would not be what was trained."""
    if not (folder / WEIGHTS).is_file():
        raise UserError(f"{folder}: no {WEIGHTS}; name the folder of a finished adapter")
    said = read_json(folder / CONFIG)
    if said.get("peft_type") != "LORA":
        raise UserError(f"{folder}: a {said.get('peft_type')} adapter; only LORA can be merged")
    config = LoraConfig(**{k: v for k, v in said.items() if k in LoraConfig.__dataclass_fields__})
    for key, what in UNFIT.items():
        if getattr(config, key, None):
            raise UserError(f"{folder}: {what} ({key}), which cannot be merged; train without it")
    if config.init_lora_weights not in PLAIN_STARTS:
        raise UserError(
            f"{folder}: starts by {config.init_lora_weights}, which changes weights of the base; "
            "train without peft_init_lora_weights"
        )
    return config


def tensors(folder: Path) -> dict[str, Any]:
    """The open safetensors file of a folder that holds each weight, by the weight's name.

    Those that transformers loads: one file or the shards of the index, whatever else lies there.
    """
    index = folder / f"{SINGLE}.index.json"
    names = [SINGLE]
    if not (folder / SINGLE).is_file() and index.is_file():
        names = sorted(set(read_json(index)["weight_map"].values()))
    opened = [safe_open(folder / name, "pt") for name in names]
    return {name: file for file in opened for name in file.keys()}  # noqa: SIM118


def check_fit(base: Path, adapter: Adapter) -> None:
    """Raise `UserError` where the base has not the layers that the adapter is for, by size.

    Of those saved in full, head and embeddings may have more rows, for tokens that training added.
    """
    have = tensors(base)
    for name, shape in adapter.saved().items():
        if name not in have and name == f"{HEAD}.weight":
            continue  # a tied head is not in the files
        stored = have[name].get_slice(name).get_shape() if name in have else []
        grown = name.split(".")[-2] in GROWING and stored[1:] == shape[1:] and stored < shape
        if stored != shape and not grown:
            raise UserError(
                f"{adapter.folder}: saves {name} of {' x '.join(map(str, shape))}, and {base} has "
                "none such; name the adapter of this base"
            )
    for name in sorted(adapter.modules - {HEAD}):  # a tied head is not in the files
        down, up = adapter.pair(name)
        shape = [down.shape[1], up.shape[0]][:: 1 if name in adapter.embeddings else -1]
        weight = f"{name}.weight"
        if weight not in have or have[weight].get_slice(weight).get_shape() != shape:
            raise UserError(
                f"{adapter.folder}: adapts {name} of {' x '.join(map(str, shape))}, and {base} has "
                "none such; name the adapter of this base"
            )


def grow(model: PreTrainedModel, adapter: Adapter) -> None:
    """Give a model the rows that training added for new tokens; the adapter holds what they are."""
    rows = [shape[0] for name, shape in adapter.saved().items() if name.split(".")[-2] in GROWING]
    if rows and max(rows) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(max(rows), mean_resizing=False)


def held(model: PreTrainedModel) -> set[str]:
    """Names of the weights that a model holds and would save, of tied ones the first."""
    every = {name for name, _ in model.named_parameters(remove_duplicate=False)}
    buffers = model.state_dict().keys() - every
    return {name for name, _ in model.named_parameters()} | buffers


def untie(model: PreTrainedModel, changed: set[str]) -> dict[str, str]:
    """Give a head tied to the embeddings a weight of its own where one of the two changes.

    Merged into the weight that both share, a change of one would change the other too. Returns the
    head's weight and the embeddings' by name, or nothing where they stay as they are.
    """
    embeddings, head = model.get_input_embeddings(), model.get_output_embeddings()
    names = {module: f"{name}.weight" for name, module in model.named_modules()}
    tie = {names[head]: names[embeddings]}
    if head.weight is not embeddings.weight or not changed & {*tie, *tie.values()}:
        return {}
    head.weight = torch.nn.Parameter(head.weight.detach().clone())
    model.config.tie_word_embeddings = False
    return tie
