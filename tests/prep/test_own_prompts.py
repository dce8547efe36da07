"""A prompt of one's own: any Jinja file by its path, and what is said of one that is none."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from core.errors import UserError
from prep.render import Renderer, load_prompt
from prep.sources.source import Source
from tests.support.paths import ROOT
from tests.support.prompt_questions import exam, question
from tests.support.tables import FIRST, KOREAN, SECOND
from tests.support.tables import save as save_table

OWN = """\
{% block system %}한국어 문제를 푼다.{% endblock %}
{% block user %}
{{ passage }}
물음: {{ question }} {% if note %}({{ note }}){% endif %}

{% for label, text in options %}
{{ label }}) {{ text }}
{% endfor %}
{% endblock %}
"""


def save(folder: Path, text: str, name: str = "own.jinja") -> str:
    path = folder / name
    path.write_text(text, "utf-8")
    load_prompt.cache_clear()
    return str(path)


def test_a_file_is_named_by_its_path_and_known_by_what_it_says(tmp_path: Path) -> None:
    row = Renderer(load_prompt(save(tmp_path, OWN))).scoring(exam())
    assert row.messages[0].content == (
        "한국어 문제를 푼다.\n\n장터는 닷새마다 열렸다.\n소금 장수가 먼저 왔다.\n"
        "물음: <보기>에서 옳은 것을 모두 고른 것은? (ㄱ. 장터는 날마다 열렸다.\n"
        "ㄴ. 소금 장수가 왔다.)\nA) ㄱ\nB) ㄴ\nC) ㄱ, ㄴ\nD) 없다"
    )
    first = row.prompt
    assert first.startswith("own@")
    changed = load_prompt(save(tmp_path, OWN.replace("물음", "문제"))).name
    assert changed.startswith("own@")
    assert changed != first
    assert load_prompt(save(tmp_path, OWN)).name == first
    assert Source(source="kmmlu", path="x", prompt="my/own.jinja").prompt == "my/own.jinja"


def test_it_may_use_our_parts_and_its_own(tmp_path: Path) -> None:
    (tmp_path / "tail.jinja").write_text("답은?", "utf-8")
    text = (
        '{% block system %}{% include "parts/assistant.jinja" %}{% endblock %}\n'
        '{% block user %}{% include "parts/conversation.jinja" %}\n'
        '{% include "parts/options.jinja" %}{% include "tail.jinja" %}{% endblock %}'
    )
    row = Renderer(load_prompt(save(tmp_path, text))).scoring(question())
    assert row.messages[0].content.startswith("You are a capable assistant")
    assert row.messages[0].content.endswith("답은?")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            OWN.replace("{{ passage }}", "{{ pasage }}"),
            "uses pasage, which no question has; the var",
        ),
        (
            OWN.replace("passage }}", "passage | shout }}"),
            r"own.jinja, line 3: No filter named 'shou",
        ),
        (OWN.replace("{% endfor %}", ""), r"own.jinja, line 9: Encountered unknown tag 'endblock'"),
        (OWN.replace("block system", "block sistem"), "needs the two blocks system and user"),
        (OWN.replace("{{ passage }}", '{% include "none.jinja" %}'), "includes none.jinja, which"),
    ],
)
def test_a_prompt_that_is_none_is_refused(text: str, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        load_prompt(save(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert str(tmp_path / "own.jinja") in str(caught.value)


def test_the_variables_are_named(tmp_path: Path) -> None:
    known = "the variables are turns, focus, category, passage, question, note, options"
    with pytest.raises(UserError, match=known):
        load_prompt(save(tmp_path, OWN.replace("passage", "paragraph")))


def test_what_fails_on_a_question_names_the_question(tmp_path: Path) -> None:
    own = load_prompt(save(tmp_path, OWN.replace("passage }}", "passage.upper.x.y }}")))
    with pytest.raises(UserError, match=r"exam, e-1: prompt own@.* cannot show it"):
        Renderer(own).scoring(exam())
    short = OWN.replace("{% if note %}({{ note }}){% endif %}", "")
    with pytest.raises(
        UserError, match=r"does not show all .not its note.; give the source another"
    ):
        Renderer(load_prompt(save(tmp_path, short))).scoring(exam())
    with pytest.raises(
        UserError, match=r"none\.jinja: no such prompt .* or name a file of your own"
    ):
        load_prompt(str(tmp_path / "none.jinja"))


def test_show_takes_a_file_before_a_build(tmp_path: Path) -> None:
    (tmp_path / "my").mkdir()
    save_table(tmp_path / "my/train.csv", [FIRST, SECOND])
    corpus = {"source": "table", "train": "my/train.csv", **KOREAN}
    stages = {"s": [{"source": "table"}]}
    run = {"inputs": "my", "corpus": corpus, "prompt": "task", "stages": stages}
    (tmp_path / "params.yaml").write_text(yaml.safe_dump({"runs": {"own": run}}), "utf-8")
    save(tmp_path, OWN)
    command = [sys.executable, str(ROOT / "prep/show.py"), "가-1", "--run", "own"]
    command += ["--prompt", "own.jinja"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "물음: 글에 나온 것은?" in done.stdout
    assert "A) 나뭇잎" in done.stdout
    assert not (tmp_path / "data").exists()
