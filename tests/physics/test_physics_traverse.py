"""`regolith traverse`: what it writes, what it counts, and what it refuses."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom
from scipy.spatial.transform import Rotation
from small_stage import add_rover, ground_stage

from regolith.lunar import cli
from regolith.lunar.physics.ledger import LEDGER
from regolith.lunar.physics.steering import CURVATURE_MAX
from regolith.lunar.physics.traverse import RESULT, read_waypoints
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import apply_dynamics
from regolith.lunar.stage.shapes import icosphere

COLUMNS = {
    "time_s": (),
    "position_m": (3,),
    "orientation": (4,),
    "velocity_m_s": (3,),
    "suspension_rad": (4,),
    "steering_rad": (4,),
    "wheel_rad": (4,),
    "wheel_rate_rad_s": (4,),
    "drive_torque_n_m": (4,),
    "measured": (13,),
    "commanded": (8,),
    "applied": (8,),
    "slip": (4,),
    "load_n": (4,),
    "sinkage_m": (4,),
}
ROCK = f"{schema.ROCKS}/rock_00000"
SMALL = f"{schema.ROCKS}/rock_00001"


def add_rock(stage: Usd.Stage, path: str, diameter: float, x: float, y: float) -> None:
    """A ball of a rock, its lower half in the ground."""
    points, faces = icosphere(2)
    mesh = UsdGeom.Mesh.Define(stage, path)
    mesh.CreatePointsAttr((0.5 * diameter * points).tolist())
    mesh.CreateFaceVertexCountsAttr([3] * len(faces))
    mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
    mesh.AddTranslateOp().Set(Gf.Vec3d(x, y, 0.0))
    mesh.GetPrim().CreateAttribute(schema.ROCK_DIAMETER, Sdf.ValueTypeNames.Double).Set(diameter)


@pytest.fixture(scope="module", name="course")
def fixture_course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A flat stage with the rover, a rock before its right wheels on the way from (-3, 0) to (3, 0), and a pebble."""
    stage = ground_stage()
    UsdGeom.Scope.Define(stage, schema.ROCKS)
    add_rock(stage, ROCK, 0.9, 0.0, -viper.AXLE_Y_M)
    add_rock(stage, SMALL, 0.05, -1.5, viper.AXLE_Y_M)
    add_rover(stage)
    path = tmp_path_factory.mktemp("course") / "stage.usdc"
    stage.Export(str(path))
    return path


def traverse(course: Path, out: Path, *more: str) -> dict:
    """Run the verb and return its result."""
    words = ["traverse", "--stage", str(course), "--waypoints=-3,0;3,0", "--out", str(out), "--events", *more]
    assert cli.main(words) == 0
    return json.loads((out / RESULT).read_text("utf-8"))


@pytest.fixture(scope="module", name="driven")
def fixture_driven(course: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict, Path]:
    """Straight on and round the rock, on soil."""
    out = tmp_path_factory.mktemp("driven") / "drives"
    return traverse(course, out, "--time-max-s", "60"), out


def test_straight_on_it_hits_the_rock_and_round_it_reaches_the_goal(driven: tuple[dict, Path]) -> None:
    result, _ = driven
    blind, seeing = result["runs"]
    assert [rock["rock"] for rock in blind["rocks"]] == [ROCK]
    front = blind["rocks"][0]
    assert front["parts"][0] == f"{schema.rover_body('wheel', 'fr')}/Collision"
    touch = 3.0 - viper.AXLE_X_M - viper.WHEEL_RADIUS_M - 0.45  # to where rim and rock meet, lower than either's middle
    assert touch / 0.2 < front["first_s"] < (touch + 0.5) / 0.17
    assert front["force_max"] > 0.0
    assert blind["outcome"] != "reached" or blind["distance_m"] > 5.0
    assert seeing["rocks"] == []
    assert seeing["outcome"] == "reached"
    assert seeing["straight_m"] == 6.0 < seeing["distance_m"] + 0.3 < 8.0
    assert 0.0 < seeing["slip_mean"] < 0.3
    totals = result["totals"]
    assert (totals["none"]["touching"], totals["labels"]["touching"]) == (1, 0)
    assert totals["labels"]["distance_m"] == {"mean": seeing["distance_m"], "sd": None}


def test_a_trajectory_holds_what_is_documented(driven: tuple[dict, Path]) -> None:
    result, out = driven
    run = result["runs"][1]
    with np.load(out / run["trajectory"]) as file:
        found = dict(file)
    route = found.pop("route_m")
    rows = len(found["time_s"])
    assert {name: column.shape for name, column in found.items()} == {
        name: (rows, *shape) for name, shape in COLUMNS.items()
    }
    assert all(column.dtype == np.float64 for column in found.values())
    assert np.diff(found["time_s"]) == pytest.approx(0.1)
    assert found["time_s"][-1] == pytest.approx(run["time_s"])
    assert np.linalg.norm(found["orientation"], axis=1) == pytest.approx(1.0)
    path = found["position_m"][:, :2]
    assert np.linalg.norm(np.diff(path, axis=0), axis=1).sum() == pytest.approx(run["distance_m"])
    assert path[0] == pytest.approx([-3.0, 0.0], abs=0.02)
    assert np.linalg.norm(path[-1] - [3.0, 0.0]) < 0.3
    assert (route[0] == [-3.0, 0.0]).all()
    assert (route[-1] == [3.0, 0.0]).all()
    assert np.linalg.norm(path - [0.0, -viper.AXLE_Y_M], axis=1).min() > 0.45 + 0.8  # the rover's half width from it
    # a drive's torque is its damping by what its rate lacks of what was applied a period before
    lacks = found["applied"][:-1, 4:] - found["wheel_rate_rad_s"][1:]
    torque = math.degrees(viper.DRIVES["drive"].damping) * lacks
    off = np.abs(found["drive_torque_n_m"][1:] - torque)[np.abs(torque) < viper.DRIVES["drive"].torque]
    assert np.quantile(off, 0.95) < 1.0
    assert float(np.median(found["drive_torque_n_m"])) > 3.0
    assert np.abs(np.diff(found["applied"][:, 4:], axis=0)).max() <= 0.1 + 1e-9
    assert np.abs(found["commanded"][:, :4]).max() < math.atan(CURVATURE_MAX)
    assert (found["sinkage_m"][found["load_n"] > 0.0] > 0.0).all()
    weight = viper.MASS_KG * viper.GRAVITY
    assert found["load_n"].sum(axis=1).mean() == pytest.approx(weight, rel=0.02)


def test_the_same_seed_drives_the_same_way(course: Path, driven: tuple[dict, Path], tmp_path: Path) -> None:
    _, out = driven
    traverse(course, tmp_path / "again", "--time-max-s", "60", "--avoid", "labels")
    name = "trajectory_00000_labels.npz"
    assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes()


def test_on_hard_ground_turning_on_the_spot_it_comes_round_a_corner(course: Path, tmp_path: Path) -> None:
    words = ["--soil", "none", "--steering", "point-turn", "--avoid", "none", "--waypoints=-3,3;0,3;0,1"]
    result = traverse(course, tmp_path / "drives", *words)
    (run,) = result["runs"]
    assert run["outcome"] == "reached"
    with np.load(tmp_path / "drives" / run["trajectory"]) as found:
        gap = np.abs(found["position_m"][:, 1] - 3.0) * (found["position_m"][:, 0] < -1.2)
        assert gap.max() < 0.1  # it stays on the way up to the corner's lookahead
        assert found["sinkage_m"].max() == 0.0
        turning = np.sign(found["applied"][:, 4]) * np.sign(found["applied"][:, 5]) < 0
        assert turning.any()


def test_drawn_ways_depend_on_the_seed_alone(course: Path, tmp_path: Path) -> None:
    routes = []
    for index, seed in enumerate((4, 4, 5)):
        out = tmp_path / str(index)
        words = ["traverse", "--stage", str(course), "--seed", str(seed), "--distance-m", "6", "--avoid", "none"]
        assert cli.main([*words, "--time-max-s", "1", "--soil", "none", "--out", str(out), "--events"]) == 0
        with np.load(out / "trajectory_00000_none.npz") as found:
            routes.append(found["route_m"])
    assert (routes[0] == routes[1]).all()
    assert not (routes[0] == routes[2]).all()
    assert np.linalg.norm(routes[2][0]) == pytest.approx(3.0)
    assert (routes[2][0] == -routes[2][1]).all()


@pytest.mark.parametrize(
    ("words", "field"),
    [
        ("--waypoints 1,2", "waypoints"),
        ("--waypoints 1,2;1,2", "waypoints"),
        ("--waypoints 1,2;x,3", "waypoints"),
        ("--waypoints 1,2;nan,3", "waypoints"),
        ("--waypoints 0,0;100,0", "waypoints"),
        ("--waypoints=-3,0;0,-0.6 --avoid labels", "waypoints"),  # the goal lies in the rock
        ("--distance-m 50", "distance_m"),
        ("--clearance-m 4 --distance-m 3", "clearance_m"),
        ("--clearance-m 4 --distance-m 3 --skip-crowded", "clearance_m"),
        ("--stages 2", "stages"),
        ("--waypoints=0,0;0.2,0", "waypoints"),  # reached before it sets out
        ("--waypoints=0,-0.62;3,-0.62 --avoid none", "waypoints"),  # the rock is where the rover would stand
        ("--timestep-s 0.003", "timestep_s"),
        ("--dynamics.mass-scale 2.5", "dynamics"),
    ],
)
def test_bad_input_is_one_line(course: Path, tmp_path: Path, capsys, words: str, field: str) -> None:
    line = f"traverse --stage {course} --out {tmp_path}/drives --soil none {words}"
    assert cli.main(line.split()) == 2
    errors = capsys.readouterr().err.splitlines()
    assert len(errors) == 1
    assert f"{field}: " in errors[0]
    assert not (tmp_path / "drives").exists()


def test_the_same_command_goes_on_where_it_stopped(course: Path, tmp_path: Path) -> None:
    """A drive that is done is not driven again; another command drives all anew, and so does a lost trajectory."""
    line = ("--soil", "none", "--time-max-s", "2")
    first = traverse(course, tmp_path, "--avoid", "none", *line)
    files = {how: tmp_path / f"trajectory_00000_{how}.npz" for how in ("none", "labels")}
    written = files["none"].stat().st_ino
    both = traverse(course, tmp_path, *line)
    assert both["runs"][0] == first["runs"][0]  # even the time it took
    assert files["none"].stat().st_ino == written
    ledger = tmp_path / LEDGER
    ledger.write_bytes(ledger.read_bytes()[:-5])  # torn
    again = traverse(course, tmp_path, *line)
    assert again["runs"][0] == first["runs"][0]
    assert again["runs"][1] != both["runs"][1]
    files["none"].unlink()
    assert traverse(course, tmp_path, *line)["runs"][0]["real_time_factor"] != first["runs"][0]["real_time_factor"]
    slower = traverse(course, tmp_path, *line, "--speed-m-s", "0.1")
    assert slower["runs"][0]["distance_m"] < 0.7 * first["runs"][0]["distance_m"]


def test_a_stage_without_a_rover_is_refused(tmp_path: Path, capsys) -> None:
    ground_stage().Export(str(tmp_path / "bare.usdc"))
    assert cli.main(["traverse", "--stage", str(tmp_path / "bare.usdc"), "--out", str(tmp_path / "drives")]) == 2
    assert "--rover.model viper" in capsys.readouterr().err
    (tmp_path / "no.usda").write_text("#usda 1.0\ndef {")
    assert cli.main(["traverse", "--stage", str(tmp_path / "no.usda"), "--out", str(tmp_path / "drives")]) == 2
    assert "a USD stage that can be opened" in capsys.readouterr().err


def test_waypoints() -> None:
    assert read_waypoints(None) is None
    assert read_waypoints("0,1; 2.5,-3;4,4") == pytest.approx(np.array([(0.0, 1.0), (2.5, -3.0), (4.0, 4.0)]))


def test_delay_and_gain_on_the_stage_are_those_of_the_drives(course: Path, tmp_path: Path) -> None:
    """Of 10 steps of 20 ms the drives get the first command after 0.2 s, and half of every speed."""
    stage = Usd.Stage.Open(Sdf.Layer.OpenAsAnonymous(str(course)))
    apply_dynamics(stage, {"action_delay_steps": 10, "action_gain": 0.5})
    stage.Export(str(tmp_path / "late.usdc"))
    rows = {}
    for name, path in (("plain", course), ("late", tmp_path / "late.usdc")):
        line = ("--avoid", "none", "--soil", "none", "--time-max-s", "3")
        result = traverse(path, tmp_path / name, *line)
        with np.load(tmp_path / name / result["runs"][0]["trajectory"]) as file:
            rows[name] = file["applied"][:-1, 4:]
    assert (rows["late"][:2] == 0.0).all() and (rows["late"][2:12] > 0.0).all()
    assert rows["late"][2:12] == pytest.approx(0.5 * rows["plain"][:10], rel=0.01)


def test_noise_of_what_is_read_steers_the_rover_and_none_changes_nothing(course: Path, tmp_path: Path) -> None:
    """Errors of readings have the stated size and reach the commands; none changes nothing."""
    found = {}
    for name, values in (
        ("plain", {}),
        ("still", {"proprioception_noise": 0.0, "action_noise": 1e-300}),
        ("noisy", {"proprioception_noise": 0.05}),
    ):
        stage = Usd.Stage.Open(Sdf.Layer.OpenAsAnonymous(str(course)))
        apply_dynamics(stage, values)
        stage.Export(str(tmp_path / f"{name}.usdc"))
        line = ("--avoid", "labels", "--soil", "none", "--time-max-s", "20")
        result = traverse(tmp_path / f"{name}.usdc", tmp_path / name, *line)
        with np.load(tmp_path / name / result["runs"][0]["trajectory"]) as file:
            found[name] = dict(file)
    plain, still, noisy = found.values()
    assert all((plain[column] == still[column]).all() for column in plain)  # through the channel, without any noise
    turns = Rotation.from_quat(noisy["orientation"], scalar_first=True).as_euler("ZYX") * [1.0, -1.0, 1.0]  # nose up
    wheels = (noisy["steering_rad"], noisy["wheel_rate_rad_s"])
    truth = np.hstack([noisy["position_m"][:, :2], turns[:, :1], *wheels, turns[:, 1:]])
    limit = math.radians(viper.DRIVES["steering"].limit_deg or 0.0)
    largest = [1.0, 1.0, math.pi, *[limit] * 4, *[0.8] * 4, 0.5 * math.pi, 0.5 * math.pi]
    off = (noisy["measured"] - truth) / largest
    assert np.abs(off.std(axis=0) / 0.05 - 1.0).max() < 0.25
    assert np.abs(off.mean(axis=0)).max() < 0.02
    quiet = (np.abs(np.diff(one["commanded"][:, :4], axis=0)).mean() for one in (plain, noisy))
    assert 5.0 * next(quiet) < next(quiet)
    again = tmp_path / "again"
    traverse(tmp_path / "noisy.usdc", again, "--avoid", "labels", "--soil", "none", "--time-max-s", "20")
    name = "trajectory_00000_labels.npz"
    assert (again / name).read_bytes() == (tmp_path / "noisy" / name).read_bytes()
