"""What a page of figures says under its title: models, prompts, date, data and command."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from core.bilingual import Both
from eval.predictions import Meta

NAMED = 6  # runs whose model is named


def facts(metas: Mapping[str, Meta], data: Path, command: Sequence[str]) -> list[tuple[str, str]]:
    """Pairs of a name and a value; `metas` by run.

    The date is the one that scoring wrote down, so that the same predictions give the same page.
    """
    prompts = sorted({prompt for meta in metas.values() for prompt in meta.prompts})
    return [
        (Both("models", "모델"), _models(metas)),
        (Both("prompt", "프롬프트"), ", ".join(prompts) or Both("not recorded", "기록 없음")),
        (Both("scored", "채점 날짜"), _days(metas)),
        (Both("data", "데이터"), str(data)),
        (Both("command", "명령"), shlex.join(["python", *command])),
    ]


def _models(metas: Mapping[str, Meta]) -> str:
    named = {name: model_of(meta) for name, meta in metas.items()}
    known = [f"{name}: {model}" for name, model in named.items() if model]
    more = len(known) - NAMED
    if not known:
        return Both("not recorded", "기록 없음")
    said = ", ".join(known[:NAMED])
    return Both(f"{said} and {more} more", f"{said} 외 {more}개") if more > 0 else said


def model_of(meta: Meta) -> str:
    """The model and adapter that made a run's predictions; "" where nothing names one."""
    more = meta.model_extra or {}
    return " + ".join(str(more[key]) for key in ("model", "adapter") if more.get(key))


def _days(metas: Mapping[str, Meta]) -> str:
    """The first and the last day on which a run was scored."""
    times = [(meta.model_extra or {}).get("time") for meta in metas.values()]
    days = sorted({time["day"] for time in times if isinstance(time, dict) and "day" in time})
    if not days:
        return Both("not recorded", "기록 없음")
    return " – ".join(dict.fromkeys((days[0], days[-1])))
