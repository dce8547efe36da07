"""What is drawn in a table's cell, and texts in two languages."""

import json
import re

import pytest
from markupsafe import Markup, escape

from core.bilingual import Both, joined, korean
from core.drawn import Scale, bar, drawing, grid, interval, mark, table, tinted


def test_a_text_is_english_everywhere_and_both_on_a_page() -> None:
    run = Both("run <a>", "런 <가>")
    assert (run, f"{run}", json.dumps(run)) == ("run <a>", "run <a>", '"run <a>"')
    assert escape(run) == (
        '<span lang="en">run &lt;a&gt;</span><span lang="ko">런 &lt;가&gt;</span>'
    )
    assert korean(run) == "런 <가>"
    assert korean("run") == "run"
    assert joined(["n=3", run]).ko == "n=3 런 <가>"


def test_a_scale_begins_at_a_round_value_and_keeps_what_is_drawn_within_itself() -> None:
    scale = Scale.of([0.73, 0.981], 0.1, 1.0)
    assert (scale.low, scale.high) == (pytest.approx(0.7), 1.0)
    assert scale.at(0.85) == pytest.approx(50)
    assert (scale.at(0.1), scale.at(1.2)) == (0, 100)
    assert Scale.of([1.0], 0.1, 1.0) == Scale(0.9, 1.0)  # all right: no width of 0
    assert Scale.of([0.0], 0.01) == Scale(0.0, 0.01)
    assert Scale.of([-0.012, 0.0], 0.01) == Scale(-0.02, 0.0)


def test_a_drawing_shows_value_interval_and_what_it_is_compared_with() -> None:
    scale = Scale(0.0, 1.0)
    drawn = drawing("run: 50 %", mark(scale, 0.25), interval(scale, 0.5, (0.4, 0.7)))
    assert re.findall(r'<i class="(\w+) ?" style="(.*?)"', drawn) == [
        ("mark", "left:25.0%"),
        ("span", "left:40.0%;width:30.0%"),
        ("dot", "left:50.0%"),
    ]
    assert 'title="run: 50 %"' in drawn
    assert mark(scale, 1.5) == ""
    assert "span" not in interval(scale, 0.5, None)
    assert "left:20.0%;width:60.0%" in bar(scale, 0.8, 0.2)


def test_what_comes_from_data_is_escaped() -> None:
    evil = '"><script>'
    shown = [
        drawing(evil, Markup()),
        tinted(evil, 2.0, evil),
        table([evil, Both(evil, evil)], [[evil, evil]]),
        grid(evil, [evil], [evil], [[evil]]),
    ]
    assert not any("<script" in one for one in shown)
    assert "--depth:1.00" in shown[1]


def test_a_card_names_its_cells_in_either_language() -> None:
    shown = table([Both("run", "런"), "Wilson"], [["a", "1"]])
    assert '<td class="name" data-name="run" data-ko="런">a</td>' in shown
    assert '<td data-name="Wilson">1</td>' in shown
