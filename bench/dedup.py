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
from collections.abc import Sequence
from pathlib import Path

from bench.peers import METHODS

SEED = 2024
HARD = ("number", "name", "polarity", "entities")


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
    in their place. Which of the m is removed is the keep rule's business and not judged.
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
