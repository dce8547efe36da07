"""Which runs a report compares, and what it says: intervals, p-values, too few dialogues."""

import json
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.jsonl import write_records
from core.records import Prediction
from eval import predictions as files
from eval import report
from eval.metrics.significance import differences, intervals
from eval.options import gold
from tests.support.reported_runs import reported, save_run, two_runs
from tests.support.scored_rows import rows, save_rows


@pytest.fixture
def two(tmp_path: Path) -> tuple[Path, list[Path], list[list[bool]]]:
    return two_runs(tmp_path)


def test_intervals_and_comparison_are_over_dialogues(two, tmp_path: Path) -> None:
    data, paths, (first, second) = two
    found = reported(tmp_path / "figures.json", data, *paths)
    groups = [f"g{number // 4}" for number in range(40)]
    assert (found["rows"], found["groups"]) == (40, 10)
    both = np.column_stack([first, second])
    for run, expected in zip("가나", intervals(both, groups), strict=True):
        assert found["results"][run]["bootstrap95"] == pytest.approx(list(expected), abs=1e-6)
    (pair,) = found["pairs"]
    (gap,) = differences(both, groups, [(0, 1)])
    # 14 of 40 numbers are multiples of 3, 8 of 5, 3 of both
    assert (pair["only_first"], pair["only_second"]) == (5, 11)
    assert pair["difference"] == pytest.approx(-6 / 40)
    assert pair["interval95"] == pytest.approx(list(gap.interval), abs=1e-6)
    assert pair["p"] == pytest.approx(gap.p, abs=1e-6)
    assert pair["verdict"] == f"가 and 나 are not distinguishable at n=40 (p = {gap.p:.2g})"


def test_several_comparisons_are_judged_at_once(two, tmp_path: Path) -> None:
    data, paths, _ = two
    (alone,) = reported(tmp_path / "two.json", data, paths[1], paths[0])["pairs"]
    third = paths[0].rename(tmp_path / "다.jsonl")
    paths[0].with_suffix(".meta.json").rename(tmp_path / "다.meta.json")
    (tmp_path / "다").mkdir()
    again = [*files.read(third)[0].values()]
    other = save_run(tmp_path / "다/나.jsonl", data, again)
    found = reported(tmp_path / "figures.json", data, paths[1], third, other)
    names = [str(path.with_suffix("")) for path in (paths[1], other)]
    assert list(found["results"]) == [
        names[0],
        "다",
        names[1],
    ]  # two stems alike: with their folder
    first, _, same = found["pairs"]
    assert first["difference"] == alone["difference"]
    assert first["p"] >= alone["p"]
    assert (same["difference"], same["interval95"], same["p"]) == (0, None, 1)


@pytest.mark.slow
@pytest.mark.parametrize("dialogues", [1, 2, 9])
def test_few_dialogues_have_no_interval_and_no_verdict(
    dialogues: int, two, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """However many items they hold, and however far the runs are apart."""
    data = tmp_path / "few.jsonl"
    made = [
        row.model_copy(update={"group": f"g{number % dialogues}"})
        for number, row in enumerate(rows(200))
    ]
    write_records(data, made)
    runs = []
    for name, right in (("a", True), ("b", False)):
        given = [
            Prediction(
                id=row.id, order=row.order, logprobs=None, choice=(gold(row) + (not right)) % 3
            )
            for row in made
        ]
        runs.append(save_run(tmp_path / f"{name}.jsonl", data, given))
    for path in ("--html", "--markdown"):
        report.main([*map(str, runs), "--data", str(data), path, str(tmp_path / "page")])
        assert "too few for intervals over dialogues" in (tmp_path / "page").read_text("utf-8")
    found = reported(tmp_path / "figures.json", data, *runs)
    assert "too few for intervals over dialogues" in found["too_few"]
    assert [one["bootstrap95"] for one in found["results"].values()] == [None, None]
    (pair,) = found["pairs"]
    assert (pair["difference"], pair["interval95"], pair["p"]) == (1, None, None)
    assert pair["verdict"] == "a and b are not compared: too few dialogues or passages"
    assert "too few for intervals over dialogues" in capsys.readouterr().out


def test_a_run_without_errors_has_no_interval_of_width_0(tmp_path: Path) -> None:
    data = tmp_path / "dev.jsonl"
    made = save_rows(data, 40)
    given = [
        Prediction(id=row.id, order=row.order, logprobs=None, choice=gold(row)) for row in made
    ]
    one = reported(tmp_path / "x.json", data, save_run(tmp_path / "all.jsonl", data, given))
    assert one["results"]["all"]["bootstrap95"] is None


def test_other_prompts_and_orders_are_compared_only_if_asked(two, tmp_path: Path) -> None:
    data, paths, _ = two
    other = tmp_path / "other/dev.jsonl"
    write_records(other, [row.model_copy(update={"prompt": "other@1"}) for row in rows(40)])
    given = [*files.read(paths[0])[0].values()]
    prompted = save_run(tmp_path / "prompted.jsonl", other, given)
    permuted = save_run(tmp_path / "permuted.jsonl", data, given, permutations="all")
    for run, match in (
        (prompted, "prompted.jsonl: made from an earlier .*dev.jsonl, or from other data"),
        (permuted, "permuted.jsonl: saw the options in other orders"),
    ):
        with pytest.raises(UserError, match=match):
            reported(tmp_path / "x.json", data, paths[0], run)
        report.main([str(paths[0]), str(run), "--data", str(data), "--mixed", "--json", f"{run}.x"])
        found = json.loads(Path(f"{run}.x").read_text("utf-8"))["results"]
        assert found["가"]["confusion_letters"]
        assert "confusion_letters" not in found[run.stem]  # which letters it saw is not known
        assert found[run.stem]["accuracy"] == found["가"]["accuracy"]


def test_runs_of_one_name_or_of_other_rows_are_refused(two, tmp_path: Path) -> None:
    data, paths, _ = two
    with pytest.raises(UserError, match="is given 2 times"):
        reported(tmp_path / "x.json", data, paths[0], paths[0])
    given = [Prediction(id=row.id, order=[0, 1, 2, 3], logprobs=None, choice=3) for row in rows(40)]
    four = save_run(tmp_path / "four.jsonl", data, given)
    with pytest.raises(UserError, match=r"id 합성-000: 4 options, but .* has 3; score"):
        reported(tmp_path / "x.json", data, four)
    assert not (tmp_path / "x.json").exists()


def test_what_it_writes_takes_the_place_of_nothing_it_reads(two, tmp_path: Path) -> None:
    data, paths, _ = two
    before = data.read_bytes()
    command = [*map(str, paths), "--data", str(data)]
    page = str(tmp_path / "page.html")
    for given, said in [
        (["--html", str(data)], "is named twice, so it would"),
        (["--json", str(paths[0])], "is named twice, so it would"),
        (["--html", page, "--json", page], "is named twice, so it would"),
        (["--html", str(tmp_path)], "is a folder; name a file to write"),
        (["--html", page, "--plots", str(data)], r"categories\.csv: its folder cannot be made"),
    ]:
        with pytest.raises(UserError, match=said):
            report.main([*command, *given])
        assert not Path(page).exists()
    assert data.read_bytes() == before
