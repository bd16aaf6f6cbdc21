"""Benchmark of the studio: every speed it promises as demanded, measured, ok, in a real Chromium page.

    python benchmarks/bench_studio.py [--json FILE] [--preset v3] [--size 480x360] [--changes 40] [--rows GROUP …]

`start` and `memory` run `regolith studio` as a user would. `change` and `overlay` run the same program in this process,
so that the moment a change is entered on the server is known; it is stamped with the page's clock. A picture counts
once the page has decoded it and given its `<img>` another `src`. Chromium draws the 3D view in software on the same
cores: in a browser with a graphics card, or on another machine, everything here is faster.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench_rows import finish, row, say_load
from playwright.sync_api import Browser, Page, sync_playwright

ROWS = ("start", "change", "overlay", "memory")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader",
]  # fmt: skip
WATCH = """
window.pictures = []; window.keys = [];
const now = () => performance.timeOrigin + performance.now();
addEventListener("keydown", () => window.keys.push(now()), true);
const note = (img) => {
  const src = img.src;
  img.decode().then(() => {
    if (src.startsWith("blob:") && img.naturalWidth > 16) {  // neither an icon nor the black one before the first
      const shot = img.closest(".mantine-ScrollArea-content, body").querySelector(".rl-shot[data-state]");
      window.pictures.push({at: now(), src, width: img.naturalWidth, view: shot ? shot.dataset.view : ""});
    }
  }).catch(() => {});
};
new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes" && change.target.tagName === "IMG") note(change.target);
    for (const node of change.addedNodes) {
      if (node.tagName === "IMG") note(node);
      else if (node.querySelectorAll) node.querySelectorAll("img").forEach(note);
    }
  }
}).observe(document, {subtree: true, childList: true, attributes: true, attributeFilter: ["src"]});
"""
"""Notes when pictures and keys come, in milliseconds since 1970."""


def open_page(browser: Browser, url: str) -> tuple[Page, float]:
    """Open a page at 1280×720; returns it and when that began [ms since 1970]."""
    page = browser.new_page(viewport={"width": 1280, "height": 720})
    page.set_default_timeout(120_000)
    page.add_init_script(WATCH)
    begun = 1e3 * time.time()
    page.goto(url)
    return page, begun


def first_picture(page: Page) -> float:
    """Time the page got its first picture [ms since 1970]."""
    page.wait_for_function("window.pictures.length > 0")
    return page.evaluate("window.pictures[0].at")


@contextmanager
def program(options: argparse.Namespace, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`regolith studio` in a process of its own: the process and its address."""
    command = [sys.executable, "-m", "regolith.lunar.cli", "studio", "--port=0", f"--workspace={folder}",
               f"--preset={options.preset}", f"--size={options.size}"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})
    try:
        assert process.stdout is not None
        match = next(found for line in process.stdout if (found := re.search(r"https?://\S+", line)))
        yield process, match[0]
    finally:
        process.terminate()
        process.wait(20)


@contextmanager
def assembly(options: argparse.Namespace, folder: Path) -> Iterator[Any]:
    """The same program in this process, its loop on a thread."""
    from regolith.lunar.studio.access import Access
    from regolith.lunar.studio.assembly import Assembly
    from regolith.lunar.studio.loop import Loop
    from regolith.lunar.studio.workspace import Workspace

    workspace = Workspace(folder)
    access = Access("127.0.0.1", 0, None, workspace)
    loop = Loop()
    with Assembly(loop, access, workspace, preset=options.preset, params=None, size=options.size) as made:
        thread = threading.Thread(target=loop.run, name="studio-loop")
        thread.start()
        try:
            yield made, loop, access.url
        finally:
            loop.stop()
            thread.join()


def start_rows(browser: Browser, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Time to the first picture, on a studio that has just said its address and on one that runs."""
    cold, warm = [], []
    for number in range(3):
        with program(options, folder / f"start{number}") as (_, url):
            for spent in (cold, warm):
                page, begun = open_page(browser, url)
                spent.append((first_picture(page) - begun) / 1e3)
                page.wait_for_function("document.querySelector('.rl-shot[data-state=exact]')")
                page.close()
    what = f"first picture, {options.preset}"
    return [
        row(f"{what}, page opened as the studio starts (median of 3)", "<= 3 s", f"{statistics.median(cold):.2f} s",
            statistics.median(cold) <= 3.0),
        row(f"{what}, page opened on a running studio (median of 3)", "<= 3 s", f"{statistics.median(warm):.2f} s",
            statistics.median(warm) <= 3.0),
    ]  # fmt: skip


def at_rest(page: Page) -> None:
    """Wait until the whole picture is there and nothing comes any more."""
    page.wait_for_function(
        "document.querySelector('.rl-shot[data-state]:not([data-state=moving])')"
        " && performance.timeOrigin + performance.now() - window.pictures.at(-1).at > 700"
    )


def change_rows(
    browser: Browser, options: argparse.Namespace, made: Any, loop: Any, url: str
) -> list[dict[str, Any]]:  # fmt: skip
    """Time from a change to its first picture: entered on the server, and typed into the page."""
    from regolith.lunar.studio.camera import quick_size

    page, _ = open_page(browser, url)
    first_picture(page)
    if page.get_by_text("Got it").count():
        page.get_by_text("Got it").click()
    model, rows = made.model, []
    size = "{}x{}".format(*quick_size(*map(int, options.size.split("x"))))
    for what, name, step in (("sun", "sun_azimuth_deg", 7.0), ("camera", "heading_deg", 5.0)):
        spent = []
        for _ in range(options.changes):
            at_rest(page)
            count = page.evaluate("window.pictures.length")
            now = loop.result(lambda name=name: model.spec[name])
            entered = 1e3 * time.time()
            loop.call(model.aim, {name: (now + step) % 360.0})
            page.wait_for_function(f"window.pictures.length > {count}", polling=5)
            spent.append(page.evaluate(f"window.pictures[{count}].at") - entered)
        rows.append(latency(f"{what} changed on the server -> {size} picture in the page", spent))
    for what, label in (("sun", "Sun azimuth"), ("camera", "Heading")):
        pair = page.locator(".mantine-Flex-root:has(> div input)").filter(has=page.locator("label", has_text=label))
        field = pair.first.locator("input").first
        field.scroll_into_view_if_needed()
        field.click()
        spent = []
        for _ in range(options.changes):
            at_rest(page)
            count = page.evaluate("window.pictures.length")
            page.keyboard.press("ArrowUp")
            page.wait_for_function(f"window.pictures.length > {count}", polling=5)
            spent.append(page.evaluate(f"window.pictures[{count}].at - window.keys.at(-1)"))
        rows.append(latency(f"{what} changed by a key in the page -> {size} picture in the page", spent))
    page.close()
    return rows


def latency(name: str, spent: list[float]) -> dict[str, Any]:
    """Row of a time to the first picture [ms]."""
    median, worst = statistics.median(spent), statistics.quantiles(spent, n=10)[-1]
    return row(name, "<= 150 ms", f"{median:.0f} ms median, {worst:.0f} ms 90 %", median <= 150.0)


def overlay_rows(browser: Browser, made: Any, loop: Any, url: str) -> list[dict[str, Any]]:
    """Overlays a second in the page while the sun is dragged, at 256 pixels."""
    page, _ = open_page(browser, url)
    first_picture(page)
    loop.call(made.model.commit, "generate.size", "256x256")
    page.wait_for_function("window.pictures.at(-1).width === 256")
    loop.call(made.model.commit, "model.rate_hz", 30.0)
    page.get_by_role("button", name="Overlay", exact=True).click()
    page.wait_for_function(
        "document.querySelector('.rl-shot[data-view=model]') && document.querySelector('[data-share]')"
    )
    azimuth = loop.result(lambda: made.model.spec["sun_azimuth_deg"])
    begun, seconds, step = time.monotonic(), 6.0, 0
    before = page.evaluate("window.pictures.length")
    while time.monotonic() - begun < seconds:
        step += 1
        loop.call(made.model.aim, {"sun_azimuth_deg": (azimuth + step) % 360.0}, key="bench")
        page.wait_for_timeout(33)
    count = page.evaluate(f"window.pictures.slice({before}).filter((p) => p.view === 'model').length")
    rate, state = count / seconds, made.live.state
    page.close()
    words = f"{rate:.1f} frames/s, {state.milliseconds:.0f} ms each" if state else f"{rate:.1f} frames/s"
    return [row("overlay while the sun is dragged, 256 px", ">= 5 /s", words, rate >= 5.0)]


def memory_rows(browser: Browser, options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Largest memory of the program over its stages, views and a preview."""
    with program(options, folder / "memory") as (process, url):
        page, _ = open_page(browser, url)
        first_picture(page)
        if page.get_by_text("Got it").count():
            page.get_by_text("Got it").click()
        for view in ("Labels", "Depth", "Overlay", "Picture"):
            page.get_by_role("button", name=view, exact=True).click()
            at_rest(page)
        for _ in range(2):  # another terrain while the first is on show
            count = page.evaluate("window.pictures.length")
            page.get_by_role("button", name="Author stage", exact=True).click()
            page.wait_for_function(f"window.pictures.length > {count}")
            at_rest(page)
        status = Path(f"/proc/{process.pid}/status").read_text("ascii")
        peak, now = (int(re.search(rf"{name}:\s+(\d+)", status)[1]) / 2**20 for name in ("VmHWM", "VmRSS"))  # type: ignore
        page.close()
    words = f"{peak:.2f} GiB peak, {now:.2f} at rest"
    return [row(f"memory of the studio, {options.preset}", "<= 2.5 GiB", words, peak <= 2.5)]


def main() -> int:
    """Run the rows; 1 where one is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--preset", default="v3")
    parser.add_argument("--size", default="480x360")
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS))
    options = parser.parse_args()
    load, rows = say_load(), list[dict[str, Any]]()
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as name:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        folder = Path(name)
        if "start" in options.rows:
            rows += start_rows(browser, options, folder)
        if {"change", "overlay"} & set(options.rows):
            with assembly(options, folder / "assembly") as (made, loop, url):
                if "change" in options.rows:
                    rows += change_rows(browser, options, made, loop, url)
                if "overlay" in options.rows:
                    rows += overlay_rows(browser, made, loop, url)
        if "memory" in options.rows:
            rows += memory_rows(browser, options, folder)
        browser.close()
    return finish(rows, load, options.json)


if __name__ == "__main__":
    sys.exit(main())
