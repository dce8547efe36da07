"""What a model was made of: its trainings, first stage first, their data, and the base below."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.jsonl import read_json
from core.layout import BUILT, exported
from prep.sources.licences import Terms, terms_of
from recipes.members.tables import BACKBONES, backbones
from recipes.plugins.run_fingerprint import record_in

MANIFEST = "manifest.json"  # of a base that was made or fetched here


@dataclass(frozen=True)
class Material:
    """A base or a source of rows; None stands for "nobody has looked it up"."""

    name: str
    licence: str | None
    rows: int | None = None
    origin: str | None = None

    @property
    def terms(self) -> Terms | None:
        """What its licence allows."""
        return terms_of(self.licence)


@dataclass(frozen=True)
class Training:
    """One run of Axolotl: the keys that decided its weights, and the sources of its rows.

    `settings` are those of the build that made the rows; None where no build did.
    """

    recipe: dict[str, Any]
    sources: list[Material]
    settings: dict[str, Any] | None


@dataclass(frozen=True)
class Lineage:
    """A base, and the trainings that led from it to a model."""

    base: Material
    revision: str | None
    trainings: list[Training]

    @property
    def sources(self) -> list[Material]:
        """The sources of all trainings; one that served twice stands there twice."""
        return [source for training in self.trainings for source in training.sources]


def lineage(trained: Path) -> Lineage:
    """What the training in a folder started from, and what each one before it did.

    Raises `UserError` where no training has left its record there, or where its rows are others
    by now.
    """
    trainings: list[Training] = []
    seen: set[Path] = set()
    folder: Path | None = trained
    while folder is not None:
        if folder.resolve() in seen:
            raise UserError(f"{folder}: starts from itself; train it from a base")
        seen.add(folder.resolve())
        record = record_in(folder)
        if record is None:
            raise UserError(f"{folder}: holds no run.json of a training; train the recipe first")
        trainings.insert(0, _training(record))
        start = record["recipe"]["base_model"]
        folder = _trained_into(Path(start))
    return Lineage(*_base(start, record["base"]), trainings)


def _trained_into(model: Path) -> Path | None:
    """The folder of the training that led to a model; None for a base."""
    places = (model, model.with_name("trained"), model.with_name(model.name.removesuffix("-model")))
    for place in places:
        if record_in(place) and model in (place, exported(place)):
            return place
    return None


def _base(name: str, files: dict[str, str]) -> tuple[Material, str | None]:
    """A base by its hub name, or by the manifest in its folder; and the commit that was used."""
    manifest = Path(name) / MANIFEST
    about = read_json(manifest) if manifest.is_file() else {}
    hub = files.get("hub") or str(about.get("model", name)).partition(",")[0]
    known = backbones(BACKBONES).get(hub)
    licence = known.backbone.licence if known else about.get("licence")
    return Material(hub.removeprefix("./"), licence), files.get("commit")


def _training(record: dict[str, Any]) -> Training:
    """One training, from the record that it left."""
    sources, settings = [], None
    for part in record["recipe"]["datasets"]:
        file = Path(part["path"])
        report, name = _build(file)
        if report is None:
            sources.append(Material(file.as_posix(), None))
            continue
        about = report["outputs"].get(name, {})
        if about.get("sha256") != record["data"].get(part["path"]):
            raise UserError(
                f"{file}: not the rows that the training saw, as its run.json has them; train the "
                "recipe again, or build those rows again"
            )
        settings = report["settings"]
        sources += _sources(report, name)
    return Training(record["recipe"], sources, settings)


def _build(file: Path) -> tuple[dict[str, Any] | None, str]:
    """The report of the build that wrote a file, and what the report calls it."""
    for folder in file.parents:
        if (folder / BUILT).is_file():
            return read_json(folder / BUILT), file.relative_to(folder).as_posix()
    return None, file.name


def _sources(report: dict[str, Any], name: str) -> Iterator[Material]:
    """The sources of a file of a build, and their rows: of folds and preferences the corpus."""
    stage = report["stages"].get(name.removesuffix(".jsonl"))
    if stage:
        counts = {source: part["rows"] for source, part in stage["sources"].items()}
    else:
        corpus = [title.partition("/")[0] for title in report["inputs"] if title.endswith("/train")]
        counts = dict.fromkeys(corpus[:1], report["outputs"][name]["lines"])
    for source, rows in counts.items():
        known = report["sources"].get(source, {})
        yield Material(source, known.get("licence"), rows, known.get("origin"))
