"""Where the app may read: the project's folder, and what was allowed besides at its start."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError
from core.layout import DATA, PREDICTIONS

PARAMS = Path("params.yaml")  # what makes a folder a project
BUILT = "build.json"  # what prep/build.py writes last
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
                f"{path}: lies outside the project; copy it into {self.folders[0]}, or start the "
                "app with --allow and its folder"
            )
        return path

    def runs(self) -> list[str]:
        """The runs that were built; raises `UserError` where none was."""
        found = sorted(file.parent.name for file in DATA.glob(f"*/{BUILT}"))
        if not found:
            raise UserError(f"{DATA}: no run is built there; run `python prep/build.py --run demo`")
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
            raise UserError(f"{folder}: holds no rows; run `python prep/build.py --run {run}`")
        return found

    def sets(self) -> list[str]:
        """The folders of predictions; raises `UserError` where there is none.

        The vote of a set, in a folder of its own, belongs to the set.
        """
        found = sorted({path.parent.name for path in PREDICTIONS.glob("*/*.jsonl")})
        sets = [name for name in found if name.removesuffix("-vote") not in {*found} - {name}]
        if not sets:
            raise UserError(
                f"{PREDICTIONS}: holds no predictions; score a model by `python eval/score.py`"
            )
        return sets

    def child(self, folder: Path, *names: str) -> Path:
        """A file or folder by names that came from a page; raises `UserError` for one outside."""
        for name in names:
            if name in ("", "..") or Path(name).name != name:
                raise UserError(
                    f"{name or 'no name'}: is no name in {folder}; choose one of the list"
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
