"""The models that are asked: folders, adapters, hub names and served ones, opened when needed."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

from app.project import Project
from core import quiet  # noqa: F401, before the libraries that it quiets
from core.bilingual import Both
from core.errors import UserError
from core.layout import OUTPUTS
from core.text import short
from eval import model_files
from eval.answer_tokens import Tokenizer, load_tokenizer
from eval.engines.interface import Engine, Setup
from eval.model_files import ADAPTER_CONFIG

BATCH = 16  # rows a forward pass, as in eval/score.py
NO_MODEL = Both(
    "no model is named; name a folder, a hub model or an address",
    "모델이 비어 있습니다. 폴더, 허브 이름이나 주소를 쓰세요",
)


@dataclass(frozen=True)
class Opened:
    """A model that can be asked; `config` is empty where a server holds it."""

    tokenizer: Tokenizer
    engine: Engine
    config: dict[str, Any]


class Models:
    """The models of the last question; those of an earlier one are closed before others open."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.lock = Lock()  # one question at a time has the memory
        self.opened: dict[str, tuple[Any, Opened]] = {}

    def known(self) -> list[str]:
        """Folders of the project that hold a model or an adapter, the newest first."""
        files = [
            path
            for name in ("config.json", ADAPTER_CONFIG)
            for folder in (OUTPUTS, Path("recipes"))
            for path in folder.glob(f"*/*/{name}")
            if any(path.parent.glob("*.safetensors"))
        ]
        files.sort(key=lambda path: (-path.stat().st_mtime, str(path)))
        return list(dict.fromkeys(str(path.parent) for path in files))

    def keep(self, names: Sequence[str]) -> None:
        """Close the models that are not among these."""
        for name in self.opened.keys() - set(names):
            self.opened.pop(name)[1].engine.close()

    def get(self, name: str) -> Opened:
        """The model of that name, ready to be asked; raises `UserError` where it cannot be."""
        if name.startswith(("http://", "https://")):
            from app import served

            server = served.Server(name)  # asked anew each time: it may serve another by now
            return Opened(served.ServerTokenizer(server), served.Engine(server), {})
        folder, adapter = self._folders(name)
        state = _state(folder), _state(adapter)
        if name in self.opened and self.opened[name][0] == state:
            return self.opened[name][1]
        self.keep(self.opened.keys() - {name})
        self.opened[name] = state, _open(folder, adapter)
        return self.opened[name][1]

    def _folders(self, name: str) -> tuple[Path, Path | None]:
        """The folder of the weights, and that of the adapter over them."""
        if not name.strip():
            raise UserError(NO_MODEL)
        folder = Path(name)
        if folder.exists() or folder.is_symlink() or folder.is_absolute() or ".." in folder.parts:
            self.project.inside(folder)
        if not (folder / ADAPTER_CONFIG).is_file():
            return model_files.resolve(name), None
        base = model_files.read_object(folder / ADAPTER_CONFIG).get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise UserError(
                Both(
                    f"{folder / ADAPTER_CONFIG}: names no base; copy the adapter again",
                    f"{folder / ADAPTER_CONFIG}: 베이스 모델이 적혀 있지 않습니다. 어댑터를 다시 "
                    "복사하세요",
                )
            )
        if Path(base).exists():
            self.project.inside(Path(base))
        found = model_files.resolve(base)
        return found, model_files.resolve_adapter(folder, found)


def _open(folder: Path, adapter: Path | None) -> Opened:
    """Load by transformers, which is where training is; raises `UserError`."""
    from eval.engines import loader
    from eval.targets import require_room

    tokenizer = load_tokenizer(folder)
    dtype = model_files.stored_dtype(folder)
    require_room(folder, dtype, None, 1)
    adapters = {} if adapter is None else {"adapter": adapter}
    engine = loader.open_engine(
        Setup("hf", folder, dtype=dtype, batch_size=BATCH, longest=1, adapters=adapters)
    )
    return Opened(tokenizer, engine, model_files.config(folder))


def _state(folder: Path | None) -> str:
    """What changes when a folder's files do."""
    files = sorted(folder.iterdir()) if folder else []
    return json.dumps([(path.name, path.stat().st_mtime_ns) for path in files])


def label(name: str) -> str:
    """A model's name as a heading shows it: outputs/NAME/model is NAME."""
    path = Path(name)
    inner = path.name in ("model", "trained") and path.parent.name
    return short(f"{path.parent.name} ({path.name})" if inner else name)
