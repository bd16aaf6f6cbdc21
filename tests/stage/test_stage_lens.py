"""The lens: exact inverse, agreement with OpenCV, and refusal of what folds."""

from __future__ import annotations

import math
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from regolith.lunar.params import InputError, Interval, intervals, load_preset, preset_names
from regolith.lunar.stage.lens import MIN_SLOPE, TO_USD, Lens, check_lens, fold_radius

lenses = st.builds(
    Lens.from_fov,
    st.floats(5.0, 140.0),
    st.integers(1, 2000),
    st.integers(1, 2000),
    k1=st.floats(-0.3, 0.3),
    k2=st.floats(-0.15, 0.15),
)


def positions(lens: Lens) -> tuple[np.ndarray, np.ndarray]:
    """Positions all over a picture, corners, edges and centre among them [px]."""
    x, y = np.meshgrid(np.linspace(0, lens.width, 17), np.linspace(0, lens.height, 13))
    return x, y


@settings(deadline=None, derandomize=True)
@given(lenses)
def test_project_inverts_rays(lens: Lens) -> None:
    """Every position of a picture whose lens does not fold sees a direction that projects back onto it."""
    assume(not lens.folds)
    x, y = positions(lens)
    back = lens.project(lens.rays(x, y))
    assert np.abs(back[..., 0] - x).max() < 1e-6
    assert np.abs(back[..., 1] - y).max() < 1e-6
    assert np.allclose(lens.project(7.5 * lens.rays(x, y)), back, atol=1e-6, rtol=0)


@settings(deadline=None, derandomize=True)
@given(lenses)
def test_rays_invert_project(lens: Lens) -> None:
    """Directions up to the fold come back from the position they are seen at."""
    reach = min(lens.reach, 3.0) * 0.999
    angle = np.linspace(0, 2 * math.pi, 16)[:, None]
    r = np.linspace(0, reach, 9)
    point = np.stack(np.broadcast_arrays(r * np.cos(angle), r * np.sin(angle), 1.0), axis=-1)
    seen = lens.project(point)
    np.testing.assert_allclose(lens.rays(seen[..., 0], seen[..., 1]), point, atol=1e-9)


@settings(deadline=None, derandomize=True)
@given(st.floats(-0.3, 0.3), st.floats(-0.15, 0.15))
def test_the_fold_is_where_growth_ends(k1: float, k2: float) -> None:
    """Growth is above the limit before the fold, and at it there."""
    reach = fold_radius(k1, k2)
    r = np.linspace(0.0, min(reach, 10.0), 400, endpoint=False)
    assert (1 + 3 * k1 * r**2 + 5 * k2 * r**4 > MIN_SLOPE - 1e-9).all()
    if reach < math.inf:
        assert 1 + 3 * k1 * reach**2 + 5 * k2 * reach**4 == pytest.approx(MIN_SLOPE, abs=1e-6)


@pytest.mark.parametrize(("k1", "k2"), [(0.0, 0.0), (-0.2, 0.05), (-0.15, 0.0), (0.2, 0.1), (0.1, -0.03)])
def test_agrees_with_opencv(k1: float, k2: float) -> None:
    """Projection and its inverse are OpenCV's, whose pixels count from the first one's centre."""
    lens = Lens.from_fov(62.0, 640, 480, k1=k1, k2=k2)
    matrix = lens.matrix - [[0, 0, 0.5], [0, 0, 0.5], [0, 0, 0]]
    points = np.random.default_rng(0).uniform([-0.6, -0.45, 1], [0.6, 0.45, 1], (200, 3))
    theirs, _ = cv2.projectPoints(points, np.zeros(3), np.zeros(3), matrix, lens.coefficients)
    np.testing.assert_allclose(lens.project(points), theirs[:, 0] + 0.5, atol=1e-9)
    x, y = positions(lens)
    pixels = np.stack([x, y], axis=-1).reshape(-1, 1, 2) - 0.5
    criteria = (cv2.TERM_CRITERIA_COUNT + cv2.TERM_CRITERIA_EPS, 500, 1e-13)
    undistort = getattr(cv2, "undistortPointsIter", cv2.undistortPoints)  # the former until OpenCV 5
    plane = undistort(pixels, matrix, lens.coefficients, R=np.eye(3), P=np.eye(3), criteria=criteria)
    np.testing.assert_allclose(lens.rays(x, y).reshape(-1, 3)[:, :2], plane[:, 0], atol=1e-9)


def test_intrinsics_and_frames() -> None:
    """Half the width is the tangent of half the angle; the centre looks straight ahead, down is +y, barrel is wider."""
    lens = Lens.from_fov(90.0, 200, 100)
    assert lens.focal_px == pytest.approx(100.0)
    np.testing.assert_allclose(lens.rays(np.array([200.0, 100.0]), np.array([50.0, 100.0])), [[1, 0, 1], [0, 0.5, 1]])
    np.testing.assert_allclose(lens.matrix @ [0.5, -0.25, 1.0], [150.0, 25.0, 1.0])
    np.testing.assert_allclose(TO_USD * (0, 0, 1), (0, 0, -1))
    barrel = Lens.from_fov(60.0, 200, 100, k1=-0.1)
    assert barrel.rays(np.array(200.0), np.array(50.0))[0] > math.tan(math.radians(30.0)) * 1.01


def test_what_the_lens_cannot_see_is_nan() -> None:
    """Points behind the camera and beyond the fold have no position; positions beyond the fold no ray."""
    lens = Lens.from_fov(60.0, 100, 100, k1=-0.2)
    assert np.isnan(lens.project(np.array([[0.1, 0.1, -1.0], [0.0, 0.0, 0.0], [lens.reach * 1.01, 0, 1]]))).all()
    assert np.isnan(lens.rays(np.array(400.0), np.array(50.0))[:2]).all()


def ranges(k1: tuple[float, float], k2: tuple[float, float], fov: tuple[float, float]) -> dict[str, Interval]:
    """Ranges of the three fields that matter."""
    return {"lens_k1": Interval(*k1), "lens_k2": Interval(*k2), "fov_deg": Interval(*fov)}


@settings(deadline=None, derandomize=True)
@given(
    st.tuples(st.floats(-0.3, 0.3), st.floats(-0.3, 0.3)).map(lambda p: (min(p), max(p))),
    st.tuples(st.floats(-0.15, 0.15), st.floats(-0.15, 0.15)).map(lambda p: (min(p), max(p))),
    st.floats(40.0, 140.0),
    st.floats(0, 1), st.floats(0, 1), st.floats(0, 1),
)  # fmt: skip
def test_accepted_ranges_hold_no_lens_that_folds(
    k1: tuple[float, float], k2: tuple[float, float], fov: float, a: float, b: float, c: float
) -> None:
    """Whatever is drawn from accepted ranges sees something at every corner; refusals name a field and a value."""
    asked = ranges(k1, k2, (40.0, fov))
    try:
        check_lens(asked, 320, 200)
    except InputError as error:
        assert error.field in ("sensor.lens_k1", "sensor.lens_k2")
        assert Lens.from_fov(fov, 320, 200, k1=k1[0], k2=k2[0]).folds
        return
    lens = Lens.from_fov(asked["fov_deg"].at(a), 320, 200, k1=asked["lens_k1"].at(b), k2=asked["lens_k2"].at(c))
    assert np.isfinite(lens.rays(*positions(lens))).all()


@pytest.mark.parametrize(
    ("k1", "k2", "field", "best"),
    [
        ((-0.3, 0.1), (0.0, 0.0), "sensor.lens_k1", lambda v: ((v, 0.1), (0.0, 0.0))),
        ((-0.05, 0.1), (-0.15, 0.0), "sensor.lens_k2", lambda v: ((-0.05, 0.1), (v, 0.0))),
        ((0.0, 0.1), (-0.15, 0.0), "sensor.lens_k2", lambda v: ((0.0, 0.1), (v, 0.0))),
        ((-0.3, 0.1), (-0.15, 0.0), "sensor.lens_k1", lambda v: ((v, 0.1), (0.0, 0.0))),
    ],
)
def test_a_refusal_says_what_is_allowed(
    k1: tuple[float, float],
    k2: tuple[float, float],
    field: str,
    best: Callable[[float], tuple[tuple[float, float], tuple[float, float]]],
) -> None:
    """The value it names is accepted, a hundredth less is not."""
    with pytest.raises(InputError, match="field of view of 84 deg at 512x512") as caught:
        check_lens(ranges(k1, k2, (60.0, 84.0)), 512, 512)
    assert caught.value.field == field
    least = float(caught.value.allowed.split()[2].strip(","))
    (k1, k2), (worse1, worse2) = best(least), best(least - 0.01)
    check_lens(ranges(k1, k2, (60.0, 84.0)), 512, 512)
    with pytest.raises(InputError):
        check_lens(ranges(worse1, worse2, (60.0, 84.0)), 512, 512)


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("size", [(512, 512), (640, 480), (480, 640), (1920, 1080)])
def test_no_preset_holds_a_lens_that_folds(preset: str, size: tuple[int, int]) -> None:
    """In the training and in the test domain."""
    params = load_preset(preset)
    for domain in (params.domain, params.test_domain):
        check_lens(intervals(params.model_copy(update={"domain": domain}), "frame"), *size)
