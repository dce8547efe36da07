"""What may leave: listed files, with a card, of a base and data whose licences allow it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import constants

from core.errors import UserError
from prep.sources.licences import AGREEMENT
from recipes import model_card, push
from tests.support.paths import ROOT
from tests.support.small_hub import TOKEN, small_hub
from tests.support.trained_place import built, trained

MODEL = Path("outputs/one/model")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("made")
    built(place)
    trained(place, "one", "stage2")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        patch.setattr(sys, "argv", ["model_card.py", "outputs/one/recipe.yml"])
        model_card.main()
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(made, tmp_path / "place")
    monkeypatch.chdir(tmp_path / "place")
    return tmp_path / "place"


@pytest.fixture
def said(place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Run the command in `place` and give what it printed."""

    def run(*arguments: str) -> str:
        monkeypatch.setattr(sys, "argv", ["push.py", *arguments])
        push.main()
        return capsys.readouterr().out

    return run


def rewrite(card: Path, **changes: Any) -> None:
    """Change what a card's head says of base and data."""
    _, head, body = card.read_text("utf-8").split("---\n", 2)
    about = yaml.safe_load(head)
    about["maerak"] |= changes
    card.write_text(f"---\n{yaml.safe_dump(about)}---\n{body}", "utf-8")


def test_nothing_is_uploaded_unless_asked_to(said: Any) -> None:
    (MODEL / "notes.txt").write_text("of no concern to others")
    printed = said(str(MODEL), "somebody/one")
    assert "nothing was uploaded" in printed
    names = {line.split()[-1] for line in printed.splitlines()[1:-1]}
    assert names == {
        "README.md",
        *("model.safetensors", "config.json", "generation_config.json"),
        *("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"),
    }  # neither the notes nor the run's record, which is there
    assert (MODEL / "run.json").is_file()


def test_a_model_without_its_own_card_stays(said: Any) -> None:
    card = model_card.card_of(MODEL)
    with (MODEL / "model.safetensors").open("ab") as weights:
        weights.write(b" ")
    with pytest.raises(UserError, match=r"model\.md: the card of other weights"):
        said(str(MODEL), "somebody/one")
    card.write_text("---\nlicense: mit\n---\n# mine\n")
    with pytest.raises(UserError, match=r"not written by recipes/model_card\.py"):
        said(str(MODEL), "somebody/one")
    card.unlink()
    with pytest.raises(UserError, match=r"has no card \(outputs/one/model\.md\); write it by"):
        said(str(MODEL), "somebody/one")


@pytest.mark.parametrize(
    ("licence", "why"),
    [
        ("CC BY-NC-ND 4.0", "lets nothing that is made of it be passed on"),
        ("a licence of its own", "nobody has read whether"),
        (None, "licence unknown, and nobody has read whether"),
    ],
)
def test_a_base_whose_licence_does_not_allow_it_stays(
    said: Any, licence: str | None, why: str
) -> None:
    rewrite(model_card.card_of(MODEL), base={"name": "some/base", "licence": licence})
    with pytest.raises(UserError, match=f"^some/base: .*{why}"):
        said(str(MODEL), "somebody/one")


def test_weights_of_a_corpus_on_request_leave_only_where_that_is_agreed(said: Any) -> None:
    rewrite(model_card.card_of(MODEL), data={"cci-2024": AGREEMENT, "chats": None})
    with pytest.raises(UserError, match=r"trained on cci-2024, which is handed out on request"):
        said(str(MODEL), "somebody/one")
    printed = said(str(MODEL), "somebody/one", "--agreed")
    assert "note: chats: licence unknown" in printed


def test_rows_leave_with_their_card_unless_their_corpus_is_handed_out_on_request(
    said: Any, place: Path
) -> None:
    printed = said("data/demo", "somebody/rows")
    assert "somebody/rows (dataset, private if new):" in printed
    assert {line.split()[-1] for line in printed.splitlines()[1:-1]} == {
        path.name for path in (place / "data/demo").iterdir()
    }
    (place / "data/demo/dev.jsonl").write_text("{}\n")
    with pytest.raises(UserError, match=r"dev\.jsonl: not what build\.json says it is"):
        said("data/demo", "somebody/rows")
    built(place, licence=AGREEMENT)
    with pytest.raises(UserError, match=r"cci-2024: its licence .* lets nothing"):
        said("data/demo", "somebody/rows", "--agreed")


def test_what_is_no_place_is_refused(said: Any) -> None:
    with pytest.raises(UserError, match="no such folder"):
        said("outputs/two/model", "somebody/one")
    with pytest.raises(UserError, match="no name of a repository"):
        said(str(MODEL), "some body/one")


@pytest.mark.slow
def test_an_upload_brings_the_listed_files_and_never_shows_the_token(place: Path) -> None:
    with small_hub() as hub:
        environment = os.environ | {
            "HF_ENDPOINT": hub.address,
            "HF_TOKEN": TOKEN,
            "HF_HUB_OFFLINE": "0",
            "PYTHONPATH": str(ROOT),
        }
        done = subprocess.run(
            [sys.executable, ROOT / "recipes/push.py", MODEL, "somebody/one", "--upload"],
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stderr
        assert f"{hub.address}/somebody/one/commit/" in done.stdout
        assert TOKEN not in done.stdout + done.stderr
        assert hub.made["visibility"] == "private"
        weights = (MODEL / "model.safetensors").read_bytes()
        assert hub.files["model.safetensors"] == weights
        assert hub.files["README.md"] == model_card.card_of(MODEL).read_bytes()
        assert set(hub.files) == {"README.md"} | {
            path.name for path in MODEL.iterdir() if path.name != "run.json"
        }


def test_a_refused_or_impossible_upload_ends_in_one_sentence(
    said: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = (str(MODEL), "somebody/one", "--upload")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(UserError, match="HF_TOKEN is not set"):
        said(*asked)
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(UserError, match="HF_HUB_OFFLINE is set"):
        said(*asked)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    with small_hub() as hub:
        monkeypatch.setattr(constants, "ENDPOINT", hub.address)
        with pytest.raises(UserError, match=r"the hub took nothing \(.*401") as refused:
            said(*asked)
        assert "hf_another" not in str(refused.value)
        assert hub.files == {}
    with pytest.raises(UserError, match="the hub took nothing"):  # by now it is down
        said(*asked)
