"""diagnose.py from prediction files to the terminal, the page and the figures; bad input."""

import json
import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from core.errors import UserError
from core.jsonl import read_records, write_records
from core.records import Row
from ensemble import diagnose
from ensemble.diagnosis import drawings
from ensemble.diagnosis.diagnosis import Diagnosis
from ensemble.diagnosis.diagnosis_sentences import sentences
from eval import predictions
from tests.support.paths import ROOT
from tests.support.vote_table import independent, read, save, save_member, two_options


@pytest.fixture
def members(tmp_path: Path) -> list[Path]:
    """Three independent members of accuracy .75 on 64 items; the vote has 54 right."""
    return save(tmp_path, *two_options(independent(3)))


def run(paths: list[Path], *more: str) -> None:
    data = paths[0].parent / "dev.jsonl"
    diagnose.main([*map(str, paths), "--data", str(data), *more])


def test_the_command_prints_markdown_and_writes_page_and_figures(
    members: list[Path], tmp_path: Path
) -> None:
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    data = str(tmp_path / "dev.jsonl")
    wanted = ["--data", data, "--html", str(page), "--json", str(figures)]
    command = [sys.executable, "ensemble/diagnose.py", *map(str, members), *wanted]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "* The hard vote of 3 members has 54/64 right, 84.4% (73.6%–91.3%)" in done.stdout
    assert "gain over it is +9.38 points" in done.stdout
    assert re.search(r"^\| 1 m1 +\| +48/64 \| +75.0% \|", done.stdout, re.MULTILINE)
    assert re.search(r"^\| more than half right +\| +54 \| +84.4% \|", done.stdout, re.MULTILINE)
    assert done.stderr == ""
    found = json.loads(figures.read_text("utf-8"))
    assert (found["items"], found["groups"], found["best"]) == (64, 16, "m1")
    assert (found["vote"]["correct"], found["vote"]["tied"]) == (54, 0)
    assert found["gain"]["difference"] == 0.09375
    assert found["majority_if_independent"] == 0.84375
    assert found["wrong_members"] == [27, 27, 9, 1]
    assert found["pairs"]["double_fault"][0] == [0.25, 0.0625, 0.0625]
    assert len(found["gained"]) - len(found["lost"]) == 6
    assert len(found["hardest"]) == 64 - 27
    assert found["members"]["m3"]["without"]["verdict"] in ("helps", "may help")
    assert [Path(file["path"]).name for file in found["inputs"]][:2] == ["dev.jsonl", "m1.jsonl"]
    shown = page.read_text("utf-8")
    assert "<title>The vote and its best member m1 are not distinguishable at n=64" in shown
    assert f"<dd>python ensemble/diagnose.py {' '.join(map(str, members))} --data {data}" in shown


def test_the_same_input_gives_the_same_bytes(members: list[Path], tmp_path: Path) -> None:
    for name in ("first", "second"):
        run(members, "--html", str(tmp_path / name), "--json", str(tmp_path / f"{name}.json"))
    for end in ("", ".json"):
        assert (tmp_path / f"first{end}").read_bytes() == (tmp_path / f"second{end}").read_bytes()


class Links(HTMLParser):
    """All that a page refers to, and the tags that it holds."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]


def test_the_page_stands_alone_and_escapes_what_it_is_given(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    choices, gold = two_options(independent(3))
    paths = save(tmp_path, choices, gold)
    data = tmp_path / "dev.jsonl"
    odd = [
        row.model_copy(update={"category": "<script>alert(1)</script> | [red]반응 $\\frac{$"})
        for row in read_records(data, Row)
    ]
    write_records(data, odd)
    paths = [
        save_member(path.with_name(f"[bold]<b>{number}구성원.jsonl"), data, chosen.tolist())
        for number, (path, chosen) in enumerate(zip(paths, choices, strict=True))
    ]
    page = tmp_path / "page.html"
    run(paths, "--html", str(page))
    parser = Links()
    parser.feed(page.read_text("utf-8"))
    assert parser.tags.count("img") == 0
    assert not {"script", "b"} & set(parser.tags)
    assert all(link.startswith("#") for link in parser.links)
    printed = capsys.readouterr().out
    assert "[bold]<b>0구성원" in printed
    assert r"<script>alert(1)</script> \| [red]반응" in printed


def test_long_lists_are_cut_on_screen_and_complete_in_the_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnose, "SHOWN", 30)
    paths = save(tmp_path, *two_options(independent(4)))
    run(paths, "--html", str(tmp_path / "page.html"), "--json", str(tmp_path / "all.json"))
    hardest = json.loads((tmp_path / "all.json").read_text("utf-8"))["hardest"]
    assert len(hardest) == 256 - 81
    assert "20 of 175 lines" in capsys.readouterr().out
    assert "The first 30 of 175;" in (tmp_path / "page.html").read_text("utf-8")


def test_maps_are_tinted_by_a_range_that_means_something(tmp_path: Path) -> None:
    """Agreement of .98 is nearly full, and the least of the maps is not white for being least."""
    choices = np.zeros((3, 200), dtype=int)
    for member, wrong in enumerate(((0, 1), (1, 2), (3, 4))):
        choices[member, list(wrong)] = 1
    found = Diagnosis.of(read(tmp_path, choices, np.zeros(200, dtype=int)))
    depths = re.findall(r"--depth:([\d.]+)", drawings.answers_alike(found))
    agreement = [float(depth) for depth in depths[:6]]
    assert agreement == [0.99, 0.98, 0.99, 0.98, 0.98, 0.98]
    both_wrong = [float(d) for d in re.findall(r"--depth:([\d.]+)", drawings.errors_alike(found))]
    assert both_wrong[:6] == [0.5, 0.0, 0.5, 0.0, 0.0, 0.0]  # of the most that a member has wrong


def test_many_members_have_no_map(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    found = Diagnosis.of(read(tmp_path, *two_options(rng.random((60, 20)) < 0.7)))
    assert len(drawings.accuracies(found)) == 61
    assert "No map: 60 members are more than 40" in drawings.errors_alike(found)


def test_two_members_and_no_errors_can_be_shown(tmp_path: Path) -> None:
    paths = save(tmp_path, np.zeros((2, 4), dtype=int), np.zeros(4, dtype=int))
    run(paths, "--html", str(tmp_path / "page.html"), "--json", str(tmp_path / "figures.json"))
    found = json.loads((tmp_path / "figures.json").read_text("utf-8"))
    assert found["pairs"]["kappa"] == [[None, None], [None, None]]
    assert found["gain"] == {"difference": 0, "interval95": None, "p": None}
    assert "too few" in found["too_few"]
    assert "None." in (tmp_path / "page.html").read_text("utf-8")


def test_files_of_one_name_in_two_folders_have_names_of_their_own(
    members: list[Path], capsys: pytest.CaptureFixture[str]
) -> None:
    data = members[0].parent / "dev.jsonl"
    (data.parent / "other").mkdir()
    twin = save_member(data.parent / "other" / "m1.jsonl", data, [0] * 64)
    run([*members, twin])
    printed = capsys.readouterr().out
    assert f"{data.parent}/other/m1 " in printed
    assert f"{data.parent}/m1 " in printed


def test_members_of_other_preparations_need_mixed(members: list[Path], tmp_path: Path) -> None:
    data = tmp_path / "dev.jsonl"
    other = tmp_path / "other.jsonl"
    rows = read_records(data, Row)
    write_records(other, [row.model_copy(update={"prompt": "other@1"}) for row in rows])
    strange = save_member(tmp_path / "strange.jsonl", other, [0] * 64)
    with pytest.raises(UserError, match=r"strange.jsonl: made from other data"):
        run([*members, strange])
    run([*members, strange], "--mixed")


def test_what_cannot_be_diagnosed_is_refused(members: list[Path], tmp_path: Path) -> None:
    data, page = tmp_path / "dev.jsonl", tmp_path / "page.html"

    def refused(match: str, paths: list[Path]) -> None:
        with pytest.raises(UserError, match=match):
            run(paths, "--html", str(page))
        assert not page.exists()

    refused(r"m1.jsonl: is the only member; name two or more", members[:1])
    refused(r"is a folder; name the files in it, .*/[*].jsonl", [tmp_path])
    refused(r"m1.jsonl: named twice", [*members, members[0]])
    refused(r"none.jsonl: no such file", [*members, tmp_path / "none.jsonl"])
    few = save_member(tmp_path / "few.jsonl", data, [0] * 63)
    refused(r"few.jsonl: no prediction for 1 of 64 ids of .*dev.jsonl", [*members, few])
    wide = save_member(tmp_path / "wide.jsonl", data, [0] * 64, options=3)
    refused(r"wide.jsonl, id 합성-000: 3 options, but .*dev.jsonl has 2", [*members, wide])
    vote = save_member(tmp_path / "vote.jsonl", data, [0] * 64)
    given, meta = predictions.read(vote)
    predictions.write(vote, given.values(), meta.model_dump() | {"members": []})
    refused(r"vote.jsonl: is itself a vote", [*members, vote])
    rows = read_records(data, Row)
    write_records(data, [rows[0].model_copy(update={"category": "전제"}), *rows[1:]])
    refused(r"m1.jsonl: not made from .*dev.jsonl as it is now", members)
    write_records(data, [*rows[:-1], rows[-1].model_copy(update={"answer": None})])
    refused(r"dev.jsonl, id 합성-063: has no answer; diagnose on rows with answers", members)
    write_records(data, [])
    refused(r"dev.jsonl: has no rows", members)


def test_what_is_written_never_replaces_what_is_read(members: list[Path], tmp_path: Path) -> None:
    data, both = tmp_path / "dev.jsonl", tmp_path / "both"
    given = [path.read_bytes() for path in (data, *members)]
    for option in ("--html", "--json"):
        for path in (data, members[1]):
            with pytest.raises(UserError, match="is named twice, so it would be written over"):
                run(members, option, str(path))
        with pytest.raises(UserError, match="is a folder; name a file to write"):
            run(members, option, str(tmp_path))
    with pytest.raises(UserError, match="both: is named twice"):
        run(members, "--html", str(both), "--json", str(both))
    assert not both.exists()
    assert [path.read_bytes() for path in (data, *members)] == given


def test_a_member_that_harms_is_not_called_noise_alone(tmp_path: Path) -> None:
    choices, gold = two_options(independent(3))
    # the first is always wrong, and ties with the second go to it
    found = Diagnosis.of(read(tmp_path, np.stack([1 - gold, choices[0]]), gold))
    assert [member.verdict for member in found.members] == ["harms", "only noise"]
    said = " ".join(sentences(found))
    assert "not lower without m1, m2: each of them, taken alone, adds only noise" in said
    assert "on these items, and m1 harms the vote. Choosing" in said


def test_a_p_value_has_one_form(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sentence and table: the least p that draws of signs can give is no figure of its own."""
    gold = np.zeros(80, dtype=int)
    wrong = np.tile([1, 2], 40)
    run(save(tmp_path, np.array([wrong, wrong, gold]), gold, options=3))
    said = capsys.readouterr().out
    assert "the best member is better than the vote at n=80 (p < 0.001)" in said
    assert re.search(r"^\| m3 .*\| < 0.001 \|$", said, re.MULTILINE)
    assert "0.0001" not in said


def test_ids_join_whatever_their_order(members: list[Path], tmp_path: Path) -> None:
    given, meta = predictions.read(members[1])
    run(members, "--json", str(tmp_path / "before.json"))
    predictions.write(members[1], list(given.values())[::-1], meta.model_dump())
    run(members, "--json", str(tmp_path / "after.json"))
    before, after = (
        json.loads((tmp_path / f"{name}.json").read_text("utf-8")) for name in ("before", "after")
    )
    assert before.pop("inputs") != after.pop("inputs")
    assert before == after
    assert unicodedata.is_normalized("NFC", (tmp_path / "after.json").read_text("utf-8"))
