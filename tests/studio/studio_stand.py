"""What the studio's tests run: the real program in a process of its own, or a bare server for one of its parts."""

from __future__ import annotations

import base64
import contextlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from playwright.sync_api import Browser, ConsoleMessage, Page

from regolith.lunar.jobs.runs import find_runs
from regolith.lunar.studio.access import Access
from regolith.lunar.studio.loop import Loop
from regolith.lunar.studio.serving import start_server, stop_server
from regolith.lunar.studio.workspace import Workspace

PATIENCE_S = 480.0
"""How long anything may take on a machine that is busy with other things [s]; what holds is seen at once."""
SLOW_S = 600.0
"""How long companions may take there [s]."""

SMALL_STAGE = Path(__file__).with_name("small.yaml")
SMALL = (f"--params={SMALL_STAGE}", "--size=240x180")
"""Options of a stage that is built in a fraction of a second."""

QUIET = re.compile(
    r"GPU stall|swiftshader|WebGL-|GL Driver Message|THREE\.Clock|preventDefault inside passive event listener"
    r"|ERR_FILE_NOT_FOUND \(blob:",
    re.IGNORECASE,
)
"""What Chromium says about drawing without a graphics card, about every drag of a scene node of viser's, and where
viser drops a picture for a newer one before it was decoded."""


class Studio:
    """The program, as `regolith studio` starts it."""

    def __init__(self, workspace: Path, *options: str, port: int = 0) -> None:
        self.workspace = workspace
        workspace.mkdir(parents=True, exist_ok=True)
        self._log = Path(tempfile.mkstemp(".log", "studio_", workspace.parent)[1])
        with self._log.open("wb") as file:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "regolith.lunar.cli", "studio", f"--workspace={workspace}", f"--port={port}",
                 *options],
                stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
                env=os.environ | {"PYTHONUNBUFFERED": "1", "COLUMNS": "200"},
            )  # fmt: skip
        self.url = ""
        until(lambda: self._found() or self.process.poll() is not None)
        assert self.url, self.log()

    def _found(self) -> bool:
        match = re.search(r"https?://\S+", self.log())
        self.url = match[0] if match else ""
        return bool(match)

    def log(self) -> str:
        return self._log.read_text("utf-8", "replace")

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit code; companions that still run are killed."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait()

    def clear(self) -> None:
        """Kill the companions that go on without it."""
        for run in find_runs(self.workspace / ".studio" / "runs"):
            run.kill()

    def check(self) -> None:
        """Its log has no traceback and no error."""
        assert not re.search(r"Traceback|Error\b|ERROR|exception", self.log()), self.log()


class Stand:
    """A server with the studio's guard and loop, for one part of the page."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.access = Access("127.0.0.1", 0, None, self.workspace)
        self.url = self.access.url
        self.server = start_server(self.access, "Part")
        self.loop = Loop()
        self.told: list[str] = []
        """What failed on the loop."""
        self.loop.tell = self.told.append
        self._thread = threading.Thread(target=self.loop.run, name="studio-loop", daemon=True)
        self._thread.start()

    def on(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function on the loop, as everything that touches widgets has to be, and return what it returns."""
        return self.loop.result(function, *args)

    def close(self) -> None:
        self.loop.stop()
        assert self.loop.wait(PATIENCE_S)
        stop_server(self.server)
        assert not self.told, self.told


def cookie(url: str) -> str:
    """The cookie that a first visit to the printed address brings."""
    with urllib.request.urlopen(url, timeout=PATIENCE_S) as answer:
        return answer.headers["Set-Cookie"].partition(";")[0]


class Tabs:
    """Pages of a browser; what goes wrong in one is found when they are closed."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[Any] = []
        self.problems: list[str] = []
        """Errors of scripts, and of the console."""

    def open(
        self, url: str, *, width: int = 1280, height: int = 720, scale: float = 0.25, wait: bool = True, **options: Any
    ) -> Page:
        """Open a page in a fresh profile.

        Args:
            url: Of the page.
            width: Of the page [px].
            height: Of the page [px].
            scale: Pixels of the 3D view for one of the page: software draws them, which is what takes most time.
            wait: Whether to wait until viser has connected and drawn its panel.
            options: Of the browser's context.
        """
        context = self._browser.new_context(viewport={"width": width, "height": height}, **options)
        self._contexts.append(context)
        page = context.new_page()
        self.watch(page)
        page.goto(f"{url}{'&' if '?' in url else '?'}fixedDpr={scale}" if wait else url)
        if wait:
            page.locator("canvas").first.wait_for()
        return page

    def watch(self, page: Page) -> None:
        """Collect what goes wrong in a page that was opened otherwise."""
        page.set_default_timeout(1000 * PATIENCE_S)
        page.on("pageerror", lambda error: self.problems.append(f"script: {error}"))
        page.on("console", self._said)

    def _said(self, message: ConsoleMessage) -> None:
        text = f"{message.text} ({message.location.get('url', '')})"
        if message.type == "error" and not QUIET.search(text):
            self.problems.append(f"console: {text}")

    def close(self) -> None:
        """Close them all; nothing may have gone wrong in any."""
        for context in self._contexts:
            with contextlib.suppress(Exception):  # one that a test closed or crashed
                context.close()
        self._contexts.clear()
        problems, self.problems = self.problems, []
        assert not problems, problems


def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Wait for something to hold and return it; for what no page shows, pages have waits of their own."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not come to hold in time"
        time.sleep(0.02)
    return value


def seen(page: Page, found: Callable[[], Any], seconds: float = PATIENCE_S) -> Any:
    """Wait for something to be seen on a page and return it; the page goes on meanwhile."""
    end = time.monotonic() + seconds
    while (value := found()) is None or value is False:
        assert time.monotonic() < end, "it is not to be seen in time"
        page.wait_for_timeout(50)
    return value


PIXELS = """(number) => {
  const img = document.querySelectorAll("img[src^=blob]")[number];
  if (!img?.complete || !img.naturalWidth) return null;
  const canvas = Object.assign(document.createElement("canvas"), {width: img.naturalWidth, height: img.naturalHeight});
  const context = canvas.getContext("2d");
  context.drawImage(img, 0, 0);
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let i = 0; i < data.length; i += 8192) text += String.fromCharCode(...data.subarray(i, i + 8192));
  return [canvas.height, canvas.width, btoa(text)];
}"""
"""Copies a picture that is loaded, in one go; null while there is none, or a newer one is on its way to its place."""


def pixels(page: Page, number: int = 0) -> np.ndarray:
    """What one of the page's pictures decodes to, uint8 [h, w, 3], as soon as it is whole."""
    height, width, data = seen(page, lambda: page.evaluate(PIXELS, number))
    return np.frombuffer(base64.b64decode(data), np.uint8).reshape(height, width, 4)[..., :3]


def until_equal(page: Page, rgb: np.ndarray, number: int = 0) -> None:
    """Wait until one of the page's pictures is a given one."""
    last = np.zeros(0)

    def equal() -> bool:
        nonlocal last
        last = pixels(page, number)
        return np.array_equal(last, rgb)

    try:
        seen(page, equal)
    except AssertionError:
        different = np.abs(last.astype(int) - rgb).mean() if last.shape == rgb.shape else last.shape
        raise AssertionError(f"the page does not come to show the picture: {different}") from None
