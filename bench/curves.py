"""Draw docs/dedup.svg: thresholds on the labelled pairs by length, and cost by number of records.

Run as: python bench/curves.py --figures dedup.jsonl
"""

import argparse
import json
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib import pyplot as plt

from bench.pairs import LENGTHS, Pair, labelled
from prep.dedup import difference
from prep.dedup import simhash as bits_of
from prep.dedup.minhash import gram_set, jaccard

matplotlib.use("agg")

SEED = 11
EACH = 200
THRESHOLDS = np.arange(0.5, 1, 0.05).round(2)
BITS = np.arange(13)
Curves = dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]]


def curves(pairs: list[Pair], near: np.ndarray) -> Curves:
    """By length: shares of copies merged, of hard negatives before and after the check.

    `near[p, t]` says whether pair p is near at threshold t.
    """
    same = np.array([difference(pair.left, pair.right) is None for pair in pairs])
    copies = np.array([pair.duplicate for pair in pairs])
    length = np.array([pair.length for pair in pairs])
    return {
        n: (
            (near & same[:, None])[copies & (length == n)].mean(axis=0),
            near[~copies & (length == n)].mean(axis=0),
            (near & same[:, None])[~copies & (length == n)].mean(axis=0),
        )
        for n in LENGTHS
    }


def table(found: Curves, thresholds: np.ndarray, chosen: list[int]) -> str:
    """The curves as Markdown, "copies / hard negatives before the check / after it" a cell."""
    lines = ["| characters | " + " | ".join(str(thresholds[t]) for t in chosen) + " |"]
    lines.append("|---" * (len(chosen) + 1) + "|")
    for n, shares in found.items():
        cells = (" / ".join(f"{share[t]:.3f}" for share in shares) for t in chosen)
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Measure the labelled pairs, print the tables and draw the curves."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python bench/curves.py --figures dedup.jsonl --out docs/dedup.svg",
    )
    parser.add_argument(
        "--figures", type=Path, required=True, help="what bench/dedup.py --out wrote"
    )
    parser.add_argument("--out", type=Path, default=Path("docs/dedup.svg"), help="the drawing")
    args = parser.parse_args()

    pairs = labelled(SEED, EACH)
    left, right = (list(texts) for texts in zip(*((p.left, p.right) for p in pairs), strict=True))
    similar = [jaccard(gram_set(a), gram_set(b)) for a, b in zip(left, right, strict=True)]
    apart = bits_of.distance(bits_of.sign(left)[0], bits_of.sign(right)[0])
    by_similarity = curves(pairs, np.array(similar)[:, None] >= THRESHOLDS)
    by_bits = curves(pairs, apart[:, None] <= BITS)
    print(table(by_similarity, THRESHOLDS, [1, 2, 4, 6, 8]))
    print(table(by_bits, BITS, [0, 3, 5, 7, 10]))

    _, (one, two, three) = plt.subplots(1, 3, figsize=(15, 4.5), layout="constrained")
    drawn = ((one, by_similarity, THRESHOLDS), (two, by_bits, BITS))
    for axes, found, thresholds in drawn:
        for n, (merged, before, after) in found.items():
            (line,) = axes.plot(thresholds, merged, label=f"{n} characters")
            axes.plot(thresholds, before, ":", color=line.get_color())
            axes.plot(thresholds, after, "--", color=line.get_color())
        axes.set_ylabel("share merged")
        axes.grid(alpha=0.3)
    one.set(
        xlabel="Jaccard similarity from which on", title="MinHash: copies (solid), hard negatives"
    )
    two.set(
        xlabel="bits up to which", title="Simhash: before (dotted) and after the check (dashed)"
    )
    one.legend()
    figures = [json.loads(line) for line in args.figures.read_text().splitlines()]
    for method in dict.fromkeys(figure["method"] for figure in figures):
        points = sorted((f["records"], f["cpu_s"]) for f in figures if f["method"] == method)
        three.loglog(*zip(*points, strict=True), "o-", label=method)
    three.set(xlabel="records", ylabel="CPU seconds", title="Cost")
    three.grid(alpha=0.3)
    three.legend(fontsize=7)
    plt.rcParams["svg.hashsalt"] = "maerak"  # the same bytes again
    plt.savefig(args.out, metadata={"Date": None})


if __name__ == "__main__":
    main()
