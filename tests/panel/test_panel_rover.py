"""Driving and calibrating from the panel: pictures while it runs, tables after it, ranges taken by a click."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from panel_host import Bench
from PIL import Image

from regolith.lunar.panel.rover import DRIVES, ROVER
from regolith.lunar.params import Interval, load_preset, save_params
from regolith.lunar.physics.experiments import Bench as Rover
from regolith.lunar.physics.measured import Run, save_run
from regolith.lunar.physics.sketch import LEGEND_PX, SIZE_PX
from regolith.lunar.physics.watch import SIZE


def companion(bench: Bench, tmp_path: Path, script: str) -> None:
    """Make a shell script the interpreter of companions."""
    path = tmp_path / "program"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    bench.host.python = path


def png(colour: tuple[int, int, int]) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", (8, 6), colour).save(data, "PNG")
    return data.getvalue()


def size(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_dynamics_are_a_section_of_their_own(bench: Bench) -> None:
    sections = {section.key: section for section in bench.model.sections}
    names = {field.path for field in sections["dynamics"].fields}
    ranges = {f"dynamics.{name}" for name in type(bench.model.params.dynamics).model_fields}
    assert names == ranges | {"randomize.dynamics"}
    assert [section for section in sections if section in ("dynamics", "traverse", "calibrate", "quality")] == [
        "dynamics", "traverse", "calibrate", "quality",
    ]  # fmt: skip
    assert {"traverse.avoid", "traverse.soil", "traverse.distance_m", "traverse.stages"} <= {
        field.path for field in sections["traverse"].fields
    }
    assert bench.model.field("traverse.stage").picks == "file"
    assert bench.model.field("calibrate_dynamics.runs").picks == "folder"


def test_a_drive_is_seen_and_told(bench: Bench) -> None:
    """By the real verb: map and picture come while it drives, a line for each way after it."""
    model = bench.model
    for path, value in (("traverse.distance_m", 2.0), ("traverse.soil", "none"), ("traverse.time_max_s", 30)):
        model.commit(path, value)
    model.commit("terrain.size_m", 40)
    bench.run("traverse")
    work = model.works["traverse"]
    bench.until(lambda: {"map", "view"} <= work.pictures.keys() or not work.active, 240)
    assert work.active and work.table == (), (work.text, list(work.log))
    assert size(work.pictures["map"].data) == (SIZE_PX, SIZE_PX + LEGEND_PX)
    view = np.asarray(Image.open(io.BytesIO(work.pictures["view"].data)))
    assert view.shape == (SIZE.height, SIZE.width, 3) and view.std() > 5.0
    first = work.pictures["map"].data
    bench.rest("traverse", 240)
    assert work.state == "finished", (work.text, list(work.log))
    assert work.pictures["map"].data != first and work.fraction == 1.0
    head, *lines = work.table
    assert head[:3] == ("Scene", "Way", "Outcome")
    assert [line[1] for line in lines] == ["straight on", "round the rocks"]
    assert work.text.startswith("straight on: reached ") and "round the rocks: reached 1 of 1" in work.text
    out = bench.host.data_folder / "traverse"
    assert work.folder == out and (out / "map_00000_labels.png").read_bytes() == work.pictures["map"].data
    assert bench.host.notes[-1][0] == "info"


def test_pictures_come_from_the_folder_alone(bench: Bench, tmp_path: Path) -> None:
    """Whatever path an event names, a file of that name in the run's own folder is read, and that of a known kind."""
    out = bench.host.data_folder / "traverse"
    out.mkdir(parents=True)
    (tmp_path / "map_secret.png").write_bytes(png((1, 2, 3)))
    (out / "map_1.png").write_bytes(png((9, 9, 9)))
    (out / "big.png").write_bytes(b"\0" * (5 << 20))
    events = [
        {"event": "artifact", "path": str(tmp_path / "map_secret.png"), "kind": "map"},
        {"event": "artifact", "path": "../../map_1.png", "kind": "view"},
        {"event": "artifact", "path": "map_1.png", "kind": "other"},
        {"event": "artifact", "path": "big.png", "kind": "map"},
    ]
    lines = "\n".join(map(json.dumps, events))
    companion(bench, tmp_path, f"cat <<'END'\n{lines}\nEND\nexec sleep 60")
    bench.run("traverse")
    work = bench.model.works["traverse"]
    bench.until(lambda: work.pictures)
    assert {kind: picture.data for kind, picture in work.pictures.items()} == {"view": png((9, 9, 9))}
    again = bench.restart()
    found = again.model.works["traverse"]
    again.until(lambda: found.pictures)
    assert found.active and found.pictures["view"].data == png((9, 9, 9)) and found.folder == out
    again.run("traverse")
    again.rest("traverse")
    assert found.state == "interrupted"
    companion(again, tmp_path, "exit 2")
    again.run("traverse")
    assert not found.pictures  # of the run before
    again.end()


def test_a_drive_starts_from_the_parameters_entered(bench: Bench, tmp_path: Path) -> None:
    companion(bench, tmp_path, f'echo "$@" > {tmp_path}/words; for w in "$@"; do case $w in --params=*) '
              f'cp "${{w#--params=}}" {tmp_path}/params.yaml;; esac; done')  # fmt: skip
    bench.model.commit("dynamics.friction_scale", Interval(0.5, 0.7))
    bench.model.commit("traverse.avoid", "labels")
    bench.run("traverse")
    bench.rest("traverse")
    words = (tmp_path / "words").read_text().split()
    assert {"--avoid=labels", "--watch-m=1.0", "--events"} <= set(words) and "traverse" in words
    save_params(bench.model.params, tmp_path / "expected.yaml")
    assert (tmp_path / "params.yaml").read_text() == (tmp_path / "expected.yaml").read_text()
    bench.model.commit("dynamics.friction_scale", "9,10")
    assert bench.model.actions["traverse"].reason.startswith("dynamics.friction_scale")


def test_measured_runs_become_ranges_by_a_click(bench: Bench) -> None:
    """By the real verb, of a drop that throws back more than the rover on the stage does."""
    data = bench.host.data_folder
    take = bench.model.actions["calibrate_dynamics_take"]
    assert take.reason == "no dynamics.yaml in its folder yet"
    (data / "measured").mkdir(parents=True)
    time = np.arange(0.0, 1.6, 0.02)
    run = Run("drop", "drop", {"release": 0.3}, time, {"height": np.zeros(len(time))})
    seen = Rover().simulate(run, {"restitution": 0.4})["height"]
    seen = seen + np.random.default_rng(0).normal(0.0, 0.002, len(time))
    save_run(Run("drop", "drop", run.settings, time, {"height": seen}), data / "measured" / "drop.csv")
    bench.model.commit("calibrate_dynamics.starts", 1)
    bench.run("calibrate_dynamics")
    bench.rest("calibrate_dynamics", 240)
    work = bench.model.works["calibrate_dynamics"]
    assert (work.state, work.text) == ("finished", "1 of 1 value told by 1 run"), list(work.log)
    assert work.table[0] == ("Value", "Estimate", "Interval") and work.table[1][0] == "restitution"
    bench.model.commit("sensor.exposure_key", 0.2)
    depth = bench.model.undo_depth
    bench.model.tick()
    take.refresh()
    bench.run("calibrate_dynamics_take")
    found = bench.model.params.dynamics.restitution
    assert found.contains(0.4) and found.hi - found.lo < 0.1
    assert bench.model.params.sensor.exposure_key == 0.2 and bench.model.undo_depth == depth + 1
    assert bench.host.notes[-1] == ("info", "Taken from dynamics.yaml: Restitution")


def test_only_what_is_narrower_than_its_preset_is_taken(bench: Bench) -> None:
    """A camera is narrowed from a preset of its own: all else stays as it is in the panel."""
    out = bench.host.data_folder / "calibration" / "camera"
    out.mkdir(parents=True)
    (out / "camera.yaml").write_text("preset: v4\nsensor:\n  psf_px: [0.5, 0.6]\n")
    before = bench.model.params
    assert load_preset("v4").sensor.psf_px != before.sensor.psf_px
    take = bench.model.actions["calibrate_camera_take"]
    take.refresh()
    bench.run("calibrate_camera_take")
    sensor = before.sensor.model_copy(update={"psf_px": Interval(0.5, 0.6)})
    assert bench.model.params == before.model_copy(update={"sensor": sensor})
    bench.model.undo()
    assert bench.model.params == before
    (out / "camera.yaml").write_text("preset: v4\nsensor:\n  psf_px: wide\n")
    bench.run("calibrate_camera_take")
    assert bench.host.notes[-1][0] == "error" and "psf_px" in bench.host.notes[-1][1]
    assert bench.model.params == before


@pytest.mark.parametrize("scenes", [1, DRIVES])
def test_a_table_of_many_drives_has_their_means(scenes: int) -> None:
    (row,) = (row for row in ROVER if row.key == "traverse")
    run = {"outcome": "stuck", "time_s": 9.0, "distance_m": 2.0, "slip_mean": 0.1, "rocks": [1, 2]}
    runs = [run | {"scene": scene, "avoid": how} for scene in range(scenes) for how in ("none", "policy")]
    mean = {"mean": 1.25, "sd": None}
    total = {"runs": scenes, "reached": 0, "rocks": mean, "distance_m": mean, "slip": mean}
    table = row.table({"runs": runs, "totals": {"none": total, "policy": total}})
    ways = [line[:2] for line in table[1:]]
    each = [(str(scene), way) for scene in range(scenes) for way in ("straight on", "policy")]
    means = [("all", "straight on"), ("all", "policy")]
    assert ways == (means if scenes == DRIVES else each)
    assert len({len(line) for line in table}) == 1
