"""Draw a corpus: categories, answers, lengths and words of every split, raw and cleaned.

Run as: python prep/eda.py

Writes a PNG a chart, index.html that holds them all, and figures.json. The words shown are the
corpus's own: whoever may not share the corpus must not share its plots.
"""

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import track

from core.errors import UserError, entry
from core.layout import METRICS
from core.records import Question
from prep import corpus
from prep.cleaning import clean
from prep.sources.downloads import fingerprint

TEMPLATE = Path(__file__).parent / "plots" / "corpus.html.jinja"


def draw(
    title: str,
    inputs: Sequence[dict[str, str]],
    raw: Sequence[Question],
    cleaned: Sequence[Question] | None = None,
) -> dict[str, bytes]:
    """All files of a corpus's plots by name, in memory; the same questions give the same bytes.

    `inputs` are what was read (split, file, sha256); `cleaned` are `raw` after cleaning, if any.
    """
    # seconds to import, and of no use to --help
    from core import look
    from prep.plots.charts import charts
    from prep.plots.counts import Facts, word_counts

    versions = {"raw": raw} if cleaned is None else {"raw": raw, "cleaned": cleaned}
    facts = Facts.of(versions)
    found = charts(facts, word_counts(versions))
    pictures = [
        (chart, chart.png()) for chart in track(found, "drawing", console=Console(stderr=True))
    ]
    report = {"inputs": inputs, "overview": facts.overview(), "figures": facts.figures()}
    page = look.page(
        TEMPLATE,
        title=title,
        inputs=inputs,
        overview=facts.overview(),
        versions=list(versions),
        figures=facts.figures_by_version(),
        charts=[
            {"chart": chart, "source": look.address("png", png), "same": len(chart.rows) == 1}
            for chart, png in pictures
        ],
    )
    return {
        **{f"{chart.name}.png": png for chart, png in pictures},
        "figures.json": (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode(),
        "index.html": page.encode(),
    }


def write(files: dict[str, bytes], out: Path) -> None:
    """Write files, each under its name only once all of them are complete."""
    parts = {name: out / f".{name}.{os.getpid()}.part" for name in files}
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, part in parts.items():
            part.write_bytes(files[name])
        for name, part in parts.items():
            part.replace(out / name)
    except OSError as error:
        raise UserError(f"{out}: cannot be written ({error.strerror}); check --out") from None
    finally:
        for part in parts.values():
            if part.is_file():
                part.unlink()


def main() -> None:
    """Draw one run's corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python prep/eda.py --run cci --corpus ~/nikl-cci-2024",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    corpus.add_arguments(parser)
    parser.add_argument("--clean", default="maerak", help="the preset to compare with (maerak)")
    parser.add_argument("--out", type=Path, help="folder to write (metrics/RUN-corpus)")
    args = parser.parse_args()

    run = corpus.run_of(args)
    rules = corpus.rules(run, args.clean)
    inputs, raw = [], []
    for split in ("train", "dev", "test"):
        part, path = corpus.questions_of(run, split), corpus.file_of(run, split)
        if part and path:
            raw += part.questions
            inputs.append({"split": split, "file": path.name, "sha256": fingerprint(path)})
    if not raw:
        named = ", ".join(run.corpus.files().values())
        raise UserError(f"no such file: {named}; name the corpus in {args.params} or by --corpus")
    cleaned = [clean(question, rules)[0] for question in raw]
    out = args.out or METRICS / f"{args.run}-corpus"
    files = draw(f"{args.run}: the corpus in figures", inputs, raw, cleaned)
    write(files, out)
    print("\n".join(str(out / name) for name in files))


if __name__ == "__main__":
    entry(main)
