"""A server of OpenAI's protocol in this process, for what no real one fails at on request."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Body = dict[str, Any]


@dataclass
class Trouble:
    """Instead of an answer: a status, or a body that breaks off, or one that is no JSON."""

    status: int = 200
    text: str = '{"error": {"message": "busy"}}'
    torn: bool = False
    headers: dict[str, str] = field(default_factory=dict)


Answering = Callable[[Body], str | Trouble]


@dataclass
class TeachingServer:
    """Its address, what it was asked, and how it answers: text of a request's body, or trouble."""

    address: str
    answer: Answering
    asked: list[Body] = field(default_factory=list)

    def value(self, body: Body, said: str) -> Body:
        """The response that holds a text; the first token of a chat's may be any letter."""
        choice: Body = {"index": 0, "finish_reason": "stop"}
        if "messages" not in body:
            choice["text"] = said
        else:
            choice["message"] = {"role": "assistant", "content": said}
        if body.get("logprobs"):
            top = [{"token": t, "logprob": float(v)} for t, v in json.loads(said).items()]
            choice["logprobs"] = {"content": [{"token": "A", "top_logprobs": top}]}
        usage = {"prompt_tokens": 10, "completion_tokens": 2}
        return {"choices": [choice], "usage": usage}


@contextmanager
def teaching(answer: Answering) -> Iterator[TeachingServer]:
    """A server that answers by a function."""
    there = TeachingServer("", answer)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(Trouble(text='{"data": [{"id": "small"}]}'))

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            there.asked.append(body | {"key": self.headers["Authorization"]})
            said = there.answer(body)
            if isinstance(said, str):
                said = Trouble(text=json.dumps(there.value(body, said)))
            self.reply(said)

        def reply(self, said: Trouble) -> None:
            raw = said.text.encode()
            self.send_response(said.status)
            self.send_header("Content-Length", str(len(raw)))
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(raw[: len(raw) // 2] if said.torn else raw)
            self.close_connection = said.torn

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there.address = f"http://127.0.0.1:{server.server_port}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        yield there
        server.shutdown()
