"""Where things lie: what each step of the pipeline writes, and the next one reads."""

from pathlib import Path

DATA = Path("data")  # data/RUN: the rows of a run of params.yaml
DEMO = DATA / "demo-corpus"  # made by prep/demo/synthetic.py
INDEXES = DATA / "indexes"  # data/indexes/HASH: documents that evidence is searched in
ANSWERS = DATA / "answers"  # data/answers/HH/HASH.json: what teachers were asked and have answered
OUTPUTS = Path("outputs")  # outputs/MEMBER: recipe.yml, trained, model
PREDICTIONS = Path("predictions")  # predictions/SET/MEMBER.jsonl, predictions/SET-vote/vote.jsonl
SUBMISSIONS = Path("submissions")  # submissions/SET.json
BUILT = "build.json"  # in data/RUN: what prep/build.py writes last
METRICS = Path("metrics")  # reports, pages and the corpus in figures


def exported(trained: Path) -> Path:
    """The folder of the full weights that a training in `trained` leads to: `model`, next to it.

    For a folder that is not called `trained`, NAME-model.
    """
    return trained.with_name("model" if trained.name == "trained" else f"{trained.name}-model")


def model_of(member: str) -> Path:
    """Where a member's finished weights lie."""
    return OUTPUTS / member / "model"


def vote_of(name: str) -> Path:
    """Where the vote of a set lies, as predictions of its test."""
    return PREDICTIONS / f"{name}-vote" / "vote.jsonl"
