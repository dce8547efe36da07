"""Measure retrieval: whether the passage of a question is found, and how fast among how many.

Run as: python bench/retrieval.py found --data ../shared/data/click
        python bench/retrieval.py read --data ../shared/data/click
        python bench/retrieval.py speed --chunks 10000

`found` takes the passages of CLIcK's questions apart, mixes them, and searches for the passage of
each question by the question (and its options): recall, reciprocal rank and nDCG of documents, with
95 % intervals over passages; with --embedder also by vectors and by both, with --reranker also in
a cross-encoder's order of what words found, and what these gain.
`read` lets a reader that compares words answer these questions, by their passage, by what is found
and by nothing. `speed` builds an index of synthetic documents, one chunk each.
"""

import argparse
import hashlib
import json
import math
import random
import re
import resource
import time
from collections.abc import Callable, Sequence
from functools import partial
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
from prep.retrieval.ranking import Hit, Wanted, ranked
from prep.retrieval.reranking import Reranker, best
from prep.retrieval.settings import Cut, Embedder, Query, Ranking, Rerank, Retrieve
from prep.retrieval.vectors import Vectors, vectors
from prep.sources.source import Source
from prep.sources.source import read as read_source

Search = Callable[[Wanted], Sequence[Hit]]
DEEPEST = 10  # documents that are looked at
RECALL = (1, 3, 5, 10)
DENIED = re.compile("않은|않는|아닌|없는|못한|틀린|거리가 먼")  # of what an answer is not
READ = ("nothing", "retrieved", "passage")
READ += ("retrieved - nothing", "passage - nothing", "passage - retrieved")
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


def rank_of(question: Question, hits: Sequence[Hit]) -> int | None:
    """The rank of a question's passage among the documents found, the best chunk of each."""
    found = list(dict.fromkeys(hit.chunk.document for hit in hits))
    return found.index(question.group) + 1 if question.group in found else None


def searches(args: argparse.Namespace, knowledge: Knowledge) -> dict[str, Search]:
    """The ways of searching that are compared, by name; what others gain, they gain on `bm25`."""
    dense = _dense(knowledge, args.embedder, args.index)
    methods: tuple[Ranking, ...] = ("bm25", "dense", "fusion") if dense else ("bm25",)
    deep = 20 * DEEPEST
    found: dict[str, Search] = {
        method: partial(ranked, knowledge=knowledge, vectors=dense, method=method, k=deep)
        for method in methods
    }
    if args.reranker:
        said = Retrieve(documents=[str(args.data)], rerank=Rerank(model=args.reranker))
        found["rerank"] = partial(
            best,
            knowledge=knowledge,
            vectors=None,
            reranker=Reranker(said.rerank),
            said=said,
            k=said.rerank.candidates,
        )
    return found


def _apart(args: argparse.Namespace) -> tuple[Knowledge, dict[str, list[Question]]]:
    """The passages taken apart and mixed, and the questions, all and by part of CLIcK."""
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
    return knowledge, parts


def found(args: argparse.Namespace) -> dict[str, object]:
    """How well passages are found, by kind of query and part of CLIcK."""
    knowledge, parts = _apart(args)
    ways = searches(args, knowledge)
    result: dict[str, object] = {**knowledge.counts, "characters": args.characters}
    kinds: tuple[Query, ...] = ("question", "options")
    for kind, (name, some) in product(kinds, parts.items()):
        groups = [one.group for one in some]
        size = {"questions": len(some), "passages": len(set(groups))}
        wanted = [query(one, kind, knowledge) for one in some]
        values = {
            way: np.array(
                [figures(rank_of(*pair)) for pair in zip(some, map(search, wanted), strict=True)]
            )
            for way, search in ways.items()
        }
        for way, of_questions in values.items():
            result[f"{way}, {kind}, {name}"] = {**size, **_means(of_questions, groups)}
            if way != "bm25":
                gained = of_questions - values["bm25"]
                result[f"{way} - bm25, {kind}, {name}"] = {**size, **_means(gained, groups)}
    return result


def read_by_words(args: argparse.Namespace) -> dict[str, object]:
    """How often a reader that compares words alone is right, by what it is shown."""
    knowledge, parts = _apart(args)
    places: dict[str, list[int]] = {}
    for place, chunk in enumerate(knowledge.chunks):
        places.setdefault(chunk.document, []).append(place)

    def shown(one: Question) -> list[list[int]]:
        words = query(one, "options", knowledge).words
        best = knowledge.best(knowledge.scores(words), args.k)
        return [[], [place for place, _ in best], places[one.group]]

    result: dict[str, object] = {"k": args.k}
    for name, some in parts.items():
        groups = [one.group for one in some]
        values = np.array([[chance(one, knowledge, p) for p in shown(one)] for one in some])
        nothing, retrieved, passage = values.T
        gains = np.stack((retrieved - nothing, passage - nothing, passage - retrieved), axis=1)
        size = {"questions": len(some), "passages": len(set(groups))}
        measured = _means(np.hstack((values, gains)), groups, READ)
        result[name] = {**size, **measured}
    return result


def chance(question: Question, knowledge: Knowledge, places: Sequence[int]) -> float:
    """How likely the reader is right that is shown the chunks in these places.

    It takes the option of whose words they hold the largest share, the smallest where the question
    asks for what is not so, and draws among equals.
    """
    shares = []
    for tokens in kiwi().tokenize(list(question.options)):
        words = set(subject_words(tokens))
        held = {word for place in places for word in knowledge.parts(words, place)}
        shares.append(len(held) / max(1, len(words)))
    sought = min(shares) if DENIED.search(question.question or "") else max(shares)
    taken = [number for number, share in enumerate(shares) if share == sought]
    return (question.answer in taken) / len(taken)


def _means(
    values: NDArray[np.float64], groups: Sequence[str], names: Sequence[str] = NAMES
) -> dict[str, object]:
    """The mean of each measure over questions, with its interval over passages."""
    ends = intervals(values, groups)
    return {
        measure: {"mean": round(float(values[:, n].mean()), 4), "interval95": rounded(ends[n])}
        for n, measure in enumerate(names)
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
    """Measure one of the three and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parts = parser.add_subparsers(required=True)
    of_click = argparse.ArgumentParser(add_help=False)
    of_click.add_argument("--data", type=Path, required=True, help="CLIcK's folder")
    of_click.add_argument("--distractors", nargs="+", help="files and folders of more documents")
    of_click.add_argument("--characters", type=int, default=400, help="of a chunk")
    about = "whether the passage of a question is found"
    one = parts.add_parser("found", help=about, parents=[of_click])
    one.add_argument("--embedder", metavar="MODEL", help="a folder: vectors and both, too")
    one.add_argument("--reranker", metavar="MODEL", help="a folder: in its order, too")
    one.add_argument("--index", type=Path, default=INDEXES, help="folder of the indexes")
    one.set_defaults(measure=found)
    about = "how often a reader that compares words is right"
    one = parts.add_parser("read", help=about, parents=[of_click])
    one.add_argument("--k", type=int, default=3, help="chunks that are shown")
    one.set_defaults(measure=read_by_words)
    one = parts.add_parser("speed", help="how fast an index is built and searched")
    one.add_argument("--chunks", type=int, default=10_000)
    one.add_argument("--queries", type=int, default=500)
    one.set_defaults(measure=speed)
    args = parser.parse_args(argv)
    print(json.dumps(args.measure(args), ensure_ascii=False, indent=2))


if __name__ == "__main__":
    entry(main)
