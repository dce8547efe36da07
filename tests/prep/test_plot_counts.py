"""What the plots count and how a chart shows it: figures by hand, words, Korean glyphs."""

import re
from pathlib import Path

import pandas as pd
import pytest
from fontTools.ttLib import TTFont
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont

from core.look import BOLD, FAMILY, REGULAR
from prep.plots.charts import Chart, bars, charts
from prep.plots.corpus_tables import cloud
from prep.plots.counts import Facts, content_words, word_counts
from tests.support.plot_questions import asked, exam


def test_the_figures_are_those_counted_by_hand() -> None:
    raw = [
        asked("가", "비 온다", "아, 우산!"),
        asked("나", "네", "왜?", "응", "그래 그래", options=["하나", "둘째임"], answer=1),
    ]
    found = {(line["measure"]): line for line in Facts.of({"raw": raw}).figures()}
    assert {
        name: (line["n"], line["mean"], line["min"], line["max"]) for name, line in found.items()
    } == {
        "turns": (2, 3.0, 2, 4),
        "references": (2, 1.0, 1, 1),
        "characters": (2, 9.5, 9, 10),
        "words": (2, 4.5, 4, 5),
        "options": (2, 2.5, 2, 3),
        "option characters": (5, 4.0, 2, 6),
    }


def test_without_answers_there_are_no_answer_charts() -> None:
    found = charts(Facts.of({"raw": [asked("가", "비 온다", answer=None)]}), {})
    assert [chart.name for chart in found] == ["categories", "option-characters"]


def test_exam_questions_have_plots_of_what_they_hold() -> None:
    raw = [
        exam("1", 4, 3),
        exam("2", 5, 4, category="역사", passage="왕이 성을 쌓았다.", group="지문 나"),
        exam("3", 5, 0, category="역사", passage="시장이 섰다. 사람이 모였다.", group="지문 다"),
    ]
    facts, words = Facts.of({"raw": raw}), word_counts({"raw": raw})
    found = {chart.name: chart for chart in charts(facts, words)}
    assert "turns" not in found
    assert "references" not in found
    assert found["options"].panels["train", "raw"].to_dict() == {4: 1, 5: 2}
    assert found["categories"].panels["train", "raw"].to_dict() == {"역사": 2, "지리": 1}
    assert list(found["answers"].panels["train", "raw"].index) == ["A", "D", "E"]
    assert {"characters", "top-words"} <= set(found)
    assert all(chart.png().startswith(b"\x89PNG") for chart in found.values())


def test_many_categories_are_gathered() -> None:
    raw = [
        asked(f"{k}-{n}", "비 온다", category=f"과목{k:02}")
        for k in range(20)
        for n in range(k + 1)
    ]
    counts = charts(Facts.of({"raw": raw}), {})[0].panels["train", "raw"]
    assert len(counts) == 16
    assert (counts.index[0], counts.iloc[0]) == ("과목19", 20)
    assert (counts.index[-1], counts.iloc[-1]) == ("(others)", 1 + 2 + 3 + 4 + 5)


def test_bars_show_count_and_percent() -> None:
    axes = Figure().subplots()
    bars(axes, pd.Series({"원인": 1, "전제": 3}))
    assert [text.get_text() for text in axes.texts] == ["1 (25.0%)", "3 (75.0%)"]


def test_content_words_are_nouns_and_base_forms() -> None:
    assert content_words(["어제 우산을 샀어요.", "정말 예쁜 자전거였다!", "ㅋㅋ 네"]) == [
        ["우산", "사다"],
        ["예쁘다", "자전거"],
        [],
    ]


def test_a_dialogue_of_several_questions_is_counted_once() -> None:
    raw = [asked(f"{k}", "우산을 샀어요", group="가") for k in range(3)]
    raw += [asked("4", "우산이 있어요", group="나")]
    counts = word_counts({"raw": raw})["train", "raw"]
    assert counts.to_dict() == {"우산": 2, "사다": 1, "있다": 1}
    assert list(counts.index[1:]) == ["사다", "있다"]  # equals in alphabetical order


@pytest.mark.parametrize("file", [REGULAR, BOLD])
def test_the_font_holds_every_hangul_character(file: Path) -> None:
    held = TTFont(file).getBestCmap()
    syllables, letters = range(0xAC00, 0xD7A4), range(0x3131, 0x3164)
    assert all(code in held for code in (*syllables, *letters))


def test_plots_take_the_font_that_they_bring() -> None:
    for weight, file in ((400, REGULAR), (700, BOLD)):
        wanted = FontProperties(family=FAMILY, weight=weight)
        assert Path(findfont(wanted, fallback_to_default=False)).samefile(file)


def test_a_missing_glyph_would_be_reported() -> None:
    chart = Chart("x", "x", "x", bars, {("train", "raw"): pd.Series({"\U00020000": 1})})
    with pytest.warns(UserWarning, match="missing from font"):
        chart.png()


def test_the_cloud_colours_what_tells_the_splits_apart() -> None:
    """One cloud of all splits, of the cleaned texts, in alphabetical order."""
    train, dev = pd.Series({"우산": 50, "사다": 50}), pd.Series({"우산": 5, "구름": 5})
    words = {("train", "raw"): train * 9, ("train", "cleaned"): train, ("dev", "cleaned"): dev}
    found = re.findall(r'class="(\w*)" style="font-size:([\d.]+)em" title="(.+?)">', cloud(words))
    assert [title.partition(":")[0] for _, _, title in found] == ["구름", "사다", "우산"]
    assert [kind for kind, _, _ in found] == ["orange", "green", ""]
    sizes = [float(size) for _, size, _ in found]
    assert sizes[0] < sizes[1] < sizes[2]
    assert found[2][2] == "우산: 55; train 500.0, dev 500.0 / 1,000"
