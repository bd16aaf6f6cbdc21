"""Take the moving picture and the stills of the studio: `python tests/studio/recording.py [FOLDER]`; docs by default.

The studio is the real one, on a workspace of its own, in the tests' Chromium. Frames are taken between waits for the
page: they show what it shows, at a pace of their own.
"""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from conftest import ARGUMENTS
from page_stand import box, button, ends, entry, leave
from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright
from studio_stand import Studio, Tabs
from test_studio_picture import at_rest, choose

DOCS = Path(__file__).resolve().parents[2] / "docs"
WIDTH, HEIGHT = 1280, 720
"""Page of the moving picture [px]."""
SCALED = (900, 506)
"""The moving picture [px]."""
QUALITY = 86
MOST_BYTES, MOST_STILL_BYTES = 4_000_000, 700_000
SUN = "Sun azimuth, elevation [deg]"
ELEVATION = "Sun elevation [deg]"
FRAMES = 6
ASIDE = (700, 660)
"""Where the pointer is in nobody's way [px]."""
SLOW_MS = 240_000
"""Patience with work on a busy machine [ms]."""
POINTER = """() => {
  const mark = document.createElement("div");
  mark.style = "position:fixed;left:-50px;top:0;z-index:99999;width:22px;height:22px;pointer-events:none;"
    + "filter:drop-shadow(0 1px 2px #000)";
  mark.innerHTML = '<svg viewBox="0 0 22 22"><path d="M2 1v17l4.6-4.4 3 7 3-1.3-3-6.9h6.4z" fill="#fff"'
    + ' stroke="#000" stroke-width="1.2"/></svg>';
  document.body.append(mark);
  addEventListener("mousemove", (event) => {
    mark.style.left = event.clientX - 2 + "px";
    mark.style.top = event.clientY - 1 + "px";
  }, true);
}"""
"""A mark where the mouse is: screenshots come without one."""


class Film:
    """Pictures of a page, each with the time it stays."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._pictures: list[Image.Image] = []
        self._times: list[int] = []

    @property
    def seconds(self) -> float:
        """How long it runs [s]."""
        return sum(self._times) / 1000

    def take(self, milliseconds: int) -> None:
        """Take a picture; one like the last lengthens that."""
        picture = screenshot(self._page).resize(SCALED, Image.Resampling.LANCZOS)
        if self._pictures and np.array_equal(np.asarray(picture), np.asarray(self._pictures[-1])):
            self._times[-1] += milliseconds
        else:
            self._pictures.append(picture)
            self._times.append(milliseconds)

    def press(self, target: str) -> None:
        """Show the pointer on a button, and press it."""
        found = button(self._page, target)
        place = found.bounding_box()
        assert place is not None, target
        self._page.mouse.move(place["x"] + 0.6 * place["width"], place["y"] + 0.6 * place["height"])
        self.take(450)
        found.click()

    def save(self, path: Path) -> None:
        """Write it as an animated WebP."""
        first, *others = self._pictures
        first.save(
            path, "WEBP", save_all=True, append_images=others, duration=self._times, loop=0, quality=QUALITY,
            method=4, minimize_size=True, allow_mixed=True,
        )  # fmt: skip
        assert path.stat().st_size <= MOST_BYTES, path.stat().st_size


def screenshot(page: Page) -> Image.Image:
    """The page as it is now, in RGB."""
    return Image.open(io.BytesIO(page.screenshot())).convert("RGB")


def save_still(page: Page, path: Path) -> None:
    """Save the page as PNG; of 256 colours where all would be too many bytes."""
    picture = screenshot(page)
    picture.save(path, optimize=True)
    if path.stat().st_size > MOST_STILL_BYTES:
        picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3).save(path, optimize=True)
    assert path.stat().st_size <= MOST_STILL_BYTES, path.stat().st_size


def source(page: Page) -> str:
    """Address of the rover's picture: a new one has another."""
    return page.locator("img[src^=blob]").first.get_attribute("src") or ""


def until_new(page: Page, old: str, state: str, view: str = "picture") -> None:
    """Wait for another picture of the rover, whole."""
    expect(page.locator("img[src^=blob]").first).not_to_have_attribute("src", old, timeout=SLOW_MS)
    at_rest(page, view, state=state)


def until_still(page: Page) -> None:
    """Wait until the 3D view, whose shadows come when the sun rests, changes no more."""
    last = np.asarray(screenshot(page))
    for _ in range(60):
        page.wait_for_timeout(300)
        now = np.asarray(screenshot(page))
        if np.array_equal(now, last):
            return
        last = now


def open_page(studio: Studio, tabs: Tabs) -> Page:
    """A page with stage and picture, without what viser says about drawing in software."""
    page = tabs.open(studio.url, width=WIDTH, height=HEIGHT, scale=1.0)
    at_rest(page, "picture")
    told = page.get_by_role("alert").filter(has_text=re.compile("Software WebGL"))
    told.get_by_role("button").click()
    expect(told).to_have_count(0)
    page.evaluate(POINTER)
    until_still(page)
    return page


def turn_sun(page: Page, film: Film) -> None:
    """Type azimuths: shadows turn in the rover's picture and in the 3D view."""
    azimuth = box(page, SUN).locator("input").first
    azimuth.click()
    page.mouse.move(*ASIDE)
    page.wait_for_timeout(400)  # its tip fades
    film.take(400)
    start = float(azimuth.input_value())
    for step in range(1, 10):
        old = source(page)
        azimuth.fill(f"{start - 9 * step:.1f}")
        until_new(page, old, "aimed")
        until_still(page)
        film.take(260)
    film.take(900)
    leave(page)


def widen_elevation(page: Page, film: Film) -> None:
    """Type upper ends of the interval of sun elevations: the frame on show is drawn anew from it."""
    row = box(page, ELEVATION)
    row.scroll_into_view_if_needed()
    page.mouse.move(1080, 400)
    page.mouse.wheel(0, 140)  # into the middle
    until_still(page)
    film.take(600)
    high = ends(page, ELEVATION).last
    high.click()
    page.mouse.move(*ASIDE)
    for value in range(32, 63, 6):
        old = source(page)
        high.fill(str(value))
        until_new(page, old, "exact")
        until_still(page)
        film.take(260)
    film.take(1200)
    leave(page)


def export(page: Page, film: Film) -> None:
    """Export a few frames, and follow the progress."""
    count = entry(page, "Frames")
    count.scroll_into_view_if_needed()
    count.click()
    film.take(350)
    count.fill(str(FRAMES))
    count.press("Enter")
    film.take(500)
    film.press("Export dataset")
    page.mouse.move(*ASIDE)
    leave(page)  # or its tip stays
    finished = page.locator("[data-work=generate][data-state=finished]")
    expect(page.locator("[data-work=generate]")).to_be_visible(timeout=SLOW_MS)
    words = ""
    while not finished.is_visible():
        page.wait_for_timeout(150)
        now = page.locator(".mantine-ScrollArea-content", has=page.locator("[data-work=generate]")).last.inner_text()
        if now != words:
            words = now
            film.take(330)
    until_still(page)
    film.take(2200)


def record(studio: Studio, tabs: Tabs, folder: Path) -> None:
    """Take all of them."""
    page = open_page(studio, tabs)
    film = Film(page)
    film.take(2200)
    film.press("Got it")
    expect(page.locator(".rl-welcome")).to_have_count(0)
    until_still(page)
    film.take(700)
    turn_sun(page, film)
    save_still(page, folder / "studio_1280.png")
    film.press("Labels")
    at_rest(page, "labels", state="aimed")
    film.take(1400)
    film.press("Overlay")
    at_rest(page, "model", state="aimed")
    expect(page.locator("[data-share=rock]")).to_be_visible(timeout=SLOW_MS)
    page.wait_for_function("document.querySelectorAll('.rl-shot').length === 2")
    film.take(1500)
    old = source(page)
    box(page, SUN).locator("xpath=following-sibling::div[1]").locator("button").click()
    until_new(page, old, "exact", "model")
    film.press("Picture")
    at_rest(page, "picture")
    until_still(page)
    film.take(700)
    widen_elevation(page, film)
    export(page, film)
    print(f"{film.seconds:.1f} s")
    film.save(folder / "studio.webp")
    page.set_viewport_size({"width": 1920, "height": 1080})
    choose(page, "Overlay")
    page.mouse.move(*ASIDE)
    at_rest(page, "model")
    expect(page.locator("[data-share=rock]")).to_be_visible(timeout=SLOW_MS)
    until_still(page)
    save_still(page, folder / "studio_1920.png")


def main() -> None:
    """Start the studio and a browser, and record."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS
    folder.mkdir(parents=True, exist_ok=True)
    expect.set_options(timeout=60_000)
    with tempfile.TemporaryDirectory() as place, contextlib.ExitStack() as stack:
        studio = Studio(Path(place) / "workspace", "--preset=v3")
        stack.callback(studio.clear)
        stack.callback(studio.end)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=ARGUMENTS)
        stack.callback(browser.close)
        tabs = Tabs(browser)
        record(studio, tabs, folder)
        tabs.close()
        studio.check()
    for path in sorted(folder.glob("studio*")):
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    sys.exit(main())
