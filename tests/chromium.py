"""A headless Chromium that a test drives through its own DevTools protocol, over a pipe: no driver to install."""

import base64
import fcntl
import json
import os
import shutil
import signal
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--mute-audio",
    "--remote-debugging-pipe",
)
TIMEOUT_S = 30.0
KEYS = {"ArrowRight": 39, "ArrowDown": 40, "ArrowUp": 38, "ArrowLeft": 37, "Enter": 13, "Tab": 9, " ": 32}


def find_chromium() -> str | None:
    """The browser's program, None if there is none."""
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Chromium:
    """One browser with one page; a context manager.

    Attributes:
        problems: errors and exceptions of the page, and its requests to any address but its own file or server.
        server: where its own files are, for a page that is not a file: ``http://127.0.0.1:8000/``.
    """

    def __init__(
        self, program: str, profile: Path, width: int = 1400, height: int = 900, server: str = "file:"
    ) -> None:
        self.problems: list[str] = []
        self.server = server
        self._next_id = 0
        self._buffer = b""
        self._session: str | None = None
        self._size = (width, height)
        reads, self._to_browser = os.pipe()
        self._from_browser, writes = os.pipe()
        # The browser reads from descriptor 3 and writes to 4; duplicates above 20 avoid overwriting one by the other.
        high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 20) for descriptor in (reads, writes)]
        log = os.open(profile / "chromium.log", os.O_WRONLY | os.O_CREAT)
        self._pid = os.posix_spawn(
            program,
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_DUP2, high[0], 3),
                (os.POSIX_SPAWN_DUP2, high[1], 4),
                (os.POSIX_SPAWN_DUP2, log, 1),
                (os.POSIX_SPAWN_DUP2, log, 2),
            ],
            setpgroup=0,
        )
        for descriptor in (reads, writes, *high, log):
            os.close(descriptor)
        os.set_blocking(self._from_browser, False)

    def __enter__(self) -> "Chromium":
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.resize(*self._size)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._to_browser)  # the browser ends when its pipe is closed
        deadline = time.monotonic() + 5
        while os.waitpid(self._pid, os.WNOHANG)[0] == 0:
            if time.monotonic() > deadline:
                os.killpg(self._pid, signal.SIGKILL)
            time.sleep(0.05)
        os.close(self._from_browser)

    def resize(self, width: int, height: int, is_phone: bool = False) -> None:
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )

    def open(self, path: Path, fragment: str = "") -> None:
        self.go(path.resolve().as_uri() + fragment)

    def go(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete'")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression; a promise is awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True, userGesture=False
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, expression: str, timeout_s: float = TIMEOUT_S) -> Any:
        """Wait until a JavaScript expression is true, and return its value."""
        deadline = time.monotonic() + timeout_s
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"still not true: {expression}; the page's problems: {self.problems}"
            time.sleep(0.03)
        return value

    def choose_file(self, selector: str, path: Path) -> None:
        """Choose a file in an input, as its dialog would."""
        chosen = self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})")
        self.call("DOM.setFileInputFiles", files=[str(path)], objectId=chosen["result"]["objectId"])

    def screenshot(self, path: Path) -> None:
        """Write a picture of the whole page, PNG."""
        picture = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(picture["data"]))

    def click(self, selector: str) -> None:
        """Press the left mouse button in the middle of an element's first line, as a person would."""
        quoted = json.dumps(selector)
        x, y = self.evaluate(
            f"(() => {{ const e = document.querySelector({quoted}); e.scrollIntoView({{block: 'center'}});"
            " const r = e.getClientRects()[0]; return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key: str) -> None:
        """Press and release a key."""
        event = {"key": key, "code": "Space" if key == " " else key, "windowsVirtualKeyCode": KEYS[key]}
        text = {" ": {"text": " "}, "Enter": {"text": "\r"}}.get(key, {})
        self.call("Input.dispatchKeyEvent", type="keyDown", **event, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **event)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._next_id += 1
        message = {"id": self._next_id, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._next_id:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        deadline = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            try:
                data = os.read(self._from_browser, 1 << 20)
                assert data, "the browser has ended"
                self._buffer += data
            except BlockingIOError:
                assert time.monotonic() < deadline, "the browser does not answer"
                time.sleep(0.005)
        text, self._buffer = self._buffer.split(b"\0", 1)
        message = json.loads(text)
        self._note(message.get("method"), message.get("params", {}))
        return message

    def _note(self, method: str | None, event: dict[str, Any]) -> None:
        if method == "Runtime.exceptionThrown":
            details = event["exceptionDetails"]
            self.problems.append(f"exception: {details.get('exception', {}).get('description', details['text'])}")
        elif method == "Runtime.consoleAPICalled" and event["type"] in ("error", "warning", "assert"):
            self.problems.append(f"console: {event['args']}")
        elif method == "Log.entryAdded" and event["entry"]["level"] in ("error", "warning"):
            self.problems.append(f"log: {event['entry']['text']}")
        elif method == "Network.requestWillBeSent":
            url = event["request"]["url"]
            if not url.startswith((self.server, "data:", "about:", "blob:")):
                self.problems.append(f"request: {url}")
