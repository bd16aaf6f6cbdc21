"""A camera's way: through its keys, without jumps, over the ground and out of the rocks."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.flythrough.clear import keep_clear
from regolith.lunar.flythrough.keyframes import Keyframes, read_keyframes
from regolith.lunar.flythrough.way import about_rover, eased, look_at, over_waypoints, spline, through_keys, unwrapped
from regolith.lunar.params import InputError, change_params, load_preset
from regolith.lunar.randomize import draw_scene, narrowed
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.camera import check_lens
from regolith.lunar.stage.scene import Scene

FPS = 24
KEYS = [
    {"time_s": 0.0, "x_m": -4.0, "y_m": 1.0, "height_m": 1.0, "heading_deg": 350.0, "pitch_deg": -5.0, "fov_deg": 40.0},
    {"time_s": 1.0, "x_m": 0.0, "y_m": 2.0, "height_m": 2.0, "heading_deg": 20.0, "pitch_deg": -9.0, "roll_deg": 3.0},
    {"time_s": 3.0, "x_m": 3.0, "y_m": -1.0, "height_m": 0.5, "heading_deg": 80.0, "pitch_deg": 0.0, "fov_deg": 70.0},
]


def sloping(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return 0.1 * x - 0.05 * y


def keyframes(tmp_path: Path, data: object, name: str = "path.json") -> Keyframes:
    path = tmp_path / name
    path.write_text(json.dumps(data))
    return read_keyframes(path)


@pytest.mark.parametrize("ease", [False, True])
def test_the_way_meets_every_key(tmp_path: Path, ease: bool) -> None:
    keys = keyframes(tmp_path, {"keys": KEYS}, "path.yaml")  # JSON is YAML
    way = through_keys(keys, np.array([key["time_s"] for key in KEYS]), sloping, ease=ease)
    for index, key in enumerate(KEYS):
        ground = float(sloping(np.array(key["x_m"]), np.array(key["y_m"])))
        np.testing.assert_allclose(way.eye_m[index], [key["x_m"], key["y_m"], ground + key["height_m"]], atol=1e-12)
        assert way.heading_deg[index] % 360.0 == pytest.approx(key["heading_deg"])
        assert way.pitch_deg[index] == pytest.approx(key["pitch_deg"])
    np.testing.assert_allclose(way.fov_deg, [40.0, 40.0, 70.0])
    assert np.abs(np.diff(way.heading_deg)).max() < 180.0
    assert way.sun_deg is None


def test_the_velocity_has_no_jumps_and_is_nought_at_the_ends(tmp_path: Path) -> None:
    keys = keyframes(tmp_path, {"keys": KEYS})
    step = 1e-4
    eye = through_keys(keys, 1.0 + step * np.arange(-2, 3), sloping, ease=True).eye_m
    np.testing.assert_allclose((eye[1] - eye[0]) / step, (eye[4] - eye[3]) / step, atol=1e-2)
    ends = through_keys(keys, np.array([0.0, step, 3.0 - step, 3.0]), sloping, ease=True).eye_m
    assert np.abs(np.diff(ends, axis=0)[[0, 2]]).max() / step < 1e-2


def test_a_sun_and_a_target_are_followed(tmp_path: Path) -> None:
    aimed = [
        {name: value for name, value in key.items() if name not in ("heading_deg", "pitch_deg")}
        | {"target_x_m": 10.0, "target_y_m": 0.0, "target_height_m": 1.0}
        for key in KEYS
    ]
    aimed[0] |= {"sun_elevation_deg": 5.0, "sun_azimuth_deg": 350.0}
    aimed[2] |= {"sun_elevation_deg": 9.0, "sun_azimuth_deg": 10.0}
    way = through_keys(keyframes(tmp_path, {"keys": aimed}), np.linspace(0.0, 3.0, 40), sloping, ease=True)
    target = np.array([10.0, 0.0, float(sloping(np.array(10.0), np.array(0.0))) + 1.0])
    heading, pitch = look_at(way.eye_m, np.broadcast_to(target, way.eye_m.shape))
    np.testing.assert_allclose(way.heading_deg, heading)
    np.testing.assert_allclose(way.pitch_deg, pitch)
    assert way.sun_deg is not None
    assert way.sun_deg[:, 0].min() >= 5.0 and way.sun_deg[:, 0].max() <= 9.0
    assert (np.diff(way.sun_deg[:, 1]) >= 0.0).all() and way.sun_deg[-1, 1] == pytest.approx(370.0)


@given(st.lists(st.floats(-50, 50), min_size=2, max_size=8), st.booleans())
def test_a_spline_meets_its_keys(values: list[float], ease: bool) -> None:
    at = np.cumsum(np.linspace(0.5, 2.0, len(values)))
    np.testing.assert_allclose(spline(at, np.array(values), at, ease=ease), values, atol=1e-9)


@given(st.floats(0.05, 0.5))
def test_a_glide_starts_ends_and_never_turns_back(ramp: float) -> None:
    share = eased(np.linspace(0.0, 1.0, 201), ramp=ramp)
    assert share[0] == pytest.approx(0.0, abs=1e-12) and share[-1] == pytest.approx(1.0)
    assert (np.diff(share) >= -1e-12).all()
    assert np.abs(np.diff(share, 2)).max() < 4e-3


def test_a_glide_over_waypoints_passes_them_and_looks_ahead() -> None:
    places = np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 4.0]])
    way = over_waypoints(places, 97, sloping, height_m=1.5, pitch_deg=-8.0, fov_deg=60.0, fps=FPS)
    np.testing.assert_allclose(way.eye_m[[0, -1], :2], places[[0, -1]], atol=1e-6)
    assert np.linalg.norm(way.eye_m[:, :2] - places[1], axis=1).min() < 0.05
    assert abs(way.heading_deg[0]) < 30.0 and abs(way.heading_deg[-1] - 90.0) < 30.0
    assert np.abs(np.diff(way.heading_deg)).max() < 6.0
    assert np.abs(way.eye_m[:, 2] - sloping(*way.eye_m[:, :2].T) - 1.5).max() < 0.3


def test_a_camera_about_a_rover_keeps_its_distance_and_looks_at_it() -> None:
    rover = np.column_stack([np.linspace(0.0, 1.5, 49), np.zeros(49), np.ones(49)])
    way = about_rover(
        rover, np.zeros(49), sloping, distance_m=6.0, height_m=1.5, bearing_deg=180.0, sweep_deg=90.0, turning=True,
        fov_deg=50.0, fps=FPS,
    )  # fmt: skip
    apart = np.hypot(*(way.eye_m - rover)[:, :2].T)
    assert np.abs(apart - 6.0).max() < 1.0  # the rover's way is smoothed
    np.testing.assert_allclose(way.eye_m[0, :2] - rover[0, :2], [-6.0, 0.0], atol=0.6)
    np.testing.assert_allclose(way.eye_m[-1, :2] - rover[-1, :2], [0.0, -6.0], atol=0.6)
    assert unwrapped(way.heading_deg)[-1] == pytest.approx(90.0, abs=6.0)


@pytest.fixture(scope="module", name="rocky")
def fixture_rocky() -> Scene:
    """A scene of large rocks on rough ground."""
    changes = {
        "relief.enabled": "false", "terrain.cell_m": "0.5", "rocks.diameter_min_m": "0.4", "rocks.far_radius_m": "0",
        "rocks.abundance": "0.2,0.2", "rocks.shape_count": "3", "rocks.subdivision": "3",
    }  # fmt: skip
    params = narrowed(change_params(load_preset("v1"), changes), "train_dr")
    return build_scene(params, draw_scene(params, 0, "train_dr", 0))


def test_no_lens_is_in_the_ground_or_in_a_rock(rocky: Scene) -> None:
    """A way at ankle height over a field of rocks is lifted over all of them, without a jump."""
    rng = np.random.default_rng(0)
    for heading in rng.uniform(0.0, 2.0 * np.pi, 3):
        along = np.linspace(-8.0, 8.0, 8 * FPS)
        eye = np.column_stack([along * np.cos(heading), along * np.sin(heading), np.zeros(len(along))])
        eye[:, 2] = rocky.terrain.height(eye[:, 0], eye[:, 1]) + 0.05
        clear = keep_clear(rocky, eye, FPS)
        for lens in clear:
            check_lens(rocky, lens)
        assert (clear[:, 2] >= eye[:, 2]).all() and (clear[:, 2] > eye[:, 2] + 0.6).any()
        np.testing.assert_array_equal(clear[:, :2], eye[:, :2])
        assert np.abs(np.diff(clear[:, 2] - eye[:, 2], 2)).max() < 0.03


def test_a_way_that_is_clear_stays_as_it_is_and_one_beyond_the_ground_is_refused(rocky: Scene) -> None:
    high = np.column_stack([np.linspace(-5.0, 5.0, 20), np.zeros(20), np.full(20, 30.0)])
    np.testing.assert_array_equal(keep_clear(rocky, high, FPS), high)
    with pytest.raises(InputError, match="camera_x_m"):
        keep_clear(rocky, high + np.array([17.0, 0.0, 0.0]), FPS)


BAD = {
    "one key": ({"keys": KEYS[:1]}, "keys: 1"),
    "no order": ({"keys": [KEYS[0], KEYS[2], KEYS[1]]}, r"keys\.2\.time_s"),
    "a late start": ({"keys": KEYS[1:]}, r"keys\.0\.time_s"),
    "half a look": ({"keys": [KEYS[0], {**KEYS[1], "pitch_deg": None}]}, "pitch_deg"),
    "no look": ({"keys": [KEYS[0], {"time_s": 2, "x_m": 0, "y_m": 0, "height_m": 1}]}, r"keys\.1\.heading_deg"),
    "below the ground": ({"keys": [{**KEYS[0], "height_m": -1.0}, KEYS[1]]}, "height_m"),
    "another name": ({"keys": KEYS, "aims": "rover"}, "aims"),
    "no group": ([1], "path"),
}


@pytest.mark.parametrize("case", BAD)
def test_keys_that_are_none_are_refused_by_name(tmp_path: Path, case: str) -> None:
    data, words = BAD[case]
    with pytest.raises(InputError, match=words):
        keyframes(tmp_path, data)


def test_a_way_is_plain_data(tmp_path: Path) -> None:
    """What an editor writes is what it reads."""
    keys = keyframes(tmp_path, {"keys": KEYS})
    again = keyframes(tmp_path, keys.model_dump(mode="json"), "again.json")
    assert again == keys
    assert dataclasses.is_dataclass(through_keys(keys, np.array([0.0, 1.0]), sloping, ease=True))
