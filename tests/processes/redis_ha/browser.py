"""A real Chromium without a window, told what to do over its debugging pipe (DevTools protocol)."""

import base64
import json
import os
import selectors
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--remote-debugging-pipe",
    "--no-first-run",
)
# The browser reads commands from descriptor 3 and writes to 4.
_LAUNCH = 'exec "$0" "$@" 3<&{0} 4>&{1}'


@dataclass
class Browser:
    """One page of one browser; `console` has what it, or the browser about it, complained of."""

    commands: int
    answers: int
    session: str = ""
    console: list[str] = field(default_factory=list)
    _last: int = 0
    _rest: bytes = b""

    @classmethod
    @contextmanager
    def start(cls, profile: Path) -> Iterator["Browser"]:
        """Start a browser with an empty page, and end it at the end of the block."""
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        assert program, "chromium is missing: `python3 -m toolchain test-tools` installs it"
        (theirs_in, commands), (answers, theirs_out) = os.pipe(), os.pipe()
        process = subprocess.Popen(
            ["bash", "-c", _LAUNCH.format(theirs_in, theirs_out), program, *_OPTIONS,
             f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(theirs_in, theirs_out), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(theirs_in)
        os.close(theirs_out)
        try:
            browser = cls(commands, answers)
            browser._attach()
            yield browser
            browser.tell("Browser.close", page=False)
            process.wait(20)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(20)
            os.close(commands)
            os.close(answers)

    def open(self, url: str, *, width: int = 1200, height: int = 900, dark: bool = False) -> None:
        """Open an address in a window of that size (px)."""
        self.resize(width, height)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.tell("Emulation.setEmulatedMedia", features=[scheme])
        self.tell("Page.navigate", url=url)
        self.wait_for("document.readyState === 'complete' && location.href !== 'about:blank'")

    def resize(self, width: int, height: int) -> None:
        """Make the window that large (px); a narrow one is a telephone's."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1}
        self.tell("Emulation.setDeviceMetricsOverride", **size, mobile=width < 600)

    def ask(self, expression: str) -> Any:
        """Evaluate an expression in the page."""
        # The page's own policy doesn't hold for its debugger.
        said = self.tell("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)  # fmt: skip
        assert "exceptionDetails" not in said, said
        return said["result"].get("value")

    def wait_for(self, condition: str, seconds: float = 20.0) -> None:
        """Poll until a condition holds in the page."""
        deadline = time.monotonic() + seconds
        while not self.ask(f"Boolean({condition})"):
            if time.monotonic() > deadline:
                shown = self.ask("document.body.innerText")
                raise AssertionError(
                    f"not within {seconds} s: {condition}\n{shown}\n{self.console}"
                )
            time.sleep(0.1)

    def text(self, selector: str) -> str:
        """Return what a person reads in an element."""
        return str(self.ask(f"document.querySelector({json.dumps(selector)}).innerText"))

    def picture(self, path: Path) -> None:
        """Save a PNG of the whole page."""
        said = self.tell("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(said["data"]))

    def tell(self, method: str, *, page: bool = True, **params: Any) -> Any:
        """Send a command and wait for its answer."""
        self._last += 1
        message: dict[str, Any] = {"id": self._last, "method": method, "params": params}
        if page and self.session:
            message["sessionId"] = self.session
        os.write(self.commands, json.dumps(message).encode() + b"\0")
        while True:
            said = self._next()
            if said.get("id") == self._last:
                assert "error" not in said, (method, said)
                return said["result"]
            self._note(said)

    def _attach(self) -> None:
        targets = self.tell("Target.getTargets")["targetInfos"]
        target = next(t["targetId"] for t in targets if t["type"] == "page")
        said = self.tell("Target.attachToTarget", targetId=target, flatten=True)
        self.session = said["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.tell(f"{domain}.enable")

    def _note(self, said: dict[str, Any]) -> None:
        params = said.get("params", {})
        if said["method"] == "Runtime.consoleAPICalled":
            self.console.append(" ".join(str(arg.get("value")) for arg in params["args"]))
        elif said["method"] == "Runtime.exceptionThrown":
            self.console.append(str(params["exceptionDetails"]))
        elif said["method"] == "Log.entryAdded":
            self.console.append(f"{params['entry']['text']} {params['entry'].get('url', '')}")

    def _next(self) -> dict[str, Any]:
        with selectors.DefaultSelector() as selector:
            selector.register(self.answers, selectors.EVENT_READ)
            while b"\0" not in self._rest:
                assert selector.select(30.0), "the browser does not answer"
                chunk = os.read(self.answers, 1 << 20)
                assert chunk, "the browser is gone"
                self._rest += chunk
        message, _, self._rest = self._rest.partition(b"\0")
        said: dict[str, Any] = json.loads(message)
        return said
