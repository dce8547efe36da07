"""The corpus of a run as a person looks at it: its questions, raw and after the cleaning rules."""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

from prep.config import Corpus, Run
from prep.errors import UserError
from prep.records import Question
from prep.sources import cci


def moved(run: Run, folder: Path | None) -> Run:
    """The run with its corpus files in another folder; raises `UserError` where there is none."""
    if folder is None:
        return run
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; {cci.REQUEST} and name its folder")
    files = run.corpus.model_dump(exclude_none=True).items()
    there = {split: str(folder / Path(file).name) for split, file in files}
    return run.model_copy(update={"corpus": Corpus(**there)})


def read(run: Run) -> Iterator[tuple[Path, list[Question]]]:
    """Each of the corpus files that is there, with its questions as published.

    Answers of a filled-in test file are left out where the run says so (test_answers: drop).
    """
    for split, file in run.corpus.model_dump(exclude_none=True).items():
        if not Path(file).is_file():
            continue
        questions = cci.read(Path(file), split)[0]
        if split == "test" and run.test_answers == "drop":
            questions = [question.model_copy(update={"answer": None}) for question in questions]
        yield Path(file), questions


def cleaned(questions: Sequence[Question], preset: str) -> list[Question] | None:
    """The questions after a preset's rules, or None where there are no cleaning rules."""
    if find_spec("prep.cleaning") is None:
        return None
    from prep.cleaning import PRESETS, clean

    if preset not in PRESETS:
        raise UserError(f"no cleaning preset {preset!r}; choose one of {', '.join(PRESETS)}")
    return [clean(question, PRESETS[preset])[0] for question in questions]
