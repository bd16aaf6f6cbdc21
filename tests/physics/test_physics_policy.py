"""What a policy is shown and may do, the pictures of the rover's cameras, ways from everywhere, and success rates."""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

import numpy as np
import pytest
from pxr import Usd, UsdGeom

from regolith.lunar.files import file_digest, write_json
from regolith.lunar.params import InputError, PictureSize, load_preset
from regolith.lunar.physics.drive import tilt_of
from regolith.lunar.physics.plan import Clearance, Guide
from regolith.lunar.physics.policy import (
    ACTIONS,
    CURVATURES,
    READINGS,
    Policy,
    command_of,
    describe_policy,
    encode_aim,
    mirrored,
    read_readings,
)
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.steering import CURVATURE_MAX, read_layout, turn_about
from regolith.lunar.physics.success import success_rate, wilson
from regolith.lunar.physics.world import Pose, Shape
from regolith.lunar.stage.shapes import icosphere
from regolith.lunar.stage.spec import Stance

CLEARANCE_M = 1.1
UPRIGHT = np.array([1.0, 0.0, 0.0, 0.0])


def rock(x: float, y: float, diameter: float = 1.0) -> Shape:
    points = 0.5 * diameter * icosphere(2)[0]
    return Shape("/World/Rocks/rock", "hull", Pose(np.array([x, y, 0.0]), UPRIGHT), (), points)


def follow(guide: Guide, place: np.ndarray, goal: np.ndarray, *, step: float = 0.1) -> np.ndarray:
    """Go where a guide says, a step at a time."""
    places = [place]
    while np.linalg.norm(places[-1] - goal) > 0.2 and len(places) < 300:
        toward = guide.ahead(places[-1], 1.0) - places[-1]
        places.append(places[-1] + step * toward / np.linalg.norm(toward))
    return np.array(places)


def test_a_guide_leads_round_a_rock_as_the_shortest_way_does() -> None:
    clearance, goal, start = Clearance.of_rocks([rock(0.0, 0.2)], half=6.0), np.array([4.0, 0.0]), np.array([-4.0, 0.0])
    places = follow(Guide(clearance, goal, CLEARANCE_M), start, goal)
    way = clearance.way(start, goal, CLEARANCE_M)
    assert way is not None
    shortest = np.linalg.norm(np.diff(way, axis=0), axis=1).sum()
    assert 0.1 * len(places) == pytest.approx(shortest, abs=0.6)
    assert clearance.at(places).min() > CLEARANCE_M - 0.25  # what lies a metre ahead cuts corners
    assert places[len(places) // 2, 1] < -1.0  # on the side that is shorter


def test_a_guide_leads_away_from_a_rock_it_is_too_near_to() -> None:
    clearance, goal = Clearance.of_rocks([rock(0.0, 0.0)], half=6.0), np.array([4.0, 0.0])
    start = np.array([-1.0, 0.1])  # half a metre from the rock, which lies between it and the goal
    assert clearance.way(start, goal, CLEARANCE_M) is None
    guide = Guide(clearance, goal, CLEARANCE_M)
    assert guide.ahead(start, 1.0)[1] > 0.3
    places = follow(guide, start, goal)
    assert np.linalg.norm(places[-1] - goal) <= 0.2
    assert clearance.at(places).min() > 0.3


def test_a_guide_goes_straight_where_nothing_is_in_the_way() -> None:
    guide = Guide(Clearance.of_rocks([], half=6.0), np.array([4.0, 1.0]), CLEARANCE_M)
    toward = guide.ahead(np.array([1.0, -1.0]), 1.0) - (1.0, -1.0)
    assert np.linalg.norm(toward) == pytest.approx(1.0)
    assert math.atan2(toward[1], toward[0]) == pytest.approx(math.atan2(2.0, 3.0), abs=0.06)
    assert guide.ahead(np.array([3.8, 1.0]), 1.0) == pytest.approx([4.0, 1.0])


@pytest.mark.parametrize("aside", [-0.35, -0.1, 0.0, 0.02, 0.3])
def test_shares_of_actions_steer_for_the_point_they_were_made_of(rover_stage: Usd.Stage, aside: float) -> None:
    layout = read_layout(read_world(rover_stage))
    ahead = math.sqrt(1.0 - aside * aside)
    shares = encode_aim(ahead, aside)
    assert shares.sum() == pytest.approx(1.0) and (shares > 0.0).sum() <= 2
    found = command_of(layout, np.log(shares + 1e-9), 0.2)
    wanted = turn_about(layout, speed=0.2, curvature=2.0 * aside)
    assert found.steering == pytest.approx(wanted.steering, abs=1e-6)
    assert found.rates == pytest.approx(wanted.rates, abs=1e-6)


def test_behind_it_turns_on_the_spot_to_the_nearer_side(rover_stage: Usd.Stage) -> None:
    layout = read_layout(read_world(rover_stage))
    for aside in (-0.5, 0.5):
        shares = encode_aim(-0.5, aside)
        assert shares[0 if aside < 0.0 else -1] == 1.0
        rates = command_of(layout, np.log(shares + 1e-9), 0.2).rates
        assert np.sign(rates) == pytest.approx(np.sign(aside) * np.array([-1.0, 1.0, -1.0, 1.0]))


def test_actions_and_readings_have_a_mirror(rover_stage: Usd.Stage) -> None:
    assert tuple(-curvature for curvature in CURVATURES[::-1]) == CURVATURES and max(CURVATURES) == CURVATURE_MAX
    assert encode_aim(0.9, 0.3) == pytest.approx(encode_aim(0.9, -0.3)[::-1])
    layout, random = read_layout(read_world(rover_stage)), np.random.default_rng(0)
    fl, fr, rl, rr = random.normal(size=(4, 2))
    tilt = np.array([0.97, 0.1, -0.15, 0.1]) / np.linalg.norm([0.97, 0.1, -0.15, 0.1])

    def state(corners: list[np.ndarray], steering: float, quaternion: np.ndarray, y: float) -> dict[str, np.ndarray]:
        rates, angles = np.array(corners).T
        qw, qx, qy, qz = quaternion
        heading = math.atan2(2.0 * (qw * qz + qx * qy), 1.0 - 2.0 * (qy * qy + qz * qz))
        tilted = tilt_of({"orientation": quaternion})
        return {"measured": np.array([1.0, y, heading, *(steering * angles), *rates, *tilted])}

    one = read_readings(state([fl, fr, rl, rr], 1.0, tilt, 2.0), layout, np.array([5.0, 3.0]), 0.2)
    flipped = tilt * (1.0, -1.0, 1.0, -1.0)  # of a reflection in the XZ plane
    other = read_readings(state([fr, fl, rr, rl], -1.0, flipped, -2.0), layout, np.array([5.0, -3.0]), 0.2)
    assert len(one) == len(READINGS)
    assert mirrored(one) == pytest.approx(other)
    assert mirrored(mirrored(one)) == pytest.approx(one)


def test_each_hazard_camera_sees_the_rock_on_its_own_side() -> None:
    """The same rock to the left and to the right gives pictures that are each other's mirror, but for the noise."""
    pytest.importorskip("mitsuba")
    from regolith.lunar.params import change_params
    from regolith.lunar.physics.sight import Sight
    from regolith.lunar.randomize import draw_scene, lit_frame, narrowed
    from regolith.lunar.render import open_renderer
    from regolith.lunar.stage.author import author_stage, build_scene

    params = change_params(load_preset("v1"), {
        "relief.enabled": False, "terrain.cell_m": 0.5, "terrain.rms_slope_deg": 0.0, "rocks.abundance": (0, 0),
        "rover.model": "viper", "sensor.full_well_e": 0.0,
    })  # fmt: skip
    size = PictureSize(64, 48)
    with contextlib.closing(open_renderer("auto", threads=1)) as renderer:
        stage = author_stage(build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0)))
        mesh = UsdGeom.Mesh.Define(stage, "/World/Block")
        points, faces = icosphere(2)
        mesh.CreatePointsAttr((0.4 * points + (2.0, 0.8, 0.0)).tolist())
        mesh.CreateFaceVertexCountsAttr([3] * len(faces))
        mesh.CreateFaceVertexIndicesAttr(faces.ravel().tolist())
        sight = Sight(renderer, stage, size, params=params, frame=lit_frame(params, 0, "val", 0))
        stance = Stance(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, (0.0, 0.0, 0.0, 0.0), carries=True)
        pictures = sight.look(stance).astype(float)
        again = sight.look(stance).astype(float)
    assert pictures.shape == (2, 48, 64) and (pictures == again).mean() > 0.9
    left, right = (np.abs(np.diff(picture, axis=1)).sum() for picture in pictures)
    assert left > 1.5 * right


def test_wilson() -> None:
    """Against the interval as Wilson's 1927 formula gives it to four digits for 0, 5 and 10 of 10."""
    assert wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert wilson(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert wilson(10, 10) == pytest.approx((0.7225, 1.0), abs=1e-4)
    runs = [{"outcome": "reached", "rocks": []}, {"outcome": "reached", "rocks": ["one"]},
            {"outcome": "stuck", "rocks": []}]  # fmt: skip
    assert success_rate(runs)["count"] == 1 and success_rate(runs)["share"] == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "onnxruntime runs"),
        ({"sha256": "0" * 64}, "another file"),
        ({"actions": list(ACTIONS[1:])}, "of this version"),
        ({"size": "huge"}, "size"),
        ({"lag": "ten"}, "lag"),
        (None, "No such file"),
    ],
)
def test_what_is_no_policy_is_refused(tmp_path: Path, change: dict | None, said: str) -> None:
    path = tmp_path / "policy.onnx"
    path.write_bytes(b"no graph")
    if change is not None:
        card = describe_policy(PictureSize(32)) | {"sha256": file_digest(path)} | change
        write_json(path.with_suffix(".json"), card)
    with pytest.raises(InputError, match=r"^policy: ") as error:
        Policy(path)
    assert said in str(error.value)
