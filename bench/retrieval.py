"""Measure retrieval: whether the passage of a question is found, and how fast among how many.

Run as: python bench/retrieval.py found --data ../shared/data/click
        python bench/retrieval.py speed --chunks 10000

`found` takes the passages of CLIcK's questions apart, mixes them, and searches for the passage of
each question by the question (and its options): recall, reciprocal rank and nDCG of documents, with
95 % intervals over passages; with --embedder also by vectors and by both, and what these gain.
`speed` builds an index of synthetic documents, one chunk each.
"""

import argparse
import hashlib
import json
import math
import random
import resource
import time
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.pairs import Maker, plain
from core.errors import UserError, entry
from core.layout import INDEXES
from core.morphemes import kiwi, subject_words
from core.records import Question
from eval.metrics.significance import intervals, rounded
from prep.retrieval.documents import KnowledgeDocument, read
from prep.retrieval.documents import files as document_files
from prep.retrieval.evidence import query
from prep.retrieval.knowledge import Knowledge, build
from prep.retrieval.ranking import ranked
from prep.retrieval.settings import Cut, Embedder, Query, Ranking
from prep.retrieval.vectors import Vectors, vectors
from prep.sources.source import Source
from prep.sources.source import read as read_source

DEEPEST = 10  # documents that are looked at
RECALL = (1, 3, 5, 10)
NAMES = (*(f"recall@{k}" for k in RECALL), f"MRR@{DEEPEST}", f"nDCG@{DEEPEST}")


def figures(rank: int | None) -> list[float]:
    """The measures of one question, in the order of `NAMES`: its passage's rank from 1, or None."""
    near = rank is not None and rank <= DEEPEST
    recall = [float(rank is not None and rank <= k) for k in RECALL]
    return [
        *recall,
        1 / rank if near and rank else 0.0,
        1 / math.log2(rank + 1) if near and rank else 0.0,
    ]


def questions(data: Path) -> list[Question]:
    """The questions of CLIcK that have a passage, of all its files."""
    found = []
    for file in sorted(data.rglob("*.json")):
        got = read_source(Source(source="click", name=file.stem, path=str(file)))
        found += [one for one in got.questions if one.passage]
    if not found:
        raise UserError(f"{data}: holds no question with a passage; name CLIcK's folder")
    return found


def rank_of(
    question: Question, kind: Query, knowledge: Knowledge, dense: Vectors | None, method: Ranking
) -> int | None:
    """The rank of a question's passage among the documents found, the best chunk of each."""
    wanted = query(question, kind, knowledge)
    hits = ranked(wanted, knowledge, dense, method, 20 * DEEPEST)
    found = list(dict.fromkeys(hit.chunk.document for hit in hits))
    return found.index(question.group) + 1 if question.group in found else None


def found(args: argparse.Namespace) -> dict[str, object]:
    """How well passages are found, by kind of query and part of CLIcK."""
    asked = questions(args.data)
    passages = {one.group: one.passage or "" for one in asked}
    documents = [KnowledgeDocument(id=group, text=text) for group, text in passages.items()]
    others = list(read(document_files(args.distractors))) if args.distractors else []
    mixed = [*documents, *others]
    random.Random(args.seed).shuffle(mixed)
    knowledge, left_out = build(mixed, Cut(characters=args.characters), "bench")
    gone = {one.id: one.near for one in left_out}
    parts: dict[str, list[Question]] = {"all": []}
    for one in asked:
        one = one.model_copy(update={"group": gone.get(one.group) or one.group})
        parts["all"].append(one)
        parts.setdefault("CSAT" if "CSAT" in one.source else "others", []).append(one)
    dense = _dense(knowledge, args.embedder, args.index)
    methods: tuple[Ranking, ...] = ("bm25", "dense", "fusion") if dense else ("bm25",)
    result: dict[str, object] = {**knowledge.counts, "characters": args.characters}
    kinds: tuple[Query, ...] = ("question", "options")
    for kind, (name, some) in product(kinds, parts.items()):
        groups = [one.group for one in some]
        size = {"questions": len(some), "passages": len(set(groups))}
        values = {
            method: np.array(
                [figures(rank_of(one, kind, knowledge, dense, method)) for one in some]
            )
            for method in methods
        }
        for method in methods:
            result[f"{method}, {kind}, {name}"] = {**size, **_means(values[method], groups)}
        for method in methods[1:]:
            gained = values[method] - values["bm25"]
            result[f"{method} - bm25, {kind}, {name}"] = {**size, **_means(gained, groups)}
    return result


def _means(values: NDArray[np.float64], groups: Sequence[str]) -> dict[str, object]:
    """The mean of each measure over questions, with its interval over passages."""
    ends = intervals(values, groups)
    return {
        measure: {"mean": round(float(values[:, n].mean()), 4), "interval95": rounded(ends[n])}
        for n, measure in enumerate(NAMES)
    }


def _dense(knowledge: Knowledge, model: str | None, folder: Path) -> Vectors | None:
    """The vectors of an index in memory, kept by a hash of its chunks."""
    if model is None:
        return None
    shown = [chunk.shown for chunk in knowledge.chunks]
    name = hashlib.sha256("\0".join(shown).encode()).hexdigest()
    return vectors(shown, name, Embedder(model=model), folder)


def speed(args: argparse.Namespace) -> dict[str, object]:
    """Seconds and memory to build an index of synthetic documents, and queries a second."""
    maker = Maker(args.seed)
    drawn = [maker.document(300) for _ in range(args.chunks)]
    documents = [KnowledgeDocument(id=f"d-{k}", text=plain(one)) for k, one in enumerate(drawn)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kiwi().tokenize("가")  # the model is loaded once, whatever the size
    begun, cpu = time.perf_counter(), time.process_time()
    knowledge, _ = build(documents, Cut(), "bench")
    built, used = time.perf_counter() - begun, time.process_time() - cpu
    texts = [plain([one[0]]) for one in drawn[: args.queries]]
    begun, cpu = time.perf_counter(), time.process_time()
    words = [subject_words(tokens) for tokens in kiwi().tokenize(texts)]
    analysed = time.perf_counter() - begun
    begun = time.perf_counter()
    for some in words:
        knowledge.best(knowledge.scores(some), 5)
    searched = time.perf_counter() - begun
    each = (time.process_time() - cpu) / len(texts)
    return {
        **knowledge.counts,
        "build_seconds": round(built, 1),
        "build_cpu_seconds": round(used, 1),
        "rss_before_mb": before // 1024,
        "rss_peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "queries": len(texts),
        "queries_per_second": round(len(texts) / (analysed + searched), 1),
        "searches_per_second": round(len(texts) / searched, 1),
        "query_cpu_ms": round(1000 * each, 2),
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measure one of the two and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parts = parser.add_subparsers(required=True)
    one = parts.add_parser("found", help="whether the passage of a question is found")
    one.add_argument("--data", type=Path, required=True, help="CLIcK's folder")
    one.add_argument("--distractors", nargs="+", help="files and folders of further documents")
    one.add_argument("--characters", type=int, default=400, help="of a chunk")
    one.add_argument("--embedder", metavar="MODEL", help="a folder: vectors and both, too")
    one.add_argument("--index", type=Path, default=INDEXES, help="folder of the indexes")
    one.set_defaults(measure=found)
    one = parts.add_parser("speed", help="how fast an index is built and searched")
    one.add_argument("--chunks", type=int, default=10_000)
    one.add_argument("--queries", type=int, default=500)
    one.set_defaults(measure=speed)
    args = parser.parse_args(argv)
    print(json.dumps(args.measure(args), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    entry(main)
