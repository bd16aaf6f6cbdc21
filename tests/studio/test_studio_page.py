"""The page in a browser: rows, validity, undo, search, sections, works, dialogs; several tabs; nothing that echoes."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from page_stand import PageStand, box, button, ends, entry, leave, reset
from page_wire import WirePage
from PIL import Image
from playwright.sync_api import Page, expect
from studio_stand import PATIENCE_S, Stand, Tabs, seen, until

from regolith.lunar.panel.host import Pick, Question
from regolith.lunar.panel.work import Picture, Table, Work
from regolith.lunar.params import Interval
from regolith.lunar.studio import edits

ELEVATION = "Sun elevation [deg]"
ROWS = ("Split", "Frame", "Size [m]", "Strength", "Photometry", ELEVATION, "Stars", "Depth", "Sampling")


@pytest.fixture(scope="module")
def parts(stand: Stand) -> Iterator[PageStand]:
    made = PageStand(stand)
    made.on(made.page._welcome.dismiss)  # it has a test of its own
    yield made
    made.close()


@pytest.fixture(scope="module")
def shared(parts: PageStand, browser: Any) -> Iterator[Page]:
    """One page for the tests that leave it as it was."""
    tabs = Tabs(browser)
    page = tabs.open(parts.url)
    box(page, "Split").wait_for()
    yield page
    tabs.close()


@pytest.fixture
def page(parts: PageStand, shared: Page) -> Iterator[Page]:
    yield shared
    parts.again()


def test_every_row_is_one_line_inside_its_panel(page: Page) -> None:
    """Label, editor and reset beside each other: measured, since it hangs on how viser builds its page."""
    for label in ROWS:
        row = box(page, label)
        row.scroll_into_view_if_needed()
        place = row.bounding_box()
        assert place is not None and 26 <= place["height"] <= 36, (label, place)
        words = row.locator("label").bounding_box()
        editor = row.locator(".mantine-Slider-root, input:not([type=hidden]), .multi-slider").first.bounding_box()
        assert words is not None and editor is not None
        assert editor["x"] >= words["x"] + words["width"], label
    numbers = ends(page, ELEVATION).first.bounding_box()
    track = box(page, ELEVATION).locator(".multi-slider").bounding_box()
    assert numbers is not None and track is not None
    assert numbers["x"] >= track["x"] + track["width"] and abs(numbers["y"] - track["y"]) < 20
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280


@pytest.mark.parametrize("size", [(1280, 720), (1920, 1080)])
def test_what_matters_is_in_sight(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})

    def in_sight(name: str) -> bool:
        place = button(page, name).bounding_box()
        assert place is not None
        right, bottom = place["x"] + place["width"], place["y"] + place["height"]
        return bottom <= size[1] and size[0] - 300 < right <= size[0]  # where the panel is once it has moved

    for name in ("Author stage", "Start live preview", "Export dataset", "Start training"):
        seen(page, lambda name=name: in_sight(name))
    expect(box(page, "Preset")).to_be_visible()
    expect(box(page, "Search")).to_be_visible()
    page.set_viewport_size({"width": 1280, "height": 720})


def test_a_typed_interval_is_entered_and_one_that_is_wrong_says_why(page: Page, parts: PageStand) -> None:
    low, high = ends(page, ELEVATION).nth(0), ends(page, ELEVATION).nth(1)
    high.fill("33.25")
    until(lambda: parts.value("domain.sun_elevation_deg") == Interval(5.0, 33.25))
    low.fill("50")
    message = page.locator(".rl-message", has_text="lo ≤ hi")
    expect(message).to_be_visible()
    expect(page.locator(".rl-summary", has_text="Not allowed: Light: Sun elevation")).to_be_visible()
    expect(button(page, "Light · 1 not allowed · 1 changed")).to_be_visible()
    expect(low).to_have_css("border-color", "rgb(255, 141, 126)")
    assert parts.on(lambda: parts.model.params.domain.sun_elevation_deg) == Interval(5.0, 33.25)
    reset(page, ELEVATION).click()
    expect(message).to_be_hidden()
    expect(low).to_have_value("5")
    expect(button(page, "Light")).to_be_visible()


def test_thumbs_move_live_and_are_one_step_of_undo(
    page: Page, parts: PageStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(edits, "REST_S", PATIENCE_S)  # a busy machine moves the pointer with rests between
    depth = parts.on(lambda: parts.model.undo_depth)
    row = box(page, ELEVATION)
    row.scroll_into_view_if_needed()
    track = row.locator(".multi-slider-track-container").bounding_box()
    thumb = row.locator(".multi-slider-thumb").nth(1).bounding_box()
    assert track is not None and thumb is not None
    page.mouse.move(thumb["x"] + 4, thumb["y"] + 7)
    page.mouse.down()
    page.mouse.move(track["x"] + 0.75 * track["width"], thumb["y"] + 7, steps=6)
    share = (thumb["x"] + 4 - track["x"]) / track["width"]  # it follows the pointer from where it was taken
    until(lambda: abs(parts.value("domain.sun_elevation_deg").hi - 40.0 * 0.75 / share) < 2.0)
    page.mouse.up()
    parts.on(parts.page._edits.settle)  # at rest
    assert parts.on(lambda: parts.model.undo_depth) == depth + 1
    value = parts.value("domain.sun_elevation_deg")
    assert value.lo == 5.0 and value.hi % 0.5 == 0.0
    expect(ends(page, ELEVATION).nth(1)).to_have_value(f"{value.hi:g}")
    leave(page)
    page.keyboard.press("Control+z")
    until(lambda: parts.value("domain.sun_elevation_deg") == Interval(5.0, 40.0))
    page.keyboard.press("Control+Shift+z")
    until(lambda: parts.value("domain.sun_elevation_deg") == value)
    expect(reset(page, ELEVATION)).to_be_enabled()


def test_each_kind_of_field_can_be_edited_and_reset(page: Page, parts: PageStand) -> None:
    entry(page, "Frame").fill("12")
    until(lambda: parts.value("shot.frame") == 12)
    entry(page, "Hurst, terrain").fill("0.71")
    until(lambda: parts.value("terrain.hurst") == 0.71)
    box(page, "Depth").locator("input").check()
    until(lambda: parts.value("dataset.depth") is True)
    entry(page, "Sampling").click()
    page.get_by_role("option", name="sobol").click()
    until(lambda: parts.value("randomize.sampling") == "sobol")
    entry(page, "Learning rate").fill("3e-4")
    until(lambda: parts.value("training.lr") == 3e-4)
    for label in ("Frame", "Hurst, terrain", "Depth", "Sampling", "Learning rate"):
        reset(page, label).click()
    until(lambda: not any(f.changed for s in parts.model.sections for f in s.fields))
    expect(entry(page, "Learning rate")).to_have_value("")


def test_a_number_that_is_still_typed_is_left_alone(page: Page, parts: PageStand) -> None:
    """No echo: what is typed with rests between the keys is never written over."""
    field = entry(page, "Learning rate")
    field.click()
    depth = parts.on(lambda: parts.model.undo_depth)
    for count, key in enumerate(("2", "e", "-", "4")):
        field.press(key)
        until(lambda count=count: parts.on(lambda: parts.model.undo_depth) == depth + count + 1)
    expect(field).to_have_value("2e-4")
    assert parts.value("training.lr") == 2e-4


def test_a_path_in_the_workspace_is_short_and_one_outside_is_refused(page: Page, parts: PageStand) -> None:
    field = entry(page, "Out")
    expect(field).to_have_value("dataset")
    field.fill("other/place")
    until(lambda: parts.value("generate.out") == parts.root / "other" / "place")
    field.fill("../elsewhere")
    expect(page.locator(".rl-message", has_text="elsewhere")).to_be_visible()
    expect(button(page, "Export dataset")).to_be_visible()
    reset(page, "Out").click()
    expect(field).to_have_value("dataset")


def test_sections_open_and_shut_and_make_their_rows_late(page: Page, parts: PageStand) -> None:
    expect(box(page, "Shape count")).to_be_hidden()
    assert parts.on(lambda: not next(v for v in parts.page._sections if v.section.key == "rocks").rows)
    button(page, "Rocks").click()
    expect(box(page, "Shape count")).to_be_visible()
    button(page, "Rocks").first.click()
    expect(box(page, "Shape count")).to_be_hidden()


def test_search_shows_rows_of_any_section_and_clears(page: Page, parts: PageStand) -> None:
    search = entry(page, "Search")
    search.fill("reseau")
    expect(box(page, "Réseau")).to_be_visible()
    expect(box(page, "Split")).to_be_hidden()
    expect(button(page, "Training")).to_be_hidden()
    search.fill("no such thing")
    expect(page.get_by_text("No parameter has these words.")).to_be_visible()
    search.fill("")
    expect(box(page, "Split").first).to_be_visible()
    expect(box(page, "Réseau")).to_be_hidden()


def test_the_preset_is_chosen_undone_and_told(page: Page, parts: PageStand) -> None:
    entry(page, "Preset").click()
    page.get_by_role("option", name="v3", exact=True).click()
    until(lambda: parts.on(lambda: parts.model.preset) == "v3")
    expect(page.locator(".rl-file-state")).to_have_text("preset v3")
    entry(page, "Stars").fill("70")
    expect(page.locator(".rl-file-state")).to_have_text("preset v3 · changed")
    parts.on(parts.model.undo)
    parts.on(parts.model.undo)
    expect(entry(page, "Preset")).to_have_value("v1")


def test_a_button_that_cannot_be_pressed_says_why(page: Page, parts: PageStand) -> None:
    train = button(page, "Start training")
    train.hover()
    expect(page.locator(".rl-tip[data-action=train]").first).to_contain_text("Not now: train_split")
    expect(page.locator(".rl-tip[data-action=train]").first).to_be_visible()
    train.click()
    expect(page.get_by_text("dataset.json").last).to_be_visible()
    page.mouse.move(640, 400)


def test_two_tabs_show_the_same(page: Page, parts: PageStand, tabs: Tabs) -> None:
    other = tabs.open(parts.url, width=1920, height=1080)
    entry(page, "Stars").fill("120")
    expect(entry(other, "Stars")).to_have_value("120")
    ends(other, ELEVATION).nth(1).fill("20")
    expect(ends(page, ELEVATION).nth(1)).to_have_value("20")
    button(other, "Craters").click()
    expect(box(page, "Freshness")).to_be_visible()
    other.close()
    button(page, "Craters").click()
    expect(box(page, "Freshness")).to_be_hidden()


def test_one_edit_changes_one_row_and_rebuilds_nothing(page: Page, parts: PageStand) -> None:
    sent: list[Any] = []
    queue = parts.stand.server.gui._websock_interface.queue_message
    parts.stand.server.gui._websock_interface.queue_message = lambda message: (sent.append(message), queue(message))[1]
    try:
        for value in (30.0, 31.0, 32.0):
            parts.on(parts.model.set, "domain.sun_elevation_deg", Interval(5.0, value))
    finally:
        del parts.stand.server.gui._websock_interface.queue_message
    kinds = {type(message).__name__ for message in sent}
    assert kinds == {"GuiUpdateMessage"} or kinds == {"GuiUpdateMessage", "CommandUpdateMessage"}, kinds
    assert len(sent) <= 3 * 2 + 12, [vars(message) for message in sent]


def test_work_is_shown_with_its_curves(page: Page, parts: PageStand) -> None:
    work: Work = parts.model.works["training"]
    expect(page.locator("[data-work=training]")).to_have_count(0)

    def say(state: Any, done: float, text: str) -> None:
        work.state, work.done, work.total, work.text = state, done, 8.0, text
        work.metrics["rock_iou"] = [(step + 1.0, 0.1 * step) for step in range(int(done))]
        work.log.append(f"epoch {done:.0f}")
        parts.model._context.changed("work", "training")

    parts.on(say, "running", 3.0, "3 / 8 steps, 9 s left")
    expect(page.locator("[data-work=training][data-state=running]")).to_be_visible()
    expect(page.get_by_text("3 / 8 steps, 9 s left")).to_be_visible()
    expect(page.get_by_text("Rock-IoU: 0.200 (best 0.200, 3 values)")).to_be_visible()
    parts.on(say, "running", 6.0, "6 / 8 steps, 2 s left")
    expect(page.get_by_text("Rock-IoU: 0.500 (best 0.500, 6 values)")).to_be_visible()
    counts = page.evaluate("Object.values(window.__viserTestpoints.uplots).map(u => u.createCount)")
    assert counts == [1]  # grown, not made anew
    parts.on(say, "failed", 6.0, "out of memory")
    expect(page.locator(".rl-message", has_text="out of memory")).to_be_visible()
    parts.on(say, "idle", 0.0, "")
    expect(page.locator("[data-work=training]")).to_have_count(0)


def test_work_is_shown_with_its_pictures_and_its_table(page: Page, parts: PageStand) -> None:
    """A map that is drawn anew takes the place of the one before; nothing is left of a run when the next begins."""
    work: Work = parts.model.works["traverse"]

    def say(state: Any, colour: str, table: Table) -> None:
        data = io.BytesIO()
        Image.new("RGB", (384, 410), colour or "black").save(data, "PNG")
        work.state, work.text, work.table = state, f"a {colour} map", table
        work.pictures = {"map": Picture("Map <here>", data.getvalue())} if colour else {}
        parts.model._context.changed("work", "traverse")

    def colour() -> list[int]:
        script = """image => { const c = document.createElement("canvas"); const pen = c.getContext("2d");
          c.width = c.height = 1; pen.drawImage(image, 0, 0, 1, 1); return [...pen.getImageData(0, 0, 1, 1).data]; }"""
        return images.first.evaluate(script)

    images = page.locator(".mantine-ScrollArea-content:has(.rl-works) img")
    parts.on(say, "running", "red", ())
    expect(page.locator("[data-picture=map]")).to_have_text("Map <here>")
    expect(images).to_have_count(1)
    seen(page, lambda: colour() == [255, 0, 0, 255])
    expect(page.locator(".rl-table")).to_have_count(0)
    parts.on(say, "finished", "blue", (("Way", "Rocks"), ("straight on", "<2>")))
    seen(page, lambda: colour() == [0, 0, 255, 255])
    expect(page.locator(".rl-table th")).to_have_text(["Way", "Rocks"])
    expect(page.locator(".rl-table td")).to_have_text(["straight on", "<2>"])
    place = images.first.bounding_box()
    assert place is not None and 180 < place["width"] < 200, place
    parts.on(say, "idle", "", ())
    parts.on(lambda: setattr(work, "text", "") or parts.model._context.changed("work", "traverse"))
    expect(page.locator("[data-picture=map]")).to_have_count(0)
    expect(page.locator(".rl-table")).to_have_count(0)


def test_this_machine_is_checked_from_the_page(parts: PageStand) -> None:
    """The button in the section starts the verb in a companion; pressed again, it ends it."""
    work: Work = parts.model.works["doctor"]
    training = parts.on(lambda: next(view for view in parts.page._sections if view.section.key == "training"))
    parts.on(training.toggle)
    page = WirePage(parts.url)
    try:
        page.catch_up()
        (pressed,) = (uuid for uuid, each in page.widgets.items() if each.get("label") == "See what works here")
        page.turn(pressed, True)
        until(lambda: parts.on(lambda: work.state) != "idle", 120)
        parts.on(lambda: work.active and parts.model.actions["doctor"].run())
        until(lambda: not parts.on(lambda: work.active), 120)
        assert work.state in ("interrupted", "finished"), (work.text, list(work.log))
    finally:
        page.close()
        parts.on(training.toggle)


def test_a_question_is_answered_on_one_page_for_all(page: Page, parts: PageStand) -> None:
    answer = parts.on(parts.dialogs.ask, Question("Sure?", "It <b>would</b> be gone.", ("Go on", "Keep")))
    expect(page.get_by_text("It <b>would</b> be gone.")).to_be_visible()
    button(page, "Keep").click()
    until(answer.done)
    assert answer.result() == "Keep"
    expect(page.get_by_role("dialog")).to_have_count(0)
    other = parts.on(parts.dialogs.ask, Question("Sure?", "Again.", ("Go on", "Keep")))
    parts.on(other.cancel)
    assert other.done() and other.result() == "Keep"


def test_parameters_are_saved_and_loaded_inside_the_workspace(page: Page, parts: PageStand) -> None:
    entry(page, "Stars").fill("33")
    leave(page)
    page.keyboard.press("Control+s")
    name = entry(page, "File name")
    name.fill("../outside.yaml")
    name.press("Enter")
    expect(page.get_by_role("dialog").locator(".rl-message")).to_contain_text("inside the workspace")
    name.fill("mine")
    button(page, "Save").click()
    until((parts.root / "mine.yaml").is_file)
    expect(page.locator(".rl-file-state")).to_have_text("mine.yaml")
    parts.on(parts.model.use_preset, "v1")
    parts.on(parts.model.actions["load"].run)
    button(page, "mine.yaml").click()
    button(page, "Choose").click()
    until(lambda: parts.value("light.stars") == 33)


def test_the_workspace_browser_walks_folders_and_never_leaves(page: Page, parts: PageStand, tmp_path: Path) -> None:
    (parts.root / "data" / "deep").mkdir(parents=True, exist_ok=True)
    link = parts.root / "out"
    link.symlink_to(tmp_path)
    task = parts.on(parts.dialogs.pick_path, Pick("Where to", "folder"))
    button(page, "data").click()
    expect(page.locator(".rl-place")).to_have_text("workspace / data")
    button(page, "deep").click()
    expect(page.locator(".rl-place")).to_have_text("workspace / data / deep".replace(" / deep", "/deep"))
    button(page, "..").click()
    button(page, "..").click()
    expect(button(page, "..")).to_have_count(0)
    expect(button(page, "out")).to_have_count(0)  # leads out
    entry(page, "Folder").fill("data/new")
    button(page, "Choose").click()
    until(task.done)
    assert task.result() == parts.root / "data" / "new"
    link.unlink()


def test_a_report_is_offered_as_a_link_to_a_tab_of_its_own(page: Page, parts: PageStand) -> None:
    (parts.root / "card.html").write_text("<h1>A card</h1>", "utf-8")
    parts.on(parts.dialogs.open_path, parts.root / "card.html")
    with page.context.expect_page() as opened:
        page.get_by_role("link", name="Open html in a new tab").click()
    expect(opened.value.locator("h1")).to_have_text("A card")
    opened.value.close()
    button(page, "Close").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    parts.on(parts.dialogs.open_path, parts.root)
    expect(page.get_by_role("link", name="card.html")).to_be_visible()
    button(page, "Close").click()


def test_messages_go_to_every_page_once(page: Page, parts: PageStand) -> None:
    for _ in range(5):
        parts.on(parts.dialogs.notify, "Export finished: 8 frames", "info")
    expect(page.get_by_text("Export finished", exact=True)).to_have_count(1)
    expect(page.get_by_text("8 frames", exact=True)).to_be_visible()


def test_the_frame_on_show_can_be_aimed_by_numbers(page: Page, parts: PageStand) -> None:
    button(page, "Author stage").click()
    pair = box(page, "Sun azimuth, elevation [deg]")
    expect(pair).to_be_visible()
    pair.locator("input").nth(1).fill("30.5")
    until(lambda: parts.on(lambda: dict(parts.model.aimed)) == {"sun_elevation_deg": 30.5})
    expect(reset(page, "Sun azimuth, elevation [deg]")).to_be_enabled()
    message = page.locator(".rl-message", has_text="Sun elevation: 999.0 is not allowed")
    red = "rgb(255, 141, 126)"
    pair.locator("input").nth(1).fill("999")
    expect(message).to_be_visible()
    row, words = pair.bounding_box(), message.bounding_box()
    assert row is not None and words is not None and 0 <= words["y"] - row["y"] - row["height"] < 10
    expect(pair.locator("input").nth(1)).to_have_css("border-color", red)
    expect(box(page, "Height [m], FOV [deg]").locator("input").nth(1)).not_to_have_css("border-color", red)
    reset(page, "Sun azimuth, elevation [deg]").click()
    until(lambda: parts.on(lambda: not parts.model.aimed))
    expect(message).to_be_hidden()
    expect(reset(page, "Sun azimuth, elevation [deg]")).to_be_disabled()
    pair.locator("input").nth(1).fill("999")
    expect(message).to_be_visible()
    expect(reset(page, "Sun azimuth, elevation [deg]")).to_be_enabled()  # nothing is held, but there is a message
    parts.on(parts.model.set, "shot.frame", 1)
    expect(message).to_be_hidden()
    expect(reset(page, "Sun azimuth, elevation [deg]")).to_be_disabled()
    expect(pair.locator("input").nth(1)).not_to_have_value("999")


def test_escape_leaves_the_newest_dialog(page: Page, parts: PageStand) -> None:
    first = parts.on(parts.dialogs.ask, Question("Sure?", "It would be gone.", ("Go on", "Keep")))
    parts.on(parts.dialogs.open_path, parts.root)
    expect(page.get_by_role("dialog")).to_have_count(2)
    leave(page)
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(1)
    assert not first.done()
    page.keyboard.press("Escape")
    until(first.done)
    assert first.result() == "Keep"
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert parts.on(lambda: parts.dialogs._escape) is None


def test_fields_of_the_same_name_are_told_apart() -> None:
    from regolith.lunar.panel.forms import build_sections
    from regolith.lunar.studio.page import wrong_fields

    sections = build_sections()
    wrong = [field for section in sections for field in section.fields if field.label in ("Out", "Stars")]
    for field in wrong:
        field.message, field.asked = "not allowed", True
    names = wrong_fields(sections)
    assert len(set(names)) == len(names) == len(wrong)
    assert "Stars" in names and "Training: Out" in names


def test_the_whole_page_is_reached_by_the_keyboard(page: Page) -> None:
    """From the search on, the next elements in order are those of the first section; the palette has every action."""
    entry(page, "Search").focus()
    names = []
    for _ in range(4):
        page.keyboard.press("Tab")
        names.append(page.evaluate("document.activeElement.tagName + ':' + document.activeElement.textContent.trim()"))
    assert names[0] == "BUTTON:Stage"
    assert any(name.startswith("INPUT") for name in names)
    leave(page)
    page.keyboard.press("Control+k")
    page.get_by_placeholder("Search commands...").fill("Export dataset")
    expect(page.get_by_text("Draw the split into its folder").last).to_be_visible()
    page.keyboard.press("Escape")


def test_the_welcome_is_dismissed_for_good(stand: Stand, tabs: Tabs) -> None:
    from regolith.lunar.studio import style
    from regolith.lunar.studio.dialogs import Dialogs
    from regolith.lunar.studio.welcome import KEY, Welcome

    memory: dict[str, str] = {}

    class Host:
        remembered = staticmethod(lambda key: memory.get(key, ""))
        remember = staticmethod(memory.__setitem__)

    stand.on(stand.server.gui.add_html, f"<style>{style.CSS}</style>")
    stand.on(Welcome, stand.server, stand.loop, Host())
    page = tabs.open(stand.url)
    expect(page.locator(".rl-welcome li")).to_have_count(5)
    stand.on(Dialogs(stand.server, stand.loop, stand.workspace).notify, "Below it")
    notice = page.locator(".mantine-Notification-root")
    notice.last.wait_for()

    def below() -> bool:
        card, places = button(page, "Got it").bounding_box(), [one.bounding_box() for one in notice.all()]
        assert card is not None
        return all(place is not None and place["y"] > card["y"] + card["height"] for place in places)

    seen(page, below)  # they slide in
    button(page, "Got it").click()
    expect(page.locator(".rl-welcome")).to_have_count(0)
    until(lambda: memory == {KEY: "done"})
    assert stand.on(Welcome, stand.server, stand.loop, Host())._panel is None


def test_every_field_has_an_editor_that_can_hold_its_value(parts: PageStand) -> None:
    from regolith.lunar.studio.rows import editor_of

    kinds = {field.path: editor_of(field) for section in parts.model.sections for field in section.fields}
    assert set(kinds.values()) == {"check", "choice", "range", "slider", "number", "text"}
    assert kinds["domain.sun_elevation_deg"] == "range" and kinds["shot.frame"] == "number"
    assert kinds["training.lr_min"] == kinds["training.lr"] == "text"
