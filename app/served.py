"""A model behind an OpenAI-compatible address, as eval's tokenizer and engine: `vllm serve`.

The server tokenises with its own chat template, and gives the log-probability of exactly the
letters asked for, whatever their rank. Nothing but the prompt is sent, and nowhere else.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urldefrag, urlsplit

import httpx

from core.bilingual import Both
from core.errors import UserError
from eval.engines import interface

SECONDS = 120.0  # that one request may take
REMEDY = Both(
    "start it by `vllm serve` (docs/app.md), or correct the address",
    "`vllm serve`로 시작하거나(docs/app.ko.md) 주소를 고치세요",
)


class Server:
    """An address, written as http://HOST:PORT or, where it serves several models, with #MODEL."""

    def __init__(self, address: str) -> None:
        try:
            base, wanted = urldefrag(address)
            urlsplit(base).port  # noqa: B018, raises where it is none, or a host is half written
            self.base = base.rstrip("/").removesuffix("/v1")
            self.client = httpx.Client(base_url=self.base, timeout=SECONDS, trust_env=False)
        except (httpx.InvalidURL, ValueError) as error:
            raise UserError(
                Both(
                    f"{address}: is no address ({error}); {REMEDY}",
                    f"{address}: 주소가 아닙니다({error}). {REMEDY.ko}",
                )
            ) from None
        models = self._models()
        self.model = wanted or models[0]
        if self.model not in models:
            served = ", ".join(models)
            raise UserError(
                Both(
                    f"{self.base}: serves {served}, and no {self.model}",
                    f"{self.base}: {served}만 제공합니다. 요청한 모델: {self.model}",
                )
            )

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The server's answer; raises `UserError` where it is down or refuses."""
        return self._said("POST", path, {"model": self.model, **body})

    def _models(self) -> list[str]:
        said = self._said("GET", "/v1/models", None).get("data")
        names = [one.get("id") for one in said or [] if isinstance(one, dict)]
        if not names or not all(isinstance(name, str) for name in names):
            raise UserError(
                Both(
                    f"{self.base}: names no model at /v1/models; {REMEDY}",
                    f"{self.base}: /v1/models에 모델이 없습니다. {REMEDY.ko}",
                )
            )
        return names

    def _said(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        try:
            reply = self.client.request(method, path, json=body)
            said = reply.json()
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise UserError(
                Both(
                    f"{self.base}: does not answer ({why}); {REMEDY}",
                    f"{self.base}: 응답하지 않습니다({why}). {REMEDY.ko}",
                )
            ) from None
        except ValueError:
            raise UserError(
                Both(
                    f"{self.base}{path}: answers no JSON (status {reply.status_code}); {REMEDY}",
                    f"{self.base}{path}: JSON이 아닌 응답입니다(상태 {reply.status_code}). "
                    f"{REMEDY.ko}",
                )
            ) from None
        if reply.is_error or not isinstance(said, dict):
            why = said.get("error", said.get("detail", said)) if isinstance(said, dict) else said
            why = why.get("message", why) if isinstance(why, dict) else why
            raise UserError(
                Both(
                    f"{self.base}{path}: refuses ({why}); {REMEDY}",
                    f"{self.base}{path}: 거부했습니다({why}). {REMEDY.ko}",
                )
            )
        return said


class ServerTokenizer:
    """What eval/answer_tokens.py needs of a tokenizer, asked of the server."""

    bos_token_id = eos_token_id = chat_template = None  # the server's, which it does not say

    def __init__(self, server: Server) -> None:
        self.server = server
        self.added_tokens_decoder: dict[int, Any] = {}

    def apply_chat_template(self, conversation: Any, **kwargs: Any) -> Any:
        """Token ids of a conversation, or of each conversation of a batch."""
        if conversation and isinstance(conversation[0], list):
            return [self.apply_chat_template(one, **kwargs) for one in conversation]
        opens = bool(kwargs.get("add_generation_prompt"))
        return self._tokens(messages=conversation, add_generation_prompt=opens)

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""
        return self._tokens(prompt=text, add_special_tokens=add_special_tokens)

    def decode(self, token_ids: Any, **_: Any) -> str:
        """Text of token ids."""
        return str(self.server.post("/detokenize", tokens=list(token_ids)).get("prompt"))

    def _tokens(self, **body: Any) -> list[int]:
        found = self.server.post("/tokenize", **body).get("tokens")
        if not isinstance(found, list):
            raise UserError(
                Both(
                    f"{self.server.base}/tokenize: gives no tokens; {REMEDY}",
                    f"{self.server.base}/tokenize: 토큰을 주지 않습니다. {REMEDY.ko}",
                )
            )
        return found


class Engine(interface.Engine):
    """Next-token log-probabilities by /v1/completions."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.about: dict[str, Any] = {"name": "served", "model": server.model}

    def letter_logprobs(
        self, prompts: Sequence[Sequence[int]], letters: Sequence[Sequence[int]]
    ) -> list[list[float]]:
        """For each prompt the log-probability (nats, over the full vocabulary) of its letters."""
        result: list[list[float]] = [[] for _ in prompts]
        together: dict[tuple[int, ...], list[int]] = {}
        for place, tokens in enumerate(letters):
            together.setdefault(tuple(tokens), []).append(place)
        for tokens, places in together.items():
            said = self.server.post(
                "/v1/completions",
                prompt=[list(prompts[place]) for place in places],
                max_tokens=1,
                temperature=0,
                logprobs=len(tokens),
                logprob_token_ids=list(tokens),
                return_tokens_as_token_ids=True,
            )
            found = {one["index"]: one["logprobs"] for one in said.get("choices") or []}
            for number, place in enumerate(places):
                [values] = (found.get(number) or {}).get("top_logprobs") or [{}]
                named = [values.get(f"token_id:{token}") for token in tokens]
                if None in named:
                    raise UserError(
                        Both(
                            f"{self.server.base}: gives not the log-probability of every letter; "
                            "serve the model by vLLM 0.26 or newer with --max-logprobs 20 or more",
                            f"{self.server.base}: 모든 글자의 로그 확률을 주지는 않습니다. vLLM "
                            "0.26 이상에서 --max-logprobs 20 이상으로 시작하세요",
                        )
                    )
                result[place] = named
        return result

    def close(self) -> None:
        """Close the connection."""
        self.server.client.close()
