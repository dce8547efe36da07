"""The data card of a build: a page that says what its files were made from, how, and what went.

It is made from build.json, so that it agrees with it, and from the command that built it, the only
place where it may name a folder. It holds no date.
"""

import re
from pathlib import Path
from typing import Any

from huggingface_hub import DatasetCard, DatasetCardData
from jinja2 import Environment, StrictUndefined

from core.files import read_text
from prep.sources.licences import terms_of
from prep.summary import WHY, lines, rows

TEMPLATE = Path(__file__).with_name("card.md.jinja")
OTHERS = {
    "removed.jsonl": "every record left out, and why",
    "changed.jsonl": "every text altered, before and after",
    "questions.jsonl": "the dev and test questions behind the rows, as cleaned, for reports",
}

SHOWN = {
    "questions": "questions searched for",
    "without": "questions shown without evidence",
    "chunks": "chunks and passages shown",
    "over_budget": "chunks left out for want of room",
    "golden": "passages shown among what was found",
    "golden_left_out": "passages left out of training rows",
}


def card(report: dict[str, Any], options: str = "") -> str:
    """A build's data card in Markdown, with the head that the Hugging Face Hub reads.

    `report` is build.json. Its `sources`, where there, say what is known of each by name: form,
    origin, licence, non_commercial, published (a date as text), tracks. `options` are those that
    the command needs besides run and stages.
    """
    command = f"python prep/build.py --run {report['run']} --stages {' '.join(report['stages'])}"
    headings, counts = rows(report)
    removed = [
        (file, source, reason, count)
        for file, source, figures in lines(report)
        for reason, count in sorted(figures["removed"].items())
    ]
    body = markdown(
        TEMPLATE,
        run=report["run"],
        command=f"{command} {options}".rstrip(),
        settings=report["settings"],
        inputs=[_input(name, about, report) for name, about in report["inputs"].items()],
        headings=headings,
        counts=counts,
        removed=removed,
        why=WHY,
        outputs=report["outputs"],
        others=OTHERS,
        excerpts=report.get("excerpts"),
        evidence=report.get("evidence"),
        shown=SHOWN,
    )
    return str(DatasetCard(f"---\n{_head(report).to_yaml()}\n---\n\n{body}"))


def markdown(template: Path, /, **context: Any) -> str:
    """A card's body from its Jinja template, where `cell` makes a value one cell of a table."""
    environment = Environment(
        undefined=StrictUndefined, autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["cell"] = _cell
    return environment.from_string(read_text(template)).render(**context)


def _head(report: dict[str, Any]) -> DatasetCardData:
    """The card's YAML: language, task, licence, and which file is which part of the set."""
    written = [name.removesuffix(".jsonl") for name in report["outputs"] if name not in OTHERS]
    return DatasetCardData(
        pretty_name=f"Maerak, run {report['run']}",
        language=["ko"],
        **_licence({_known(name, report).get("licence") for name in report["inputs"]}),
        task_categories=["multiple-choice", "text-generation"],
        configs=[
            {
                "config_name": name.replace("/", "-"),
                "data_files": [{"split": _part(name), "path": f"{name}.jsonl"}],
            }
            for name in written
        ],
    )


def _licence(licences: set[str | None]) -> dict[str, str]:
    """How the Hub names the licence of all that was read; several stand source by source."""
    terms = terms_of(licences.pop()) if len(licences) == 1 else None
    if terms and terms.hub:
        return {"license": terms.hub}
    return {"license": "other", "license_name": "by-source"}


def _part(name: str) -> str:
    """What the Hub calls the rows of a file: train, validation or test."""
    parts = {"dev": "validation", "dev-loss": "validation", "test": "test"}
    return parts.get(name.rpartition("/")[2].removesuffix(".orders"), "train")


def _input(name: str, about: dict[str, Any], report: dict[str, Any]) -> dict[str, Any]:
    """What was read as `name`: where from, which version of it, and under which licence."""
    known = _known(name, report)
    tracks = known.get("tracks") or []
    licence = known.get("licence") or "not stated"
    return {
        "name": name,
        "read": about.get("file") or about["hub"],
        "version": about.get("sha256") or about["revision"],
        "form": known.get("form") or "not stated",
        "origin": known.get("origin") or "not stated",
        "licence": f"{licence}, non-commercial" if known.get("non_commercial") else licence,
        "published": known.get("published") or "not stated",
        "tracks": ", ".join(tracks) or "not stated",
    }


def _known(name: str, report: dict[str, Any]) -> dict[str, Any]:
    """What is known of the source that was read as `name`: nothing where no stage uses it."""
    return report.get("sources", {}).get(name.partition("/")[0], {})


def _cell(value: object) -> str:
    """A value as one cell of a Markdown table."""
    return re.sub(r"([|\\`*_<\[\]])", r"\\\1", " ".join(str(value).split()))
