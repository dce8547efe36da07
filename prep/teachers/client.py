"""A teacher is asked: so many requests at once, again where it fails, and nothing paid for twice.

An answer is written to the store before anyone reads it. When something ends the run, no further
request is sent, and those on their way are awaited and stored.
"""

import asyncio
import random
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from core.errors import UserError
from core.text import short
from prep.teachers.answer_store import AnswerStore, Call, Completion, Stored
from prep.teachers.roster import Teacher

LONGEST = 60.0  # seconds between two attempts
AGAIN = (408, 409, 425, 429)  # and whatever is 500 or more
REFUSED = (400, 413, 422)  # what is wrong is the call, not the server
GO_ON = "what was answered is kept: run the same command again to go on"


class Unanswered(Exception):
    """A call that the store does not answer, where nothing may be asked."""


class Refused(Exception):
    """A call that the teacher does not take, as one that is too long; its text is what it says."""


@dataclass
class Spent:
    """Requests and tokens of this run; those of answers that were in the store are not in it."""

    requests: int = 0
    prompt: int = 0
    completion: int = 0


@dataclass
class Client:
    """Asks one teacher.

    At most `limit` requests are on their way. A failing one is sent `attempts` times, with pauses
    of `pause` seconds, twice as long each time. `budget` is the most that this run may cost, in the
    currency of the teacher's price. If `dry`, only the store answers.
    """

    teacher: Teacher
    model: str
    store: AnswerStore
    limit: int = 8
    attempts: int = 6
    pause: float = 1.0
    budget: float | None = None
    timeout: float = 600.0
    dry: bool = False
    spent: Spent = field(default_factory=Spent)

    def __post_init__(self) -> None:
        self._gate = asyncio.Semaphore(self.limit)
        self._waiting: dict[str, asyncio.Future[Completion]] = {}
        self._reserved = 0.0
        self._stopped: UserError | None = None
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> "Client":
        if not self.dry:
            self._http = _connection(self.teacher, self.timeout, self.limit)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._http:
            await self._http.aclose()

    async def complete(self, call: Call) -> Completion:
        """The answer to a call: the store's, else the teacher's, which is stored.

        Raises `UserError` where the teacher cannot be reached or the budget is spent, `Refused`
        where it does not take this call, and `Unanswered` where the store has none and is alone.
        """
        path = self.store.path(self.teacher.name, self.model, call)
        if found := self.store.get(path):
            return found
        if self.dry:
            raise Unanswered
        name = path.name
        if name not in self._waiting:
            self._waiting[name] = asyncio.ensure_future(self._asked(call))
        return await asyncio.shield(self._waiting[name])

    async def all(self, tasks: Sequence[Awaitable[Any]]) -> list[Any]:
        """The results of tasks; the first error is raised once all of them have ended."""
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for one in results:
            if isinstance(one, BaseException):
                raise one
        return results

    async def _asked(self, call: Call) -> Completion:
        async with self._gate:
            if self._stopped:
                raise self._stopped
            try:
                return await self._within_budget(call)
            except UserError as error:
                self._stopped = error
                raise

    async def _within_budget(self, call: Call) -> Completion:
        """The answer, where the most that it can cost is left of the budget."""
        most = self.teacher.cost(*call.most())
        if self.budget is not None:
            if most is None:
                raise UserError(
                    f"teacher {self.teacher.name}: has no price, so that no budget can be kept; "
                    "give it one"
                )
            paid = self.teacher.cost(self.spent.prompt, self.spent.completion) or 0.0
            if paid + self._reserved + most > self.budget:
                raise UserError(
                    f"budget {self.budget:g}: {paid:.4f} is spent, and the next request may cost "
                    f"{most:.4f}; give more as --budget, {GO_ON}"
                )
        self._reserved += most or 0.0
        try:
            done = _completion(await self._sent(call), self.teacher, call)
        finally:
            self._reserved -= most or 0.0
        self.spent.requests += 1
        self.spent.prompt += done.prompt_tokens
        self.spent.completion += done.completion_tokens
        stored = Stored(teacher=self.teacher.name, model=self.model, call=call, completion=done)
        self.store.put(self.store.path(self.teacher.name, self.model, call), stored)
        return done

    async def _sent(self, call: Call) -> Any:
        """The body of the response, asked for again where the failure may pass."""
        assert self._http is not None
        why, response = "", None
        for attempt in range(self.attempts):
            if attempt:
                await asyncio.sleep(self._wait(attempt, response))
            response = None
            try:
                response = await self._http.post(
                    call.endpoint, json={"model": self.model, **call.body}
                )
                if response.status_code < 400:
                    return response.json()
                why = f"status {response.status_code}, {short(_said(response))}"
                if response.status_code in REFUSED:
                    raise Refused(why)
                if response.status_code < 500 and response.status_code not in AGAIN:
                    break
            except httpx.HTTPError as error:
                why = f"{type(error).__name__} {error}".strip()
            except ValueError:
                why = "no JSON"
        raise UserError(f"teacher {self.teacher.name}, {self.teacher.address}: {why}; {GO_ON}")

    def _wait(self, attempt: int, response: httpx.Response | None) -> float:
        """Seconds before an attempt: as long as the server asks, else twice the last pause."""
        asked = response.headers.get("retry-after", "") if response is not None else ""
        if asked.isdecimal():
            return min(float(asked), LONGEST)
        return min(self.pause * 2 ** (attempt - 1), LONGEST) * random.uniform(0.8, 1.2)


def served(teacher: Teacher) -> str:
    """The model that is asked: the teacher's, or the only one that its address serves."""
    if teacher.model:
        return teacher.model
    where = f"teacher {teacher.name}, {teacher.address}"
    try:
        with httpx.Client(timeout=30.0, trust_env=not teacher.here) as client:
            address = f"{teacher.address.rstrip('/')}/models"
            response = client.get(address, headers=headers(teacher)).raise_for_status()
        names = [one["id"] for one in response.json()["data"]]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{where}: names no model ({type(error).__name__}); start the server, as by vllm "
            "serve, or correct the address"
        ) from None
    if len(names) != 1:
        raise UserError(f"{where}: serves {', '.join(names) or 'no model'}; name one as its model")
    return str(names[0])


def _connection(teacher: Teacher, timeout: float, limit: int) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"{teacher.address.rstrip('/')}/",
        headers=headers(teacher),
        timeout=timeout,
        trust_env=not teacher.here,  # no proxy stands between this machine and itself
        limits=httpx.Limits(max_connections=limit),
    )


def headers(teacher: Teacher) -> dict[str, str]:
    """Those of a request: the teacher's key, where it has one; raises `UserError` as it does."""
    secret = teacher.secret()
    return {"Authorization": f"Bearer {secret}"} if secret else {}


def _said(response: httpx.Response) -> str:
    """What a server says of an error, in its own words."""
    try:
        error = response.json()["error"]
        return str(error.get("message", error) if isinstance(error, dict) else error)
    except (ValueError, KeyError, TypeError):
        return response.text[:200] or response.reason_phrase


def _completion(value: Any, teacher: Teacher, call: Call) -> Completion:
    """The answer in a response's body; tokens that a server does not count are counted at most."""
    try:
        [choice] = value["choices"]
        text = choice["message"]["content"] if "message" in choice else choice["text"]
        usage = value.get("usage") or {}
        most = call.most()
        logged = (choice.get("logprobs") or {}).get("content") or []
        first = logged[0]["top_logprobs"] if logged and "message" in choice else None
        return Completion(
            text=text or "",
            ended=choice.get("finish_reason") == "stop",
            prompt_tokens=int(usage.get("prompt_tokens", most[0])),
            completion_tokens=int(usage.get("completion_tokens", most[1])),
            first=None if first is None else {one["token"]: float(one["logprob"]) for one in first},
        )
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise UserError(
            f"teacher {teacher.name}, {teacher.address}: answers in another form than OpenAI's; "
            "correct the address"
        ) from None
