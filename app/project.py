"""Where the app may read: the project's folder, and what was allowed besides at its start."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.bilingual import Both
from core.errors import UserError
from core.layout import BUILT, DATA, PREDICTIONS

PARAMS = Path("params.yaml")  # what makes a folder a project
OTHERS = {"removed", "changed", "questions", "preferences"}  # files of a run that hold no rows


@dataclass(frozen=True)
class Project:
    """The folders that may be read, all resolved; the first is the project, where we stand."""

    folders: tuple[Path, ...]

    def inside(self, path: Path) -> Path:
        """`path` as it is; raises `UserError` where it leads out of the folders, by links too."""
        real = path.resolve()
        if not any(real.is_relative_to(folder) for folder in self.folders):
            raise UserError(
                Both(
                    f"{path}: lies outside the project; copy it into {self.folders[0]}, or start "
                    "the app with --allow and its folder",
                    f"{path}: 프로젝트 밖에 있습니다. {self.folders[0]} 안으로 복사하거나, 앱을 "
                    "--allow와 그 폴더로 시작하세요",
                )
            )
        return path

    def runs(self) -> list[str]:
        """The runs that were built; raises `UserError` where none was."""
        found = sorted(file.parent.name for file in DATA.glob(f"*/{BUILT}"))
        if not found:
            command = "python prep/build.py --run demo"
            raise UserError(
                Both(
                    f"{DATA}: no run is built there; run `{command}`",
                    f"{DATA}: 만들어진 런이 없습니다. `{command}` 명령을 실행하세요",
                )
            )
        return found

    def rows(self, run: str) -> list[Path]:
        """The files of rows of a run; raises `UserError` where there are none."""
        folder = self.child(DATA, run)
        found = [
            path
            for path in sorted([*folder.glob("*.jsonl"), *folder.glob("folds/*/*.jsonl")])
            if path.stem not in OTHERS
        ]
        if not found:
            command = f"python prep/build.py --run {run}"
            raise UserError(
                Both(
                    f"{folder}: holds no rows; run `{command}`",
                    f"{folder}: 행이 없습니다. `{command}` 명령을 실행하세요",
                )
            )
        return found

    def sets(self) -> list[str]:
        """The folders of predictions; raises `UserError` where there is none.

        The vote of a set, in a folder of its own, belongs to the set.
        """
        found = sorted({path.parent.name for path in PREDICTIONS.glob("*/*.jsonl")})
        sets = [name for name in found if name.removesuffix("-vote") not in {*found} - {name}]
        if not sets:
            raise UserError(
                Both(
                    f"{PREDICTIONS}: holds no predictions; score a model by `python eval/score.py`",
                    f"{PREDICTIONS}: 예측이 없습니다. `python eval/score.py` 명령으로 모델을 "
                    "채점하세요",
                )
            )
        return sets

    def child(self, folder: Path, *names: str) -> Path:
        """A file or folder by names that came from a page; raises `UserError` for one outside."""
        for name in names:
            if name in ("", "..") or Path(name).name != name:
                raise UserError(
                    Both(
                        f"{name or 'no name'}: is no name in {folder}; choose one of the list",
                        f"{name or '(빈 이름)'}: {folder} 안의 이름이 아닙니다. 목록에서 고르세요",
                    )
                )
        return self.inside(folder.joinpath(*names))


def open_project(root: Path, allowed: Iterable[Path] = ()) -> Project:
    """The project in a folder; raises `UserError` where it is none, or a folder is not there."""
    for folder in (root, *allowed):
        if not folder.is_dir():
            raise UserError(f"{folder}: no such folder; check the path")
    if not (root / PARAMS).is_file():
        raise UserError(f"{root}: holds no {PARAMS}, so it is no project; name one by --root")
    return Project(tuple(folder.resolve() for folder in (root, *allowed)))
