"""A product is made item by item: asked, verified, and either a line or removed with its reason."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from pydantic import BaseModel, ValidationError

from core import jsonl
from core.errors import UserError
from core.records import Message, Reason, Removed, Strict
from prep.teachers.answer_store import Call, Completion
from prep.teachers.client import Client, Refused, Unanswered

Shape = TypeVar("Shape", bound=BaseModel)
Schema = dict[str, Any]
ATTEMPTS = 2  # of an answer that must have a form
VARIED = 0.7  # the temperature of all but the first: without one the same answer would come again


class Unusable(Exception):
    """What a teacher wrote is no row, and why."""

    def __init__(self, reason: Reason, near: str | None = None) -> None:
        super().__init__(reason)
        self.reason: Reason = reason
        self.near = near


class Signed(Strict):
    """Who wrote a line: every line of a product says so."""

    teacher: str
    model: str
    prompt: str
    seed: int


@dataclass
class Asker:
    """Asks a teacher for one item, and counts how often it answered."""

    client: Client
    answered: int = 0

    async def text(self, call: Call) -> Completion:
        """An answer that came to its end."""
        done = await self.client.complete(call)
        self.answered += 1
        if not done.ended:
            raise Unusable("cut-off")
        return done

    async def shaped(self, call: Call, shape: type[Shape]) -> Shape:
        """An answer of a form; drawn once more where the most probable one has not that form."""
        for attempt in range(ATTEMPTS):
            again = {"seed": call.body["seed"] + attempt, "temperature": VARIED}
            one = call.model_copy(update={"body": {**call.body, **(again if attempt else {})}})
            done = await self.client.complete(one)
            try:
                found = shape.model_validate(jsonl.loads(done.text))
            except (ValidationError, ValueError):
                continue
            self.answered += 1
            return found
        raise Unusable("malformed" if done.ended else "cut-off")


Line = TypeVar("Line", bound=Strict)


class Product(Protocol[Line]):
    """What is made: of an item, by at most these calls, and what is left once all are made."""

    name: str
    prompt: str  # wordings and their versions

    def calls(self, item: Any) -> list[Call]:
        """The calls of an item; a later one, that holds an earlier answer, as long as it can be."""

    async def make(self, item: Any, asker: Asker) -> Line:
        """A verified line; raises `Unusable`."""

    def settled(self, lines: list[Line]) -> tuple[list[Line], list[Removed]]:
        """The lines that stay next to one another, and those that do not."""


@dataclass
class Produced:
    """The lines of a product and what was removed, in the order of the items."""

    lines: list[Any] = field(default_factory=list)
    removed: list[Removed] = field(default_factory=list)

    @property
    def reasons(self) -> dict[str, int]:
        """How often each reason stands in `removed`."""
        return dict(sorted(Counter(one.reason for one in self.removed).items()))


def conversation(
    messages: Sequence[Message], max_tokens: int, seed: int, schema: Schema | None = None
) -> Call:
    """A call for the most probable next message, held to a JSON schema where one is given."""
    body: dict[str, Any] = {
        "messages": [{"role": one.role, "content": one.content} for one in messages],
        "max_tokens": max_tokens,
        "temperature": 0.0,
        "seed": seed,
    }
    if schema:
        given = {"name": "answer", "strict": True, "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": given}
    return Call(endpoint="chat/completions", body=body)


def schema_of(**fields: Schema) -> Schema:
    """The schema of an object that has these fields, and no others."""
    return {
        "type": "object",
        "properties": fields,
        "required": [*fields],
        "additionalProperties": False,
    }


TEXT: Schema = {"type": "string"}


async def produce(product: Product[Any], items: Sequence[Any], client: Client) -> Produced:
    """All lines of a product; raises `UserError` where the teacher takes no item at all."""
    refusals: list[str] = []

    async def one(item: Any) -> Any:
        try:
            return await product.make(item, Asker(client))
        except Unusable as error:
            return _removed(item.id, product.name, error.reason, error.near)
        except Refused as error:
            refusals.append(str(error))
            return _removed(item.id, product.name, "refused")

    made = await client.all([one(item) for item in items])
    if refusals and len(refusals) == len(items):
        raise UserError(f"teacher {client.teacher.name}: {refusals[0]}; correct what it is given")
    removed = [result for result in made if isinstance(result, Removed)]
    lines, more = product.settled([line for line in made if not isinstance(line, Removed)])
    return Produced(lines, removed + more)


@dataclass(frozen=True)
class Forecast:
    """What is still to be asked: items, requests, and tokens at most."""

    items: int
    requests: int
    prompt: int
    completion: int


async def forecast(product: Product[Any], items: Sequence[Any], client: Client) -> Forecast:
    """What a product still has to ask, of a client that is dry; nothing is asked.

    Malformed answers, which are asked for once more, come on top.
    """
    left: list[Call] = []
    unfinished = 0
    for item in items:
        asker = Asker(client)
        try:
            await product.make(item, asker)
        except Unusable:
            continue
        except Unanswered:
            unfinished += 1
            left += product.calls(item)[asker.answered :]
    most = [call.most() for call in left]
    read, written = (sum(one[k] for one in most) for k in (0, 1))
    return Forecast(unfinished, len(left), read, written)


def _removed(id_: str, source: str, reason: Reason, near: str | None = None) -> Removed:
    return Removed(id=id_, source=source, split="train", reason=reason, near=near)


def as_json(value: BaseModel) -> str:
    """A record as the one line of JSON that a model is taught to write."""
    return json.dumps(value.model_dump(mode="json"), ensure_ascii=False)
