"""A teacher that fails in every way: asked again, never paid for twice, and one sentence."""

import asyncio
import json
from pathlib import Path

import pytest

from core.errors import UserError
from core.records import Message
from prep.guards.track import enforce
from prep.teachers.answer_store import AnswerStore, Call, Completion
from prep.teachers.client import Client, Refused, served
from prep.teachers.production import conversation
from prep.teachers.roster import Price, Teacher, check_teacher, load_teacher
from tests.support.teaching_server import Body, TeachingServer, Trouble, teaching


def call(text: str) -> Call:
    return conversation([Message(role="user", content=text)], 8, 1)


def client(there: TeachingServer, folder: Path, **more: object) -> Client:
    price = more.pop("price", Price(prompt=0, completion=0))
    teacher = Teacher(name="t", address=there.address, price=price, key=more.pop("key", None))
    return Client(teacher, "small", AnswerStore(folder), pause=0.01, **more)


def ask(one: Client, *texts: str) -> list[Completion]:
    async def everything() -> list[Completion]:
        async with one:
            return await one.all([one.complete(call(text)) for text in texts])

    return asyncio.run(everything())


def echo(body: Body) -> str:
    return body["messages"][0]["content"]


def test_an_answer_is_asked_for_once(tmp_path: Path) -> None:
    with teaching(echo) as there:
        first = client(there, tmp_path)
        assert [one.text for one in ask(first, "가", "나", "가")] == ["가", "나", "가"]
        assert len(there.asked) == first.spent.requests == 2
        assert (first.spent.prompt, first.spent.completion) == (20, 4)
        again = client(there, tmp_path)
        assert [one.text for one in ask(again, "나", "다")] == ["나", "다"]
        assert again.spent.requests == 1
        assert [one["model"] for one in there.asked] == ["small"] * 3
        assert served(first.teacher) == "small"


@pytest.mark.parametrize(
    "trouble",
    [
        Trouble(429, headers={"Retry-After": "0"}),
        Trouble(503),
        Trouble(torn=True, text=json.dumps({"choices": []})),
        Trouble(text="<html>"),
    ],
    ids=["429", "503", "torn", "no-json"],
)
def test_what_passes_is_asked_for_again(trouble: Trouble, tmp_path: Path) -> None:
    left = [trouble, trouble]
    with teaching(lambda body: left.pop() if left else echo(body)) as there:
        [done] = ask(client(there, tmp_path), "가")
        assert (done.text, len(there.asked)) == ("가", 3)


def test_a_server_that_goes_down_loses_nothing(tmp_path: Path) -> None:
    with teaching(echo) as there:
        down = client(there, tmp_path, limit=1, attempts=2)
        there.answer = lambda body: Trouble(500) if len(there.asked) > 2 else echo(body)
        with pytest.raises(UserError, match=r"status 500, busy; what was answered is kept"):
            ask(down, *"가나다라마")
        assert len(there.asked) == 4  # two that were answered, and two attempts of the third
        there.answer = echo
        back = client(there, tmp_path)
        assert [one.text for one in ask(back, *"가나다라마")] == [*"가나다라마"]
        assert back.spent.requests == 3
    gone = client(there, tmp_path, attempts=1)
    assert ask(gone, "가")[0].text == "가"  # the store needs no server
    with pytest.raises(UserError, match="ConnectError"):
        ask(gone, "바")
    with pytest.raises(UserError, match="names no model"):
        served(gone.teacher)


def test_a_call_that_is_refused_is_not_sent_again(tmp_path: Path) -> None:
    with teaching(lambda _: Trouble(400, '{"error": {"message": "too long"}}')) as there:
        with pytest.raises(Refused, match="status 400, too long"):
            ask(client(there, tmp_path), "가")
        assert len(there.asked) == 1
        there.answer = lambda _: Trouble(401)
        with pytest.raises(UserError, match="status 401"):
            ask(client(there, tmp_path), "가")
        there.answer = lambda _: Trouble(text="[]")
        with pytest.raises(UserError, match="another form than OpenAI's"):
            ask(client(there, tmp_path), "가")


def test_a_budget_is_never_exceeded(tmp_path: Path) -> None:
    price = Price(prompt=1e6, completion=1e6)  # one a token: 19 + 8 at most, 12 as counted
    with teaching(echo) as there:
        with pytest.raises(UserError, match=r"budget 0: .* next request may cost 27\.0000"):
            ask(client(there, tmp_path, price=price, budget=0), "가")
        assert there.asked == []
        few = client(there, tmp_path, price=price, budget=40, limit=1)
        with pytest.raises(UserError, match="give more as --budget"):
            ask(few, *"가나다")
        assert few.spent.requests == 2  # 24 are paid, and 27 more have no room
        with pytest.raises(UserError, match="has no price"):
            ask(client(there, tmp_path, price=None, budget=5), "라")


def test_half_an_answer_in_the_store_ends_in_a_sentence(tmp_path: Path) -> None:
    with teaching(echo) as there:
        ask(client(there, tmp_path), "가")
        [file] = tmp_path.glob("*/*.json")
        file.write_text(file.read_text("utf-8")[:40], "utf-8")
        with pytest.raises(UserError, match="is no complete answer; delete it"):
            ask(client(there, tmp_path), "가")
        assert len(there.asked) == 1


def test_a_secret_comes_from_the_environment_and_stays_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with teaching(echo) as there:
        with pytest.raises(UserError, match="variable A_KEY is not set"):
            ask(client(there, tmp_path, key="A_KEY"), "가")
        monkeypatch.setenv("A_KEY", "s3cret")
        ask(client(there, tmp_path, key="A_KEY"), "가")
        assert there.asked[0]["key"] == "Bearer s3cret"
    written = [path.read_text("utf-8") for path in tmp_path.rglob("*.json")]
    assert not any("s3cret" in text for text in written)


def test_teachers_are_refused_by_track_and_licence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = load_teacher("local")
    assert (local.here, local.cost(10**6, 10**6)) == (True, 0)
    [flagged] = enforce(check_teacher("na", local))
    assert "look up whether it allows training" in flagged
    with pytest.raises(UserError, match="track 가 allows no data besides the corpus"):
        enforce(check_teacher("ga", local))
    own = tmp_path / "teachers.yml"
    own.write_text("teachers: {x: {address: http://localhost:1, training: forbidden}}", "utf-8")
    with pytest.raises(UserError, match="forbids training on its outputs"):
        enforce(check_teacher(None, load_teacher("x", own)))
    with pytest.raises(UserError, match="no teacher 'y'; choose one of x"):
        load_teacher("y", own)
    own.write_text("x: {address: http://localhost:1, training: allowed}", "utf-8")
    with pytest.raises(UserError, match="names no teachers; list them under `teachers:`"):
        load_teacher("x", own)
    with pytest.raises(UserError, match="variable TEACHER_ADDRESS is not set"):
        load_teacher("hosted")
    monkeypatch.setenv("TEACHER_ADDRESS", "http://example.org/v1")
    monkeypatch.setenv("TEACHER_MODEL", "large")
    with pytest.raises(UserError, match="not of this machine; give it as https"):
        load_teacher("hosted")
