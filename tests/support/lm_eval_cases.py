"""Models whose prompts end in three ways, and lm-evaluation-harness over a task made for one."""

from pathlib import Path
from typing import Any

import lm_eval
from lm_eval.models.huggingface import HFLM
from lm_eval.tasks import TaskManager
from lm_eval.utils import simple_parse_args_string
from tokenizers.processors import TemplateProcessing

from core.jsonl import write_records
from core.records import Row
from eval.lm_eval_task import make
from tests.support.tiny_models import TEMPLATE, save_gemma2, save_llama, save_qwen2, save_tokenizer

TAILLESS = (
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "[INST]{{ message['content'] }}[/INST]{% else %}{{ message['content'] + '<eos>' }}"
    "{% endif %}{% endfor %}"
)


def gemma2(folder: Path) -> Path:
    """Soft-cap and sliding window; the prompt ends with a line break that is a token."""
    return save_gemma2(folder)


def llama(folder: Path) -> Path:
    """The prompt ends with ":\n", one token, and the tokenizer adds BOS, as Llama-3's does."""
    return save_with_bos(save_llama(folder), TEMPLATE, joins=True)


def qwen2(folder: Path) -> Path:
    """The prompt ends without white space and has no BOS, which the tokenizer would add."""
    return save_with_bos(save_qwen2(folder), TAILLESS)


MODELS = (gemma2, llama, qwen2)


def save_with_bos(folder: Path, template: str, joins: bool = False) -> Path:
    tokenizer = save_tokenizer(folder, template, joins=joins)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<bos> $A", special_tokens=[("<bos>", tokenizer.bos_token_id)]
    )
    tokenizer.save_pretrained(folder)
    return folder


class Case:
    """A model, rows, and the task generated of them for a method."""

    def __init__(self, save: Any, folder: Path, rows: list[Row], method: str) -> None:
        self.kind = save.__name__
        self.model, self.data = save(folder / "model"), folder / "test.jsonl"
        self.rows = rows
        write_records(self.data, rows)
        self.given = ["--model", str(self.model), "--data", str(self.data)]
        self.task, self.name = folder / "task", "ours"
        self.make = [*self.given, "--out", str(self.task), "--method", method, "--name", self.name]
        make.main(self.make)
        command = make.command(self.model, self.task, self.name, longest=64).split()
        self.settings = simple_parse_args_string(command[command.index("--model_args") + 1])

    def harness(self, **changes: Any) -> tuple[dict[str, Any], list[tuple[list[int], list[int]]]]:
        """The harness's results, and the token ids of each context and continuation it scored."""
        seen = []

        class Watched(HFLM):
            def _loglikelihood_tokens(self, requests: Any, **kwargs: Any) -> Any:
                seen.extend((context, continuation) for _, context, continuation in requests)
                return super()._loglikelihood_tokens(requests, **kwargs)

        settings = self.settings | {"device": "cpu", "batch_size": 16} | changes
        found = lm_eval.simple_evaluate(
            Watched(**settings),
            tasks=[self.name],
            task_manager=TaskManager(include_path=str(self.task), include_defaults=False),
            bootstrap_iters=0,
        )
        return found, seen

    def samples(self, found: dict[str, Any]) -> dict[str, dict[str, Any]]:
        """The harness's samples by item."""
        return {one["doc"]["id"]: one for one in found["samples"][self.name]}

    def by_id(self, found: dict[str, Any]) -> dict[str, list[float]]:
        """The harness's log-likelihoods of each item's choices, in the order shown."""
        samples = self.samples(found).items()
        return {id_: [answer[0] for [answer] in one["resps"]] for id_, one in samples}
