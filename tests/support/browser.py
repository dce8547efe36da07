"""A real browser without a screen, driven over its own protocol (Chrome DevTools)."""

import asyncio
import json
import shutil
import subprocess
import time
from base64 import b64decode
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

CHROMIUM = shutil.which("chromium")
NO_CHROMIUM = "no chromium (Debian: apt-get install chromium)"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-port=0",
    "--no-first-run",
)
SECONDS = 120.0  # that anything may take on a machine that is busy


class Browser:
    """One page of a browser; `asked` holds the addresses that it asked for, by request."""

    def __init__(self, folder: Path) -> None:
        self.loop = asyncio.new_event_loop()
        self.process = subprocess.Popen(
            [
                str(CHROMIUM),
                *FLAGS,
                "--remote-debugging-port=0",
                f"--user-data-dir={folder}",
                "about:blank",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.numbers = count(1)
        self.asked: dict[str, str] = {}
        self.said: list[str] = []  # errors of the page's scripts
        said = folder / "DevToolsActivePort"
        until = time.monotonic() + SECONDS
        while not (said.is_file() and "\n" in said.read_text()):
            assert time.monotonic() < until, "the browser does not start"
            time.sleep(0.05)
        self.loop.run_until_complete(self._join(int(said.read_text().split()[0])))

    async def _join(self, port: int) -> None:
        self.session = aiohttp.ClientSession()
        async with self.session.get(f"http://127.0.0.1:{port}/json") as reply:
            pages = [one for one in await reply.json() if one["type"] == "page"]
        self.socket = await self.session.ws_connect(
            pages[0]["webSocketDebuggerUrl"], max_msg_size=0
        )
        for domain in ("Page", "Network", "Runtime"):
            await self._call(f"{domain}.enable")

    async def _call(self, method: str, **given: Any) -> dict[str, Any]:
        number = next(self.numbers)
        await self.socket.send_json({"id": number, "method": method, "params": given})
        while True:
            said = json.loads((await self.socket.receive(SECONDS)).data)
            if said.get("method") == "Network.requestWillBeSent":
                self.asked[said["params"]["requestId"]] = said["params"]["request"]["url"]
            if said.get("params", {}).get("blockedReason") == "csp":  # it never left the browser
                self.asked.pop(said["params"]["requestId"], None)
            if said.get("method") == "Runtime.exceptionThrown":
                self.said.append(str(said["params"]["exceptionDetails"].get("exception")))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def call(self, method: str, **given: Any) -> dict[str, Any]:
        """What a method of the protocol gives."""
        return self.loop.run_until_complete(self._call(method, **given))

    def open(self, address: str, width: int = 1400, dark: bool = False) -> None:
        """Show an address in a window of that width."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=1000,
            deviceScaleFactor=1,
            mobile=width < 600,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self.call("Page.navigate", url=address)

    def js(self, expression: str) -> Any:
        """The value of an expression in the page."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def wait(self, expression: str) -> Any:
        """The value of an expression as soon as it is true."""
        until = time.monotonic() + SECONDS
        while not (value := self.js(expression)):
            assert time.monotonic() < until, f"{expression}: {self.text()[-2000:]}"
            time.sleep(0.1)
        return value

    def click(self, found: str, until: str, pause: float = 2.0) -> None:
        """Click what an expression finds until another holds: a page that still loads loses clicks.

        `pause` is how many seconds a click may take to have its effect before the next.
        """
        end = time.monotonic() + SECONDS
        while not self.js(until):
            assert time.monotonic() < end, f"{found}, {until}: {self.text()[-2000:]}"
            self.js(f"({found})?.click()")
            again = time.monotonic() + pause
            while time.monotonic() < again and not self.js(until):
                time.sleep(0.1)

    def text(self) -> str:
        """The text that the page shows."""
        return str(self.js("document.body?.innerText"))

    def see(self, text: str) -> None:
        """Wait until the page shows a text."""
        self.wait(f"document.body?.innerText.includes({json.dumps(text)})")

    def press(self, key: str) -> None:
        """Press a key: Tab, Enter, or one character."""
        codes = {"Tab": 9, "Enter": 13, " ": 32}
        text = {"Enter": "\r", "Tab": ""}.get(key, key)
        for kind in ("keyDown", "keyUp"):
            self.call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                text=text if kind == "keyDown" else "",
                windowsVirtualKeyCode=codes.get(key, 0),
            )

    def picture(self, file: Path) -> None:
        """Write the page from top to bottom as a PNG."""
        found = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        file.write_bytes(b64decode(found["data"]))

    def close(self) -> None:
        """Close the browser."""
        self.loop.run_until_complete(self.socket.close())
        self.loop.run_until_complete(self.session.close())
        self.loop.close()
        self.process.terminate()
        self.process.wait(SECONDS)
