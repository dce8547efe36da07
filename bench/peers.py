"""What is measured: this project's methods and their peers, each as texts in, removed places out.

A peer is imported only when it runs, since each may live in an environment of its own.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path


def _ours(**settings: object) -> Callable[[list[str]], set[int]]:
    def run(texts: list[str]) -> set[int]:
        from pydantic import TypeAdapter

        from prep.dedup import Document, Method, duplicates

        method = TypeAdapter(Method).validate_python(settings)
        found = duplicates([Document(text, 0, f"{i:08}") for i, text in enumerate(texts)], method)
        print(found.counts, file=sys.stderr)
        return set(found.removed)

    return run


def _simhash(texts: list[str]) -> set[int]:
    """The package's own way: sign, query the index, add where nothing was near."""
    from simhash import Simhash, SimhashIndex

    index, removed = SimhashIndex([], k=3), set()
    for i, text in enumerate(texts):
        sign = Simhash(text)
        if index.get_near_dups(sign):
            removed.add(i)
        else:
            index.add(str(i), sign)
    return removed


def _grams(text: str) -> set[str]:
    compared = "".join(c for c in text.lower() if c.isalnum())
    return {compared[i : i + 4] for i in range(len(compared) - 3)}


def _datasketch(texts: list[str]) -> set[int]:
    import xxhash
    from datasketch import MinHash, MinHashLSH

    index, removed = MinHashLSH(threshold=0.8, num_perm=128), set()
    for i, text in enumerate(texts):
        sign = MinHash(num_perm=128, hashfunc=xxhash.xxh32_intdigest)
        sign.update_batch([gram.encode() for gram in _grams(text)])
        if index.query(sign):
            removed.add(i)
        else:
            index.insert(i, sign)
    return removed


def _rensa(texts: list[str]) -> set[int]:
    from rensa import RMinHash, RMinHashDeduplicator

    index, removed = RMinHashDeduplicator(0.8, 128, True, 16), set()
    for i, text in enumerate(texts):
        sign = RMinHash(num_perm=128, seed=42)
        sign.update(list(_grams(text)))
        if index.is_duplicate(str(i), sign):
            removed.add(i)
        else:
            index.add(str(i), sign)
    return removed


def _text_dedup(module: str, *options: str) -> Callable[[list[str]], set[int]]:
    """The command-line tool, in a process of its own; it tells which rows it keeps."""

    def run(texts: list[str]) -> set[int]:
        import datasets

        with tempfile.TemporaryDirectory() as folder:
            rows = Path(folder, "rows.jsonl")
            lines = (json.dumps({"text": text, "row": i}) + "\n" for i, text in enumerate(texts))
            rows.write_text("".join(lines))
            command = [sys.executable, "-m", f"text_dedup.{module}", "--path", "json"]
            command += ["--data_files", str(rows), "--split", "train", "--column", "text"]
            command += ["--cache_dir", f"{folder}/cache", "--output", f"{folder}/out"]
            subprocess.run([*command, "--num_proc", "1", *options], check=True, stdout=2)
            kept = datasets.load_from_disk(f"{folder}/out")
            return set(range(len(texts))) - set(kept["row"])

    return run


# name: the package that must be there, and what runs
METHODS: dict[str, tuple[str, Callable[[list[str]], set[int]]]] = {
    "Simhash": ("prep", _ours(method="simhash", hard_negatives="remove")),
    "Simhash, hard negatives kept": ("prep", _ours(method="simhash")),
    "Simhash, compatible": (
        "prep",
        _ours(method="simhash", compatible=True, hard_negatives="remove"),
    ),
    "MinHash": ("prep", _ours(method="minhash")),
    "MinHash, hard negatives removed": ("prep", _ours(method="minhash", hard_negatives="remove")),
    "simhash": ("simhash", _simhash),
    "datasketch": ("datasketch", _datasketch),
    "rensa": ("rensa", _rensa),
    "text-dedup simhash": (
        "text_dedup",
        _text_dedup("simhash", "--ngram", "4", "--bit_diff", "3", "--num_bucket", "4"),
    ),
    "text-dedup minhash": (
        "text_dedup",
        _text_dedup("minhash", "--ngram", "3", "--threshold", "0.8", "--num_perm", "128"),
    ),
}
