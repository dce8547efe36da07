"""Build the JSONL rows of a run: one file a training stage, the scored sets, and what was removed.

Run as: python prep/build.py

All files are complete before the first one takes its place, and build.json, which names what every
other file was made from, takes its own last.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from prep import jsonl
from prep.config import Corpus, Run, load_run
from prep.errors import UserError, entry
from prep.mix import Portion, Scored, chat_portions, question_portion, without_answer
from prep.records import Question, Split
from prep.render import Renderer, load_prompt
from prep.sources import cci
from prep.sources.reader import Read
from prep.sources.source import CORPUS, Source, read

REMEDY = (
    f"{cci.REQUEST} and name its files in params.yaml or give --corpus; fetch the external sets or "
    "choose other --stages; the demo's files are made by `python prep/synthetic.py`"
)


@dataclass
class Build:
    """What a build reads, and what it will write: lines by file name, and the report."""

    run: Run
    corpus: dict[Split, Path]
    files: dict[str, list[BaseModel]]
    report: dict[str, Any]
    notes: list[str]

    def read(self, source: Source, split: Split = "train") -> Read:
        """What a source gives; what was changed in it goes to changed.jsonl."""
        got = read(source, self.corpus[split], split)
        questions = source.entry.kind == "questions"
        name = f"{source.title}/{split}" if questions else source.title
        if name not in self.report["inputs"]:
            self.files["changed.jsonl"] += got.changed
        path = None if source.hub else source.path or self.corpus[split]
        self._input(name, path, source.hub, source.pinned)
        return got

    def scored(self, renderer: Renderer) -> Scored:
        """Read dev and test, as far as they are there, and render their rows."""
        everything: list[Question] = []
        for split in ("dev", "test"):
            if not self.corpus[split].is_file():
                continue
            questions = self.read(Source(source=CORPUS), split).questions
            everything += questions
            removed = []
            if split == "dev":
                questions, removed = without_answer(questions)
                if not questions:
                    raise UserError(
                        f"{self.corpus[split]}: no item has an answer; fill in `output`, or leave "
                        "dev out of the run"
                    )
                self.files["dev-loss.jsonl"] = [renderer.loss(q) for q in questions]
            elif self.run.test_answers == "drop" and any(q.answer is not None for q in questions):
                questions = [q.model_copy(update={"answer": None}) for q in questions]
                self.notes.append(
                    f"{self.corpus[split].name}: answers left out (test_answers: drop)"
                )
            rows = [renderer.scoring(question) for question in questions]
            portion = Portion(CORPUS, len(rows) + len(removed), len(rows), rows, removed)
            self.files[f"{split}.jsonl"] = list(rows)
            self.files["removed.jsonl"] += removed
            self.report["scored"][split] = portion.counts()
        return Scored(everything, renderer, self.run.near)

    def stage(self, name: str, scored: Scored, renderer: Renderer) -> None:
        """Read one stage's mix, remove what must not be in it and render the rest."""
        mix = self.run.stages[name]
        given = [(source, self.read(source)) for source in mix]
        sets = [
            (got.source, got.chats, got.removed)
            for source, got in given
            if source.entry.kind == "chats"
        ]
        portions = {portion.source: portion for portion in chat_portions(sets, scored, renderer)}
        for source, got in given:
            if source.entry.kind == "questions":
                shown = replace(renderer, prompt=load_prompt(source.prompt or self.run.prompt))
                portions[got.source] = _questions(got, scored, shown)
        ordered = [portions[source.title] for source in mix]
        rows = [row for portion in ordered for row in portion.rows]
        # `datasets` takes a column's type from the first rows: those with labels come first
        rows.sort(key=lambda row: row.labels is None)
        if not rows:
            looked = ", ".join(f"{p.source} ({p.read} read, {p.kept} kept)" for p in ordered)
            raise UserError(
                f"stage {name} has no rows: {looked or 'its mix is empty'}; name sources with rows "
                f"under stages.{name} in params.yaml"
            )
        self.files[f"{name}.jsonl"] = list(rows)
        for portion in ordered:
            self.files["removed.jsonl"] += portion.removed
        sources = {portion.source: portion.counts() for portion in ordered}
        self.report["stages"][name] = {"rows": len(rows), "sources": sources}

    def _input(
        self,
        name: str,
        path: Path | str | None,
        hub: str | None = None,
        revision: str | None = None,
    ) -> None:
        """Note what a source was read from; no folder, so that reports agree everywhere."""
        self.report["inputs"][name] = (
            {"file": Path(path).name, "sha256": jsonl.sha256(Path(path))}
            if path
            else {"hub": hub, "revision": revision}
        )


def _questions(got: Read, scored: Scored, renderer: Renderer) -> Portion:
    """The portion of a question source, with what its reader has removed."""
    if not got.questions:
        return Portion(got.source, got.records, 0, [], got.removed)
    portion = question_portion(got.questions, scored, renderer)
    return replace(portion, read=got.records, removed=got.removed + portion.removed)


def build(name: str, run: Run, stages: Sequence[str]) -> Build:
    """Everything a run writes for the stages named, in memory; raises `UserError`."""
    renderer = Renderer(load_prompt(run.prompt), run.answer, run.system, run.orders)
    settings = run.model_dump(include={"answer", "system", "orders", "near", "test_answers"})
    report: dict[str, Any] = {
        "run": name,
        "settings": {"prompt": renderer.prompt.name, **settings},
        "inputs": {},
        "scored": {},
        "stages": {},
    }
    corpus = {split: Path(path or "") for split, path in run.corpus.model_dump().items()}
    done = Build(run, corpus, {"removed.jsonl": [], "changed.jsonl": []}, report, [])
    missing = [
        source.path or run.corpus.train
        for stage in stages
        for source in run.stages[stage]
        if not source.hub and not Path(source.path or run.corpus.train).is_file()
    ]
    if missing:
        raise UserError(f"no such file: {', '.join(dict.fromkeys(missing))}; {REMEDY}")
    scored = done.scored(renderer)
    for stage in stages:
        done.stage(stage, scored, renderer)
    return done


def write(done: Build, out: Path) -> None:
    """Write all files of a build, each under its name only once all of them are complete."""
    try:
        with ExitStack() as stack:
            # the stack ends in reverse, so that build.json takes its place last
            names = ["build.json", *done.files]
            opened = {name: stack.enter_context(jsonl.replacing(out / name)) for name in names}
            outputs = {}
            for name, records in sorted(done.files.items()):
                digest = sha256()
                for record in records:
                    line = jsonl.dump(record) + "\n"
                    opened[name].write(line)
                    digest.update(line.encode())
                outputs[name] = {"lines": len(records), "sha256": digest.hexdigest()}
            report = {**done.report, "outputs": outputs}
            opened["build.json"].write(json.dumps(report, ensure_ascii=False, indent=2) + "\n")
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check --out") from None


def notes(done: Build, out: Path) -> list[str]:
    """What a reader of `out` must know: what went unchecked, what earlier builds have left."""
    said = list(done.notes)
    for split, names in (("dev", ("dev.jsonl", "dev-loss.jsonl")), ("test", ("test.jsonl",))):
        if split in done.report["scored"]:
            continue
        said.append(f"no {split} file: no training row was checked against {split} questions")
        said += [
            f"{out / name}: left from an earlier build" for name in names if (out / name).exists()
        ]
    for stage in done.run.stages:
        if stage not in done.report["stages"] and (out / f"{stage}.jsonl").exists():
            said.append(
                f"{out / stage}.jsonl: left from an earlier build, not told of in build.json"
            )
    return said


def table(done: Build) -> Table:
    """The figures of a build, one line a source and scored set."""
    lines = [(split, CORPUS, counts) for split, counts in done.report["scored"].items()]
    for stage, part in done.report["stages"].items():
        lines += [(stage, source, counts) for source, counts in part["sources"].items()]
    reasons = sorted({reason for *_, counts in lines for reason in counts["removed"]})
    grid = Table(title=f"{done.run.out}: records in, records removed by reason, rows out")
    for heading in ("file", "source", "read", *reasons, "kept", "rows"):
        grid.add_column(heading, justify="left" if heading in ("file", "source") else "right")
    for file, source, counts in lines:
        removed = [str(counts["removed"].get(reason, 0)) for reason in reasons]
        grid.add_row(
            file, source, str(counts["read"]), *removed, str(counts["kept"]), str(counts["rows"])
        )
    return grid


def main() -> None:
    """Build one run."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/build.py --run cci --corpus ~/nikl-cci-2024 --stages stage2",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--run", default="cci", help="an entry of runs in the params file (cci)")
    parser.add_argument("--params", type=Path, default=Path("params.yaml"), help="the params file")
    parser.add_argument("--corpus", type=Path, help="folder that holds the run's corpus files")
    parser.add_argument("--out", type=Path, help="folder to write, instead of the run's own")
    parser.add_argument("--stages", nargs="+", metavar="STAGE", help="build these stages only")
    args = parser.parse_args()

    run = load_run(args.params, args.run)
    if args.corpus:
        if not args.corpus.is_dir():
            raise UserError(f"{args.corpus}: no such folder; {REMEDY}")
        files = run.corpus.model_dump(exclude_none=True).items()
        moved = {split: str(args.corpus / Path(file).name) for split, file in files}
        run = run.model_copy(update={"corpus": Corpus(**moved)})
    if args.out:
        run = run.model_copy(update={"out": str(args.out)})
    for stage in args.stages or []:
        if stage not in run.stages:
            raise UserError(
                f"{args.params}: run {args.run} has no stage {stage}; choose from "
                f"{', '.join(run.stages)}"
            )
    done = build(args.run, run, [s for s in run.stages if s in (args.stages or run.stages)])
    said = notes(done, Path(run.out))
    write(done, Path(run.out))
    Console().print(table(done))
    for note in said:
        print(f"note: {note}")
    print("\n".join(str(Path(run.out) / name) for name in [*sorted(done.files), "build.json"]))


if __name__ == "__main__":
    entry(main)
