"""Show which documents would be retrieved for a question, and why: matched words and scores.

Run as: python prep/retrieve.py "자격루를 만든 사람은 누구인가?" --documents corpus/knowledge

Without --documents the documents and the settings are those of `retrieve` in the run.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.table import Table
from rich.text import Text

from core.errors import UserError, entry
from core.jsonl import validated
from core.layout import INDEXES
from core.morphemes import kiwi, subject_words
from core.text import writable
from prep import corpus
from prep.retrieval.evidence import meanings
from prep.retrieval.knowledge import index
from prep.retrieval.ranking import Hit, Wanted
from prep.retrieval.reranking import Reranker, best
from prep.retrieval.settings import Ranking, Retrieve


def table(hits: Sequence[Hit], title: str) -> Table:
    """What was found, the best first: its score, each word's part in it, and its ranks."""
    grid = Table(title=title, show_lines=True)
    for heading in ("score", "document", "why", "text"):
        grid.add_column(heading, justify="right" if heading == "score" else "left")
    for hit in hits:
        parts = sorted(hit.words.items(), key=lambda part: (-part[1], part[0]))
        why = [f"{name}: rank {rank}" for name, rank in hit.ranks.items()]
        why += [f"{word} {score:.2f}" for word, score in parts]
        cells = (f"{hit.score:.4g}", hit.chunk.id, "\n".join(why), hit.chunk.shown)
        grid.add_row(*map(Text, cells))
    return grid


def main(argv: Sequence[str] | None = None) -> None:
    """Search for one question and print what is found."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog='example: python prep/retrieve.py "질문" --run exam --k 5',
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    corpus.add_arguments(parser)
    parser.add_argument("question", help="the text to search for")
    parser.add_argument("--documents", nargs="+", help="files and folders, instead of the run's")
    parser.add_argument("--k", type=int, help="how many chunks to show")
    parser.add_argument("--threshold", type=float, help="the score that they must exceed")
    parser.add_argument("--method", choices=get_args(Ranking), help="by words, meaning or both")
    parser.add_argument("--embedder", metavar="MODEL", help="a folder, for dense and fusion")
    parser.add_argument("--reranker", metavar="MODEL", help="a folder of a cross-encoder")
    parser.add_argument("--index", type=Path, default=INDEXES, help="folder of the indexes")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    args = parser.parse_args(argv)

    settings = _settings(args)
    knowledge = index(settings.documents, settings.cut, args.index)
    [tokens] = kiwi().tokenize([writable(args.question, "the question")])
    words = subject_words(tokens)
    dense = meanings(knowledge, settings, args.index)
    reranker = Reranker(settings.rerank) if settings.rerank else None
    wanted = Wanted(args.question, words)
    hits = best(wanted, knowledge, dense, reranker, settings, settings.k)
    if args.json:
        found = [
            {**hit.chunk.model_dump(), "score": hit.score, "words": hit.words, "ranks": hit.ranks}
            for hit in hits
        ]
        print(
            json.dumps(
                {"index": knowledge.name, "words": words, "found": found},
                ensure_ascii=False,
                indent=2,
            )
        )
        return
    known = [word for word in words if knowledge.rarity(word)]
    print(
        f"index {knowledge.name}: {knowledge.counts['chunks']} chunks of "
        f"{knowledge.counts['documents']} documents"
    )
    print(f"searched for: {', '.join(words) or 'no word'}")
    if unknown := [word for word in words if word not in known]:
        print(f"in no document: {', '.join(unknown)}")
    if hits:
        Console().print(table(hits, args.question))
    else:
        above = f"nothing scores above {settings.threshold:g}"
        print(f"{above}: the question would be shown without evidence")


def _settings(args: argparse.Namespace) -> Retrieve:
    """The settings of the run, or the usual ones for the documents named; method and embedder as
    the command line names them."""
    named: dict[str, Any] = {"method": args.method} if args.method else {}
    named |= {"embedder": {"model": args.embedder}} if args.embedder else {}
    named |= {"rerank": {"model": args.reranker}} if args.reranker else {}
    given = {"k": args.k, "threshold": args.threshold}
    named |= {key: value for key, value in given.items() if value is not None}
    if args.method == "bm25":
        named |= {"embedder": None, "store": None}
    if args.documents:
        return validated({"documents": args.documents, **named}, Retrieve, "command line")
    run = corpus.run_of(args)
    if run.retrieve is None:
        raise UserError(
            f"{args.params}, run {args.run}: retrieves nothing; give it `retrieve` "
            "(docs/retrieval.md), or name --documents"
        )
    said = {**run.retrieve.model_dump(exclude_unset=True), **named}
    return validated(said, Retrieve, "command line")


if __name__ == "__main__":
    entry(main)
