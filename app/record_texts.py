"""A record as it was published and as it was cleaned, and what a build says of it."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from app.project import PARAMS, Project
from core.bilingual import Both
from core.errors import UserError
from core.jsonl import read_records
from core.layout import DATA
from core.records import Changed, Chat, Question, Removed
from prep import corpus
from prep.cleaning import clean
from prep.config import Run, load_run
from prep.sources.source import read

DUPLICATES = ("exact-duplicate", "near-duplicate")
Key = tuple[str, str, str]  # source, split, id


@dataclass(frozen=True)
class Cluster:
    """A record that stays, and those that were left out as its duplicates."""

    kept: str
    source: str
    members: list[Removed]


def removed(project: Project, run: str) -> list[Removed]:
    """What the build of a run left out, and why."""
    return _listed(project, run, "removed.jsonl", Removed)


def changed(project: Project, run: str) -> list[Changed]:
    """Every text that the build of a run altered, and by what."""
    return _listed(project, run, "changed.jsonl", Changed)


def _listed(project: Project, run: str, name: str, model: type) -> list:
    path = project.child(DATA, run, name)
    if not path.is_file():
        command = f"python prep/build.py --run {run}"
        raise UserError(
            Both(
                f"{path}: no such file; run `{command}`",
                f"{path}: 파일이 없습니다. `{command}` 명령을 실행하세요",
            )
        )
    return _records(path, path.stat().st_mtime_ns, model)


@lru_cache(maxsize=4)
def _records(path: Path, _changed: int, model: type) -> list:
    return read_records(path, model)


def reasons(records: list[Removed] | list[Changed]) -> list[tuple[str, int]]:
    """Every reason and how many records have it, the most frequent first."""
    return Counter(one.reason for one in records).most_common()


def clusters(project: Project, run: str) -> list[Cluster]:
    """Near-duplicates as the build found them, the largest cluster first."""
    found: dict[tuple[str, str], list[Removed]] = {}
    for one in removed(project, run):
        if one.reason in DUPLICATES and one.near:
            found.setdefault((one.source, one.near), []).append(one)
    made = [Cluster(near, source, members) for (source, near), members in found.items()]
    return sorted(made, key=lambda one: (-len(one.members), one.source, one.kept))


def published(
    project: Project, run: str, key: Key
) -> tuple[Question | Chat, Question | Chat | None]:
    """A record raw, and after the cleaning rules of its run (None for a chat, which has none).

    Raises `UserError` where its source cannot be read here.
    """
    source, split, _ = key
    made = load_run(PARAMS, run)
    raw = _source(project, run, made, source, split).get(key)
    if raw is None:
        raise UserError(
            Both(
                f"{'/'.join(key)}: its source holds no such record; build the run again",
                f"{'/'.join(key)}: 원본에 이 레코드가 없습니다. 런을 다시 만드세요",
            )
        )
    if isinstance(raw, Chat):
        return raw, None
    return raw, clean(raw, corpus.rules(made, None))[0]


def _source(project: Project, run: str, made: Run, title: str, split: str) -> Mapping[Key, object]:
    parts = [one for mix in made.stages.values() for one in mix if one.title == title]
    of_corpus = title == made.corpus.source
    if not of_corpus and not parts:
        raise UserError(
            Both(
                f"{PARAMS}: run {run} has no source {title} any more; build the run again",
                f"{PARAMS}: 런 {run}에 이제 출처 {title}(이)가 없습니다. 런을 다시 만드세요",
            )
        )
    hub = made.corpus.hub if of_corpus else parts[0].hub
    if hub:
        raise UserError(
            Both(
                f"{title}: lies on the hub ({hub}), which is not asked from here",
                f"{title}: 허브({hub})에 있어 여기서는 가져오지 않습니다",
            )
        )
    if of_corpus:
        held_out = split == "dev" and made.corpus.dev_share
        name = made.corpus.files().get("train" if held_out else split)
    else:
        name = parts[0].path
    path = Path(name or "")
    if not name or not project.inside(path).exists():
        raise UserError(
            Both(
                f"{name or title}: is not there, so the record cannot be shown as published",
                f"{name or title}: 파일이 없어 레코드의 원문을 보여 줄 수 없습니다",
            )
        )
    return _read(PARAMS.stat().st_mtime_ns, path.stat().st_mtime_ns, run, title, split)


@lru_cache(maxsize=4)
def _read(_params: int, _changed: int, run: str, title: str, split: str) -> Mapping[Key, object]:
    made = load_run(PARAMS, run)
    if title == made.corpus.source:
        got = corpus.questions_of(made, split)
    else:
        got = read(next(p for mix in made.stages.values() for p in mix if p.title == title))
    found: dict[Key, object] = {}
    for one in got.questions if got else ():
        found[title, one.split, one.id] = one
    for one in got.chats if got else ():
        found[title, "train", one.id] = one
    return found
