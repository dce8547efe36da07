"""The pages that commands write, in a real browser: on a narrow screen, and in both languages."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ensemble import diagnose
from eval import report
from prep import eda
from tests.support.browser import CHROMIUM, NO_CHROMIUM, Browser
from tests.support.page_faults import faults
from tests.support.plot_questions import asked
from tests.support.reported_runs import two_runs
from tests.support.vote_table import independent, save, two_options

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
NARROW = 400


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """A report, a diagnosis and the plots of a corpus."""
    folder = tmp_path_factory.mktemp("pages")
    (folder / "vote").mkdir()
    data, runs, _ = two_runs(folder)
    members = save(folder / "vote", *two_options(independent(3)))
    found = [folder / name for name in ("report.html", "members.html", "corpus.html")]
    report.main([*map(str, runs), "--data", str(data), "--html", str(found[0])])
    known = ["--data", str(folder / "vote/dev.jsonl")]
    diagnose.main([*map(str, members), *known, "--html", str(found[1])])
    texts = ("우산을 두고 왔어", "그랬구나, 비가 많이 와?")
    raw = [asked(f"{k}", *texts[: 1 + k % 2], answer=k % 3) for k in range(6)]
    files = eda.draw("demo", [{"split": "train", "file": "a.json", "sha256": "0" * 64}], raw, raw)
    found[2].write_bytes(files["index.html"])
    return found


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.mark.parametrize(("width", "dark"), [(1400, True), (NARROW, False), (NARROW, True)])
def test_every_text_can_be_read(
    browser: Browser, pages: list[Path], width: int, dark: bool
) -> None:
    for page in pages:
        browser.open(page.as_uri(), width, dark)
        browser.wait("document.readyState == 'complete' && document.querySelector('nav a') != null")
        browser.js("document.querySelectorAll('details').forEach(x => x.open = true)")
        assert faults(browser) == {}
    assert browser.said == []


def test_one_switch_turns_a_page_to_korean(browser: Browser, pages: list[Path]) -> None:
    for page in pages:
        browser.open(page.as_uri())
        browser.wait("document.readyState == 'complete' && document.querySelector('nav a') != null")
        headings = "[...document.querySelectorAll('h1, h2, nav a')].map(x => x.innerText).join('|')"
        english = browser.js(headings)
        assert not re.search("[가-힣]", english.replace("가", "").replace("나", ""))  # two runs
        browser.js("document.querySelector('#korean').click()")
        browser.wait(f"{headings} != {json.dumps(english)}")
        assert all(re.search("[가-힣]", one) for one in browser.js(headings).split("|"))
