"""A hub of one repository on the loopback: what an upload asks of the real one, and no more."""

import json
from base64 import b64decode
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

TOKEN = "hf_made_up_for_a_test"


class SmallHub(ThreadingHTTPServer):
    """What was uploaded, by name, and how the repository was made; `address` is its own."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.address = f"http://127.0.0.1:{self.server_port}"
        self.made: dict[str, Any] = {}
        self.files: dict[str, bytes] = {}
        self.stored: dict[str, bytes] = {}


class Answers(BaseHTTPRequestHandler):
    server: SmallHub

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            self.answer({"error": "Invalid credentials"}, 401)
        elif self.path == "/api/repos/create":
            self.server.made = json.loads(sent)
            kind = self.server.made["type"] + "s/" if self.server.made["type"] == "dataset" else ""
            repo = f"{self.server.made['organization']}/{self.server.made['name']}"
            self.answer({"url": f"{self.server.address}/{kind}{repo}"})
        elif self.path == "/api/validate-yaml":
            self.answer({"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            names = [one["path"] for one in json.loads(sent)["files"]]
            self.answer({"files": [mode(name) for name in names]})
        elif self.path.endswith("/info/lfs/objects/batch"):
            objects = json.loads(sent)["objects"]
            for one in objects:
                one["actions"] = {"upload": {"href": f"{self.server.address}/{one['oid']}"}}
            self.answer({"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            for line in map(json.loads, sent.splitlines()):
                value = line["value"]
                if line["key"] == "file":
                    self.server.files[value["path"]] = b64decode(value["content"])
                elif line["key"] == "lfsFile":
                    self.server.files[value["path"]] = self.server.stored[value["oid"]]
            repo = self.path.removeprefix("/api/").removeprefix("models/").partition("/commit/")[0]
            url = f"{self.server.address}/{repo}/commit/{'0' * 40}"
            self.answer({"success": True, "commitOid": "0" * 40, "commitUrl": url})
        else:
            self.answer({"error": self.path}, 404)

    def do_PUT(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.stored[self.path.strip("/")] = sent
        self.answer({})

    def answer(self, value: Any, status: int = 200) -> None:
        said = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)

    def log_message(self, *_: Any) -> None:
        pass


def mode(name: str) -> dict[str, Any]:
    kind = "lfs" if name.endswith(".safetensors") else "regular"
    return {"path": name, "uploadMode": kind, "shouldIgnore": False}


@contextmanager
def small_hub() -> Iterator[SmallHub]:
    with SmallHub() as hub:
        thread = Thread(target=hub.serve_forever)
        thread.start()
        try:
            yield hub
        finally:
            hub.shutdown()
            thread.join()
