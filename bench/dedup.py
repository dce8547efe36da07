"""Measure both dedup methods and their peers on the same records: speed, recall, precision, memory.

Run as: python bench/dedup.py

Every method runs in a process of its own. A peer that no given interpreter can import is skipped
with a line that says so; `simhash` and other packages of that name overwrite one another, so peers
are best installed in an environment of their own.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parent.parent)

SEED = 2024


def _ours(**settings: object) -> Callable[[list[str]], set[int]]:
    def run(texts: list[str]) -> set[int]:
        from pydantic import TypeAdapter

        from prep.dedup import Item, Method, duplicates

        method = TypeAdapter(Method).validate_python(settings)
        found = duplicates([Item(text, 0, f"{i:08}") for i, text in enumerate(texts)], method)
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


def child(name: str, folder: Path) -> None:
    """Run one method on the texts of a folder, and leave there what it removed and cost."""
    with (folder / "texts.jsonl").open(encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    METHODS[name][1](texts[:20])  # imports, tables
    wall, cpu = time.perf_counter(), _cpu()
    removed = METHODS[name][1](texts)
    cost = {"wall_s": time.perf_counter() - wall, "cpu_s": _cpu() - cpu}
    peaks = [
        resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    ]
    cost |= {"rss_mb": max(peaks) / 1024, "texts_mb": before / 1024}
    (folder / "result.json").write_text(json.dumps({"removed": sorted(removed), **cost}))


def _cpu() -> float:
    """CPU seconds of this process and those it has waited for."""
    used = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def quality(removed: set[int], truth: Sequence[int], kinds: Sequence[str]) -> dict[str, float]:
    """Recall and precision of removed rows, and the share of hard negatives merged.

    Of m rows that count as one, m - 1 are to go; where all go, a hard negative or a stranger stayed
    in their place. Which of the m goes is the keep rule's business and not judged.
    """
    size, gone = Counter(truth), Counter(truth[i] for i in removed)
    surplus = sum(m - 1 for m in size.values())
    right = sum(min(n, size[cluster] - 1) for cluster, n in gone.items())
    hard = {cluster for cluster, kind in zip(truth, kinds, strict=True) if kind in HARD}
    merged = sum(cluster in hard or n == size[cluster] > 0 for cluster, n in gone.items())
    return {
        "recall": right / max(1, surplus),
        "precision": right / max(1, len(removed)),
        "hard_merged": merged / max(1, len(hard)),
    }


HARD = ("number", "name", "polarity", "entities")


def interpreter(module: str, given: list[str]) -> str | None:
    """The first interpreter that can import a module."""
    if module == "prep":
        return sys.executable
    for python in (*given, sys.executable):
        if not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
            return python
    return None


def measure(names: list[str], records: int, peers: list[str]) -> list[dict[str, object]]:
    """Run methods on one collection; one dictionary of figures each."""
    from bench.pairs import collection

    made = collection(records, SEED)
    truth, kinds = [r.truth for r in made], [r.kind for r in made]
    length = sum(len(r.text) for r in made) / len(made)
    print(f"{records:,} records, {length:.0f} characters on average", flush=True)
    found = []
    with tempfile.TemporaryDirectory() as path:
        folder = Path(path)
        with (folder / "texts.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(r.text, ensure_ascii=False) + "\n" for r in made)
        del made
        for name in names:
            python = interpreter(METHODS[name][0], peers)
            if python is None:
                print(f"{name}: skipped, {METHODS[name][0]} is not installed", flush=True)
                continue
            subprocess.run([python, __file__, "--child", name, path], check=True)
            result = json.loads((folder / "result.json").read_text())
            removed = set(result.pop("removed"))
            figures = {"method": name, "records": records, **quality(removed, truth, kinds)}
            figures |= {**result, "records/s": records / result["cpu_s"]}
            print(json.dumps(figures), flush=True)
            found.append(figures)
    return found


def table(found: list[dict[str, object]]) -> str:
    """The figures as Markdown; `ratio` is records per CPU second against `simhash`."""
    base = {f["records"]: f["records/s"] for f in found if f["method"] == "simhash"}
    lines = [
        "| method | records | recall | precision | hard negatives merged | records/CPU s | "
        "x simhash | CPU s | wall s | peak RSS MB (of it texts) |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for f in found:
        ratio = f"{f['records/s'] / base[f['records']]:.1f}" if f["records"] in base else "–"
        lines.append(
            f"| {f['method']} | {f['records']:,} | {f['recall']:.3f} | {f['precision']:.4f} | "
            f"{f['hard_merged']:.3f} | {f['records/s']:,.0f} | {ratio} | {f['cpu_s']:.2f} | "
            f"{f['wall_s']:.2f} | {f['rss_mb']:.0f} ({f['texts_mb']:.0f}) |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table and write the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/dedup.py --records 10000 --peers ~/peers/bin/python",
    )
    parser.add_argument("--records", type=int, default=10_000, help="size of the collection")
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--peers", nargs="*", default=[], help="interpreters that have the peers")
    parser.add_argument("--out", type=Path, help="append the figures to this JSONL file")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child[0], Path(args.child[1]))
        return
    found = measure(args.methods, args.records, args.peers)
    print(table(found))
    if args.out:
        with args.out.open("a", encoding="utf-8") as file:
            file.writelines(json.dumps(figures) + "\n" for figures in found)


if __name__ == "__main__":
    main()
