"""Distances of sets of points: known ones, axioms, agreement of their ways of being computed, and density."""

import numpy as np
import ot
import pytest
from grounds import ground, scanner
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.quality.clouds import Cloud
from regolith.lunar.quality.density import draw, match_elevation, one_a_voxel
from regolith.lunar.quality.geometry import (
    _directions,
    chamfer,
    closeness,
    earth_movers,
    method_of,
    nearest,
    sliced,
    sliced_all,
    variety,
)
from regolith.lunar.stage.spec import rng

METRICS = {"chamfer": chamfer, "exact": earth_movers, "sliced": sliced}


def points(seed: int, count: int = 60) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3))


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
@settings(max_examples=10)
@given(seed=st.integers(0, 99), count=st.integers(1, 80))
def test_identical_symmetric_and_of_no_order(metric, seed: int, count: int) -> None:
    a, b = points(seed, count), points(seed + 1000, count)
    shuffled = np.random.default_rng(seed).permutation(count)
    assert metric(a, a) == pytest.approx(0, abs=1e-12)
    assert metric(a, b) > 0
    assert metric(a, b) == pytest.approx(metric(b, a), rel=1e-9)
    assert metric(a[shuffled], b) == pytest.approx(metric(a, b), rel=1e-9)


@settings(max_examples=10)
@given(seed=st.integers(0, 99), shift=st.tuples(*[st.floats(-3, 3)] * 3))
def test_a_translation_is_its_length(seed: int, shift: tuple[float, float, float]) -> None:
    """Of any cloud, the sliced one to the evenness of its directions; Chamfer of a lattice wider than twice as much."""
    a, by = points(seed), np.array(shift)
    length = float(np.linalg.norm(by))
    assert earth_movers(a, a + by) == pytest.approx(length, abs=1e-9)
    assert sliced(a, a + by) == pytest.approx(length, rel=0.03, abs=1e-9)
    lattice = 11.0 * np.stack(np.meshgrid(*[np.arange(3)] * 3), axis=-1).reshape(-1, 3)
    assert chamfer(lattice, lattice + by) == pytest.approx(length, abs=1e-9)


def test_known_distances() -> None:
    """Two points against two: one pair of them lies apart by 3 m, so 1.5 m a point."""
    a = np.array([[0.0, 0, 0], [10, 0, 0]])
    b = np.array([[0.0, 0, 0], [10, 3, 0]])
    assert chamfer(a, b) == earth_movers(a, b) == 1.5
    assert chamfer(a[:1], b) == pytest.approx(0.5 * (0 + np.hypot(10, 3) / 2))
    assert earth_movers(a[:1], b) == pytest.approx(np.hypot(10, 3) / 2)
    with pytest.raises(ValueError, match="1 against 2 points"):
        sliced(a[:1], b)


def test_exact_is_that_of_the_whole_matrix() -> None:
    a, b = points(1, 300), points(2, 300) + np.array([0.5, 0, 0])
    costs = ot.dist(a, b, metric="euclidean")
    assert earth_movers(a, b) == pytest.approx(ot.emd2([], [], costs), rel=1e-9)


def test_sliced_is_pots_and_bounded_by_exact() -> None:
    """POT's own on the same directions, scaled; and a lower bound that is close where whole surfaces move."""
    a, b = points(1, 400), points(2, 400) * np.array([1, 1, 2]) + 1
    theirs = ot.sliced_wasserstein_distance(a, b, p=1, projections=_directions(50).T)
    assert sliced(a, b) == pytest.approx(2 * float(theirs), rel=1e-9)  # pyright: ignore[reportArgumentType]
    assert sliced_all([a, a[:300], b])[:2, 2] == pytest.approx([sliced(a, b)] * 2, rel=0.1)
    exact = earth_movers(a, b)
    assert 0.8 * exact < sliced(a, b) < 1.02 * exact


def test_on_ground_sliced_is_half_to_all_of_exact() -> None:
    """Of other ground and of the same, drawn again; docs/quality.md has the figures of the library's terrain."""
    one, other = (ground(seed, rough_m=0.3)["points"] for seed in (0, 1))
    a, again, b = (draw(cloud, 600, rng(0, k)) for k, cloud in enumerate((one, one, other)))
    for found in (again, b):
        assert 0.4 < sliced(a, found) / earth_movers(a, found) < 0.9


@pytest.mark.parametrize("seed", range(3))
def test_sliced_orders_as_exact_does(seed: int) -> None:
    """Where one takes over from the other: larger changes of one surface come out larger by both."""
    draw_ = np.random.default_rng(seed)
    a = np.column_stack([draw_.uniform(0, 4, (800, 2)), draw_.normal(0, 0.05, 800)])
    changed = [a + draw_.normal(0, size, a.shape) for size in (0.02, 0.1, 0.3, 0.8)]
    exact, fast = ([metric(a, b) for b in changed] for metric in (earth_movers, sliced))
    assert exact == sorted(exact) and fast == sorted(fast)


def test_which_way_is_taken() -> None:
    assert method_of(10_000) == "exact" and method_of(10_001) == "sliced"
    a = points(0, 10_001)
    assert earth_movers(a, a[::-1] * 2) == sliced(a, a[::-1] * 2)


def test_directions_cover_the_half_sphere_evenly() -> None:
    directions = _directions(50)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1)
    other = np.random.default_rng(0).normal(size=(100, 3))
    other /= np.linalg.norm(other, axis=1, keepdims=True)
    assert np.abs(np.abs(other @ directions.T).mean(axis=1) - 0.5).max() < 0.015


def test_distance_falls_with_the_number_of_points() -> None:
    """Why what is expected is measured at each number of points."""
    found = [earth_movers(points(1, count), points(2, count)) for count in (50, 200, 800)]
    assert found == sorted(found, reverse=True) and found[0] > 1.5 * found[2]


def test_worth() -> None:
    assert [closeness(found, 1.0) for found in (0.0, 1.0, 2.0, 4.0)] == [1, 1, 0.5, 0.25]
    assert closeness(0.0, 0.0) == 1 and closeness(1.0, 0.0) == 0
    assert [variety(own, 1.0) for own in (0.0, 0.5, 1.0, 2.0)] == [0, 0.5, 1, 0.5]
    assert variety(0.0, 0.0) == 1


def test_nearest_is_found_among_the_allowed() -> None:
    base = points(0, 30)
    others = [base + np.array([x, 0, 0]) for x in (0.0, 1.0, 3.0)]
    allowed = np.array([[True, True, True], [False, True, True], [False, False, True]])
    coarse = sliced_all([base, *others])[:1, 1:].repeat(3, axis=0)
    found = nearest([base] * 3, others, coarse, allowed, 1, rng(0))
    assert found.shape == (3, 2)
    assert found[2, 1] == pytest.approx(3, abs=1e-9)
    everyone = nearest([base], others, coarse[:1], np.ones((1, 3), bool), 3, rng(0))
    assert everyone[0].tolist() == pytest.approx([0, 0], abs=1e-9)


def test_a_sparse_scanner_and_a_dense_one_see_one_surface() -> None:
    """16 against 128 crowded beams: matched over elevation they lie about as far apart as two scans of 16 beams."""
    origin = np.zeros(3)
    sparse, again = (Cloud(scanner(seed, 16), None, origin, "", "") for seed in (1, 2))
    dense = Cloud(scanner(3, 128, power=2), None, origin, "", "")

    def apart(one: Cloud, other: Cloud) -> tuple[float, float]:
        a, b = (draw(cloud.points, 500, rng(0, number)) for number, cloud in enumerate((one, other)))
        return chamfer(one.points, other.points), earth_movers(a, b)

    (kept,), (thinned,) = match_elevation([sparse], [dense], rng(0))
    floor, raw, found = apart(sparse, again), apart(sparse, dense), apart(kept, thinned)
    assert found[0] < 0.5 * raw[0] and found[1] < 0.5 * raw[1]
    assert found[1] < 1.3 * floor[1]
    assert len(kept.points) == pytest.approx(len(thinned.points), rel=0.1)
    (same,), _ = match_elevation([sparse], [sparse], rng(0))
    assert len(same.points) == len(sparse.points)


def test_one_point_a_voxel_whatever_the_order() -> None:
    cloud = np.random.default_rng(0).uniform(-1, 1, (5000, 3))
    kept = cloud[one_a_voxel(cloud, 0.25)]
    assert len(kept) == len(np.unique(np.floor(kept / 0.25), axis=0)) == 8**3
    other = np.random.default_rng(1).permutation(cloud)
    assert (kept == other[one_a_voxel(other, 0.25)]).all()
    assert (draw(cloud, 9, rng(0)) == draw(other, 9, rng(0))).all()
