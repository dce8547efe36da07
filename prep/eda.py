"""Draw a corpus: categories, answers, lengths and words of every split, raw and cleaned.

Run as: python prep/eda.py

Writes a PNG a chart, index.html that holds them all, and figures.json. The words shown are the
corpus's own: whoever may not share the corpus must not share its plots.
"""

import argparse
import json
import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import track

from core.bilingual import Both
from core.errors import UserError, entry
from core.layout import METRICS
from core.records import Question
from prep import corpus
from prep.cleaning import clean
from prep.sources.downloads import fingerprint

if TYPE_CHECKING:
    from prep.plots.counts import Facts

OVERVIEW = (
    Both("questions", "문항"),
    Both("dialogues or passages", "대화나 지문"),
    Both("answers published", "공개된 정답"),
)
TEMPLATE = Path(__file__).parent / "plots" / "corpus.html.jinja"


def draw(
    run: str,
    inputs: Sequence[dict[str, str]],
    raw: Sequence[Question],
    cleaned: Sequence[Question] | None = None,
    about: Sequence[tuple[str, str]] = (),
) -> dict[str, bytes]:
    """All files of a corpus's plots by name, in memory; the same questions give the same bytes.

    `inputs` are what was read (split, file, sha256); `cleaned` are `raw` after cleaning, if any;
    `about` is what the page says under its title, as pairs of a name and a value.
    """
    # seconds to import, and of no use to --help
    from core import look
    from core.drawn import table
    from prep.plots import corpus_tables
    from prep.plots.charts import MEASURES, charts
    from prep.plots.counts import Facts, word_counts

    versions = {"raw": raw} if cleaned is None else {"raw": raw, "cleaned": cleaned}
    facts, words = Facts.of(versions), word_counts(versions)
    found = charts(facts, words)
    pictures = {
        f"{chart.name}.png": chart.png()
        for chart in track(found, "drawing", console=Console(stderr=True))
    }
    overview, figures = facts.overview(), facts.figures()
    report = {"inputs": inputs, "overview": overview, "figures": figures}
    constant = [
        [
            *(MEASURES[line["measure"]][0], line["split"], line["version"]),
            *(f"{line['n']:,}", f"{line['min']:,}"),
        ]
        for line in figures
        if str(line["measure"]).replace(" ", "-") not in {chart.name for chart in found}
    ]
    split, version = Both("split", "스플릿"), Both("version", "버전")
    page = look.page(
        TEMPLATE,
        headline(run, facts),
        about,
        versions=list(versions),
        overview=table(
            [split, version, *OVERVIEW],
            [[str(cell) for cell in line.values()] for line in overview],
            names=2,
        ),
        inputs=table(
            [split, Both("read from", "읽은 파일"), "SHA-256"],
            [[*line.values()] for line in inputs],
            names=3,
        ),
        charts=[(chart, corpus_tables.shown(chart)) for chart in found],
        cloud=corpus_tables.cloud(words) if words else "",
        same=constant
        and table(
            [Both("measure", "잰 것"), split, version, "n", Both("value", "값")], constant, 3
        ),
    )
    return {
        **pictures,
        "figures.json": (json.dumps(report, ensure_ascii=False, indent=2) + "\n").encode(),
        "index.html": page.encode(),
    }


def headline(run: str, facts: "Facts") -> Both:
    """How many questions there are, and how much of their text cleaning leaves."""
    overview = facts.overview()
    raw = [line for line in overview if line["version"] == "raw"]
    questions, groups = (sum(line[key] for line in raw) for key in ("questions", "groups"))
    said = Both(
        f"{run}: {questions:,} questions of {groups:,} dialogues or passages",
        f"{run}: 문항 {questions:,}개, 대화나 지문 {groups:,}개",
    )
    values = facts.values[facts.values["measure"] == "characters"]
    sums = values.groupby("version")["value"].sum()
    if "cleaned" not in sums:
        return said
    left = sums["cleaned"] / sums["raw"]
    return Both(
        f"{said}; cleaning leaves {left:.1%} of their characters",
        f"{said.ko}. 정제 후 글자의 {left:.1%}가 남음",
    )


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
    command = ["python", "prep/eda.py", "--run", args.run, "--clean", args.clean]
    command += ["--corpus", str(args.corpus)] if args.corpus else []
    about = [
        (Both("corpus", "말뭉치"), str(corpus.file_of(run, inputs[0]["split"]).parent)),
        (Both("cleaning", "정제"), args.clean),
        (Both("command", "명령"), shlex.join(command)),
    ]
    files = draw(args.run, inputs, raw, cleaned, about)
    write(files, out)
    print("\n".join(str(out / name) for name in files))


if __name__ == "__main__":
    entry(main)
