"""Pictures along drives: seen from where the trajectory has the rover, in a split that is whole and resumed."""

import dataclasses
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pxr import Usd, UsdGeom
from scipy.spatial.transform import Rotation
from small_stage import DRIVES

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.subset import link_subset
from regolith.lunar.dataset.verify import repair, verify
from regolith.lunar.dataset.views import VIEWS, read_views
from regolith.lunar.params import InputError
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.pictures import picked
from regolith.lunar.physics.stance import read_stance
from regolith.lunar.physics.traverse import RESULT
from regolith.lunar.randomize import draw_values, frame_seed
from regolith.lunar.render.view import read_camera
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.rover_stance import move_rover
from regolith.lunar.stage.spec import FrameSpec, Stance

SCENE = ("--preset", "v1", "--terrain.cell-m", "0.5", "--rocks.diameter-min-m", "0.3", "--rocks.far-radius-m", "0")
RIG = ("--camera.rig", "viper", "--camera.view", "hazcam_front_left", "--render.quality", "draft")
WAY = ("--distance-m", "2.5", "--time-max-s", "60", "--seed", "3", "--avoid", "labels")
FRAMES = ("--frames", "--frame-every-m", "1", "--size", "64x48", "--dataset.depth", "true")
VIEW = viper.MOUNTS["hazcam_front_left"]
BODIES = [
    schema.ROVER_CHASSIS,
    *(schema.rover_body(part, corner) for part in schema.JOINTS.values() for corner in schema.CORNERS),
]


def words(out: Path, *more: str) -> list[str]:
    """Command line of two short drives with pictures."""
    return ["traverse", *SCENE, *RIG, *WAY, *FRAMES, "--stages", "2", "--out", str(out), "--events", *more]


def contents(split: Path) -> dict[str, bytes]:
    """Everything of a split but its log."""
    files = (path for path in sorted(split.rglob("*")) if path.is_file() and path.suffixes != [".log", ".jsonl"])
    return {str(path.relative_to(split)): path.read_bytes() for path in files}


@pytest.fixture(scope="module", name="driven")
def fixture_driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of two drives and their pictures."""
    out = tmp_path_factory.mktemp("driven") / "drives"
    assert cli.main(words(out)) == 0
    return out


def test_pictures_as_near_as_may_be_are_no_copies(tmp_path: Path) -> None:
    """Every 5 cm, far view: `verify` takes what is alike along a drive for what it is."""
    view = (*RIG[:2], "--camera.view", "navcam_left", *RIG[4:])
    way = ("--distance-m", "1", "--seed", "3", "--avoid", "none", "--soil", "none")
    shots = ("--frames", "--frame-every-m", "0.05", "--size", "64x48")
    assert cli.main(["traverse", *SCENE, *view, *way, *shots, "--out", str(tmp_path), "--events"]) == 0
    found = verify(tmp_path / "none/train_dr")
    assert found["problems"] == [] and found["frames"] > 5


def rows_of(driven: Path) -> list[tuple[FrameSpec, dict[str, np.ndarray], int]]:
    """Each frame of the split, the trajectory it is of, and its row there."""
    records = read_journal(driven / "labels/train_dr")
    found = []
    for index in range(len(records)):
        spec = FrameSpec.from_dict(records[index].spec)
        with np.load(driven / f"trajectory_{spec.scene:05d}_labels.npz") as file:
            trajectory = dict(file)
        (row,) = np.flatnonzero(trajectory["time_s"] == spec.time_s).tolist()
        found.append((spec, trajectory, row))
    return found


def test_the_split_is_whole_and_its_frames_follow_the_drives(driven: Path) -> None:
    split = driven / "labels/train_dr"
    found = verify(split)
    assert found["problems"] == [] and found["frames"] == len(read_journal(split))
    result = json.loads((driven / RESULT).read_text("utf-8"))
    assert result["frames"]["labels"] == {"split": str(split), "frames": found["frames"], "drawn": found["frames"]}
    frames = rows_of(driven)
    assert [spec.scene for spec, _, _ in frames] == sorted(spec.scene for spec, _, _ in frames)
    for run in result["runs"]:
        of_drive = [(spec, row) for spec, _, row in frames if spec.scene == run["scene"]]
        assert of_drive[0][1] == 0 and len(of_drive) == 1 + math.floor(run["distance_m"])
        places = np.array([(spec.rover.x_m, spec.rover.y_m) for spec, _ in of_drive if spec.rover])
        assert np.linalg.norm(np.diff(places, axis=0), axis=1) == pytest.approx(1.0, abs=0.06)
        light = {(spec["sun_elevation_deg"], spec["sun_azimuth_deg"], spec["albedo"]) for spec, _ in of_drive}
        drawn = draw_values(Contract.read(split).params, 3, "train_dr", run["scene"])
        assert light == {(drawn["sun_elevation_deg"], drawn["sun_azimuth_deg"], drawn["albedo"])}
    assert [spec.seed for spec, _, _ in frames] == [frame_seed(3, "train_dr", i) for i in range(len(frames))]


def test_the_camera_is_where_the_rig_has_it_on_the_rover_of_the_trajectory(driven: Path) -> None:
    """Pose of the trajectory times the mount's is the pose of the stage's camera, and of nothing that was drawn."""
    from regolith.lunar.dataset.chunk import author_scene

    params = Contract.read(driven / "labels/train_dr").params
    _, stage = author_scene(params, seed=3, split="train_dr", number=0)
    yaw, pitch = math.radians(VIEW.yaw_deg), math.radians(VIEW.pitch_deg)
    forward = np.array([math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch)])
    right = np.array([math.sin(yaw), -math.cos(yaw), 0.0])
    axes = np.array([right, np.cross(right, forward), forward])
    frames = rows_of(driven)
    tilts = []
    for spec, trajectory, row in frames:
        turn = Rotation.from_quat(trajectory["orientation"][row], scalar_first=True)
        lens = trajectory["position_m"][row] + turn.apply(VIEW.place_m)
        assert (spec.camera_x_m, spec.camera_y_m, spec.camera_z_m) == pytest.approx(lens.tolist(), abs=1e-9)
        apply_frame(stage, params, spec, 64, 48)
        camera = read_camera(stage)
        assert camera.origin == pytest.approx(lens, abs=1e-9)
        assert camera.axes == pytest.approx(turn.apply(axes), abs=1e-7)
        assert 2.0 * math.degrees(math.atan(camera.tan_x)) == pytest.approx(VIEW.fov_deg, abs=1e-4)
        rover = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath(schema.ROVER_CHASSIS))
        assert np.array(rover)[:3, :3] == pytest.approx(turn.as_matrix().T, abs=1e-9)
        assert np.array(rover.ExtractTranslation()) == pytest.approx(trajectory["position_m"][row], abs=1e-9)
        tilts.append(math.degrees(math.acos(turn.as_matrix()[2, 2])))
    assert max(tilts) > 1.0


def test_the_stage_has_the_rover_as_the_engine_has_it(rover_stage: Usd.Stage) -> None:
    """Chassis, arms, steering and wheels, in a turn while driving, but for what moves in one step of half a ms."""
    engine = open_engine(rover_stage, timestep_s=0.0005)
    for corner, angle in zip(schema.CORNERS, (0.4, 0.3, -0.4, -0.3), strict=True):
        engine.drive(schema.rover_joint("steering", corner), position=angle)
        engine.drive(schema.rover_joint("suspension", corner), position=0.6 if corner == "fl" else -0.1)
    for joint, rate in zip(DRIVES, (0.9, 0.8, 0.9, 0.7), strict=True):
        engine.drive(joint, velocity=rate)
    engine.step(8000)
    stance = read_stance(engine)
    assert all(abs(angle) > 10.0 for angle in stance.steering_deg) and all(abs(a) > 90.0 for a in stance.wheels_deg)
    move_rover(rover_stage, stance)
    cache, there = UsdGeom.XformCache(), engine.motion(BODIES)
    for place, body in enumerate(BODIES):
        matrix = np.array(cache.GetLocalToWorldTransform(rover_stage.GetPrimAtPath(body)))
        assert matrix[3, :3] == pytest.approx(there.position[place], abs=2e-4), body
        assert matrix[:3, :3] == pytest.approx(there.rotation[place].T, abs=6e-4), body


def test_a_stance_is_read_back_and_says_nothing_of_wheels_that_were_not_turned() -> None:
    level = Stance(1.0, 2.0, 3.0, 4.0, 5.0, 6.0, (0.1, 0.2, 0.3, 0.4), carries=True)
    assert "steering_deg" not in level.to_dict() and "wheels_deg" not in level.to_dict()
    turned = dataclasses.replace(level, steering_deg=(1.0, 2.0, 3.0, 4.0), wheels_deg=(720.0, 0.0, 0.0, 1.0))
    for stance in (level, turned):
        assert Stance.from_dict(json.loads(json.dumps(stance.to_dict()))) == stance


def test_the_pictures_show_ground_rover_and_depth(driven: Path) -> None:
    split = driven / "labels/train_dr"
    for index, record in read_journal(split).items():
        assert record.counts["ignore"] > 0 and record.counts["regolith"] > 0.2 * 64 * 48
        picture = np.asarray(Image.open(split / file_name("rgb", index)))
        assert picture.std() > 5.0
        depth = np.load(split / file_name("depth", index))
        assert np.isfinite(depth).any() and depth.min() > 0.1


def test_what_is_lost_is_drawn_again_to_the_same_bytes(driven: Path, tmp_path: Path) -> None:
    """Half the journal gone, a picture torn: run again it goes on, and so does `verify --repair`."""
    assert cli.main(words(tmp_path / "drives", "--workers", "2")) == 0
    split = tmp_path / "drives/labels/train_dr"
    whole = contents(driven / "labels/train_dr")
    assert contents(split) == whole
    lines = (split / "frames.jsonl").read_bytes().splitlines(keepends=True)
    (split / "frames.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:20])
    (split / VIEWS).unlink()
    assert cli.main(words(tmp_path / "drives")) == 0
    assert contents(split) == whole
    drawn = json.loads((tmp_path / "drives" / RESULT).read_text("utf-8"))["frames"]["labels"]["drawn"]
    assert drawn == len(lines) - len(lines) // 2
    (split / file_name("mask", 1)).write_bytes(b"torn")
    assert [problem["check"] for problem in verify(split)["problems"]] == ["files"]
    assert repair(split)["repaired"] == {"train_dr": 1}
    assert contents(split) == whole


def test_killed_it_goes_on(driven: Path, tmp_path: Path) -> None:
    line = [sys.executable, "-m", "regolith.lunar.cli", *words(tmp_path / "drives")]
    split = tmp_path / "drives/labels/train_dr"
    journal = split / "frames.jsonl"
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while process.poll() is None and not (journal.exists() and b"\n" in journal.read_bytes()):
        time.sleep(0.02)
    process.kill()
    process.communicate()
    assert len(read_journal(split)) > 0
    assert cli.main(words(tmp_path / "drives")) == 0
    assert contents(split) == contents(driven / "labels/train_dr")


def test_other_drives_do_not_go_on_in_a_split(driven: Path, capsys) -> None:
    before = contents(driven / "labels/train_dr")
    assert cli.main(words(driven, "--frame-every-m", "2")) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "frame_every_m: 2.0 is not allowed; allowed: 1.0, with which" in line
    assert contents(driven / "labels/train_dr") == before
    contract = Contract.read(driven / "labels/train_dr")
    size = {"width": 64, "height": 48, "seed": 3, "executor": "in-process"}
    with pytest.raises(InputError, match="with which"):
        generate(contract.params, driven / "labels", split="train_dr", frames=contract.frames, **size)


def test_a_split_whose_views_were_changed_is_told(driven: Path, tmp_path: Path) -> None:
    split = tmp_path / "train_dr"
    link_subset(driven / "labels/train_dr", split, 3)
    assert verify(split)["problems"] == []
    views = read_views(split, Contract.read(split))
    assert views is not None and len(views) == 3
    data = (split / VIEWS).read_bytes()
    (split / VIEWS).write_bytes(data.replace(b'"time_s":0.0', b'"time_s":9.0'))
    found = verify(split)["problems"]
    assert [(problem["check"], problem["where"]) for problem in found] == [("contract", VIEWS)]


def test_a_stage_file_is_driven_over_and_seen(tmp_path: Path, capsys) -> None:
    """Frames of an authored stage show that stage; once it is another one, they cannot be gone on with."""
    stage = tmp_path / "stage.usdc"
    assert cli.main(["author", *SCENE, *RIG, "--seed", "8", "--size", "32", "--out", str(stage)]) == 0
    line = words(
        tmp_path / "over", "--stages", "1", "--stage", str(stage), "--frame-period-s", "10", "--distance-m", "3"
    )
    assert cli.main(line) == 0
    split = tmp_path / "over/labels/train_dr"
    assert verify(split)["problems"] == []
    with np.load(tmp_path / "over/trajectory_00000_labels.npz") as trajectory:
        times = trajectory["time_s"][-1]
    specs = [FrameSpec.from_dict(record.spec) for record in read_journal(split).values()]
    assert [spec.time_s for spec in specs] == pytest.approx([10.0 * i for i in range(int(times // 10) + 1)])
    stage.write_bytes(stage.read_bytes() + b"\n")
    (split / file_name("rgb", 0)).unlink()
    with pytest.raises(InputError, match="stage as it was"):
        repair(split)


@pytest.mark.parametrize(
    ("more", "field"),
    [
        (("--camera.rig", "mast"), "camera.rig"),
        (("--frame-every-m", "0"), "frame_every_m"),
        (("--dataset.right", "true"), "camera.view"),
    ],
)
def test_bad_input_is_one_line_before_anything_is_driven(tmp_path: Path, capsys, more, field) -> None:
    assert cli.main(words(tmp_path / "drives", *more)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert field in line.replace("-", "_")
    assert not (tmp_path / "drives").exists()


def test_a_rover_that_stands_is_not_pictured_again() -> None:
    """Every two seconds of a drive that stops after six and later turns."""
    seconds = np.arange(0.0, 16.05, 0.1)
    place = np.column_stack([0.2 * np.minimum(seconds, 6.0), 0.0 * seconds, 0.0 * seconds])
    turn = Rotation.from_rotvec(np.outer(0.1 * np.maximum(seconds - 12.0, 0.0), [0.0, 0.0, 1.0]))
    trajectory = {"time_s": seconds, "position_m": place, "orientation": turn.as_quat(scalar_first=True)}
    assert seconds[picked(trajectory, every_m=9.0, every_s=2.0)] == pytest.approx([0.0, 2.0, 4.0, 6.0, 14.0, 16.0])
    along = picked(trajectory, every_m=0.5, every_s=None)
    assert place[along, 0] == pytest.approx([0.0, 0.5, 1.0], abs=0.021)
