"""The corpus of a run: the questions of its files by split, as published."""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import replace
from os.path import relpath
from pathlib import Path

from core.errors import UserError
from core.files import as_spelled
from core.layout import DEMO
from core.records import Split
from prep.cleaning import rules_of
from prep.config import Run, load_run
from prep.guards.group_folds import train_and_dev
from prep.sources.cci import REQUEST
from prep.sources.downloads import is_there, parted
from prep.sources.mapping import TABLE
from prep.sources.reader import Read
from prep.sources.registry import SOURCES
from prep.sources.source import Source, read
from prep.summary import counted


def add_arguments(parser: ArgumentParser) -> None:
    """The arguments by which an entry script finds a run and its corpus."""
    add = parser.add_argument
    add("--run", default="cci", help="an entry of runs in the params file (cci)")
    add("--params", type=Path, default=Path("params.yaml"), help="the params file")
    add("--corpus", type=Path, help="folder that holds the run's corpus files")


def run_of(args: Namespace) -> Run:
    """The run that the arguments above name; raises `UserError`."""
    return moved(load_run(args.params, args.run), args.corpus)


def moved(run: Run, folder: Path | None) -> Run:
    """The run with its corpus files in another folder; raises `UserError` where there is none."""
    if folder is None:
        return run
    if run.corpus.hub:
        raise UserError(
            f"{folder}: the run's corpus is {run.corpus.hub} of the hub; name no folder"
        )
    if not folder.is_dir():
        raise UserError(
            f"{folder}: no such folder; {remedy(run.corpus.source)} and name its folder"
        )
    there = {}
    for split, file in run.corpus.files().items():
        # of a pattern, all that stands below the run's inputs is kept
        pattern = parted(Path(file))[1]
        there[split] = str(folder / (relpath(file, run.inputs) if pattern else Path(file).name))
    return run.model_copy(update={"corpus": run.corpus.model_copy(update=there)})


def remedy(source: str) -> str:
    """What to do about a missing file of a source of the registry."""
    entry = SOURCES[source]
    if source == TABLE:
        return "put it there"
    return REQUEST if source.startswith("cci-") else f"get {entry.title} ({entry.origin})"


def missing(files: Sequence[tuple[str, Source]]) -> UserError:
    """What to do about files that are not there, each with the source it is for."""
    names = ", ".join(dict.fromkeys(file for file, _ in files))
    if all(DEMO in Path(file).parents for file, _ in files):
        return UserError(
            f"no such file: {names}; make the demo's by `python prep/demo/synthetic.py`"
        )
    own = {remedy(one.source) for _, one in files if one.at_corpus}
    others = {one.title for _, one in files if not one.at_corpus}
    remedies = [f"{one} and name its files in params.yaml or give --corpus" for one in own]
    if others:
        remedies.append(f"fetch {', '.join(sorted(others))} or choose other --stages")
    return UserError(f"no such file: {names}; {'; '.join(remedies)}")


def rules(run: Run, preset: str | None) -> tuple[str, ...]:
    """The cleaning rules of a preset, or the run's own; raises `UserError` for no such preset."""
    try:
        return rules_of(preset or run.clean)
    except ValueError as error:
        raise UserError(str(error)) from None


def file_of(run: Run, split: Split) -> Path | None:
    """The file a split is read from, or None where the run names none or it is not there.

    dev comes from the train file where a share of it is held out.
    """
    if run.corpus.hub:
        return None
    held_out = split == "dev" and run.corpus.dev_share
    name = run.corpus.files().get("train" if held_out else split)
    return as_spelled(Path(name)) if name and is_there(Path(name)) else None


def questions_of(run: Run, split: Split) -> Read | None:
    """What the corpus has for a split, or None where it has no such file.

    Answers of a filled-in test file are left out where the run says so (test_answers: drop). Raises
    `UserError` where none of its records is a question that can be asked.
    """
    held_out = run.corpus.dev_share and split != "test"
    file, named = file_of(run, split), run.corpus.files().get("train" if held_out else split)
    if named is None or (file is None and not run.corpus.hub):
        return None
    drops = split == "test" and run.test_answers == "drop"
    source = run.corpus.part(named)
    if drops and run.corpus.source == TABLE:
        source = source.model_copy(update=run.corpus.blind.stated)
    got = read(source, file, "train" if held_out else split)
    if not got.questions:
        raise UserError(
            f"{file or run.corpus.hub}: none of its {got.records} records can be asked: "
            f"{counted(got.removed)}; correct the file or name another"
        )
    if held_out:
        return _held_out(got, split, run)
    answered = any(question.answer is not None for question in got.questions)
    if drops and answered:
        blind = [question.model_copy(update={"answer": None}) for question in got.questions]
        note = f"{file.name if file else named}: answers left out (test_answers: drop)"
        return replace(got, questions=blind, notes=(*got.notes, note))
    return got


def _held_out(got: Read, split: Split, run: Run) -> Read:
    """The train or dev part of a train file; what was removed or altered is reported with train."""
    train, dev = train_and_dev(got.questions, run.corpus.dev_share or 0, run.seed)
    if split == "train":
        return replace(got, records=len(train) + len(got.removed), questions=train)
    questions = [question.model_copy(update={"split": "dev"}) for question in dev]
    return Read(got.source, len(questions), questions)
