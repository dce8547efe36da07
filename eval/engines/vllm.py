"""Letter log-probabilities by vLLM: the fast way, in an environment of its own on a CPU.

The engine runs inside this process: how requests fall into batches then depends on nothing but
their order, so two runs give the same digits, and half the start-up time is saved. With tensor
parallelism this process still schedules, and a worker process holds each part of the weights.
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

DEFAULTS = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_LOGGING_LEVEL": "ERROR",
    # Workers of tensor parallelism are all on this machine: they talk over the loopback interface.
    "VLLM_HOST_IP": "127.0.0.1",
    "GLOO_SOCKET_IFNAME": "lo",
    "PYTHONWARNINGS": "ignore::FutureWarning",  # theirs, as the filter below is this process's
}
# On a CPU torch.compile needs a C++ compiler and saves nothing on prompts that are read once;
# threads bound to cores stand still whenever another program has the core.
CPU_DEFAULTS = {
    "VLLM_CPU_KVCACHE_SPACE": "2",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "TORCHDYNAMO_DISABLE": "1",
}

warnings.filterwarnings("ignore", category=FutureWarning, module=r"vllm\.")

for _key, _value in (DEFAULTS if torch.cuda.is_available() else DEFAULTS | CPU_DEFAULTS).items():
    os.environ.setdefault(_key, _value)

import vllm  # noqa: E402 - it reads the environment when it is imported
from packaging.version import Version  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from transformers import AutoConfig, AutoModelForCausalLM  # noqa: E402
from vllm import LLM, SamplingParams, TokensPrompt  # noqa: E402
from vllm.distributed import cleanup_dist_env_and_memory  # noqa: E402
from vllm.lora.request import LoRARequest  # noqa: E402
from vllm.model_executor.layers.logits_processor import LogitsProcessor  # noqa: E402
from vllm.outputs import CompletionOutput  # noqa: E402
from vllm.sampling_params import StructuredOutputsParams  # noqa: E402

from core.errors import UserError, full_disk  # noqa: E402
from core.prefix_tree import parts, waves  # noqa: E402
from eval.engines import interface  # noqa: E402
from eval.engines.interface import Decoding, Reply  # noqa: E402
from eval.model_files import (  # noqa: E402
    require_none_missing,
    room,
    shapes,
)

OLDEST = "0.26.0"  # older ones compute the logits of bfloat16 models in bfloat16, which makes ties
MOST = 128  # tokens whose log-probabilities one request may ask for: vLLM's MAX_LOGPROB_TOKEN_IDS
BLOCK = 32  # tokens a block of the cache on a CPU, whose default of 128 finds little that is shared
ROOM = 128  # prompts whose keys and values the cache surely holds at once


class Engine(interface.Engine):
    """A vLLM engine ready to score prompts of at most `longest` tokens."""

    def __init__(
        self,
        folder: Path,
        *,
        dtype: str,
        batch_size: int,
        longest: int,
        adapters: Mapping[str, Path] | None = None,
        tensor_parallel: int = 1,
        prefix_cache: bool = True,
        structured: bool = False,
    ) -> None:
        require_version(vllm.__version__)
        settings: dict[str, Any] = {
            "tensor_parallel_size": tensor_parallel,
            "enable_prefix_caching": prefix_cache,
        }
        if adapters:
            settings |= {"enable_lora": True, "max_lora_rank": room(list(adapters.values()))}
            settings |= {"max_cpu_loras": len(adapters)}
        if structured:  # the library that holds replies to a schema in the other engine too
            settings["structured_outputs_config"] = {"backend": "guidance"}
        if not torch.cuda.is_available():
            settings["block_size"] = BLOCK
        self.loras = {
            name: LoRARequest(name, number, str(adapter))
            for number, (name, adapter) in enumerate((adapters or {}).items(), start=1)
        }
        self.lora = next(iter(self.loras.values()), None)
        require_none_missing(folder, _missing(folder))
        try:
            self.llm = LLM(
                model=str(folder),
                dtype=dtype,
                max_model_len=longest + 1,
                max_num_seqs=batch_size,
                max_logprobs=MOST,
                enforce_eager=True,
                hf_overrides={"head_dtype": "float32"},
                load_format="safetensors",
                skip_tokenizer_init=not structured,
                trust_remote_code=False,
                seed=0,
                **settings,
            )
        except Exception as error:
            if full_disk(error):
                raise
            many = tensor_parallel > 1
            how = f" with --tensor-parallel {tensor_parallel}" if many else ""
            instead = "use fewer, or --replicas" if many else "score with --backend hf"
            raise UserError(
                f"vLLM does not open {folder}{how} ({_reason(error)}); {instead}"
            ) from error
        self.about: dict[str, Any] = {
            "name": "vllm",
            "versions": {"vllm": vllm.__version__, "torch": torch.__version__},
            "device": "cuda" if torch.cuda.is_available() else "cpu",
            "dtype": dtype,
            "head_dtype": self.llm.collective_rpc(_head_dtype)[0],
            "attention": self.llm.collective_rpc(_attention)[0],
            "batch_size": batch_size,
            "adapters": len(self.loras),
            **settings,
        }

    def use(self, adapter: str) -> None:
        """Score with the adapter of that name from now on."""
        self.lora = self.loras[adapter]

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the log-probability (nats, over the full vocabulary) of its letters.

        What prompts share is in the prefix cache before those that share it are scheduled: prompts
        of one step do not find each other's. The cache starts empty, so that the numbers depend
        on nothing that was scored before.
        """
        self.llm.reset_prefix_cache()
        result: list[list[float]] = [[] for _ in prompts]
        for part in parts(prompts, ROOM):
            for wave in waves([prompts[row] for row in part], BLOCK):
                rows = [part[k] for k in wave]
                found = self._next_token(
                    [prompts[row] for row in rows], [letters[row] for row in rows]
                )
                for row, values in zip(rows, found, strict=True):
                    result[row] = values
        return result

    def generate(
        self,
        prompts: Sequence[Sequence[int]],
        decoding: Decoding,
        seeds: Sequence[int],
        schemas: Sequence[dict[str, Any]] | None = None,
    ) -> list[list[Reply]]:
        """For each prompt `decoding.samples` replies; the cache starts empty, as above."""
        self.llm.reset_prefix_cache()
        outputs = self.llm.generate(
            [TokensPrompt(prompt_token_ids=list(prompt)) for prompt in prompts],
            [
                SamplingParams(
                    n=decoding.samples,
                    temperature=decoding.temperature,
                    seed=seed,
                    max_tokens=decoding.max_tokens,
                    stop_token_ids=list(decoding.stops),
                    structured_outputs=schema and StructuredOutputsParams(json=schema),
                    detokenize=False,
                )
                for seed, schema in zip(seeds, schemas or [None] * len(seeds), strict=True)
            ],
            lora_request=self.lora,
            use_tqdm=False,
        )
        return [[_reply(one, decoding.stops) for one in output.outputs] for output in outputs]

    def close(self) -> None:
        """Let go of the weights and the cache, so that this process can load another model."""
        del self.llm
        cleanup_dist_env_and_memory()

    def _next_token(
        self, prompts: Sequence[Sequence[int]], tokens: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the log-probabilities of some tokens as the next one."""
        asked = [
            (row, tokens[row][k : k + MOST])
            for row in range(len(prompts))
            for k in range(0, len(tokens[row]), MOST)
        ]
        outputs = self.llm.generate(
            [TokensPrompt(prompt_token_ids=list(prompts[row])) for row, _ in asked],
            [_sampling(part) for _, part in asked],
            lora_request=self.lora,
            use_tqdm=False,
        )
        result: list[list[float]] = [[] for _ in prompts]
        for (row, part), output in zip(asked, outputs, strict=True):
            if list(output.prompt_token_ids) != list(prompts[row]):
                raise RuntimeError(
                    f"vLLM changed or reordered a prompt of {len(prompts[row])} tokens"
                )
            found = output.outputs[0].logprobs[0]
            missing = [token for token in part if token not in found]
            if missing:
                raise RuntimeError(
                    f"vLLM {vllm.__version__} returned no log-probability for token {missing[0]}; "
                    "score with --backend hf"
                )
            result[row] += [found[token].logprob for token in part]
        return result


def require_version(version: str) -> None:
    """Raise `UserError` for a vLLM that has no float32 head for models that write text."""
    if Version(version) < Version(OLDEST):
        raise UserError(
            f"vLLM {version} computes logits in the model's own precision, so that letters tie; "
            f"install {OLDEST} or newer (eval/requirements-vllm.txt), or score with --backend hf"
        )


def _missing(folder: Path) -> set[str]:
    """The weights that a model lacks: vLLM leaves half of a pair that it joins as it was drawn.

    Nothing is said of files that name their weights otherwise than transformers does.
    """
    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except Exception:  # vLLM knows models that transformers does not
        return set()
    have = {name for file in folder.glob("*.safetensors") for name in shapes(file)}
    if have - model.state_dict().keys():
        return set()
    tied = model.all_tied_weights_keys
    return {name for name, _ in model.named_parameters()} - have - tied.keys()


def _reason(error: Exception) -> str:
    """The first line of what was wrong; that of settings which pydantic refused stands inside."""
    said = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
    return said.strip().partition("\n")[0][:200] or type(error).__name__


def _attention(worker: Any) -> str:
    """The attention backend that vLLM took, asked of a worker, which may be another process."""
    layers = worker.vllm_config.compilation_config.static_forward_context.values()
    names = {layer.attn_backend.get_name() for layer in layers if hasattr(layer, "attn_backend")}
    return ", ".join(sorted(names)) or "unknown"


def _reply(output: CompletionOutput, stops: Sequence[int]) -> Reply:
    ids = list(output.token_ids)
    if output.finish_reason == "length":
        return ids, False
    return ids[:-1] if ids and ids[-1] in stops else ids, True


def _head_dtype(worker: Any) -> str:
    """What the logits are computed in, as the model's own layer says: some platforms have less."""
    names = {
        str(layer.head_dtype).removeprefix("torch.")
        for layer in worker.get_model().modules()
        if isinstance(layer, LogitsProcessor)
    }
    return ", ".join(sorted(names)) or "unknown"


def _sampling(tokens: Sequence[int]) -> SamplingParams:
    """One token, and the log-probabilities of those asked for; some schedulers read the count."""
    return SamplingParams(
        max_tokens=1,
        temperature=0.0,
        detokenize=False,
        logprobs=len(tokens),
        logprob_token_ids=list(tokens),
    )
