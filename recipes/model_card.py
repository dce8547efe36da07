"""Write the card of a model next to it, from what its run left: outputs/NAME/model.md.

Run as: python recipes/model_card.py outputs/demo-seed1/recipe.yml --report metrics/demo.json

It says which base and data the weights come from and under which licences, how they were trained,
how often they are right, and what nobody has measured. recipes/push.py takes no model without it.
"""

import argparse
import os
import platform
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from huggingface_hub import EvalResult, ModelCard, ModelCardData

from core import quiet  # noqa: F401, before the libraries that it quiets
from core.errors import UserError, entry
from core.files import atomic_file, sha256
from core.jsonl import read_json
from core.layout import exported
from core.yaml_io import read_mapping
from prep.card import markdown

if TYPE_CHECKING:
    from recipes.sharing.lineage import Lineage

TEMPLATE = Path(__file__).with_name("model_card.md.jinja")
WEIGHTS = "*.safetensors"


def card_of(model: Path) -> Path:
    """Where the card of a model lies: next to its folder, under the folder's name."""
    model = model if model.name.strip(".") else model.resolve()
    return model.with_name(f"{model.name}.md")


def weights_of(model: Path) -> dict[str, str]:
    """SHA-256 of a model's weights by file; raises `UserError` where there are none."""
    found = {path.name: sha256(path) for path in sorted(model.glob(WEIGHTS))}
    if not found:
        raise UserError(f"{model}: no weights ({WEIGHTS}) in it; export the trained recipe first")
    return found


def card(model: Path, name: str, made_of: "Lineage", report: Path | None) -> str:
    """A model's card in Markdown, with the head that the Hugging Face Hub reads.

    `name` is what the report calls it. Raises `UserError` where the report does not.
    """
    result, chance = _result(report, name) if report else (None, None)
    terms, last = made_of.base.terms, made_of.trainings[-1]
    licence = {"license": "other", "license_name": made_of.base.licence or "not-looked-up"}
    head = ModelCardData(
        language=["ko"],
        **({"license": terms.hub} if terms and terms.hub else licence),
        base_model=made_of.base.name if made_of.revision else None,
        library_name="transformers",
        pipeline_tag="text-generation",
        model_name=name,
        eval_results=_evaluated(report, result),
        # what recipes/push.py judges by
        maerak={
            "base": {"name": made_of.base.name, "licence": made_of.base.licence},
            "data": {source.name: source.licence for source in made_of.sources},
            "weights": weights_of(model),
        },
    )
    on_request = {s.name for s in made_of.sources if s.terms and s.terms.on_request}
    body = markdown(
        TEMPLATE,
        name=name,
        here=_here(),
        base=made_of.base,
        revision=made_of.revision,
        notice=terms and terms.notice,
        trainings=[(one.sources, _yaml(one.recipe)) for one in made_of.trainings],
        template=last.recipe.get("chat_template"),
        settings=last.settings,
        restricted=sorted(on_request),
        report=report and report.name,
        result=result,
        chance=chance and _percent(chance),
        shares=result and _shares(result),
    )
    return str(ModelCard(f"---\n{head.to_yaml()}\n---\n\n{body}"))


def _result(report: Path, name: str) -> tuple[dict[str, Any], float]:
    """A model's figures in a report, and what guessing gives there."""
    figures = read_json(report)
    results = figures.get("results", {}) if isinstance(figures, dict) else {}
    if name not in results:
        raise UserError(
            f"{report}: no run {name} in it, only {', '.join(results) or 'none'}; give the "
            "model's by --name"
        )
    return results[name], figures["chance"]


def _shares(result: dict[str, Any]) -> dict[str, str]:
    """A run's accuracy and the ends of its intervals as text."""
    ends = {key: result.get(key) for key in ("wilson95", "bootstrap95")}
    spans = {key: "–".join(map(_percent, pair)) for key, pair in ends.items() if pair}
    return {"accuracy": _percent(result["accuracy"]), "bootstrap95": ""} | spans


def _percent(share: float) -> str:
    return f"{100 * share:.1f}"


def _yaml(keys: dict[str, Any]) -> str:
    return yaml.safe_dump(keys, allow_unicode=True, sort_keys=False)


def _evaluated(report: Path | None, result: dict[str, Any] | None) -> list[EvalResult] | None:
    """The accuracy as the Hub lists it."""
    if report is None or result is None:
        return None
    task, count = "multiple-choice", {"n": result["n"]}
    share = result["accuracy"]
    return [EvalResult(task, "maerak", report.stem, "accuracy", share, metric_args=count)]


def _here() -> str:
    """This machine, day and commit, in words."""
    machine = f"{os.cpu_count()} CPU cores ({platform.machine()})"
    commit = _git("rev-parse", "HEAD").strip() or "not recorded"
    changed = ", with changes that are not committed" if _git("diff", "HEAD", "--stat") else ""
    return f"{machine}, {time.strftime('%Y-%m-%d')}, commit {commit}{changed}"


def _git(*arguments: str) -> str:
    if shutil.which("git") is None:
        return ""
    return subprocess.run(["git", *arguments], capture_output=True, text=True).stdout


def require_template(model: Path) -> None:
    """Raise `UserError` where a model's tokenizer carries no chat template."""
    config = model / "tokenizer_config.json"
    inside = config.is_file() and read_json(config).get("chat_template")
    if not inside and not (model / "chat_template.jinja").is_file():
        raise UserError(f"{model}: its tokenizer has no chat template; train with one")


def main() -> None:
    """Write the card of the model that a recipe led to."""
    parser = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="example: python recipes/model_card.py recipes/qlora-24gb.yml",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("recipe", type=Path, help="the recipe that was trained and exported")
    parser.add_argument("--report", type=Path, help="figures that eval/report.py --json wrote")
    parser.add_argument("--name", help="the model's name in the report (default: its folder's)")
    args = parser.parse_args()

    from recipes.sharing.lineage import lineage  # seconds to import, and of no use to --help

    recipe = read_mapping(args.recipe)
    if not recipe.get("output_dir"):
        raise UserError(f"{args.recipe}: names no output_dir; name the recipe that was trained")
    trained = Path(recipe["output_dir"])
    model = exported(trained)
    require_template(model)
    name = args.name or (trained.parent.name if trained.name == "trained" else trained.name)
    out = card_of(model)
    text = card(model, name, lineage(trained), args.report)
    with atomic_file(out) as file:
        file.write(text)
    print(out)


if __name__ == "__main__":
    entry(main)
