"""The camera's path in the panel: keys at views, the very way of the verb, and the film of it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from panel_host import Bench, MemoryHost

from regolith.lunar.cli import parse_verb
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.flythrough.keyframes import Key, Keyframes, read_keyframes, save_keyframes
from regolith.lunar.flythrough.shots import choose_shots
from regolith.lunar.flythrough.verb import Flythrough
from regolith.lunar.jobs.runs import find_runs
from regolith.lunar.panel.camera_path import write_keys
from regolith.lunar.panel.host import Eye
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.settings import KEYS

VIEWS = (
    {"camera_x_m": -3.0, "camera_y_m": 1.0, "height_m": 3.0, "heading_deg": 350.0, "pitch_deg": -8.0, "fov_deg": 60.0},
    {"camera_x_m": 2.0, "camera_y_m": 2.0, "height_m": 4.0, "heading_deg": 20.0, "pitch_deg": -15.0, "fov_deg": 45.0},
)
LEVEL = {"roll_deg": 0.0, "sun_elevation_deg": 12.0, "sun_azimuth_deg": 100.0}


class Clock:
    """A time that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def add_keys(bench: Bench) -> None:
    """Author a stage and add a key at each of the views."""
    bench.author()
    for view in VIEWS:
        bench.model.aim(view | LEVEL)
        bench.run("add_key")


def seen(bench: Bench, *names: str) -> list[float]:
    assert bench.model.spec is not None
    return [bench.model.spec[name] for name in names]


def test_keys_are_added_at_the_view_and_each_is_a_step_of_undo(bench: Bench) -> None:
    path = bench.model.path
    assert bench.model.actions["add_key"].reason == "author a stage first"
    bench.author()
    assert "two views or more" in bench.model.actions["play"].reason and path.message == ""
    add_keys(bench)
    assert [(key.time_s, key.x_m, key.height_m, key.fov_deg) for key in path.keys] == [
        (0.0, -3.0, 3.0, 60.0), (2.0, 2.0, 4.0, 45.0),
    ]  # fmt: skip
    assert [(key.roll_deg, key.sun_elevation_deg, key.sun_azimuth_deg) for key in path.keys] == [(0.0, 12.0, 100.0)] * 2
    assert path.words == "2 keys, 2 s, 48 frames"
    bench.model.commit("way.sun_in_keys", False)
    bench.model.aim({"camera_x_m": 0.0})
    path.replace(1)
    assert (path.keys[1].time_s, path.keys[1].x_m, path.keys[1].sun_elevation_deg) == (2.0, 0.0, None)
    bench.run("add_key")
    path.remove(0)
    assert [key.time_s for key in path.keys] == [0.0, 2.0], "the film begins at the first key that is left"
    for count in (3, 2):
        bench.run("undo")
        assert len(path.keys) == count
    assert path.keys[1].x_m == 0.0
    bench.model.reset_section("film")
    assert path.keys == () and path.words == "Aim the camera, and add a key at its view."


def test_the_view_on_the_path_is_that_of_the_verb(bench: Bench, tmp_path: Path) -> None:
    """Frame by frame the same camera and sun, lifted over ground and rocks where the verb lifts it."""
    add_keys(bench)
    low = [key.model_copy(update={"height_m": 0.3}) for key in bench.model.path.keys]
    bench.model.commit(KEYS, write_keys(low))
    path = bench.model.path
    path.scrub(1.0)
    bench.until(lambda: path.way is not None)
    assert path.way is not None
    save_keyframes(Keyframes(keys=list(path.keys)), tmp_path / "way.yaml")
    words = ["--preset", "v1", "--path", str(tmp_path / "way.yaml"), "--size", "64x36"]
    verb = parse_verb(Flythrough, "flythrough", words)
    assert isinstance(verb, Flythrough)
    specs = choose_shots(verb).specs
    np.testing.assert_array_equal(
        path.way.eye_m, [(spec.camera_x_m, spec.camera_y_m, spec.camera_z_m) for spec in specs]
    )
    names = ("heading_deg", "pitch_deg", "roll_deg", "fov_deg", "sun_elevation_deg", "sun_azimuth_deg")
    names += ("camera_x_m", "camera_y_m", "height_m")
    for time_s, frame in ((1.0, 24), (0.25, 6), (2.0, 47)):
        path.scrub(time_s)
        bench.model.tick()
        assert path.time_s == time_s
        np.testing.assert_allclose(seen(bench, *names), [specs[frame][name] for name in names], atol=1e-9)
    assert [stop.fov_deg for stop in path.stops] == [specs[0]["fov_deg"], specs[47]["fov_deg"]]
    path.go(1)
    assert path.time_s == 2.0 and seen(bench, "camera_x_m", "fov_deg") == [2.0, 45.0]


def test_a_preview_plays_in_the_films_time_and_stops(host: MemoryHost) -> None:
    clock = Clock()
    bench = Bench(host, PanelModel(host, preset="v1", clock=clock))
    add_keys(bench)
    path = bench.model.path
    bench.until(lambda: path.way is not None)
    bench.run("play")
    assert path.playing and path.time_s == 0.0 and bench.model.actions["play"].label == "Stop"
    clock.now += 0.5
    bench.model.tick()
    shown = len(host.applied)
    clock.now += 0.01
    bench.model.tick()
    assert path.time_s == 0.5 and len(host.applied) == shown, "views come at a low rate"
    bench.run("play")
    clock.now += 1.0
    bench.model.tick()
    assert not path.playing and path.time_s == 0.5
    bench.run("play")
    clock.now += 1.75
    bench.model.tick()
    bench.model.tick()
    assert not path.playing and path.time_s == 2.0 and bench.model.actions["play"].label == "Play path"
    bench.run("play")
    assert path.time_s == 0.0
    bench.end()


def test_what_is_wrong_with_a_path_is_one_line(bench: Bench) -> None:
    add_keys(bench)
    path, render = bench.model.path, bench.model.actions["film"]
    bench.until(lambda: path.way is not None)
    bench.model.commit(KEYS, path.with_time(1, 0.0))
    same = "keys: 'key 2, time_s 0.0' is not allowed; allowed: above 0 s, the key before"
    assert path.message == same == bench.model.field(KEYS).message
    assert [key.time_s for key in path.keys] == [0.0, 0.0] and path.seconds == 2.0, "the last path counts"
    for action in (render, bench.model.actions["play"]):
        action.refresh()
        assert action.reason == same
    bench.model.commit(KEYS, path.with_time(1, 5000.0))
    assert "3600" in path.message and len(path.keys) == 2
    bench.model.undo()
    bench.model.undo()
    assert path.message == ""
    far = [path.keys[0], path.keys[1].model_copy(update={"x_m": 40.0})]
    bench.model.commit(KEYS, write_keys(far))
    bench.until(lambda: path.message)
    assert path.message.startswith("camera_x_m: ") and "in the working area" in path.message
    assert path.message.endswith(" s") and ", at 1." in path.message
    render.refresh()
    assert render.reason == path.message
    bench.model.commit("camera.rig", "viper")
    bench.model.tick()
    assert bench.model.actions["add_key"].reason.startswith("camera.rig: ")


def test_a_key_is_where_a_user_flew(bench: Bench) -> None:
    """In Kit the viewport flies: its eye makes the key, where a lens can be."""
    bench.author()
    path = bench.model.path
    x, y, z = -3.0, 1.0, 30.0
    bench.host.flown = Eye((x, y, z), 45.0, -30.0, 2.0, 50.0)
    bench.run("add_key")
    (key,) = path.keys
    assert bench.model._stage.built is not None
    ground = float(bench.model._stage.built.scene.terrain.height(np.array([x]), np.array([y]))[0])
    assert (key.x_m, key.heading_deg, key.pitch_deg, key.roll_deg, key.fov_deg) == (x, 45.0, -30.0, 2.0, 50.0)
    assert key.height_m == pytest.approx(z - ground, abs=1e-3)
    bench.host.flown = dataclasses.replace(bench.host.flown, place_m=(400.0, 0.0, 2.0))
    bench.run("add_key")
    assert bench.host.notes[-1][0] == "error" and bench.host.notes[-1][1].startswith("camera_x_m: 400.0")
    assert len(path.keys) == 1
    path.go(0)
    assert seen(bench, "height_m")[0] > 20.0, "beyond what is drawn, and what a hand may aim"
    assert bench.host.flown is None, "one looks through the frame's camera again"


def test_keys_are_kept_in_files_and_over_a_restart(bench: Bench, tmp_path: Path) -> None:
    add_keys(bench)
    path = bench.model.path
    bench.host.picked = tmp_path / "films" / "way.yaml"
    bench.run("save_path")
    bench.model.tick()
    assert read_keyframes(bench.host.picked).keys == list(path.keys)
    text = bench.host.picked.read_text()
    assert text.startswith("keys:\n- {time_s: 0.0, x_m: -3.0, ") and len(text.splitlines()) == 3
    again = bench.restart()
    assert again.model.path.keys == path.keys and not again.model.can_undo
    again.model.reset_section("film")
    again.host.picked = bench.host.picked
    again.run("load_path")
    again.model.tick()
    assert again.model.path.keys == path.keys and again.host.picks[-1].kind == "file"
    (tmp_path / "films" / "way.yaml").write_text("aim: rover\n" + text)
    again.run("load_path")
    again.model.tick()
    assert again.host.notes[-1] == (
        "error",
        "aim: 'rover' is not allowed; allowed: keys, for no rover drives on the stage",
    )
    again.host.memory["camera_path"] = '[{"time_s": -1}]'
    assert again.restart().model.path.keys == ()


def test_the_film_is_rendered_over_the_scene_on_show(bench: Bench) -> None:
    """What starts is the command line's own verb, on files in the run's folder; here by its render step alone."""
    bench.model.commit("terrain.cell_m", 0.5)
    bench.model.commit("dataset.frames_per_scene", 2)
    bench.model.commit("shot.frame", 3)
    add_keys(bench)
    model = bench.model
    model.commit(KEYS, model.path.with_time(1, 0.2))
    for name, value in {"size": "48x28", "steps": "render", "title": "", "fps": 10}.items():
        model.commit(f"film.{name}", value)
    model.commit("render.quality", "draft")
    bench.until(lambda: model.path.way is not None)
    bench.run("film")
    assert model.actions["film"].label == "Stop flythrough"
    bench.rest("film", 120)
    work = model.works["film"]
    assert (work.state, work.text) == ("finished", "2 frames"), list(work.log)
    (run,) = find_runs(bench.host.runs_folder)
    assert read_keyframes(run.folder / "path.yaml").keys == list(model.path.keys)
    split = bench.host.data_folder / "film" / "frames" / "train_dr"
    assert Contract.read(split).parameters == model.params.model_dump(mode="json")
    record = read_journal(split)[1]
    assert model.path.way is not None
    assert (record.spec["scene"], record.spec["camera_x_m"]) == (1, pytest.approx(model.path.way.eye_m[1, 0]))
    model.commit("film.fps", 20)
    bench.host.answers["Another film"] = "New folder"
    bench.until(lambda: model.path.way is not None and len(model.path.way.eye_m) == 4)
    bench.run("film")
    bench.until(lambda: model.field("film.out").value.name == "film-2", 120)
    assert "another way" in next(text for level, text in bench.host.notes if level == "error")
    bench.rest("film", 120)
    assert (work.state, work.text) == ("finished", "4 frames"), list(work.log)
    assert not model.actions["film_report"].enabled, "the film itself was not asked for"


def test_every_key_of_a_file_survives_the_field(bench: Bench) -> None:
    keys = [
        Key(time_s=t, x_m=t, y_m=0.0, height_m=1.0, target_x_m=5.0, target_y_m=1.0, target_height_m=0.2)
        for t in (0.0, 3.0)
    ]
    bench.model.commit(KEYS, write_keys(keys))
    assert list(bench.model.path.keys) == keys and bench.model.path.message == ""
    bench.author()
    bench.until(lambda: bench.model.path.way is not None)
    bench.model.path.go(1)
    bench.model.tick()
    assert bench.model.path.time_s == 3.0
    assert seen(bench, "camera_x_m") == [pytest.approx(3.0, abs=0.01)]
