"""The camera's path on the page: keys by clicks, a slider along it, what is wrong in a line, kept over a reload."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from page_stand import PageStand, box, button, entry
from playwright.sync_api import Page, expect
from studio_stand import Stand, Tabs, until


@pytest.fixture
def parts(stand: Stand) -> Iterator[PageStand]:
    made = PageStand(stand)
    made.on(made.page._welcome.dismiss)
    made.on(made.model.actions["author"].run)
    until(lambda: made.on(lambda: made.model.spec))
    yield made
    made.close()


def shown(parts: PageStand, name: str) -> float:
    """A value of the frame on show."""

    def read() -> float:
        assert parts.model.spec is not None
        return parts.model.spec[name]

    return parts.on(read)


def icon(page: Page, name: str, index: int) -> None:
    """Press a button of a key."""
    page.locator("button", has=page.locator(f".icon-tabler-{name}")).nth(index).click()


def test_a_path_is_edited_scrubbed_and_played(parts: PageStand, tabs: Tabs) -> None:
    page, path = tabs.open(parts.url), parts.model.path
    button(page, "Film").click()
    expect(page.get_by_text("Aim the camera, and add a key at its view.")).to_be_visible()
    button(page, "Add key at this view").click()
    expect(page.get_by_text("One key: a path has two or more.")).to_be_visible()
    x = shown(parts, "camera_x_m")
    parts.on(parts.model.aim, {"camera_x_m": x + 1.0, "fov_deg": 40.0})
    button(page, "Add key at this view").click()
    expect(page.get_by_text("2 keys, 2 s, 48 frames")).to_be_visible()
    expect(page.locator(".rl-key:visible")).to_have_count(2)
    expect(entry(page, "Key 1 [s]")).to_be_disabled()
    row, line = box(page, "Key 2 [s]").bounding_box(), page.locator(".icon-tabler-trash:visible").nth(1).bounding_box()
    assert (
        row is not None and line is not None and abs(row["y"] + row["height"] / 2 - line["y"] - line["height"] / 2) < 8
    )
    trash = page.locator("button:visible", has=page.locator(".icon-tabler-trash")).nth(1).bounding_box()
    assert trash is not None and line["x"] + line["width"] <= trash["x"] + trash["width"], "the icon is whole"

    until(lambda: parts.on(lambda: path.way) is not None)
    entry(page, "Time [s]").fill("1")
    until(lambda: abs(shown(parts, "camera_x_m") - x - 0.5) < 0.1)
    icon(page, "viewfinder", 0)
    until(lambda: parts.on(lambda: path.time_s) == 0.0)
    expect(entry(page, "Time [s]")).to_have_value("0")
    assert shown(parts, "camera_x_m") == pytest.approx(x, abs=1e-3)

    entry(page, "Key 2 [s]").fill("0")
    expect(page.locator(".rl-path", has_text="key 2, time_s 0.0")).to_be_visible()
    entry(page, "Key 2 [s]").fill("0.5")
    expect(page.get_by_text("2 keys, 0.5 s, 12 frames")).to_be_visible()
    expect(page.locator(".rl-path")).to_be_hidden()
    until(lambda: parts.on(lambda: parts.model.can_undo and not path.message and path.way is not None))
    button(page, "Play path").click()
    until(lambda: parts.on(lambda: path.time_s) == 0.5)
    expect(button(page, "Play path")).to_be_visible()

    page.reload()
    button(page, "Film · 1 changed").wait_for()
    expect(page.locator(".rl-key:visible")).to_have_count(2)
    icon(page, "trash", 0)
    expect(page.locator(".rl-key:visible")).to_have_count(1)
    assert parts.on(lambda: path.keys[0].fov_deg) == 40.0
