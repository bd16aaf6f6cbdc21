"""Two hundred changes of any controls, two tabs that look on, tabs that come and go: nothing fails, all agree."""

from __future__ import annotations

from typing import Any

import numpy as np
from page_wire import WirePage
from studio_stand import Studio, Tabs, until

from regolith.lunar.stage.spec import rng

CHANGES = 200
WORDS = (
    "",
    "x",
    "12",
    "val",
    "v3",
    "../../etc/passwd",
    "/etc",
    "<img src=x onerror=alert(1)>",
    "ü" * 80,
    "a\0b",
    "1e999",
)
BUTTONS = ("Randomize once", "Exact frame", "Author stage", "Picture", "Labels", "Depth", "Got it")
SLOW = ("Backend", "Quality")
"""Dropdowns that make a picture of this test take many seconds."""


def entered(widget: dict[str, Any], random: np.random.Generator) -> Any:
    """A new value of a widget: near its own, so that stages stay small, or anything that can be typed."""
    kind, value = widget["type"], widget["value"]
    if kind == "GuiCheckboxMessage":
        return not value
    if kind == "GuiDropdownMessage":
        return str(random.choice(widget["options"]))
    if kind == "GuiTextMessage":
        return str(random.choice(WORDS))
    if kind == "GuiButtonMessage":
        return True
    low, high = widget.get("min"), widget.get("max")
    spread = 0.1 * (high - low if low is not None and high is not None else 10.0)
    near = np.atleast_1d(value) + random.normal(0.0, min(spread, 5.0), np.size(value))
    near = np.sort(np.clip(near, low, high)) if kind == "GuiMultiSliderMessage" else np.clip(near, low, high)
    if widget.get("precision") == 0:
        near = np.round(near)
    return float(near[0]) if np.size(value) == 1 else [float(each) for each in near]


def controls(page: WirePage) -> dict[str, dict[str, Any]]:
    """Widgets a user can turn."""
    values = ("Checkbox", "Dropdown", "Text", "Slider", "MultiSlider", "Number", "Vector2")
    kinds = {f"Gui{name}Message" for name in values}
    return {
        uuid: widget
        for uuid, widget in page.widgets.items()
        if widget.get("visible") and not widget.get("disabled") and not page.hidden(uuid)
        and widget.get("label") not in SLOW and (widget["type"] in kinds or widget.get("label") in BUTTONS)
    }  # fmt: skip


def differences(one: WirePage, other: WirePage) -> list[Any]:
    """What two pages show differently, each with both."""
    found = []
    for uuid in one.widgets.keys() | other.widgets.keys():
        left, right = (page.widgets.get(uuid, {"type": "none"}) for page in (one, other))
        if "GuiButtonMessage" in (left["type"], right["type"]) and left["type"] == right["type"]:
            continue  # a button's value is that it was pressed
        found += [
            (left.get("label"), left["type"], key, left.get(key), right.get(key))
            for key in ("type", "value", "content", "visible")
            if left.get(key) != right.get(key)
        ]
    return found


def test_a_value_that_crosses_an_older_one_on_its_way_is_shown_at_last(studio: Studio) -> None:
    """The server's older value reaches the page after the page has sent its own, which is the one that counts."""
    page = WirePage(studio.url)
    pairs = [uuid for uuid, widget in controls(page).items() if widget["type"] == "GuiVector2Message"]
    shows = {uuid: page.widgets[uuid]["value"] for uuid in pairs if not page.widgets[uuid]["label"]}
    uuid, older = next((uuid, value) for uuid, value in shows.items() if value[0] < value[1])
    low, high = older
    page.turn(uuid, [low + 0.25 * (high - low), high])
    entered = page.widgets[uuid]["value"]
    page.widgets[uuid]["value"] = older

    def shown() -> bool:
        page.catch_up()
        return page.widgets[uuid]["value"] == entered

    try:
        until(shown)
    finally:
        page.close()


def test_any_controls_in_any_order(studio: Studio, tabs: Tabs) -> None:
    first, second = tabs.open(studio.url), tabs.open(studio.url, width=1920, height=1080)
    page = WirePage(studio.url)
    random = rng(11, "controls")
    for number in range(CHANGES):
        found = controls(page)
        uuid = str(random.choice(sorted(found, key=lambda each: found[each]["order"])))  # uuids differ each time
        page.turn(uuid, entered(found[uuid], random))
        if number % 20 == 0:
            page.catch_up()
            WirePage(studio.url).close()  # a tab that comes and goes
    preset = next(uuid for uuid, widget in page.widgets.items() if widget.get("label") == "Preset")
    for name in ("v2", "v1"):
        page.turn(preset, name)
        for tab in (first, second):
            tab.get_by_text(f"preset {name}").first.wait_for()

    different: list[Any] = []

    def agree() -> bool:
        page.catch_up()
        other = WirePage(studio.url)
        other.close()
        different[:] = differences(page, other)
        return not different

    try:
        until(agree)
    except AssertionError:
        raise AssertionError(different) from None
    page.close()
