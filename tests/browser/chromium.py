"""A headless Chromium, driven over its DevTools pipe (null-terminated JSON on two file descriptors): no driver needed."""

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN_S, ENDS_WITHIN_S = 60.0, 10.0
OPTIONS = (
    "--headless",
    "--no-sandbox",  # it is shown nothing but pages of ours, and root in a container has no sandbox
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # whatever is asked for by name is seen to fail
    "--remote-debugging-pipe",
)
# Chromium reads commands from descriptor 3 and writes to 4, whatever numbers they have here.
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for end, number in zip(ends, (3, 4)):
    os.dup2(end, number)
os.execv(sys.argv[3], sys.argv[3:])
"""


def found() -> str | None:
    """The first Chromium on the path."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Chromium:
    """A process with one page. `requests`: every URL that the page asked for since it was opened, `errors`: what it
    wrote to the console as an error or a warning."""

    def __init__(self, executable: str, profile: Path) -> None:
        reads, its_output = os.pipe()
        its_input, writes = os.pipe()
        command = [sys.executable, "-c", LAUNCH, str(its_input), str(its_output), executable, *OPTIONS]
        self._log = (profile.parent / f"{profile.name}.log").open("wb")
        self._process = subprocess.Popen(
            [*command, f"--user-data-dir={profile}"],
            pass_fds=(its_input, its_output),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
        )
        os.close(its_input)
        os.close(its_output)
        self._reads, self._writes = reads, writes
        self._unread, self._number, self._session = b"", 0, ""
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._seen: list[str] = []
        try:
            target = self.ask("Target.createTarget", url="about:blank")["targetId"]
            self._session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Network", "Runtime", "Log"):
                self.ask(f"{domain}.enable")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Ends it as it wishes to end, so that nothing of it writes into its profile any more; else at once."""
        with contextlib.suppress(OSError):
            os.write(self._writes, json.dumps({"id": 0, "method": "Browser.close"}).encode() + b"\0")
        try:
            self._process.wait(ENDS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        finally:
            for end in (self._writes, self._reads):
                os.close(end)
            self._log.close()

    def ask(self, method: str, **parameters: Any) -> Any:
        """One command and its result. Raises AssertionError with what Chromium says against it."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writes, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self._number:
            self._take(answer)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def open(self, page: Path) -> None:
        """Until it is loaded and drawn."""
        self.requests, self.errors, self._seen = [], [], []
        failed = self.ask("Page.navigate", url=page.resolve().as_uri()).get("errorText")
        assert not failed, f"{page}: {failed}"
        while "Page.loadEventFired" not in self._seen:
            self._take(self._next())

    def show(self, width: int, height: int = 800, *, dark: bool = False, media: str = "screen") -> None:
        """The page on such a screen, or on paper of that width."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.ask("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(0))))")

    def evaluate(self, expression: str) -> Any:
        """The value of JavaScript in the page, awaited."""
        got = self.ask("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in got, got["exceptionDetails"]
        return got["result"].get("value")

    def images(self) -> list[str]:
        """The accessible name of every image, as assistive software is told it."""
        nodes = self.ask("Accessibility.getFullAXTree")["nodes"]
        roles = ("image", "img", "SvgRoot", "graphics-document")
        return [
            node.get("name", {}).get("value", "")
            for node in nodes
            if not node["ignored"] and node.get("role", {}).get("value") in roles
        ]

    def screenshot(self, file: Path) -> None:
        """The whole page as a PNG."""
        size = self.ask("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}
        drawn = self.ask("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)
        file.write_bytes(base64.b64decode(drawn["data"]))

    def pdf(self, file: Path) -> None:
        """As printed on A4."""
        file.write_bytes(base64.b64decode(self.ask("Page.printToPDF", paperWidth=8.27, paperHeight=11.69)["data"]))

    def _take(self, event: Mapping[str, Any]) -> None:
        method, said = event.get("method", ""), event.get("params", {})
        self._seen.append(method)
        if method == "Network.requestWillBeSent":
            self.requests.append(said["request"]["url"])
        elif method == "Runtime.exceptionThrown":
            self.errors.append(str(said["exceptionDetails"].get("exception", {}).get("description", said)))
        elif method == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(one.get("value", "")) for one in said["args"]))
        elif method == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.errors.append(f"{said['entry']['text']} {said['entry'].get('url', '')}".strip())

    def _next(self) -> dict[str, Any]:
        deadline = time.monotonic() + WITHIN_S
        while b"\0" not in self._unread:
            ready, _, _ = select.select([self._reads], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"Chromium said nothing within {WITHIN_S:.0f} s ({self._log.name})"
            got = os.read(self._reads, 1 << 20)
            assert got, f"Chromium ended ({self._log.name})"
            self._unread += got
        message, _, self._unread = self._unread.partition(b"\0")
        read: dict[str, Any] = json.loads(message)
        return read
