"""The readers of chat sets: alpaca pairs, messages, Magpie's and ShareGPT's conversations."""

import json
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from prep.sources.source import Source
from prep.sources.source import read as read_source

COMMIT = "0" * 40


def given(source: Source) -> tuple[list[Any], list[Any]]:
    got = read_source(source)
    return got.chats, got.removed


def read(folder: Path, kind: str, *records: Any, suffix: str = "jsonl") -> Any:
    path = folder / f"set.{suffix}"
    lines = "".join(json.dumps(record) + "\n" for record in records)
    path.write_text(lines if suffix == "jsonl" else json.dumps(records), encoding="utf-8")
    return given(Source(source=kind, name="made", path=str(path)))


def said(chat: Any) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in chat.messages]


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_alpaca_pairs(tmp_path: Path, suffix: str) -> None:
    chats, removed = read(
        tmp_path,
        "alpaca",
        {"instruction": "띄어 쓰세요.", "input": "나는간다", "output": " 나는 간다 ", "score": 3},
        {"instruction": "인사하세요.", "input": "", "output": "안녕하세요."},
        {"id": 7, "instruction": "세어 보세요.", "output": "하나\n둘"},
        suffix=suffix,
    )
    assert [said(chat) for chat in chats] == [
        [("user", "띄어 쓰세요.\n\n나는간다"), ("assistant", "나는 간다")],
        [("user", "인사하세요."), ("assistant", "안녕하세요.")],
        [("user", "세어 보세요."), ("assistant", "하나\n둘")],
    ]
    assert [chat.id for chat in chats] == ["made-000001", "made-000002", "7"]
    assert {chat.source for chat in chats} == {"made"}
    assert removed == []


def test_messages_and_conversations(tmp_path: Path) -> None:
    plain = [("system", "짧게."), ("user", "안녕?"), ("assistant", "네."), ("user", "또?")]
    plain.append(("assistant", "네!"))
    magpie = [("human", "이름은?"), ("gpt", "없어요.")]
    chats, _ = read(
        tmp_path,
        "messages",
        {"id": "a", "messages": [{"role": r, "content": t} for r, t in plain]},
        {
            "uuid": "b",
            "instruction": "이름은?",
            "conversations": [{"from": r, "value": t} for r, t in magpie],
        },
        {"conversations": [{"role": r, "content": t} for r, t in plain[1:3]]},
    )
    assert [said(chat) for chat in chats] == [
        plain,
        [("user", "이름은?"), ("assistant", "없어요.")],
        plain[1:3],
    ]
    assert [chat.id for chat in chats] == ["a", "b", "made-000003"]


def test_empty_texts_are_removed_with_their_reason(tmp_path: Path) -> None:
    chats, removed = read(
        tmp_path,
        "alpaca",
        {"id": "no-answer", "instruction": "네?", "output": " \n"},
        {"id": "no-question", "instruction": "", "output": "네."},
        {"id": "only-input", "instruction": "", "input": "네?", "output": "네."},
    )
    assert [chat.id for chat in chats] == ["only-input"]
    assert [(r.id, r.source, r.reason) for r in removed] == [
        ("no-answer", "made", "empty"),
        ("no-question", "made", "empty"),
    ]
    pairs = [("system", ""), ("user", "네?"), ("assistant", "네.")]
    record = {"messages": [{"role": r, "content": t} for r, t in pairs]}
    [chat], _ = read(tmp_path, "messages", record)
    assert said(chat) == pairs[1:]


WRONG = {
    "missing field": ("alpaca", {"instruction": "네?"}, "field output: Field required"),
    "wrong type": (
        "alpaca",
        {"instruction": "네?", "output": 3},
        "field output: Input should be a valid",
    ),
    "wrong form": ("messages", {"instruction": "네?"}, "field messages: Field required"),
    "no list": ("messages", {"messages": "네?"}, "field messages: Input should be a valid list"),
    "no object": ("messages", {"messages": ["네?"]}, "field messages.0: Input should be"),
    "no text": (
        "messages",
        {"messages": [{"role": "user"}]},
        "field messages.0.content: Field required",
    ),
    "half a character": ("alpaca", {"instruction": "\ud800", "output": "네"}, "half a character"),
    "wrong id": (
        "alpaca",
        {"id": [1], "instruction": "네", "output": "네"},
        "field id: Input should be a valid string",
    ),
}


GOOD = {
    "alpaca": {"instruction": "네?", "output": "네."},
    "messages": {"messages": [{"role": r, "content": r} for r in ("user", "assistant")]},
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_set_of_another_form_ends_in_one_sentence(tmp_path: Path, mistake: str) -> None:
    kind, record, sentence = WRONG[mistake]
    with pytest.raises(UserError) as caught:
        read(tmp_path, kind, record, record)
    assert str(caught.value).startswith(f"{tmp_path / 'set.jsonl'}, line 1")
    assert sentence in str(caught.value)


@pytest.mark.parametrize("mistake", WRONG)
def test_one_record_of_another_form_is_removed_and_the_first_is_noted(
    tmp_path: Path, mistake: str
) -> None:
    kind, record, sentence = WRONG[mistake]
    read(tmp_path, kind, GOOD[kind], {"id": "own", **record}, record)
    got = read_source(Source(source=kind, name="made", path=str(tmp_path / "set.jsonl")))
    assert [chat.id for chat in got.chats] == ["made-000001"]
    assert [r.reason for r in got.removed] == ["malformed"] * 2
    own = "own" if "id" not in record else "made-000002"
    assert [r.id for r in got.removed] == [own, "made-000003"]
    [note] = got.notes
    assert note.startswith(f"made: 2 records removed as malformed; {tmp_path}/set.jsonl, line 2")
    assert sentence in note


ROLES = {
    "the assistant first": ["gpt", "human", "gpt"],
    "the user last": ["human", "gpt", "human"],
    "nobody answers": ["human"],
    "twice in turn": ["human", "human", "gpt"],
    "an unknown role": ["user", "bard"],
    "a tool": ["user", "tool", "assistant"],
    "a late system text": ["user", "system", "assistant"],
    "a system text alone": ["system"],
}


@pytest.mark.parametrize("case", ROLES)
def test_a_chat_whose_roles_take_no_turns_is_removed(tmp_path: Path, case: str) -> None:
    said = [{"from": role, "value": "말"} for role in ROLES[case]]
    kept, removed = read(tmp_path, "messages", GOOD["messages"], {"id": "x", "conversations": said})
    assert [chat.id for chat in kept] == ["made-000001"]
    assert [(r.id, r.reason) for r in removed] == [("x", "bad-roles")]


@pytest.mark.parametrize("empty", [[], [("user", "네?"), ("assistant", None)]])
def test_a_chat_without_texts_is_removed(tmp_path: Path, empty: list[Any]) -> None:
    record = {"id": "x", "messages": [{"role": r, "content": text} for r, text in empty]}
    kept, removed = read(tmp_path, "messages", GOOD["messages"], record)
    assert len(kept) == 1
    assert [(r.id, r.reason) for r in removed] == [("x", "empty")]


def test_a_doubled_id(tmp_path: Path) -> None:
    pair = {"id": "a", "instruction": "네?", "output": "네."}
    kept, removed = read(tmp_path, "alpaca", pair, {**pair, "output": "아니요."}, GOOD["alpaca"])
    assert [chat.messages[1].content for chat in kept] == ["네.", "네."]
    assert [(r.id, r.reason) for r in removed] == [("a", "doubled-id")]


def test_ids_that_a_table_made_floats(tmp_path: Path) -> None:
    pairs = [{"id": id_, **GOOD["alpaca"]} for id_ in (7.0, None, float("nan"), 8)]
    kept, _ = read(tmp_path, "alpaca", *pairs)
    assert [chat.id for chat in kept] == ["7", "made-000002", "made-000003", "8"]


def test_other_files(tmp_path: Path) -> None:
    (tmp_path / "set.txt").write_text("[]")
    with pytest.raises(
        UserError, match=r"set\.txt: is none of \.json, \.jsonl, \.csv, \.tsv, \.parquet"
    ):
        given(Source(source="alpaca", name="made", path=str(tmp_path / "set.txt")))
    (tmp_path / "set.json").write_text("{}")
    with pytest.raises(UserError, match="a dict, not a list of records"):
        given(Source(source="alpaca", name="made", path=str(tmp_path / "set.json")))


def test_a_hub_that_cannot_be_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config
    import huggingface_hub.constants

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    source = Source(source="messages", name="made", hub="nobody/made-up", revision=COMMIT)
    with pytest.raises(
        UserError, match=r"cannot be loaded from the hub .* give its `path`"
    ) as caught:
        given(source)
    assert "\n" not in str(caught.value)


def test_a_hub_set_read_through_the_datasets_library(tmp_path: Path) -> None:
    # a folder with a data file is loaded by the same call as a set of the hub
    folder = tmp_path / "hub"
    folder.mkdir()
    record = {"conversations": [{"from": "human", "value": "네?"}, {"from": "gpt", "value": "네."}]}
    (folder / "train.jsonl").write_text(json.dumps(record) + "\n")
    source = Source(source="messages", name="made", hub=str(folder), revision=COMMIT)
    [chat], _ = given(source)
    assert (chat.id, said(chat)) == ("made-000001", [("user", "네?"), ("assistant", "네.")])
