"""Every page in a real browser: wide and narrow, light and dark, by the keyboard, offline."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.browser import CHROMIUM, NO_CHROMIUM, Browser
from tests.support.page_faults import faults
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason=NO_CHROMIUM)
# by page: its list and the detail that a line of it opens
LISTS = {
    "Data": ("rows", "#record"),
    "Results": ("items", "#item"),
    "Runs": ("trainings", "#training"),
}
EVIL = "{{value}} ${1+1} <img src=x onerror=\"document.title='taken'\">"


@pytest.fixture(scope="module")
def folder(app_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project, with an utterance that would be a script or a template if it were let."""
    folder = tmp_path_factory.mktemp("served") / "project"
    shutil.copytree(app_project, folder)
    corpus = folder / "data/demo-corpus/test.json"
    questions = folder / "data/demo/questions.jsonl"
    for file in (corpus, questions):
        text = file.read_text("utf-8")
        word = "그렇군요."
        assert word in text
        file.write_text(text.replace(word, EVIL.replace('"', '\\"')), "utf-8")
    trained(folder / "outputs/demo-stage1")
    return folder


def trained(folder: Path) -> None:
    """What a training leaves that logged its loss, and no accuracy."""
    (folder / "trained").mkdir(parents=True)
    (folder / "recipe.yml").write_text("output_dir: ./outputs/demo-stage1/trained\n")
    history = [{"step": step, "loss": 3 / step} for step in (1, 2, 3)]
    state = {"global_step": 3, "max_steps": 3, "log_history": history}
    (folder / "trained/trainer_state.json").write_text(json.dumps(state))


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "app/main.py"), "--root", str(folder), "--port", "0"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.terminate()
    process.wait(30)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def tab(browser: Browser, name: str) -> None:
    """Show a page."""
    found = f"[...document.querySelectorAll('[role=tab]')].findLast(x => x.innerText == '{name}')"
    browser.click(found, f"{found}?.ariaSelected == 'true'")


def ask(browser: Browser, until: str = "document.querySelector('.answer h3') != null") -> None:
    """Ask the model; a second click asks the same again."""
    found = "document.querySelector('#ask')"
    browser.wait(f"{found}?.offsetParent != null")
    browser.click(found, until, pause=15)


def opened(browser: Browser, of_list: str, detail: str, text: str = "") -> None:
    """Open the first line of a list that holds a text: its record is shown in `detail`."""
    found = f"[...document.querySelectorAll('#{of_list} button.open')].find(x => x.offsetParent && "
    found += f"x.innerText.includes('{text}'))"
    browser.wait(f"{found} != null")
    title = f"document.querySelector('{detail} h3')"
    browser.click(found, f"{title}?.offsetParent && {title}.innerText.includes('{text}')")


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (400, True)])
def test_every_page_fits_its_window(browser: Browser, address: str, width: int, dark: bool) -> None:
    browser.open(address, width, dark)
    tab(browser, "Try")
    ask(browser)
    browser.see("What the letters attract")
    assert faults(browser) == {}
    lefts = set()
    for name, (of_list, detail) in LISTS.items():
        tab(browser, name)
        opened(browser, of_list, detail)
        assert faults(browser) == {}
        lefts.add(browser.js("document.querySelector('.site').getBoundingClientRect().left"))
    assert len(lefts) == 1, "a page is as wide as the others"
    # drawn is what was logged, and nothing else
    browser.wait("document.querySelector('#loss svg, #loss canvas') != null")
    assert browser.js("document.querySelector('#accuracy').offsetParent") is None
    ground = browser.js("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, ground.strip("rgba()").split(",")[:3])) < 200) == dark
    assert browser.said == []


def test_nothing_is_asked_of_another_server(browser: Browser, address: str) -> None:
    browser.open(address)
    browser.see("Dialogue")
    browser.wait("document.fonts.check('16px maerak') && document.fonts.size > 0")
    strange = [one for one in browser.asked.values() if not one.startswith(("data:", "blob:"))]
    assert {one for one in strange if not one.startswith((address, "about:"))} == set()
    assert any(one.endswith("/font.ttf") for one in strange)


def test_from_a_missed_item_to_its_answer(browser: Browser, address: str) -> None:
    browser.open(address)
    tab(browser, "Results")
    opened(browser, "items", "#item")
    browser.wait("document.querySelector('#item li.focus') != null")
    record = browser.js("document.querySelector('#item h3').innerText")
    filled = f"[...document.querySelectorAll('input, textarea')].some(x => x.value == '{record}')"
    browser.click("document.querySelector('#item button.try')", filled)
    ask(browser)
    browser.see("the right answer")
    assert browser.js("document.querySelectorAll('.answer tr.right, .answer tr.wrong').length") == 1


def test_data_are_text_and_neither_script_nor_template(browser: Browser, address: str) -> None:
    browser.open(address)
    tab(browser, "Results")
    browser.see("letters")
    item = (
        "[...document.querySelectorAll('button.open')].filter(x => x.offsetParent)"
        ".map(x => x.innerText)"
    )
    browser.wait(f"{item}.length > 0")
    for record in browser.js(item):
        opened(browser, "items", "#item", record)
        if "onerror" in browser.text():
            break
    assert EVIL in browser.text()
    assert browser.js("document.title") != "taken"


def test_the_keyboard_reaches_every_control(browser: Browser, address: str) -> None:
    browser.open(address)
    for part in ("한국어", "Dialogue"):  # a busy machine draws them one by one
        browser.see(part)
    reached = set()
    for _ in range(40):
        browser.press("Tab")
        reached.add(
            browser.js("document.activeElement.innerText || document.activeElement.ariaLabel")
        )
        if browser.js("document.activeElement.id") == "ask":
            break
    assert browser.js("document.activeElement.id") == "ask"
    assert {"한국어", "Ask"} <= {str(one).strip() for one in reached}
    browser.press("Enter")
    browser.see("What the letters attract")


def test_labels_are_korean_where_asked(browser: Browser, address: str) -> None:
    browser.open(f"{address}/ko/")
    for name in ("풀어 보기", "데이터", "결과", "학습"):
        tab(browser, name)
    browser.see("대기")
    tab(browser, "결과")
    browser.see("정확도")


def test_a_wrong_input_ends_in_a_sentence_on_the_page(browser: Browser, address: str) -> None:
    browser.open(address)
    context = "[...document.querySelectorAll('textarea')].find(x => x.value.startsWith('>'))"
    browser.wait(f"{context} != null")
    browser.js(f"{context}.focus(), {context}.select()")
    browser.call("Input.insertText", text="그냥 쓴 글")
    said = "no speaker before a colon"
    ask(browser, f"document.body.innerText.includes('{said}')")


def test_files_of_the_machine_are_not_served(browser: Browser, address: str, folder: Path) -> None:
    for path in ("/etc/passwd", folder / "params.yaml", folder / "data/demo/test.jsonl"):
        for place in ("gradio_api/file=", "ko/gradio_api/file=", "file="):
            browser.open("about:blank")
            browser.open(f"{address}/{place}{path}")
            browser.wait("document.readyState == 'complete'")
            assert not {"root:", "runs:", "synthetic"} & set(browser.text().split())
