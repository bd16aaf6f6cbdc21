"""The panel on the real kernel and the real omni.ui: drawn, clicked, dragged, typed into."""

from __future__ import annotations

import gc
import sys

import numpy as np
import pytest
from conftest import OUT, TITLE, Kit
from panel import Panel


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    return Panel(lunar)


def test_every_section_has_a_row_for_every_field(panel: Panel) -> None:
    titles = [section.title for section in panel.model.sections]
    shown = ["Stage", "Rocks", "Craters", "Light", "Camera", "Sensor", "Dataset", "Model", "Training"]
    assert [title for title in titles if title in shown] == shown
    for section in panel.model.sections:
        for field in section.fields:
            assert panel.has(field.path), field.path


def test_every_action_has_one_button(panel: Panel) -> None:
    for key in panel.model.actions:
        assert panel.has(f"action:{key}"), key


def test_identifiers_are_unique(panel: Panel) -> None:
    import omni.ui as ui

    window = ui.Workspace.get_window(TITLE)
    names = [w.identifier for w in panel.screen.walk(window.frame) if set(".:") & set(w.identifier)]
    assert len(names) == len(set(names)), sorted({n for n in names if names.count(n) > 1})


def test_a_dragged_slider_is_one_undo_step(panel: Panel) -> None:
    field = panel.model.field("sensor.exposure_key")
    before = field.value
    panel.open("sensor")
    panel.drag(field.path, 0.2, 0.8)
    dragged = field.value
    assert dragged != before and panel.model.undo_depth == 1
    assert panel.widget("dirty").visible and panel.widget(f"reset:{field.path}").visible
    panel.press("undo")
    assert field.value == before and panel.model.undo_depth == 0
    panel.press("redo")
    assert field.value == dragged
    panel.click(f"reset:{field.path}")
    assert field.value == before


def test_kits_undo_takes_a_committed_edit_back(panel: Panel) -> None:
    import omni.kit.undo

    field = panel.model.field("sensor.exposure_key")
    before = field.value
    panel.open("sensor")
    panel.drag(field.path, 0.2, 0.8)
    dragged = field.value
    assert omni.kit.undo.undo() and field.value == before
    assert omni.kit.undo.redo() and field.value == dragged
    panel.press("undo")
    assert field.value == before and panel.model.undo_depth == 0
    assert not omni.kit.undo.can_undo()  # taken back there too


def test_kits_undo_and_the_panels_stay_in_step(panel: Panel) -> None:
    import omni.kit.undo

    field = panel.model.field("terrain.hurst")
    start = field.value
    for value in (0.4, 0.5, 0.6):
        panel.model.commit("terrain.hurst", value)
    panel.press("undo")
    assert field.value == 0.5
    panel.press("redo")
    assert field.value == 0.6 and not omni.kit.undo.can_redo()
    panel.press("undo")
    panel.model.commit("terrain.hurst", 0.7)
    seen = []
    while omni.kit.undo.undo():
        seen.append(field.value)
    assert seen == [0.5, 0.4, start] and panel.model.undo_depth == 0
    for value in (0.4, 0.5, 0.7):
        assert omni.kit.undo.redo() and field.value == value


def test_a_slider_that_was_not_released_is_a_step_in_both(panel: Panel) -> None:
    import omni.kit.undo

    field = panel.model.field("terrain.hurst")
    panel.model.commit("terrain.hurst", 0.4)
    panel.model.set("terrain.hurst", 0.5)
    panel.press("undo")
    assert field.value == 0.4 and panel.model.undo_depth == 1
    assert omni.kit.undo.undo() and field.value == field.default
    assert not omni.kit.undo.can_undo() and panel.model.undo_depth == 0


def test_the_panels_undo_leaves_somebody_elses_step_alone(panel: Panel) -> None:
    import omni.kit.commands
    import omni.kit.undo

    class Move(omni.kit.commands.Command):
        def do(self) -> None: ...

        def undo(self) -> None: ...

    panel.model.commit("terrain.hurst", 0.4)
    omni.kit.commands.register(Move)
    omni.kit.commands.execute("Move")
    panel.press("undo")
    assert panel.model.field("terrain.hurst").value == panel.model.field("terrain.hurst").default
    assert [entry.name for entry in omni.kit.undo.get_undo_stack()] == ["RegolithEdit", "Move"]
    omni.kit.commands.unregister(Move)


def test_nothing_is_alive_behind_kits_undo_stack(panel: Panel) -> None:
    """Kit keeps what was done; after the end it leads nowhere and does nothing (the fixture looks for leaks)."""
    import omni.kit.undo

    panel.model.commit("terrain.hurst", 0.4)
    panel.press("undo")
    panel.press("redo")
    panel.model.commit("terrain.hurst", 0.5)
    panel.press("undo")
    panel.kit.disable("regolith.lunar")
    panel.kit.pump(3)
    gc.collect()
    assert panel.controller is None and omni.kit.undo.can_undo() and omni.kit.undo.can_redo()
    assert omni.kit.undo.undo() and omni.kit.undo.redo() and omni.kit.undo.redo()


def test_an_end_dragged_past_the_other_takes_it_along(panel: Panel) -> None:
    field = panel.model.field("domain.sun_elevation_deg")
    panel.open("light")
    high = field.value.hi
    panel.drag(f"{field.path}:lo", 0.1, 0.95)
    assert field.value.lo > high and field.value.hi == field.value.lo
    assert not field.message


def test_a_value_that_is_not_allowed_says_why_below_its_field(panel: Panel) -> None:
    path = "training.warmup_steps"
    panel.open("training")
    panel.enter(path, "many")
    message = panel.text(f"message:{path}")
    assert "many" in message and panel.widget(f"message:{path}").visible
    assert not panel.model.actions["train"].enabled
    assert panel.widget("action:train").name == "grey"
    panel.enter(path, "20")
    assert not panel.widget(f"message:{path}").visible and panel.model.field(path).value == 20


def test_search_shows_only_what_has_the_words(panel: Panel) -> None:
    panel.screen.click(panel.widget("search"))
    panel.screen.type("sun elevation")
    panel.screen.frames(3)
    assert panel.has("domain.sun_elevation_deg") and not panel.has("terrain.size_m")
    panel.capture(OUT / "search.png")
    panel.click("search:clear")
    panel.screen.frames(3)
    assert panel.has("terrain.size_m")


def test_preset_and_section_reset(panel: Panel) -> None:
    from regolith.lunar.params import preset_names  # importable once the kernel runs

    combo = panel.widget("preset").model.get_item_value_model()
    combo.set_value(preset_names().index("v1"))
    assert panel.model.preset == "v1"
    panel.model.commit("terrain.hurst", 0.5)
    panel.open("stage")
    panel.click("reset:section:stage")
    assert panel.model.field("terrain.hurst").value == panel.model.field("terrain.hurst").default
    panel.press("undo")
    assert panel.model.field("terrain.hurst").value == 0.5


def test_the_window_is_rebuilt_from_the_state(panel: Panel) -> None:
    """Hiding destroys the window; what was entered is in the controller."""
    import omni.kit.menu.utils as menus
    import omni.ui as ui

    panel.model.commit("terrain.hurst", 0.5)
    panel.open("rocks")
    item = menus.find_item(f"Tools/{TITLE}/Panel")
    assert item.ticked_fn()
    ui.Workspace.show_window(TITLE, False)
    panel.screen.frames(3)
    panel.kit.pump(5)
    assert not item.ticked_fn() and not isinstance(ui.Workspace.get_window(TITLE), ui.Window)
    item.onclick_fn()
    panel.screen.frames(5)
    again = Panel(panel.kit)
    assert not again.widget("section:rocks").collapsed
    again.open("stage")
    assert abs(again.widget("terrain.hurst").model.as_float - 0.5) < 1e-6


def test_a_disabled_action_says_why(panel: Panel) -> None:
    from omni.kit.notification_manager import posted

    action = panel.model.actions["cancel"]
    assert not action.enabled
    panel.open("dataset")
    panel.press("cancel")
    assert action.reason in posted[-1].text


def test_saved_and_loaded_by_the_file_dialog(panel: Panel, tmp_path) -> None:
    import omni.kit.window.filepicker as filepicker

    panel.model.commit("terrain.hurst", 0.5)
    panel.press("save")
    filepicker.shown[-1].choose("mine.yaml", str(tmp_path))
    panel.kit.pump(3)
    assert (tmp_path / "mine.yaml").is_file() and not panel.widget("dirty").visible
    assert panel.text("file") == "mine.yaml"
    panel.model.commit("terrain.hurst", 0.7)
    panel.press("load")
    filepicker.shown[-1].choose("mine.yaml", str(tmp_path))
    panel.kit.pump(3)
    assert panel.model.field("terrain.hurst").value == 0.5
    panel.press("load")
    filepicker.shown[-1].cancel()
    panel.kit.pump(3)
    assert not filepicker.shown


def test_without_a_file_picker_the_user_is_told(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a field and of a file of parameters; the panel goes on."""
    from omni.kit.notification_manager import posted

    monkeypatch.setitem(sys.modules, "omni.kit.window.filepicker", None)
    allowed = "the extension omni.kit.window.filepicker enabled, or a path typed into the field"
    line = f"file picker: missing; allowed: {allowed}"
    panel.press("load")
    assert panel.kit.until(lambda: [note.text for note in posted] == [line])
    panel.open("dataset")
    panel.click("pick:generate.out")
    assert panel.kit.until(lambda: [note.text for note in posted] == [line, line])
    panel.model.commit("terrain.hurst", 0.5)
    panel.kit.pump(2)
    assert panel.model.actions["undo"].enabled


def test_screenshots_of_every_section(panel: Panel) -> None:
    for section in panel.model.sections:
        panel.open(section.key)
        panel.screen.show(panel.widget(f"section:{section.key}"))
        panel.capture(OUT / f"section_{section.key}.png")
        assert (OUT / f"section_{section.key}.png").stat().st_size > 20_000


def test_numbers_and_text_as_they_are_shown(lunar: Kit) -> None:
    from regolith.lunar.kit.rows import number_format
    from regolith.lunar.kit.text import plain, tooltip
    from regolith.lunar.panel.presentation import tidy

    assert [number_format(step) for step in (1.0, 0.1, 0.05, 0.005, 1e-7)] == ["%.0f", "%.1f", "%.2f", "%.3f", "%.3g"]
    single = float(np.float32(0.35))
    assert single != 0.35 and tidy(single, 0.05) == 0.35
    assert tidy(float(np.float32(3e-5)), 1e-5) == 3e-5
    assert plain("lo ≤ hi … 2 m²") == "lo <= hi ... 2 m²" and plain("x→ﬁ") == "x->fi"
    assert max(len(line) for line in tooltip("word " * 60).splitlines()) <= 64


def test_a_plot_follows_an_epoch_that_is_said_again(lunar: Kit) -> None:
    """A resumed run reports an epoch a second time: as many values as before, but others."""
    import omni.ui as ui

    from regolith.lunar.kit.works import MetricPlot
    from regolith.lunar.panel.presentation import CURVES, plot_scale
    from regolith.lunar.panel.work import Work

    work = Work("training", "Training", metrics={"rock_iou": [(1.0, 0.02), (2.0, 0.31)]})
    window = ui.Window("Plots")
    with window.frame:
        plot = MetricPlot(work, CURVES[2])
    assert "0.310" in plot._label.text
    work.metrics["rock_iou"][-1] = (2.0, 0.44)
    plot.refresh()
    assert "0.440" in plot._label.text
    assert (plot._low.text, plot._high.text) == ("0", "0.5")
    assert (plot._first.text, plot._last.text) == ("epoch 1", "epoch 2")
    assert plot_scale([0.001, 0.013], share=True) == (0.0, 0.1)
    low, high = plot_scale([0.5, 1.5], share=False)
    assert low < 0.5 and high > 1.5
    window.destroy()


def test_what_is_under_way_is_said_with_every_section_shut(panel: Panel) -> None:
    panel.open()
    panel.press("author")
    assert panel.kit.until(lambda: panel.widget("line:stage").visible)
    assert "building terrain" in panel.text("line-text:stage")
    line, button = panel.widget("line-text:stage"), panel.widget("action:author")
    panel.screen.frames(1)
    assert line.screen_position_y < button.screen_position_y
    panel.capture(OUT / "line.png")
    panel.until_work("stage", "finished")
    assert not panel.widget("line:stage").visible


def test_counts_are_whole_numbers(panel: Panel) -> None:
    work = panel.model.works["training"]
    from regolith.lunar.panel.work import counted

    work.state, work.done, work.total = "running", 1_234_567.0, 1_500_000.0
    work.text = counted(work.done, work.total, "steps")
    panel.model._context.changed("work", "training")
    assert panel.text("line-text:training") == "Training: 1,234,567 / 1,500,000 steps"
    shown = [text for text in panel.screen.texts("Regolith Lunar") if "1,234,567" in text]
    assert len(shown) == 1, shown
    work.state = "idle"


def test_what_was_typed_is_kept(panel: Panel) -> None:
    """The slider shows two decimals; the value has all that were typed."""
    field = panel.model.field("sensor.exposure_key")
    panel.open("sensor")
    panel.widget(field.path).model.set_value(0.12345)
    assert field.value == 0.12345
    panel.drag(field.path, 0.2, 0.8)
    assert field.value == round(field.value, 2)


def test_fields_that_share_a_name_are_told_apart(panel: Panel) -> None:
    from regolith.lunar.panel.presentation import labels

    for section in panel.model.sections:
        names = list(labels(section.fields).values())
        assert len(names) == len(set(names)), section.key
    assert "Hurst, terrain" in panel.screen.texts(TITLE)


def test_a_fresh_panel_has_hints_and_no_complaints(panel: Panel) -> None:
    wrong = [
        p for s in panel.model.sections for p in (f.path for f in s.fields) if panel.widget(f"message:{p}").visible
    ]
    assert not wrong
    assert panel.text("face:photos.images") == "choose a folder" and panel.widget("face:photos.images").visible
    assert panel.text("face:training.lr") == "auto"
    assert not panel.model.actions["evaluate_photos"].enabled


def test_a_long_path_shows_its_end(panel: Panel) -> None:
    path = "/data/somewhere/very/deep/inside/of/a/disk/photographs"
    panel.model.commit("photos.images", path)
    assert panel.text("face:photos.images") == ".../of/a/disk/photographs"
    assert panel.widget("photos.images").model.as_string == path
    assert panel.widget("photos.images").tooltip.startswith(path)
    panel.open("model")
    panel.enter("photos.images", "/elsewhere")
    assert str(panel.model.field("photos.images").value) == "/elsewhere"
    assert not panel.widget("face:photos.images").visible
