"""Divergences against closed forms, and intervals and p-values against how often they should hold."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy.integrate import quad

from regolith.lunar.quality.divergence import (
    GROUPS_MIN,
    Statistic,
    bootstrap_interval,
    group_kernel,
    js_divergence,
    mmd_squared,
    neighbour_divergence,
    norm_divergence,
    permutation_p,
    project,
    smallest_p,
)
from regolith.lunar.quality.frechet import frechet_distance


def ones(x: np.ndarray) -> np.ndarray:
    return np.ones(len(x))


def normal_jsd(shift: float) -> float:
    """JSD of two normal distributions of variance 1, their means `shift` apart."""

    def part(t: float) -> float:
        p, q = (math.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) for z in (t, t - shift))
        return sum(0.5 * d * math.log2(2 * d / (p + q)) for d in (p, q) if d > 0)

    return quad(part, -10, 10 + shift, limit=200)[0]


@pytest.mark.parametrize(
    ("p", "q", "expected"),
    [
        ([1, 0], [0, 1], 1.0),
        ([2, 6], [1, 3], 0.0),
        ([1, 0], [1, 1], 1.5 - 0.75 * math.log2(3)),  # H(3/4, 1/4) − 1/2
        ([1, 1, 0, 0], [0, 1, 1, 0], 0.5),
    ],
)
def test_divergence_of_known_distributions(p: list[float], q: list[float], expected: float) -> None:
    assert js_divergence(np.array(p, float), np.array(q, float)) == pytest.approx(expected)


def test_norms_see_length_and_nothing_else() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(500, 3))
    turned = x[:, [2, 0, 1]] * [-1, 1, 1]
    assert norm_divergence(x, turned)(ones(x), ones(turned)) == 0
    assert norm_divergence(x, x * 100)(ones(x), ones(x)) > 0.9


@pytest.mark.parametrize("shift", [0.0, 1.0, 2.0, 4.0])
def test_neighbours_find_the_divergence_of_two_normal_distributions(shift: float) -> None:
    random = np.random.default_rng(1)
    x, y = random.normal(size=(800, 2)), random.normal(size=(300, 2)) + np.array([shift, 0])
    found = neighbour_divergence(x, y, np.arange(800), np.arange(300))(ones(x), ones(y))
    assert found == pytest.approx(normal_jsd(shift), abs=0.05)


@pytest.mark.parametrize(("shift", "rows"), [(0.0, 60), (1.0, 60), (2.0, 60)])
def test_many_rows_against_few_are_as_unlike_as_few_against_few(shift: float, rows: int) -> None:
    """In eight dimensions, where a ball of the larger sample's scale would hold nothing of the smaller one."""
    random = np.random.default_rng(11)
    found = {count: np.mean([once(random, count, rows, shift) for _ in range(8)]) for count in (rows, 30 * rows)}
    assert found[30 * rows] == pytest.approx(found[rows], abs=0.05)


def once(random: np.random.Generator, n: int, m: int, shift: float) -> float:
    """Divergence of normal samples in eight dimensions, the second moved along the first."""
    x, y = random.normal(size=(n, 8)), random.normal(size=(m, 8)) + shift * np.eye(8)[0]
    return neighbour_divergence(x, y, np.arange(n), np.arange(m))(ones(x), ones(y))


def test_rows_that_were_not_drawn_leave_no_value_where_they_alone_count() -> None:
    random = np.random.default_rng(12)
    x, y = random.normal(size=(500, 2)), random.normal(size=(8, 2))
    statistic = neighbour_divergence(x, y, np.arange(500), np.arange(8))
    alone = [statistic((np.arange(500) == i).astype(float), ones(y)) for i in range(500)]
    assert 400 < np.isnan(alone).sum() < 500 and math.isfinite(statistic(ones(x), ones(y)))


def test_neighbours_are_of_other_groups() -> None:
    """Ten tight clusters a side from one distribution: by their own cluster the sides would look wholly apart."""
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(10), 20)
    x, y = (random.normal(size=(10, 2))[groups] + 1e-3 * random.normal(size=(200, 2)) for _ in range(2))
    rows = np.arange(200)
    assert neighbour_divergence(x, y, rows, rows)(ones(x), ones(y)) > 0.9
    assert neighbour_divergence(x, y, groups, groups)(ones(x), ones(y)) < 0.4


def test_weights_stand_for_repeated_rows() -> None:
    random = np.random.default_rng(3)
    x, y, wx, wy = *random.normal(size=(2, 60, 3)), *random.integers(0, 3, (2, 60)).astype(float)
    more_x, more_y = (np.repeat(part, w.astype(int), axis=0) for part, w in ((x, wx), (y, wy)))
    edges = np.vstack([x, y])
    assert frechet_distance(x, y)(wx, wy) == pytest.approx(frechet_distance(more_x, more_y)(ones(more_x), ones(more_y)))
    whole = norm_divergence(x, y)
    ends = np.linalg.norm(edges, axis=1)
    counts = [
        np.histogram(np.linalg.norm(part, axis=1), np.linspace(ends.min(), ends.max(), 33))[0]
        for part in (more_x, more_y)
    ]
    assert whole(wx, wy) == pytest.approx(js_divergence(*(count.astype(float) for count in counts)))


def test_frechet_distance_of_known_moments() -> None:
    """Samples whose moments are exact: |μ|² + Σ (σ − τ)² where the covariances commute."""
    corners = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1]])
    x, y = corners * [1, 2], corners * [3, 5] + [7, 0]
    assert frechet_distance(x, y)(ones(x), ones(y)) == pytest.approx(49 + 4 + 9)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    assert frechet_distance(x @ turn, y @ turn)(ones(x), ones(y)) == pytest.approx(62)
    assert frechet_distance(x, x)(ones(x), ones(x)) == pytest.approx(0, abs=1e-9)


def test_components_keep_distances_and_are_scaled_by_the_first() -> None:
    random = np.random.default_rng(4)
    x, y = random.normal(size=(50, 5)) * [9, 1, 1, 1, 0], random.normal(size=(40, 5))
    px, py = project(x, y, components=5)
    apart = np.linalg.norm(x[0] - y[0]) / np.linalg.norm(px[0] - py[0])
    assert np.linalg.norm(x[1] - y[2]) / np.linalg.norm(px[1] - py[2]) == pytest.approx(apart)
    both = (np.mean(px[:, 0] ** 2) + np.mean(py[:, 0] ** 2)) / 2
    assert both == pytest.approx(1)
    assert project(x, y, components=2)[0].shape == (50, 2)


def test_mmd_of_two_pairs_by_hand() -> None:
    x, y = np.array([[0.0], [1.0]]), np.array([[2.0], [4.0]])
    one = np.arange(2)
    scale = 2 * np.median([1, 4, 16, 1, 9, 4])

    def k(d: float) -> float:
        return math.exp(-(d**2) / scale)

    expected = k(1) + k(2) - (k(2) + k(4) + k(1) + k(3)) / 2
    kernel = group_kernel(x, y, one, one)
    assert mmd_squared(kernel, one, one)(ones(x), ones(y)) == pytest.approx(expected)


def test_a_group_is_one_observation() -> None:
    """The kernel of two groups is the mean over their pairs of rows, however many each has."""
    x, y = np.array([[0.0], [1.0], [5.0]]), np.array([[2.0], [3.0]])
    kernel = group_kernel(x, y, np.array([0, 0, 1]), np.array([0, 1]))
    rows = group_kernel(x, y, np.arange(3), np.arange(2))
    assert kernel[0, 2] == pytest.approx((rows[0, 3] + rows[1, 3]) / 2)
    assert kernel.shape == (4, 4) and np.array_equal(kernel, kernel.T)


def grouped(random: np.random.Generator, groups: int, rows: int, shift: float = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows [groups · rows, 2] of normal marginals, a third of whose variance is common to a group."""
    number = np.repeat(np.arange(groups), rows)
    common = random.normal(size=(groups, 2))[number] * math.sqrt(1 / 3)
    return common + random.normal(size=(len(number), 2)) * math.sqrt(2 / 3) + [shift, 0], number


def test_false_alarms_are_as_many_as_the_level_says() -> None:
    """300 trials of equal distributions: 15 expected below 5 %, with a standard deviation of 3.8.

    By rows, which are not independent, there would be many times as many.
    """
    random = np.random.default_rng(5)
    alarms, by_rows = 0, 0
    for trial in range(300):
        (x, gx), (y, gy) = grouped(random, 12, 6), grouped(random, 9, 6)
        alarms += permutation_p(group_kernel(x, y, gx, gy), 12, permutations=199, seed=trial) <= 0.05
        rows = group_kernel(x, y, np.arange(len(x)), np.arange(len(y)))
        by_rows += trial < 100 and permutation_p(rows, len(x), permutations=99, seed=trial) <= 0.05
    assert 5 <= alarms <= 27
    assert by_rows > 20


def test_a_shift_is_found_and_seeds_repeat() -> None:
    random = np.random.default_rng(6)
    (x, gx), (y, gy) = grouped(random, 12, 6), grouped(random, 12, 6, shift=2)
    kernel = group_kernel(x, y, gx, gy)
    assert permutation_p(kernel, 12) == permutation_p(kernel, 12) == 0.001
    near = group_kernel(x, x + 0.3, gx, gx)
    found = {permutation_p(near, 12, permutations=99, seed=seed) for seed in range(8)}
    assert len(found) > 1 and min(found) > 0.01


@pytest.mark.parametrize(("first", "second", "least"), [(2, 2, 2 / 6), (4, 4, 2 / 70), (3, 4, 1 / 35)])
def test_few_groups_allow_no_small_p_and_reach_the_smallest(first: int, second: int, least: float) -> None:
    """Of equally many groups the two ways that exchange the sides have one value: no p is less than that of both."""
    assert smallest_p(first, second) == pytest.approx(least) and smallest_p(10, 10) == 0.001
    x, y = np.arange(first)[:, None] / 10, 9 + np.arange(second)[:, None] / 10
    kernel = group_kernel(x, y, np.arange(first), np.arange(second))
    assert [permutation_p(kernel, first, seed=seed) for seed in range(5)] == pytest.approx([least] * 5)


def test_few_groups_have_the_share_of_all_ways_to_part_them() -> None:
    """Of 2 and 3 groups by hand: every choice of two, its MMD no smaller than the first's."""
    rows = np.random.default_rng(9).normal(size=(5, 2))
    kernel = group_kernel(rows[:2], rows[2:], np.arange(2), np.arange(3))

    def value(chosen: tuple[int, int]) -> float:
        order = [*chosen, *(i for i in range(5) if i not in chosen)]
        return mmd_squared(kernel[np.ix_(order, order)], np.arange(2), np.arange(3))(np.ones(2), np.ones(3))

    values = [value((i, j)) for i in range(5) for j in range(i + 1, 5)]
    assert permutation_p(kernel, 2) == pytest.approx(np.mean([v >= values[0] - 1e-12 for v in values]))


def interval(statistic: Statistic, gx: np.ndarray, gy: np.ndarray, **more: Any) -> list[float]:
    """Return an interval that there is."""
    found = bootstrap_interval(statistic, gx, gy, **more)
    assert found is not None
    return found


def test_intervals_hold_where_groups_are_drawn_and_not_where_rows_are() -> None:
    """60 trials; the truth is the Fréchet distance of the distributions, 4."""
    random = np.random.default_rng(7)
    held, by_rows = 0, 0
    for trial in range(60):
        (x, gx), (y, gy) = grouped(random, 20, 8), grouped(random, 20, 8, shift=2)
        rows = np.arange(len(x))
        statistic = frechet_distance(x, y)
        low, high = interval(statistic, gx, gy, rounds=100, seed=trial)
        held += low <= 4 <= high
        low, high = interval(statistic, rows, rows, rounds=100, seed=trial)
        by_rows += low <= 4 <= high
    assert held >= 50 > 45 > by_rows


def test_an_interval_stays_within_what_can_be() -> None:
    random = np.random.default_rng(8)
    x, gx = grouped(random, 10, 4)
    statistic = norm_divergence(x, x * 50)
    low, high = interval(statistic, gx, gx, high=1, rounds=50)
    assert 0.8 < low <= high <= 1
    assert bootstrap_interval(statistic, gx, gx, high=1, rounds=50) == [low, high]


def test_of_few_groups_there_is_no_interval() -> None:
    """Of two groups a side every draw of two unlike ones is the sample itself, and the interval a point."""
    random = np.random.default_rng(10)
    enough, many = grouped(random, GROUPS_MIN, 6), grouped(random, 12, 6)
    few = grouped(random, GROUPS_MIN - 1, 6)
    for (x, gx), (y, gy), found in ((few, many, False), (many, few, False), (enough, many, True)):
        assert (bootstrap_interval(frechet_distance(x, y), gx, gy, rounds=20) is not None) == found
