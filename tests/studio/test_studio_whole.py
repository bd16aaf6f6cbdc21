"""The whole loop in a browser: author, tune, look, export, verify, train; stop, reload, restart."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from page_stand import button, entry
from PIL import Image
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout
from scipy.ndimage import binary_opening
from studio_stand import SLOW_S, SMALL, Studio, Tabs, pixels, seen, until_equal
from test_studio_picture import at_rest

from regolith.lunar.dataset.verify import Verify

SLOW_MS = 1000 * SLOW_S


@pytest.fixture(scope="module")
def opened(studio: Studio, browser: object) -> Iterator[Page]:
    """One page for the tests of this module, past its welcome."""
    tabs = Tabs(browser)  # type: ignore[arg-type]
    page = tabs.open(studio.url, width=1920, height=1080)
    at_rest(page, "picture")
    page.get_by_role("button", name="Got it").click()
    yield page
    tabs.close()


def new_picture(page: Page, old: np.ndarray) -> np.ndarray:
    """The next exact picture that is not an old one."""

    def found() -> np.ndarray | None:
        if not page.locator(".rl-shot[data-state=exact]").count():
            return None
        now = pixels(page)
        return now if now.shape != old.shape or np.abs(now.astype(int) - old).mean() > 1.0 else None

    return seen(page, found, SLOW_S)


def test_each_preset_is_authored(opened: Page) -> None:
    picture = pixels(opened)
    for name in ("v2", "v3", "v4", "v1"):
        entry(opened, "Preset").click()
        opened.get_by_role("option", name=name, exact=True).click()
        expect(opened.locator(".rl-file-state")).to_have_text(f"preset {name}")
        picture = new_picture(opened, picture)
        assert picture.shape == (180, 240, 3) and picture.std() > 10


def test_the_dragged_sun_turns_the_shadows(opened: Page) -> None:
    """The ball in the 3D view is dragged; the picture's light follows, and the exact frame is one button away."""
    before = pixels(opened)
    drag_ball(opened, 240.0, -176.0)
    ground = slice(100, None)

    def relief(picture: np.ndarray) -> np.ndarray:
        return np.gradient(picture[ground].mean(axis=2), axis=1).ravel()

    def turned() -> bool:
        """The sun is still up, and its shadows lie otherwise: on the way there are pictures between."""
        if not opened.locator(".rl-shot[data-state=aimed]").count():
            return False
        now = pixels(opened)
        up = now.shape == before.shape and now[ground].mean() > 20
        return bool(up and np.corrcoef(relief(before), relief(now))[0, 1] < 0.8)

    seen(opened, turned)
    at_rest(opened, "picture", state="aimed")
    button(opened, "Exact frame").click()
    at_rest(opened, "picture")
    until_equal(opened, before)


def drag_ball(page: Page, right: float, down: float) -> None:
    """Drag the sun's ball by some pixels; once more where the page was too busy to see what is under the pointer."""
    aimed = page.locator(".rl-shot[data-state=aimed]")
    for _ in range(5):
        x, y = ball(page)
        page.mouse.move(x, y)
        page.wait_for_timeout(500)  # it looks for that once it draws
        page.mouse.down()
        page.mouse.move(x + right, y + down, steps=8)
        page.mouse.up()
        with contextlib.suppress(PlaywrightTimeout):
            aimed.wait_for(timeout=30_000)
            return


def ball(page: Page) -> tuple[float, float]:
    """Where the sun's ball is on the page [px], once the eye rests."""
    last = np.zeros(2)

    def found() -> np.ndarray | None:
        nonlocal last
        shot = np.asarray(Image.open(io.BytesIO(page.screenshot())).convert("RGB")).astype(int)
        red, green, blue = shot[..., 0], shot[..., 1], shot[..., 2]
        yellow = (red > 200) & (green > 170) & (blue < 150) & (red - blue > 70)
        rows, columns = np.nonzero(binary_opening(yellow, iterations=8))  # without the line from its foot
        before, last = last, np.array([columns.mean(), rows.mean()]) if len(rows) else np.zeros(2)
        return last if last.any() and np.abs(last - before).max() < 1.0 else None

    x, y = seen(page, found)
    return float(x), float(y)


def test_export_verify_train_reload_restart_and_stop(tmp_path: Path, tabs: Tabs) -> None:
    """What one program began is there in the next on its workspace, and a training goes on between them."""
    studio = Studio(tmp_path / "workspace", *SMALL)
    try:
        page = tabs.open(studio.url)
        page.get_by_role("button", name="Got it").click()
        export_and_verify(page, studio)
        values = {"Val split": "dataset/train_dr", "Init": "random", "Epochs": "400", "Batch [frames]": "2"}
        for label, value in {**values, "Patience": "400", "Threads": "1"}.items():
            entry(page, label).fill(value)
            entry(page, label).press("Enter")
        button(page, "Start training").click()
        expect(page.get_by_text("Rock-IoU:").first).to_be_visible(timeout=SLOW_MS)
        page.reload()
        expect(page.get_by_text("Rock-IoU:").first).to_be_visible()
        tabs.close()
        assert studio.end() == 0
        studio.check()
        studio = Studio(studio.workspace, *SMALL)
        page = tabs.open(studio.url)
        expect(page.locator("[data-work=training][data-state=running]")).to_be_visible()
        expect(page.get_by_text("Rock-IoU:").first).to_be_visible()
        expect(page.locator("[data-work=generate][data-state=finished]")).to_be_visible()
        button(page, "Stop training").first.click()
        expect(page.locator("[data-work=training][data-state=interrupted]")).to_be_visible(timeout=SLOW_MS)
        assert (studio.workspace / "training").is_dir()
        tabs.close()
        assert studio.end() == 0
        studio.check()
    finally:
        studio.end()
        studio.clear()


def export_and_verify(page: Page, studio: Studio) -> None:
    """Export eight frames and verify them, on the page and by the library."""
    entry(page, "Frames").fill("8")
    entry(page, "Frames").press("Enter")
    button(page, "Export dataset").click()
    expect(page.locator("[data-work=generate][data-state=finished]")).to_be_visible(timeout=SLOW_MS)
    assert Verify(split=studio.workspace / "dataset" / "train_dr").run()["problems"] == []
    button(page, "Verify").click()
    expect(page.locator("[data-work=verify][data-state=finished]")).to_be_visible(timeout=SLOW_MS)
