"""The report as a page: harmless whatever the corpus holds, self-contained, the same bytes."""

import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from core.errors import UserError
from core.files import sha256
from core.jsonl import write_records
from core.records import Prediction, Question, Row, Turn
from eval import predictions as files
from eval import report
from eval.metrics.accuracy import Accuracies
from eval.options import choose, gold
from eval.reporting.runs import ScoredRows, ScoredRun, items
from tests.support.paths import ROOT
from tests.support.scored_rows import rows

CHROMIUM = shutil.which("chromium")
EVIL = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"
FOCUS, OTHER, OPTION = "우산을 두고 왔어", "그랬구나", "화자1은 우산이 없다."


def question(row: Row, text: str = FOCUS) -> Question:
    turns = [Turn(speaker="화자1", text=text, id="1"), Turn(speaker="화자2", text=OTHER, id="2")]
    return Question(
        id=row.id,
        source=row.source,
        split=row.split,
        group=row.group,
        turns=turns,
        focus=["1"],
        category=row.category or "",
        options=[OPTION, "화자2는 바쁘다.", "비가 온다."],
        answer=gold(row),
    )


class Sample:
    """Six rows: item k is wrong in the first run where k < 3, in the second where k is 2 or 5."""

    def __init__(self, folder: Path, questions: bool = True, evil: str = "") -> None:
        self.rows = [
            row.model_copy(update={"category": f"{row.category}{evil}"}) for row in rows(6)
        ]
        self.data, self.out = folder / "dev.jsonl", folder / "report.html"
        folder.mkdir(parents=True, exist_ok=True)
        write_records(self.data, self.rows)
        self.paths = [
            self.run(folder / "첫째.jsonl", {0, 1, 2}, evil),
            self.run(folder / "둘째.jsonl", {2, 5}, evil),
        ]
        if questions:
            asked = [question(row, FOCUS + evil) for row in self.rows]
            write_records(folder / "questions.jsonl", asked)

    def run(self, path: Path, wrong: set[int], evil: str) -> Path:
        given = []
        for number, row in enumerate(self.rows):
            logprobs = [-2.3, -2.3, -2.3]
            logprobs[(gold(row) + (number in wrong)) % 3] = -0.22
            given.append(
                Prediction(id=row.id, order=row.order, logprobs=logprobs, choice=choose(logprobs))
            )
        about = {"path": str(self.data), "sha256": sha256(self.data), "rows": len(given)}
        files.write(path, given, {"method": f"letter{evil}", "probabilities": True, "data": about})
        return path

    def page(self, *more: str) -> str:
        arguments = [*map(str, self.paths), "--data", str(self.data), "--html", str(self.out)]
        report.main([*arguments, *more])
        return self.out.read_text("utf-8")


class Tags(HTMLParser):
    """The tags of a page, the addresses it refers to, and its items in order."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.links: list[str] = []
        self.items: list[dict[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        found = {name: value or "" for name, value in attrs}
        self.links += [found[name] for name in ("src", "href", "action") if name in found]
        assert not any(name.startswith("on") for name in found)
        if found.get("class") == "item":
            self.items.append(found)


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> str:
    return Sample(tmp_path_factory.mktemp("page")).page()


def test_the_page_needs_nothing_but_itself(page: str) -> None:
    tags = Tags(page)
    assert all(link.startswith("#") for link in tags.links)
    assert "://" not in page
    assert page.count("url(") == page.count("url(data:") == 1
    assert tags.names.count("script") == 1
    assert "default-src 'none'" in page


def test_items_stand_in_order_with_what_filters_need(page: str) -> None:
    found = [(one["data-wrong"], one["data-kind"].split()) for one in Tags(page).items]
    # both wrong; then those they disagree on, as scored; then those all have right
    assert found == [
        ("0 1", ["wrong", "all"]),
        ("0", ["wrong", "disagree"]),
        ("0", ["wrong", "disagree"]),
        ("1", ["wrong", "disagree"]),
        ("", []),
        ("", []),
    ]
    assert [one["data-category"] for one in Tags(page).items][:2] == ["전제", "원인"]


def test_an_item_shows_references_options_and_probabilities(page: str) -> None:
    first = page[page.index('<details class="item"') :].partition("</details>")[0]
    assert f"<mark>{FOCUS}</mark>" in first
    assert f"<mark>{OTHER}" not in first
    assert OPTION in first
    assert first.count("✔") == 1
    assert first.count(" chosen") == 2
    assert re.findall(r">(\d+\.\d)</td>", first).count("80.3") == 2


def test_runs_are_named_at_their_dots(page: str) -> None:
    dots = re.findall(r'<span class="dots">(.*?)</span></summary>', page)
    first, third = ([re.findall(r"</i>(.+?)</span>", f"{dots[k]}</span>")] for k in (0, 3))
    assert first == third == [["첫째", "둘째"]]
    assert [dots[k].count('class="wrong"') for k in range(6)] == [2, 1, 1, 1, 0, 0]


def test_a_run_that_guesses_does_not_order_the_items() -> None:
    """What an untrained base has wrong says nothing of an item."""
    made = rows(30)

    def run(name: str, wrong: set[int]) -> ScoredRun:
        given = [
            Prediction(
                id=row.id, order=row.order, logprobs=None, choice=(gold(row) + (k in wrong)) % 3
            )
            for k, row in enumerate(made)
        ]
        about = {"path": "dev.jsonl", "sha256": "0", "rows": 30}
        meta = files.Meta(method="cot", data=about, predictions_sha256="0")
        choices = {one.id: one.choice for one in given}
        return ScoredRun(name, meta, Accuracies.of(name, made, choices, None), given, True)

    runs = [run("untrained", set(range(20))), run("a", {25, 3}), run("b", {25})]
    found = items(ScoredRows(made, runs), {})
    assert [one.row.id for one in found][:2] == [made[25].id, made[3].id]
    assert found[1].wrong == [0, 1]


def test_markup_in_the_corpus_is_shown_as_it_is(tmp_path: Path) -> None:
    for known in (True, False):
        sample = Sample(tmp_path / str(known), questions=known, evil=EVIL)
        message = sample.rows[0].messages[0].model_copy(update={"content": EVIL})
        write_records(
            sample.data, [row.model_copy(update={"messages": [message]}) for row in sample.rows]
        )
        for path in sample.paths:
            sample.run(path, {0}, EVIL)
        found = sample.page("--markdown", str(tmp_path / "report.md"))
        tags = Tags(found)  # which refuses attributes that run code
        assert tags.names.count("script") == 1
        assert all(link.startswith("#") for link in tags.links)
        assert "&lt;script&gt;document.title" in found
        assert not re.search(r"(?<!\\)<", (tmp_path / "report.md").read_text("utf-8"))


def test_without_questions_the_prompt_is_shown(tmp_path: Path) -> None:
    sample = Sample(tmp_path, questions=False)
    assert sample.rows[2].messages[0].content.split("\n")[0] in sample.page()


def test_the_number_of_items_is_capped_and_stated(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    two = sample.page("--errors", "2")
    assert [one["data-wrong"] for one in Tags(two).items] == ["0 1", "0"]
    assert "2 of 6 items, those that most runs got wrong first" in two
    none = sample.page("--errors", "0")
    assert not {FOCUS, OTHER, OPTION} & set(re.findall(r"[^<>]+", none))
    assert 'id="items"' not in none


def test_an_earlier_report_is_figures_of_one(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    sample.page("--json", str(tmp_path / "earlier.json"))
    assert "50.0 (+0.0)" in sample.page("--earlier", str(tmp_path / "earlier.json"))
    with pytest.raises(UserError, match=r"dev\.jsonl"):
        sample.page("--earlier", str(sample.data))
    (tmp_path / "other.json").write_text('{"results": {"a": 1}}')
    with pytest.raises(UserError, match=r"other.json: holds no figures of a report"):
        sample.page("--earlier", str(tmp_path / "other.json"))


def test_many_runs_and_options(tmp_path: Path) -> None:
    """Pairs fold away, and what has no probabilities or no answer is shown as that."""
    sample = Sample(tmp_path)
    given = [
        Prediction(id=row.id, order=row.order, logprobs=None, choice=n % 3 if n else None)
        for n, row in enumerate(sample.rows)
    ]
    about = {"path": str(sample.data), "sha256": sha256(sample.data), "rows": 6}
    for k in range(4):
        path = tmp_path / f"cot{k}.jsonl"
        files.write(path, given, {"method": "cot", "permutations": "all", "data": about})
        sample.paths.append(path)
    found = sample.page("--mixed")
    assert "Every comparison (15)" in found
    assert "cot3: 1</summary>" in found
    assert found.count(">×<") == 4
    assert "unanswered" in Tags(found).items[0]["data-kind"]


def test_the_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    sample = Sample(tmp_path)

    def arguments(out: Path) -> list[str]:
        names = {"--html": "r.html", "--markdown": "r.md", "--json": "r.json", "--plots": "plots"}
        flags = [part for flag, name in names.items() for part in (flag, str(out / name))]
        return [*map(str, sample.paths), "--data", str(sample.data), *flags]

    def written(out: Path) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(out.rglob("*.*"))}

    report.main(arguments(tmp_path / "one"))
    other = [sys.executable, "eval/report.py", *arguments(tmp_path / "two")]
    seed = os.environ | {"PYTHONHASHSEED": "7"}
    subprocess.run(other, cwd=ROOT, env=seed, check=True, capture_output=True)
    one = written(tmp_path / "one")
    assert set(one) == {"r.html", "r.md", "r.json", "categories.csv", "calibration.csv"}
    assert one == written(tmp_path / "two")


def test_markdown_is_complete_tables(tmp_path: Path) -> None:
    sample = Sample(tmp_path)
    renamed = sample.paths[0].rename(tmp_path / "a|b.jsonl")
    sample.paths[0].with_suffix(".meta.json").rename(tmp_path / "a|b.meta.json")
    sample.paths[0] = renamed
    arguments = [*map(str, sample.paths), "--data", str(sample.data)]
    report.main([*arguments, "--markdown", str(tmp_path / "report.md")])
    text = (tmp_path / "report.md").read_text("utf-8")
    widths = [
        {len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}
        for table in re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    ]
    assert len(widths) >= 3
    assert all(len(width) == 1 for width in widths)
    assert "* a\\|b and 둘째 are not compared: too few dialogues" in text


def dumped(page: str, folder: Path) -> str:
    """The page's document after its scripts have run, as Chromium tells it."""
    file = folder / "shown.html"
    file.write_text(page, encoding="utf-8")
    flags = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}/profile")
    done = subprocess.run(
        [CHROMIUM, *flags, "--dump-dom", file.as_uri()], capture_output=True, text=True, timeout=60
    )
    return done.stdout


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: apt-get install chromium)")
def test_filters_hide_what_they_leave_out(page: str, tmp_path: Path) -> None:
    free = re.sub(r"<meta http-equiv[^>]*>", "", page)  # which would stop the hand at the filters
    hand = """<script>
    const says = [];
    const tried = {kind: "all", run: "1", category: "전제", text: "없는 말"};
    for (const [name, value] of Object.entries(tried)) {
      form.reset(); form.elements[name].value = value;
      form.dispatchEvent(new Event("input"));
      says.push(name + ": " + form.querySelector("output").textContent);
    }
    document.title = says.join("; ");
    </script></body>"""
    title = re.search(r"<title>(.*?)</title>", dumped(free.replace("</body>", hand), tmp_path))
    assert title
    assert title[1] == "kind: 1 / 6; run: 2 / 6; category: 1 / 6; text: 0 / 6"


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium (Debian: apt-get install chromium)")
def test_the_browser_runs_no_other_script(page: str, tmp_path: Path) -> None:
    found = dumped(page.replace("</body>", f"{EVIL}</body>"), tmp_path)
    assert "6 / 6" in found  # the page's own script ran
    assert "<title>taken</title>" not in found
