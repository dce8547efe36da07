"""What a report says first: its verdict, what it was made of, and what changed since."""

from pathlib import Path

import pytest

from core.bilingual import Both
from eval.predictions import Meta
from eval.provenance import facts
from eval.reporting.headline import headline
from eval.reporting.report_tables import accuracies, calibration

DATA = {"path": "data/dev.jsonl", "sha256": "0", "rows": 4}


def result(accuracy: float, n: int = 100, **more) -> dict:
    low, high = max(0.0, accuracy - 0.1), min(1.0, accuracy + 0.1)
    return {
        "method": "letter",
        "accuracy": accuracy,
        "correct": round(accuracy * n),
        "n": n,
        "wilson95": [low, high],
        "bootstrap95": None,
        **dict.fromkeys(("ece", "brier", "letter_mass")),
        "no_answer": [],
        **more,
    }


def figures(**accuracy: float) -> dict:
    names = list(accuracy)
    pairs = [
        {"first": a, "second": b, "differs": abs(accuracy[a] - accuracy[b]) > 0.1}
        for k, a in enumerate(names)
        for b in names[k + 1 :]
    ]
    results = {name: result(share) for name, share in accuracy.items()}
    return {"results": results, "pairs": pairs, "too_few": None, "chance": 1 / 3}


def test_the_best_run_stands_first_and_what_it_can_be_told_from() -> None:
    said = headline(figures(untrained=0.3, first=0.95, vote=0.99))
    assert said == (
        "vote is right on 99.0% of 100 items: better than untrained, not distinguishable from first"
    )
    assert said.ko == ("vote는 100문항 중 99.0%를 맞힘. untrained보다 나음, first와 구별되지 않음")


@pytest.mark.parametrize(
    ("share", "said"), [(0.9, "better than guessing"), (0.4, "not distinguishable from guessing")]
)
def test_one_run_is_compared_with_guessing(share: float, said: str) -> None:
    assert headline(figures(only=share)).endswith(f"{said} (33.3%)")


def test_few_dialogues_have_no_verdict() -> None:
    few = figures(a=0.9, b=0.1) | {"too_few": Both("2 are too few", "2개는 너무 적음")}
    assert headline(few).endswith("too few dialogues or passages for a verdict")


def test_a_page_names_models_prompts_days_and_command() -> None:
    common = {"method": "letter", "data": DATA, "predictions_sha256": "0", "prompts": ["short@1"]}
    metas = {
        "a": Meta(**common, model="base", adapter="lora", time={"day": "2026-11-28"}),
        "b": Meta(**common, model="other", time={"day": "2026-11-20"}),
        "vote": Meta(**common | {"method": "hard-vote"}),
    }
    command = ["eval/report.py", "p/a.jsonl", "--data", "my data.jsonl"]
    said = dict(facts(metas, Path("my data.jsonl"), command))
    assert said == {
        "models": "a: base + lora, b: other",
        "prompt": "short@1",
        "scored": "2026-11-20 – 2026-11-28",
        "data": "my data.jsonl",
        "command": "python eval/report.py p/a.jsonl --data 'my data.jsonl'",
    }
    unknown = dict(facts({"vote": metas["vote"]}, Path("d"), []))
    assert unknown["scored"] == unknown["models"] == "not recorded"


def test_accuracies_say_what_changed_since_an_earlier_report() -> None:
    shown = accuracies(figures(a=0.9, b=0.5), {"a": {"accuracy": 0.92}})
    assert "92.0 (-2.0)" in shown
    assert shown.index(">a<") < shown.index(">b<")


def test_a_bin_of_few_items_says_so() -> None:
    def one(low: float, n: int) -> dict:
        return {"low": low, "high": low + 0.1, "n": n, "confidence": low + 0.05, "accuracy": 0.5}

    found = figures(a=0.9)
    found["results"]["a"]["calibration"] = [one(0.3, 4), one(0.9, 400)]
    few, many = calibration(found).split("0.9–1.0")
    assert "4: too few" in few
    assert "dot few" in few
    assert "too few" not in many
