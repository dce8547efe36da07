"""A model behind an address: eval's choices from a real server, a sentence from any other."""

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest

from app import asking
from app.models import Models
from app.project import open_project
from core.errors import UserError
from core.jsonl import read_json, read_records, write_json, write_records
from core.records import Prediction, Removed
from eval import predictions, score
from prep import corpus, teach
from prep.config import load_run
from prep.render import Renderer, load_prompt
from tests.support.own_documents import CLOCK
from tests.support.paths import VLLM
from tests.support.scoring_engines import TOLERANCE, needs_vllm

BASE = "recipes/tiny/base"
SERVER = ("-m", "vllm.entrypoints.openai.api_server", "--host", "127.0.0.1", "--dtype", "float32")
# a small model held to JSON may write spaces without an end (docs/teachers.md)
SHAPED = ("--structured-outputs-config", '{"backend":"xgrammar","disable_any_whitespace":true}')
CPU = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "VLLM_NO_USAGE_STATS": "1",
}
SECONDS = 600  # that a server may take to start where all else runs too


@pytest.fixture
def models(app_project: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    monkeypatch.chdir(app_project)
    return Models(open_project(Path()))


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


@pytest.fixture(scope="module")
def address(app_project: Path) -> Iterator[str]:
    """A real server of the small base."""
    port = free_port()
    env = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | CPU
    command = [VLLM, *SERVER, "--model", BASE, "--port", str(port), "--enforce-eager", *SHAPED]
    there = f"http://127.0.0.1:{port}"
    with subprocess.Popen(
        command, cwd=app_project, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.STDOUT
    ) as server:
        try:
            until = time.monotonic() + SECONDS
            while True:
                assert server.poll() is None
                assert time.monotonic() < until
                try:
                    httpx.get(f"{there}/v1/models", trust_env=False)
                    break
                except httpx.HTTPError:
                    time.sleep(0.5)
            yield there
        finally:
            server.terminate()


@needs_vllm
def test_a_served_model_chooses_as_the_scoring_command(models: Models, address: str) -> None:
    scored, _ = predictions.read(Path("predictions/demo/letters.jsonl"))
    for record in list(scored)[:8]:
        question, form = asking.pick(models.project, "demo", record)
        there = asking.answer(models, address, question, form, "all")
        here = asking.answer(models, BASE, question, form, "all")
        assert there.text == here.text
        first = there.orders[0].prediction
        assert first.choice == scored[record].choice
        assert first.logprobs == pytest.approx(scored[record].logprobs, abs=TOLERANCE)
        assert [one.mass for one in there.orders] == pytest.approx(
            [one.mass for one in here.orders], abs=TOLERANCE
        )
    with pytest.raises(UserError, match=f"serves {BASE}, and no other"):
        asking.answer(models, f"{address}#other", question, form, "all")


class Taught:
    """prep/teach.py by a real server on the app's small project, in a folder of its own."""

    def __init__(self, address: str, folder: Path) -> None:
        own = {"address": f"{address}/v1", "training": "allowed", "tokenizer": BASE}
        own["price"] = {"prompt": 0, "completion": 0}
        write_json(folder / "teachers.yml", {"teachers": {"real": own}})
        self.folder = folder

    def ask(self, product: str, *more: str) -> None:
        """Give the command."""
        given = ["--run", "demo", "--teacher", "real", "--teachers", f"{self.folder}/teachers.yml"]
        given += ["--answers", f"{self.folder}/answers", "--out", f"{self.folder}/{product}"]
        teach.main([product, *given, *more])


@pytest.fixture
def taught(models: Models, address: str, tmp_path: Path) -> Taught:
    return Taught(address, tmp_path)


@needs_vllm
def test_a_teachers_letters_are_those_of_the_scoring_command(
    taught: Taught, tmp_path: Path
) -> None:
    taught.ask("letters")
    made = read_records(tmp_path / "letters/predictions.jsonl", Prediction)
    run = load_run(Path("params.yaml"), "demo")
    questions = corpus.questions_of(run, "train").questions
    renderer = Renderer(load_prompt(run.prompt), run.answer, run.system)
    write_records(tmp_path / "asked.jsonl", [renderer.scoring(one) for one in questions])
    given = ["--model", BASE, "--backend", "hf", "--data", f"{tmp_path}/asked.jsonl"]
    score.main([*given, "--out", f"{tmp_path}/scored.jsonl"])
    scored, _ = predictions.read(tmp_path / "scored.jsonl")
    # of letters beyond the twenty most probable tokens too: eight of these questions have one
    assert [one.id for one in made] == [*scored]
    assert len(made) == len(questions) == 24
    for one in made:
        assert one.choice == scored[one.id].choice
        assert one.logprobs == pytest.approx(scored[one.id].logprobs, abs=TOLERANCE)


@needs_vllm
@pytest.mark.parametrize(
    ("product", "more"),
    [
        ("reasoning", ("--count", "2")),
        ("hints", ("--count", "2")),
        ("questions", ()),
        ("magpie", ("--count", "4")),
    ],
)
def test_a_real_server_takes_what_every_product_asks(
    taught: Taught,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    product: str,
    more: tuple[str, ...],
) -> None:
    if product == "questions":
        (tmp_path / "docs").mkdir()
        (tmp_path / "docs/clock.txt").write_text(CLOCK, "utf-8")
        more = ("--documents", f"{tmp_path}/docs")
    taught.ask(product, "--max-tokens", "24", *more)
    removed = read_records(tmp_path / product / "removed.jsonl", Removed)
    meta = read_json(tmp_path / product / "meta.json")
    assert meta["kept"] + len(removed) == meta["read"] > 0
    assert "refused" not in meta["removed"]  # the tiny base writes nothing of use, and is asked
    assert "asked: 0 requests" not in capsys.readouterr().out
    taught.ask(product, "--max-tokens", "24", *more)
    assert "asked: 0 requests" in capsys.readouterr().out


@pytest.fixture
def strange() -> Iterator[tuple[str, dict[str, tuple[int, str]]]]:
    """A server that says what it is given to say, by path."""
    says: dict[str, tuple[int, str]] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, text = says.get(self.path, (404, json.dumps({"error": "no such page"})))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", says
        server.shutdown()


MODELS = {"/v1/models": (200, '{"data": [{"id": "m"}]}')}


@pytest.mark.parametrize(
    ("says", "said"),
    [
        ({}, "refuses .no such page."),
        ({"/v1/models": (200, "<html>")}, "answers no JSON"),
        ({"/v1/models": (200, '{"data": []}')}, "names no model"),
        ({"/v1/models": (200, "[]")}, "refuses"),
        (MODELS, "/tokenize: refuses"),
        ({**MODELS, "/tokenize": (200, "{}")}, "gives no tokens"),
        (
            {**MODELS, "/tokenize": (400, '{"error": {"message": "too long"}}')},
            "refuses .too long.",
        ),
    ],
)
def test_a_server_of_another_kind_ends_in_a_sentence(
    models: Models, strange: tuple[str, dict], says: dict, said: str
) -> None:
    address, given = strange
    given |= says
    question, form = asking.pick(models.project, "demo", "synthetic-target-test-00001-1")
    with pytest.raises(UserError, match=said):
        asking.answer(models, address, question, form, "all")
