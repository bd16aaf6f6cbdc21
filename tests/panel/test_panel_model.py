"""The panel's model: undo, files, presets, observers, actions; no stage and no companion."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from panel_host import Bench, MemoryHost

from regolith.lunar.dataset.request import Request, write_request
from regolith.lunar.panel.host import Finished, Pick
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.observe import Change
from regolith.lunar.params import InputError, PictureSize, load_params, load_preset, save_params

EDITS: dict[str, list[Any]] = {
    "domain.sun_elevation_deg": [(5.0, 9.0), (30.0, 31.0), (9.0, 5.0), "x"],
    "craters.diameter_min_m": [0.2, 0.9, 9.0, ""],
    "craters.diameter_max_m": [0.5, 3.0, 14.0],
    "rocks.shape": ["blob", "basalt", "cube"],
    "relief.enabled": [True, False],
    "shot.frame": [0, 3, -1],
    "training.test_split": ["a", None],
    "training.select_on": ["test", "val"],
    "generate.frames": [1, 0, None],
    "companion.python": ["/usr/bin/python3", None],
}
edits = st.sampled_from(sorted(EDITS)).flatmap(lambda path: st.tuples(st.just(path), st.sampled_from(EDITS[path])))
steps = st.one_of(
    edits.map(lambda edit: ("commit", *edit)),
    edits.map(lambda edit: ("set", *edit)),
    st.sampled_from(["v1", "v4"]).map(lambda name: ("use_preset", name)),
    st.sampled_from([*EDITS]).map(lambda path: ("reset", path)),
    st.just(("reset_section", "craters")),
)
walks = st.one_of(steps, st.just(("undo",)), st.just(("redo",)))


def state(model: PanelModel) -> dict[str, Any]:
    """All a user sees of the fields, and what counts."""
    fields = {f.path: (f.value, f.default, f.message) for section in model.sections for f in section.fields}
    return fields | {"params": model.params, "preset": model.preset}


@pytest.fixture
def quick(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Make panels for many examples of one test."""
    return lambda: PanelModel(MemoryHost(tmp_path_factory.mktemp("host")))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(steps, max_size=12))
def test_undo_of_everything_is_the_start_and_redo_the_end(quick: Any, walk: list[tuple[Any, ...]]) -> None:
    model = quick()
    start = state(model)
    for name, *arguments in walk:
        getattr(model, name)(*arguments)
    end = state(model)
    count = 0
    while model.undo():
        count += 1
    assert state(model) == start and not model.can_undo and count <= len(walk)
    while model.redo():
        count -= 1
    assert state(model) == end and count == 0 and not model.can_redo
    model.close()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(walks, max_size=20))
def test_any_walk_agrees_with_a_list_of_states(quick: Any, walk: list[tuple[Any, ...]]) -> None:
    """Undo and redo move along the states after each step as they would along a plain list."""
    model = quick()
    states, place = [state(model)], 0
    for name, *arguments in walk:
        if name == "set":
            continue  # no step of its own
        done = getattr(model, name)(*arguments)
        if name == "undo":
            assert done == (place > 0)
            place = max(place - 1, 0)
        elif name == "redo":
            assert done == (place < len(states) - 1)
            place = min(place + 1, len(states) - 1)
        elif state(model) != states[place]:
            states, place = [*states[: place + 1], state(model)], place + 1
        assert state(model) == states[place]
        assert model.can_undo == (place > 0) and model.can_redo == (place < len(states) - 1)
    model.close()


def test_a_drag_is_one_step(bench: Bench) -> None:
    model, path = bench.model, "domain.sun_elevation_deg"
    before = model.field(path).value
    for lo in range(2, 30):
        model.set(path, (float(lo), 40.0))
    assert model.can_undo
    model.commit(path, (30.0, 40.0))
    assert model.undo() and model.field(path).value == before and not model.can_undo
    assert model.redo() and model.params.domain.sun_elevation_deg.lo == 30.0
    model.set(path, (31.0, 40.0))
    assert model.undo() and model.params.domain.sun_elevation_deg.lo == 30.0


def test_commit_that_changes_nothing_is_no_step(bench: Bench) -> None:
    model = bench.model
    model.commit("terrain.hurst", model.field("terrain.hurst").value)
    model.reset("terrain.hurst")
    assert not model.can_undo and not model.dirty


def test_value_that_is_not_allowed_is_shown_and_does_not_count(bench: Bench) -> None:
    model, field = bench.model, bench.model.field("craters.exponent")
    before = model.params
    model.commit("craters.exponent", 99)
    assert (field.value, model.params, model.valid) == (99, before, False)
    assert field.message == "craters.exponent: '99' is not allowed; allowed: a number 1 … 4"
    model.undo()
    assert field.message == "" and model.valid and field.value == before.craters.exponent


def test_reset_of_field_and_section(bench: Bench) -> None:
    model = bench.model
    model.commit("rocks.fillet", 0.3)
    model.commit("domain.rock_albedo_ratio", (1.0, 1.1))
    model.commit("randomize.rocks", False)
    model.commit("terrain.hurst", 0.5)
    assert model.field("rocks.fillet").changed
    model.reset("rocks.fillet")
    assert not model.field("rocks.fillet").changed and model.params.domain.rock_albedo_ratio.hi == 1.1
    model.reset_section("rocks")
    assert model.params == load_preset("v1").model_copy(
        update={"terrain": load_preset("v1").terrain.model_copy(update={"hurst": 0.5})}
    )
    model.undo()
    assert model.params.domain.rock_albedo_ratio.hi == 1.1 and not model.params.randomize.rocks


def test_preset_is_one_step_and_what_a_reset_gives(bench: Bench) -> None:
    model = bench.model
    model.commit("terrain.hurst", 0.5)
    assert model.use_preset("v4") and model.preset == "v4" and not model.dirty
    assert model.params == load_preset("v4")
    model.commit("domain.albedo", (0.3, 0.4))
    model.reset("domain.albedo")
    assert model.params == load_preset("v4")
    for _ in range(3):
        model.undo()
    assert (model.params.terrain.hurst, model.preset) == (0.5, "v1")
    model.reset("terrain.hurst")
    assert model.params == load_preset("v1")
    assert not model.use_preset("v9") and "preset: 'v9'" in bench.host.notes[-1][1]


@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_save_and_load_give_the_same_parameters(bench: Bench, tmp_path: Path, ending: str) -> None:
    model, path = bench.model, tmp_path / "new" / f"p{ending}"
    assert not model.dirty
    model.commit("domain.albedo", (0.25, 0.3))
    assert model.dirty and model.save(path) and not model.dirty and model.file == path
    saved = model.params
    assert load_params(path) == saved
    model.use_preset("v2")
    assert model.load(path) and model.params == saved and model.file == path and not model.dirty
    model.commit("domain.albedo", (0.26, 0.3))
    assert model.dirty
    model.undo()
    assert not model.dirty
    model.commit("domain.albedo", "dark")
    assert model.dirty
    assert model.save(path) and load_params(path) == saved and model.dirty  # the last allowed value; the text is not


def test_a_request_is_loaded_with_what_is_exported(bench: Bench, tmp_path: Path) -> None:
    """As one step, and into a folder of its own where the split it improves on is there."""
    model, sun = bench.model, {"domain.sun_elevation_deg": "9.0,20.0"}
    asked = Request(
        made_by="regolith gate", why="", preset="v1", params=sun, split="val", frames=3, size=(64, 48), seed=7
    )
    write_request(tmp_path / "request.json", asked)
    out = model.field("generate.out").value
    (out / "val").mkdir(parents=True)
    assert model.load(tmp_path / "request.json") and model.params == asked.parameters() and model.preset == "v1"
    value = {name: model.field(f"generate.{name}").value for name in ("split", "frames", "size", "seed", "out")}
    again = out.with_name(f"{out.name}-again")
    assert list(value.values()) == ["val", 3, PictureSize(64, 48), 7, again] and str(again) in bench.host.notes[-1][1]
    model.undo()
    assert model.field("generate.out").value == out and not model.can_undo
    (tmp_path / "request.json").write_text((tmp_path / "request.json").read_text().replace("9.0", "1.0"))
    assert not model.load(tmp_path / "request.json") and "request: " in bench.host.notes[-1][1]


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("p.yaml", "craters: {density: [5, 9]}", "craters.density: [5, 9] is not allowed"),
        ("p.yaml", "cratters: {}", "did you mean craters?"),
        ("p.json", "{", "well-formed JSON"),
        ("p.txt", "", "a .yaml, .yml or .json file"),
        ("none.yaml", None, "a readable file"),
    ],
)
def test_file_that_cannot_be_used_says_why(
    bench: Bench, tmp_path: Path, name: str, text: str | None, line: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    before = state(bench.model)
    assert not bench.model.load(tmp_path / name)
    assert line in bench.host.notes[-1][1] and bench.host.notes[-1][0] == "error"
    assert state(bench.model) == before and not bench.model.can_undo


def test_place_that_cannot_be_written_says_why(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert not bench.model.save(tmp_path / "file" / "p.yaml") and "params: " in bench.host.notes[-1][1]
    assert not bench.model.save(tmp_path / "p.txt") and bench.model.file is None


def test_search_finds_by_name_help_and_section(bench: Bench) -> None:
    model = bench.model

    def paths(text: str) -> list[str]:
        return [field.path for field in model.search(text)]

    assert paths("sun elev")[:2] == ["domain.sun_elevation_deg", "test_domain.sun_elevation_deg"]
    assert "sensor.psf_px" in paths("point spread") and "training.lr" in paths("LEARNING rate")
    assert "domain.albedo" in paths("stage albedo") and paths("camera height")[0] == "domain.height_m"
    assert paths("") == paths("  ") == [] == paths("no such thing at all")


def test_observers_hear_what_changed_and_end_when_dropped(bench: Bench) -> None:
    model, heard = bench.model, []
    held = model.subscribe(heard.append)
    model.commit("craters.exponent", 2.5)
    fields = [change for change in heard if change.kind == "fields"]
    assert fields == [Change("fields", frozenset({"craters.exponent"}))]
    assert {change.kind for change in heard} == {"fields", "history", "actions"}
    assert Change("actions", frozenset({"undo"})) in heard
    heard.clear()
    model.commit("craters.exponent", 2.5)
    assert heard == []
    held.close()
    model.commit("craters.exponent", 2.6)
    dropped = model.subscribe(heard.append)
    del dropped
    gc.collect()
    model.commit("craters.exponent", 2.7)
    assert heard == []


def test_observer_that_fails_keeps_nothing_from_others(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(change: Change) -> None:
        raise RuntimeError("view")

    first = bench.model.subscribe(fail)
    bench.changes.clear()
    second = bench.model.subscribe(bench.changes.append)
    bench.model.commit("craters.exponent", 2.5)
    assert bench.changes and "a view failed" in caplog.text
    first.close()
    second.close()


def test_dropped_model_leaves_nothing_behind(host: MemoryHost) -> None:
    model = PanelModel(host)
    model.commit("terrain.hurst", 0.5)
    model.close()
    del model
    gc.collect()
    assert [o for o in gc.get_objects() if type(o).__module__ == "regolith.lunar.panel.model"] == []


def test_actions_say_why_they_cannot_be_pressed(bench: Bench) -> None:
    actions = bench.model.actions
    reasons = {key: action.reason for key, action in actions.items() if not action.enabled}
    assert reasons["randomize"] == "author a stage first"
    assert reasons["pause"] == reasons["cancel"] == "no export is under way"
    assert reasons["use_model"] == "no training has made a model yet"
    assert reasons["train"].startswith("train_split: ") and "dataset.json" in reasons["train"]
    assert reasons["evaluate"].startswith("split: ") and reasons["evaluate_photos"].startswith("images: missing")
    assert reasons["report"] == reasons["open_folder"] == "nothing is exported yet"
    assert {"author", "preview", "choose_model", "generate", "load", "save"} <= set(actions) - set(reasons)
    actions["train"].run()
    level, text = bench.host.notes[-1]
    assert level == "warning" and text == f"Start training: {reasons['train']}"
    assert not bench.host.runs_folder.exists()
    assert all(action.tooltip and action.label for action in actions.values())


def test_reason_of_the_export_follows_the_fields(bench: Bench) -> None:
    model, export = bench.model, bench.model.actions["generate"]
    for path, value, reason in [
        ("generate.size", "8", "size: '8' is not allowed"),
        ("generate.frames", None, "frames: missing"),
    ]:
        model.commit(path, value)
        assert reason in export.reason
        model.undo()
        assert export.enabled
    model.commit("generate.split", "test_photoreal")
    model.commit("test_domain.albedo", (0.15, 0.5))
    assert "albedo" in export.reason and not export.enabled
    model.undo()
    assert export.enabled
    bench.changes.clear()
    model.commit("generate.size", "8")
    assert len([change for change in bench.changes if change.kind == "actions" and "generate" in change.keys]) == 1
    assert model.actions["author"].enabled  # with the last size that is allowed


def test_undo_and_redo_are_actions_too(bench: Bench) -> None:
    model = bench.model
    assert not model.actions["undo"].enabled and not model.actions["redo"].enabled
    model.commit("terrain.hurst", 0.5)
    bench.run("undo")
    assert model.params.terrain.hurst == load_preset("v1").terrain.hurst and not model.actions["undo"].enabled
    bench.run("redo")
    assert model.params.terrain.hurst == 0.5


def test_files_and_paths_are_picked(bench: Bench, tmp_path: Path) -> None:
    bench.host.picked = tmp_path / "p.yaml"
    save_params(load_preset("v2"), tmp_path / "p.yaml")
    bench.run("load")
    bench.model.tick()
    assert bench.model.params == load_preset("v2")
    bench.host.picked = tmp_path / "q.yaml"
    bench.run("save")
    bench.model.tick()
    assert load_params(tmp_path / "q.yaml") == load_preset("v2")
    bench.host.picked = tmp_path / "m.onnx"
    bench.run("choose_model")
    bench.model.tick()
    assert bench.model.field("model.path").value == str(tmp_path / "m.onnx")
    bench.host.picked = None
    bench.run("choose_model")
    bench.model.tick()
    assert bench.model.field("model.path").value == str(tmp_path / "m.onnx")
    assert [pick.kind for pick in bench.host.picks] == ["file", "save", "file", "file"]


def test_interpreter_is_remembered(bench: Bench) -> None:
    bench.host.picked = Path("/opt/python/bin/python3")
    bench.run("choose_python")
    bench.model.tick()
    again = bench.restart()
    assert again.model.field("companion.python").value == Path("/opt/python/bin/python3")
    again.model.reset("companion.python")
    assert again.model.field("companion.python").value == Path("/opt/python/bin/python3")
    again.model.commit("companion.python", None)
    assert again.host.memory["python"] == ""
    again.end()


def test_preview_starts_changes_and_stops(bench: Bench) -> None:
    model, host = bench.model, bench.host
    bench.run("preview")
    model.tick()
    assert model.live is not None and model.live.frames_per_s == 7.0
    assert model.actions["preview"].label == "Stop live preview"
    for opacity in (0.1, 0.2, 0.3):
        model.set("model.opacity", opacity)
    model.tick()
    model.tick()
    assert [live.opacity for live in host.lives if live] == [0.45, 0.3]
    model.commit("model.path", "nets/a.onnx")
    model.tick()
    assert host.live is not None and host.live.model == str(host.data_folder / "nets" / "a.onnx")
    bench.run("preview")
    model.tick()
    assert model.live is None and host.lives[-1] is None and model.actions["preview"].label == "Start live preview"


def test_preview_that_the_host_ends_is_off(bench: Bench) -> None:
    bench.run("preview")
    bench.model.tick()
    bench.host.live = None  # its viewport was closed
    bench.model.tick()
    assert bench.model.live is None and bench.model.actions["preview"].label == "Start live preview"
    bench.host.live_error = RuntimeError("no onnxruntime: pip install onnxruntime")
    bench.run("preview")
    bench.model.tick()
    assert bench.host.notes[-1] == ("error", "RuntimeError: no onnxruntime: pip install onnxruntime")
    assert bench.model.actions["preview"].label == "Start live preview"


def test_preview_whose_new_model_fails_ends_in_the_host_too(bench: Bench) -> None:
    bench.run("preview")
    bench.model.tick()
    bench.host.live_error = RuntimeError("no model")
    bench.model.commit("model.path", "nets/bad.onnx")
    bench.until(lambda: bench.host.notes)
    assert bench.host.lives[-1] is None and bench.host.live is None
    assert bench.model.live is None and bench.model.actions["preview"].label == "Start live preview"


def test_companions_without_an_interpreter_say_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regolith.lunar.panel.context.find_python", lambda host: host)
    bench.host.python, bench.host.draws_here = None, True
    actions = bench.model.actions
    bench.model.commit("drawing.headless", True)
    assert "Python" in actions["generate"].reason
    assert "Python" in actions["evaluate"].reason and "Python" in actions["evaluate_photos"].reason
    bench.model.commit("drawing.headless", False)
    assert actions["generate"].enabled
    bench.model.commit("drawing.headless", True)
    bench.model.commit("companion.python", Path("/usr/bin/python3"))
    assert actions["generate"].enabled and "Python" not in actions["evaluate"].reason


def test_closing_stops_the_preview(bench: Bench) -> None:
    bench.run("preview")
    bench.model.tick()
    bench.model.close()
    assert bench.host.live is None


def test_a_host_that_lets_nothing_be_chosen_says_so(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a field's path as of a file's; what waits for the path is never called."""
    missing = InputError("file picker", None, "a path typed into the field")
    monkeypatch.setattr(bench.host, "pick_path", lambda pick: Finished(error=missing))
    chosen: list[Path] = []
    bench.model.choose(Pick("Out", "folder"), chosen.append)
    bench.run("load")
    bench.model.tick()
    assert bench.host.notes == [("error", str(missing))] * 2 and not chosen
