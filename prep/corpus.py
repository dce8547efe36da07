"""The corpus of a run: the questions of its files by split, as published."""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from prep.cleaning import rules_of
from prep.config import Run, load_run
from prep.errors import UserError
from prep.guards.folds import train_and_dev
from prep.records import Split
from prep.sources.cci import REQUEST
from prep.sources.reader import Read
from prep.sources.source import Source, read


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
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {REQUEST} and name its folder")
    there = {split: str(folder / Path(file).name) for split, file in run.corpus.files().items()}
    return run.model_copy(update={"corpus": run.corpus.model_copy(update=there)})


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
    held_out = split == "dev" and run.corpus.dev_share
    name = run.corpus.files().get("train" if held_out else split)
    return Path(name) if name and Path(name).is_file() else None


def questions_of(run: Run, split: Split) -> Read | None:
    """What the corpus has for a split, or None where it has no such file.

    Answers of a filled-in test file are left out where the run says so (test_answers: drop).
    """
    file = file_of(run, split)
    if file is None:
        return None
    source = Source(source=run.corpus.source)
    if run.corpus.dev_share and split != "test":
        return _held_out(read(source, file, "train"), split, run)
    got = read(source, file, split)
    answered = any(question.answer is not None for question in got.questions)
    if split == "test" and run.test_answers == "drop" and answered:
        blind = [question.model_copy(update={"answer": None}) for question in got.questions]
        note = f"{file.name}: answers left out (test_answers: drop)"
        return replace(got, questions=blind, notes=(note,))
    return got


def _held_out(got: Read, split: Split, run: Run) -> Read:
    """The train or dev part of a train file; what was removed or altered is told of with train."""
    train, dev = train_and_dev(got.questions, run.corpus.dev_share or 0, run.seed)
    if split == "train":
        return replace(got, records=len(train) + len(got.removed), questions=train)
    questions = [question.model_copy(update={"split": "dev"}) for question in dev]
    return Read(got.source, len(questions), questions)
