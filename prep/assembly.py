"""All files of a build, in memory: sources are read, cleaned, guarded, mixed and rendered."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from core import jsonl
from core.errors import UserError
from core.files import as_spelled
from core.layout import INDEXES
from core.records import Prediction, Question, Split
from core.text import nfc
from prep import corpus, lengths
from prep.cleaning import clean, rules_of
from prep.config import Run
from prep.dedup import Ray
from prep.guards.group_folds import fold_files, near_contexts
from prep.guards.track import check_augmentation, check_sources, enforce
from prep.mix import Portion, QuestionSet, Scored, chat_portions, question_portions, without_answer
from prep.preferences import preferences
from prep.render import Augmented, Renderer, load_prompt
from prep.sources.downloads import fingerprint, parted
from prep.sources.reader import Read
from prep.sources.source import Source, read
from prep.summary import counted

if TYPE_CHECKING:
    from prep.retrieval.evidence import Evidence
    from prep.retrieval.excerpts import Excerpts

SCORED: tuple[Split, ...] = ("dev", "test")


@dataclass
class Build:
    """What a build reads, and what it will write: lines by file name, and the report."""

    name: str
    run: Run
    renderer: Renderer
    ray: Ray | None = None
    excerpts: "Excerpts | None" = None
    evidence: "Evidence | None" = None
    files: dict[str, Sequence[BaseModel]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files |= {"removed.jsonl": [], "changed.jsonl": [], "questions.jsonl": []}
        settings = (
            "track",
            "clean",
            "answer",
            "system",
            "orders",
            "scoring_orders",
            "seed",
            "duplicates",
        )
        self.report: dict[str, Any] = {
            "run": self.name,
            "settings": {
                "prompt": self.renderer.prompt.name,
                **self.run.model_dump(include={*settings, "test_answers"}),
            },
            "sources": {},
            "inputs": {},
            "scored": {},
            "stages": {},
        }

    def scored(self) -> Scored:
        """Read dev and test, as far as they are there, and render their rows."""
        given = {split: got for split in SCORED if (got := self._corpus(split))}
        everything = [question for got in given.values() for question in got.questions]
        if self.run.retrieve:
            from prep.retrieval.evidence import prepared  # its libraries are only needed here

            said, seed = self.run.retrieve, self.run.seed
            self.evidence = prepared(said, INDEXES, everything, seed, self.ray)
        if self.run.excerpts:
            from prep.retrieval.excerpts import excerpts  # as above

            self.excerpts = excerpts(self.run.excerpts)
        if self.run.retrieve or self.run.excerpts:
            self.renderer = replace(self.renderer, evidence=self._augmented)
        for split, got in given.items():
            questions, removed = got.questions, []
            self.notes += got.notes
            if split == "dev":
                questions, removed = without_answer(questions)
                if not questions:
                    named = corpus.file_of(self.run, split) or split
                    raise UserError(
                        f"{named}: no item has an answer; fill them in, or leave dev out of the run"
                    )
                self.files["dev-loss.jsonl"] = [self.renderer.loss(one) for one in questions]
            rows = [self.renderer.scoring(question) for question in questions]
            self.files[f"{split}.jsonl"] = rows
            self.files["questions.jsonl"] += questions
            if self.run.scoring_orders != "published":
                self.files[f"{split}.orders.jsonl"] = self.renderer.permuted(questions)
            removed += got.removed
            self.files["removed.jsonl"] += removed
            portion = Portion(got.source, got.records, len(rows), rows, removed)
            self.report["scored"][split] = self._counts(got, portion)
        return Scored(everything, self.renderer, self.ray)

    def stage(self, name: str, scored: Scored) -> None:
        """Read one stage's mix, remove what must not be in it and render the rest."""
        mix = self.run.stages[name]
        given = {source.title: (source, self._source(source)) for source in mix}
        ruler = self._ruler(name)
        fits = ruler.fits if ruler else None
        sets = [(got.source, got.chats, got.removed) for _, got in given.values() if got.chats]
        weights = {source.title: source.weight for source in mix}
        method = self.run.duplicates
        chats, compared = chat_portions(sets, scored, self.renderer, weights, fits, method)
        portions = {portion.source: portion for portion in chats}
        asked = [
            QuestionSet(title, got.questions, self._shown(source), source.weight)
            for title, (source, got) in given.items()
            if got.questions
        ]
        for one, made in zip(asked, question_portions(asked, scored, fits), strict=True):
            source, got = given[one.source]
            removed = got.removed + made.removed
            portions[one.source] = replace(made, read=got.records, removed=removed)
            if source.at_corpus:
                self._of_corpus(made.questions, one.renderer)
        for title, (_, got) in given.items():
            if not got.questions and not got.chats:
                portions[title] = Portion(title, got.records, 0, [], got.removed)
        ordered = [portions[source.title] for source in mix]
        rows = [row for portion in ordered for row in portion.rows]
        # `datasets` takes a column's type from the first rows: those with labels come first
        rows.sort(key=lambda row: row.labels is None)
        if not rows:
            looked = "; ".join(
                f"{p.source} ({p.read} read, {p.kept} kept): {counted(p.removed)}" for p in ordered
            )
            raise UserError(
                f"stage {name} has no rows: {looked or 'its mix is empty'}; name sources with rows "
                f"under stages.{name} in params.yaml"
            )
        self.files[f"{name}.jsonl"] = rows
        for portion in ordered:
            self.files["removed.jsonl"] += portion.removed
        sources = {p.source: self._counts(given[p.source][1], p) for p in ordered}
        self.report["stages"][name] = {"rows": len(rows), "sources": sources}
        if sets:
            self.report["stages"][name]["compared"] = compared
        if ruler:
            tokens = [one.figures() for one in lengths.report(rows, ruler)]
            self.report["stages"][name]["tokens"] = tokens

    def _corpus(self, split: Split) -> Read | None:
        """What the corpus has for a split, cleaned; what happens to it is noted once."""
        got = corpus.questions_of(self.run, split)
        if got is None:
            return None
        title, at = f"{got.source}/{split}", self.run.corpus
        if at.hub:
            self.report["inputs"][title] = {"hub": at.hub, "revision": at.revision}
        return self._cleaned(got, title, corpus.file_of(self.run, split))

    def _source(self, source: Source) -> Read:
        """All records of a part of a mix, cleaned."""
        facts = source.facts
        origin = source.origin or (self.run.corpus.origin if source.at_corpus else source.hub)
        dated = source.published if origin and not source.hub else facts.published
        self.report["sources"][source.title] = {
            "title": facts.title,
            "form": f"{source.entry.title} ({source.entry.origin})",
            "origin": origin,
            "licence": facts.licence,
            "non_commercial": facts.non_commercial,
            "published": dated and dated.isoformat(),
            "tracks": list(facts.tracks),
        }
        if source.at_corpus:
            got = self._corpus("train")
            if got is None:
                raise corpus.missing([(self.run.corpus.train, source)])
            self.notes += got.notes
            return got
        got = read(source)
        self.notes += got.notes
        title = f"{source.title}/train" if facts.kind == "questions" else source.title
        if source.hub:
            self.report["inputs"][title] = {"hub": source.hub, "revision": source.pinned}
        file = as_spelled(Path(source.path)) if source.path else None
        return self._cleaned(got, title, file, source.member)

    def _cleaned(self, got: Read, title: str, file: Path | None, member: str | None = None) -> Read:
        """What was read, after the run's cleaning rules, and noted under `title`."""
        rules = rules_of(self.run.clean)
        done = [clean(question, rules) for question in got.questions]
        changed = got.changed + [change for _, changes in done for change in changes]
        if file:  # without its folder, so that reports agree everywhere
            self.report["inputs"][title] = {
                "file": nfc(file.name),
                "sha256": fingerprint(file, member),
            }
        listed = {(change.source, change.split) for change in self.files["changed.jsonl"]}
        self.files["changed.jsonl"] += [c for c in changed if (c.source, c.split) not in listed]
        return replace(got, questions=[question for question, _ in done], changed=changed)

    def _shown(self, source: Source) -> Renderer:
        """How a source's questions are shown."""
        return replace(self.renderer, prompt=load_prompt(source.prompt or self.run.prompt))

    def _augmented(self, question: Question) -> Augmented:
        """A question as its prompt shows it: a long passage in part, and evidence with it."""
        shown = self.excerpts(question) if self.excerpts else question
        return self.evidence(question, shown.passage) if self.evidence else Augmented(shown)

    def found(self) -> None:
        """Report passages shown in part and the evidence of all rows; notes say how many."""
        if self.excerpts:
            figures = self.excerpts.figures()
            self.report["excerpts"] = figures
            self.notes.append(
                f"excerpts: the passages of {figures['shortened']} of {figures['questions']} "
                f"questions have more than {figures['tokens']} tokens and are shown in part"
            )
        if self.evidence is None:
            return
        figures = self.evidence.figures()
        self.report["evidence"] = figures
        if without := figures["shown"]["without"]:
            self.notes.append(
                f"evidence: none for {without} of {figures['shown']['questions']} questions, which "
                "are shown without; a lower threshold or more documents may help"
            )

    def _ruler(self, stage: str) -> lengths.Ruler | None:
        """What measures a stage's rows by its recipe, where the run names one."""
        given = self.run.lengths
        if given is None or stage not in given.recipes:
            return None
        return lengths.ruler(Path(given.recipes[stage]), given.tokenizer)

    def _of_corpus(self, questions: list[Question], renderer: Renderer) -> None:
        """Folds and preferences of the corpus's training questions, where the run wants them."""
        if self.run.folds:
            near = near_contexts(questions, self.run.duplicates)
            self.files |= fold_files(questions, self.run.folds, self.run.seed, renderer, near)
        if self.run.preferences:
            file = self.run.preferences
            known = jsonl.read_records(Path(file), Prediction) if isinstance(file, str) else None
            self.files["preferences.jsonl"] = preferences(questions, renderer, known)

    @staticmethod
    def _counts(got: Read, portion: Portion) -> dict[str, Any]:
        return {**portion.counts(), "cleaned": len({change.id for change in got.changed})}


def build(name: str, run: Run, stages: Sequence[str], ray: Ray | None = None) -> Build:
    """Everything a run writes for the stages named, in memory; raises `UserError`."""
    mixed = [source for stage in stages for source in run.stages[stage]]
    # a source may weigh more in one stage than in another
    weights = {one.title: one.weight for one in sorted(mixed, key=lambda one: one.weight)}
    found = check_sources(run.track, {one.title: one.facts for one in mixed}.values())
    notes = enforce([*found, *check_augmentation(run.track, run.orders, weights)])
    local = [one for one in mixed if not one.hub and not (one.at_corpus and run.corpus.hub)]
    files = [(one.path or run.corpus.train, one) for one in local]
    if absent := [
        (file, one) for file, one in files if not as_spelled(parted(Path(file))[0]).exists()
    ]:
        raise corpus.missing(absent)
    prompt = load_prompt(run.prompt)
    renderer = Renderer(
        prompt, run.answer, run.system, run.orders, run.seed, scoring_orders=run.scoring_orders
    )
    done = Build(name, run, renderer, ray, notes=notes)
    scored = done.scored()
    for stage in stages:
        done.stage(stage, scored)
    done.found()
    return done
