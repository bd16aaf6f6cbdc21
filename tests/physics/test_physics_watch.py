"""Drives that are watched: where their cameras are, what their maps show, and that looking changes nothing."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pxr import UsdGeom
from scipy.spatial.transform import Rotation
from small_stage import add_rover, ground_stage

from regolith.lunar import cli
from regolith.lunar.params import InputError, PictureSize, load_preset
from regolith.lunar.physics import sketch
from regolith.lunar.physics.course import author
from regolith.lunar.physics.read import read_terrain
from regolith.lunar.physics.sight import Sight, frame_shown
from regolith.lunar.physics.stance import stance_of
from regolith.lunar.physics.world import Pose, Shape
from regolith.lunar.randomize import lit_frame
from regolith.lunar.render import open_renderer
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.camera import mounted
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.pose import rover_matrix
from regolith.lunar.stage.spec import Stance


def test_a_pose_is_a_stance() -> None:
    stance = Stance(1.0, -2.0, 0.5, 130.0, -8.0, 5.0, (1.0, -2.0, 3.0, 0.5), carries=True)
    turn = Rotation.from_matrix(rover_matrix(stance)[:3, :3].T).as_quat(scalar_first=True)
    found = stance_of(np.array([1.0, -2.0, 0.5]), turn, arms=np.radians(stance.arms_deg))
    assert np.array(list(found.to_dict().values())[:6]) == pytest.approx([1.0, -2.0, 0.5, 130.0, -8.0, 5.0])
    assert found.arms_deg == pytest.approx(stance.arms_deg) and found.carries


def test_the_camera_is_on_the_rover() -> None:
    """On the stage it is where its mount says, and looks as that says, however the rover is tilted."""
    params = load_preset("v1")
    stage = author(params, 0, "train_dr", 0)
    spec = lit_frame(params, 0, "train_dr", 0)
    stance = Stance(1.0, -2.0, 0.5, 130.0, -8.0, 5.0, (1.0, -2.0, 3.0, 0.5), carries=True)
    apply_frame(stage, params, mounted(spec, "hazcam_front_left", stance), 96, 72)
    cache = UsdGeom.XformCache()
    chassis = np.array(cache.GetLocalToWorldTransform(stage.GetPrimAtPath(schema.ROVER_CHASSIS)))
    camera = np.array(cache.GetLocalToWorldTransform(stage.GetPrimAtPath(schema.CAMERA)))
    mount = viper.MOUNTS["hazcam_front_left"]
    local = camera @ np.linalg.inv(chassis)
    assert local[3, :3] == pytest.approx(mount.place_m)
    yaw, pitch = np.radians([mount.yaw_deg, mount.pitch_deg])
    ahead = (np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch))
    assert -local[2, :3] == pytest.approx(ahead)
    shown = frame_shown(stage)
    assert shown is not None and shown[1].rover == stance and shown[1]["albedo"] == spec["albedo"]


def test_pictures_leave_the_stage_as_it_is() -> None:
    params = load_preset("v1")
    stage = author(params, 0, "train_dr", 0)
    before = stage.GetRootLayer().ExportToString()
    stance = Stance(1.0, -2.0, 0.5, 130.0, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), carries=True)
    with contextlib.closing(open_renderer("auto")) as renderer:
        sight = Sight(renderer, stage, PictureSize(96, 72), params=params, frame=lit_frame(params, 0, "train_dr", 0))
        turned = dataclasses.replace(stance, heading_deg=40.0)
        pictures = [sight.take(at, "navcam_left")[0].rgb for at in (stance, turned)]
    assert (pictures[0] != pictures[1]).any()
    assert stage.GetRootLayer().ExportToString() == before and not stage.GetSessionLayer().rootPrims


def test_a_stage_that_says_nonsense_of_its_frame_is_refused() -> None:
    stage = ground_stage()
    assert frame_shown(stage) is None
    stage.GetPrimAtPath(schema.WORLD).SetCustomDataByKey(schema.SHOWN, {"parameters": "{}", "frame": "[]"})
    with pytest.raises(InputError, match="customData"):
        frame_shown(stage)


def colours(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)))


def count(picture: np.ndarray, colour: tuple[int, int, int]) -> int:
    """Pixels of the map that have a colour, its legend left out."""
    return int((np.abs(picture[: sketch.SIZE_PX].astype(int) - colour).max(axis=2) < 30).sum())


def test_a_map_shows_rocks_ways_and_touches_where_they_are() -> None:
    corners = np.array([(x, y, z) for x in (-0.4, 0.4) for y in (-0.4, 0.4) for z in (0.0, 0.5)])
    places = {"a": (1.0, 1.0), "b": (-2.0, 2.0), "far": (50.0, 0.0)}
    turn = np.array([1.0, 0.0, 0.0, 0.0])
    rocks = [Shape(path, "hull", Pose(np.array([*at, 0.0]), turn), (), corners) for path, at in places.items()]
    terrain = read_terrain(ground_stage(lambda x, y: 0.05 * np.sin(2.0 * x) + 0.0 * y))
    made = sketch.Sketch(terrain, rocks, np.array([(-3.0, -2.0), (3.0, -2.0)]))
    assert made.half_m == pytest.approx(3.0 + sketch.MARGIN_M)
    route = np.array([(-3.0, -2.0), (0.0, -1.0), (3.0, -2.0)])
    before = colours(made.draw(route, route[:1], 0.0, []))
    after = colours(made.draw(route, np.array([(-3.0, -2.0), (0.0, -2.5), (2.0, -2.0)]), 0.3, ["a", "elsewhere"]))
    scale = 0.5 * sketch.SIZE_PX / made.half_m
    assert count(before, sketch.ROCK) == pytest.approx(2 * (0.8 * scale) ** 2, rel=0.2)
    assert count(after, sketch.ROCK) == pytest.approx((0.8 * scale) ** 2, rel=0.2)
    assert count(before, sketch.TOUCHED) == 0 < count(after, sketch.TOUCHED)
    assert count(before, sketch.DRIVEN) == 0 < count(after, sketch.DRIVEN)
    middle = np.array([0.0, -2.0])
    column, row = ((np.array(places["a"]) - middle) * (scale, -scale) + 0.5 * sketch.SIZE_PX).astype(int)
    assert tuple(after[row, column]) == sketch.TOUCHED
    assert after[:100, :, 0].std() > 5.0  # the ground's waves


def traverse(out: Path, capsys: pytest.CaptureFixture[str], *more: str) -> list[dict]:
    words = ["traverse", "--soil", "none", "--avoid", "none", "--out", str(out), "--events", *more]
    assert cli.main(words) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_looking_changes_no_drive_and_comes_in_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A map each metre, and one at the end; a stage without light is no reason not to drive."""
    stage = ground_stage()
    UsdGeom.Scope.Define(stage, schema.ROCKS)
    add_rover(stage)
    stage.Export(str(tmp_path / "stage.usdc"))
    drive = ["--stage", str(tmp_path / "stage.usdc"), "--waypoints=-2,0;1.2,0"]
    traverse(tmp_path / "blind", capsys, *drive)
    events = traverse(tmp_path / "seen", capsys, *drive, "--watch-m", "1")
    name = "trajectory_00000_none.npz"
    assert (tmp_path / "seen" / name).read_bytes() == (tmp_path / "blind" / name).read_bytes()
    artifacts = [event for event in events if event["event"] == "artifact"]
    assert [event["kind"] for event in artifacts] == ["map"] * 4  # at 0, 1 and 2 m, and at the end
    assert {event["path"] for event in artifacts} == {str(tmp_path / "seen" / "map_00000_none.png")}
    (note,) = (event["message"] for event in events if event["event"] == "note")
    assert note.startswith("a map, but nothing of what the rover sees: ")
    done = [event["done"] for event in events if event["event"] == "progress"]
    assert done == sorted(done) and done[0] == 0.0 and done[-1] == 1.0 and 0.2 < done[1] < 0.45
    runs = [json.loads((tmp_path / out / "traverse.json").read_text())["runs"][0] for out in ("blind", "seen")]
    assert runs[1].pop("map") == "map_00000_none.png" and "view" not in runs[1]
    for run in runs:
        del run["real_time_factor"]
    assert runs[0] == {name: value for name, value in runs[1].items() if name in runs[0]}


def test_what_the_rover_sees_is_drawn_on_the_way(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ("--preset", "v1", "--distance-m", "2", "--time-max-s", "6", "--watch-m", "0.5")
    events = traverse(tmp_path / "drives", capsys, *line, "--camera.view", "navcam_right")
    kinds = [event["kind"] for event in events if event["event"] == "artifact"]
    assert kinds == ["map", "view"] * (len(kinds) // 2) and len(kinds) >= 4
    picture = np.asarray(Image.open(tmp_path / "drives" / "view_00000_none.png"))
    assert picture[:40].mean() < 5.0 < picture[150:].mean()  # black sky over lit ground
    (run,) = json.loads((tmp_path / "drives" / "traverse.json").read_text())["runs"]
    assert run["view"] == "view_00000_none.png"
