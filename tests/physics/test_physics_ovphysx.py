"""PhysX and MuJoCo on the same stages: a drop, a slope and a drive agree within what is said of each."""

import importlib.util
import json
import math
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Usd, UsdGeom, UsdPhysics
from scipy.spatial.transform import Rotation
from small_stage import DRIVES, WHEELS, G, add_rover, box_on_slope, ground_stage, solid

from regolith.lunar import cli
from regolith.lunar.params import InputError
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.engines import EngineName, open_engine
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.steering import read_layout, turn_about
from regolith.lunar.physics.traverse import RESULT
from regolith.lunar.physics.world import Pose
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema

ENGINES: tuple[EngineName, ...] = ("mujoco", "ovphysx")
INSTALLED = all(importlib.util.find_spec(name) for name in ("ovphysx", "physx_usd_schemas"))
needs_ovphysx = pytest.mark.skipif(not INSTALLED, reason="ovphysx is not installed (the extra physx)")
BALL = "/World/Ball"
TOP = np.array([0.0, 0.0, 40.0])
STEP = 0.002


def opened(stage: Usd.Stage, timestep_s: float = STEP) -> list[Engine]:
    """Both engines on a stage."""
    return [open_engine(stage, engine=name, timestep_s=timestep_s) for name in ENGINES]


@needs_ovphysx
def test_a_drop() -> None:
    """From 2 m: on the ground within three steps, at 0.5 % of the speed; at rest within 5 mm, 0.1 % of the weight."""
    stage = ground_stage()
    UsdGeom.Sphere(solid(stage, "Sphere", BALL, (0.3, 0.2, 2.25))).CreateRadiusAttr(0.25)
    falls, rests = [], []
    for engine in opened(stage):
        while not engine.contacts():
            engine.step()
        falls.append((engine.time_s, engine.motion([BALL]).velocity[0, 2]))
        engine.step(round(10.0 / STEP))
        rests.append((engine.motion([BALL]).position[0, 2], engine.loads([BALL])[0, 2]))
        (contact,) = engine.contacts()
        assert (contact.first, contact.second) == (BALL, schema.GROUND)
        assert contact.normal == pytest.approx([0, 0, 1], abs=1e-5)
    assert falls[0][0] == pytest.approx(falls[1][0], abs=3 * STEP) == pytest.approx(math.sqrt(4.0 / G), abs=3 * STEP)
    assert falls[0][1] == pytest.approx(falls[1][1], rel=0.005)
    assert rests[0][0] == pytest.approx(rests[1][0], abs=5e-3)
    assert rests[0][1] == pytest.approx(rests[1][1], rel=1e-3)


@needs_ovphysx
@pytest.mark.parametrize("degrees", [20.0, 30.0, 45.0])
@pytest.mark.parametrize(("of_box", "of_slope"), [(0.6, 0.6), (1.0, 0.2)])
def test_a_slope(degrees: float, of_box: float, of_slope: float) -> None:
    """A box slides at g (sin a − μ cos a) or rests, by the mean of both frictions: within 0.01 m/s² in both."""
    stage = box_on_slope(TOP, degrees, of_box=of_box, of_slope=of_slope)
    gained = []
    for engine in opened(stage):
        engine.step(round(1.0 / STEP))
        before = engine.motion(["/World/Box"]).velocity[0]
        engine.step(round(1.0 / STEP))
        gained.append(float(np.linalg.norm(engine.motion(["/World/Box"]).velocity[0] - before)))
    angle = math.radians(degrees)
    slides = max(G * (math.sin(angle) - 0.6 * math.cos(angle)), 0.0)
    assert gained == pytest.approx([slides, slides], abs=0.01)


def waves(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Ground of waves of 8 cm [m]."""
    return 0.08 * np.sin(1.5 * x) * np.cos(1.2 * y)


@needs_ovphysx
def test_a_drive() -> None:
    """Over waves, 2 m straight and 2 m in a turn: places within 3 cm, arms within a degree, loads within 3 %."""
    stage = ground_stage(waves, half=8.0)
    add_rover(stage)
    layout = read_layout(read_world(stage))
    start = Pose(np.array([-4.0, 0.5, 0.12]), np.array([1.0, 0.0, 0.0, 0.0]))
    found = []
    for engine in opened(stage, 0.005):
        engine.reset({schema.ROVER_CHASSIS: start})
        engine.step(400)
        rows, loads = [], []
        for curvature in (0.0, 0.4):
            command = turn_about(layout, speed=0.2, curvature=curvature)
            for joint, rate in zip(layout.drives, command.rates.tolist(), strict=True):
                engine.drive(joint, velocity=rate)
            for joint, angle in zip(layout.steering, command.steering.tolist(), strict=True):
                engine.drive(joint, position=angle)
            for _ in range(20):
                engine.step(100)
                arms = [engine.joint(schema.rover_joint("suspension", corner)).position for corner in schema.CORNERS]
                rows.append(np.concatenate([engine.motion([schema.ROVER_CHASSIS]).position[0], arms]))
                loads.append(engine.loads(WHEELS)[:, 2].sum())
        found.append((np.array(rows), np.mean(loads)))
    (ours, load), (theirs, other) = found
    assert np.linalg.norm(ours[-1, :2] - start.position[:2]) > 3.0
    assert np.abs(ours[:, :3] - theirs[:, :3]).max() < 0.03
    assert np.degrees(np.abs(ours[:, 3:] - theirs[:, 3:])).max() < 1.0
    assert load == pytest.approx(viper.MASS_KG * G, rel=0.03)
    assert other == pytest.approx(load, rel=0.03)


@needs_ovphysx
def test_reset_is_exact_and_moves_the_whole_tree(rover_stage: Usd.Stage) -> None:
    engine = open_engine(rover_stage, engine="ovphysx")
    quarter = Rotation.from_euler("z", 90.0, degrees=True)
    pose = Pose(np.array([2.0, 1.0, 0.5]), quarter.as_quat(scalar_first=True))
    runs = []
    for _ in range(2):
        engine.reset({schema.ROVER_CHASSIS: pose})
        corners = [(viper.AXLE_X_M * x, viper.AXLE_Y_M * y) for x, y in schema.CORNERS.values()]
        expected = np.array([(2.0 - y, 1.0 + x, 0.5 + viper.WHEEL_RADIUS_M) for x, y in corners])
        assert engine.motion(WHEELS).position == pytest.approx(expected, abs=1e-6)
        assert engine.time_s == 0.0
        for joint in DRIVES:
            engine.drive(joint, velocity=1.0)
        engine.push([schema.ROVER_CHASSIS], np.array([[0.0, 100.0, 0.0]]))
        engine.step(100)
        engine.push([schema.ROVER_CHASSIS], np.zeros((1, 3)))
        engine.step(600)
        runs.append(engine.motion([schema.ROVER_CHASSIS, *WHEELS]).position)
        effort = engine.joint(DRIVES[0]).effort
        assert 0.0 < abs(effort) < viper.DRIVES["drive"].torque
    assert (runs[0] == runs[1]).all()
    assert runs[0][0, 1] - 1.0 > 0.1
    with pytest.raises(KeyError):
        engine.reset({WHEELS[0]: pose})


@needs_ovphysx
def test_a_push_moves_a_body() -> None:
    stage = ground_stage()
    UsdGeom.Sphere(solid(stage, "Sphere", BALL, (0.0, 0.0, 50.0))).CreateRadiusAttr(0.25)
    mass = 1000.0 * 4.0 / 3.0 * math.pi * 0.25**3
    for engine in opened(stage):
        engine.push([BALL], np.array([[0.5 * mass, 0.0, G * mass]]))
        engine.step(500)
        assert engine.motion([BALL]).velocity[0] == pytest.approx([0.5, 0.0, 0.0], abs=2e-3)


@needs_ovphysx
def test_a_traverse(tmp_path: Path) -> None:
    """The way round a rock and onto it: outcomes, rocks and their wheels alike, ways within 2 %, times within 3 %."""
    from test_physics_traverse import ROCK, add_rock

    stage = ground_stage()
    UsdGeom.Scope.Define(stage, schema.ROCKS)
    add_rock(stage, ROCK, 0.9, 0.0, -viper.AXLE_Y_M)
    add_rock(stage, f"{schema.ROCKS}/rock_00001", 0.05, -1.5, viper.AXLE_Y_M)
    add_rover(stage)
    stage.Export(str(tmp_path / "stage.usdc"))
    runs = {}
    for name in ENGINES:
        line = f"traverse --stage {tmp_path}/stage.usdc --waypoints=-3,0;3,0 --soil none --time-max-s 40 --events"
        assert cli.main([*line.split(), "--engine", name, "--out", str(tmp_path / name)]) == 0
        runs[name] = json.loads((tmp_path / name / RESULT).read_text("utf-8"))["runs"]
    for ours, theirs in zip(runs["mujoco"], runs["ovphysx"], strict=True):
        assert [rock["rock"] for rock in ours["rocks"]] == [rock["rock"] for rock in theirs["rocks"]]
        for one, other in zip(ours["rocks"], theirs["rocks"], strict=True):
            assert one["parts"][0] == other["parts"][0]
            assert one["first_s"] == pytest.approx(other["first_s"], abs=0.3)
    ours, theirs = (runs[name][1] for name in ENGINES)
    assert ours["outcome"] == theirs["outcome"] == "reached"
    assert ours["distance_m"] == pytest.approx(theirs["distance_m"], rel=0.02)
    assert ours["time_s"] == pytest.approx(theirs["time_s"], rel=0.03)


@needs_ovphysx
def test_what_it_cannot_do_is_said(rover_stage: Usd.Stage) -> None:
    with pytest.raises(InputError, match="soil"):
        open_engine(rover_stage, engine="ovphysx", gripping=WHEELS)
    stage = ground_stage()
    for name, x in (("post", 0.0), ("arm", 0.5)):
        UsdGeom.Cube(solid(stage, "Cube", f"/World/{name}", (x, 0.0, 3.0))).CreateSizeAttr(0.2)
    hinge = UsdPhysics.RevoluteJoint.Define(stage, "/World/hinge")
    hinge.CreateBody0Rel().SetTargets(["/World/post"])
    hinge.CreateBody1Rel().SetTargets(["/World/arm"])
    hinge.CreateLocalPos0Attr(Gf.Vec3f(0.5, 0, 0))
    with pytest.raises(InputError, match=r"/World/hinge.*articulation"):
        open_engine(stage, engine="ovphysx")


def test_soil_needs_the_other_engine(tmp_path: Path, capsys) -> None:
    assert cli.main(["traverse", "--engine", "ovphysx", "--out", str(tmp_path / "drives")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "soil: 'lunar' is not allowed; allowed: none with --engine ovphysx" in line
    assert not (tmp_path / "drives").exists()


def test_a_missing_package_is_one_line_with_what_to_run(monkeypatch: pytest.MonkeyPatch) -> None:
    from regolith.lunar.physics.ovphysx import require_ovphysx

    monkeypatch.setitem(__import__("sys").modules, "ovphysx", None)
    with pytest.raises(InputError, match=r"pip install.*(ovphysx==0\.7|\[physx\])"):
        require_ovphysx.__wrapped__()
