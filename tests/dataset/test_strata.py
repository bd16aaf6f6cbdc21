"""Strata are the same whoever asks; a draw keeps their proportions and loses none of them."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.dataset.strata import TAIL_SHARE, UNKNOWN, allocate, draw, edges, rarest, say_ties, strata
from regolith.lunar.stage.spec import rng


@given(st.lists(st.integers(1, 500), min_size=1, max_size=40), st.data())
def test_shares_are_proportional_and_no_stratum_is_lost(sizes: list[int], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, sum(sizes)))
    taken = allocate(sizes, number, rng(0, "few"))
    assert sum(taken) == number and all(0 <= t <= s for t, s in zip(taken, sizes, strict=True))
    if number >= len(sizes):
        assert min(taken) >= 1
        lifted = sum(max(0.0, 1 - s * number / sum(sizes)) for s in sizes)  # what the rare ones got beyond their share
        for size, got in zip(sizes, taken, strict=True):
            assert abs(got - max(1.0, size * number / sum(sizes))) <= 1 + lifted
    else:
        tail = {k for (k,) in rarest({(k,): s / sum(sizes) for k, s in enumerate(sizes)}, TAIL_SHARE)}
        got = {k for k, t in enumerate(taken) if t}
        assert got <= tail or tail <= got, "the tail comes first"


def test_known_shares() -> None:
    draws = rng(0, "few")
    assert allocate([900, 90, 9, 1], 100, draws) == [89, 9, 1, 1], "the rare one is kept"
    assert allocate([50, 50], 10, draws) == [5, 5]
    assert allocate([3, 1], 4, draws) == [3, 1]
    with pytest.raises(ValueError, match="5 of 4"):
        allocate([3, 1], 5, draws)
    assert {tuple(allocate([900, 90, 9, 1], 3, rng(seed, "few"))[2:]) for seed in range(9)} == {(1, 1)}
    times = np.sum([allocate([1] * 8, 5, rng(seed, "few")) for seed in range(80)], axis=0)
    assert times.sum() == 400 and times.min() >= 30, "which of equals get none is chance"


def test_buckets_have_equal_frequency_and_unknown_is_one_of_its_own() -> None:
    values = np.arange(90.0)
    values[::9] = np.nan
    borders = edges([values], 4)
    kinds = Counter(kind for (kind,) in strata({"x": values}, {"x": borders}))
    assert kinds[UNKNOWN] == 10 and [kinds[k] for k in range(4)] == [20, 20, 20, 20]
    assert edges([np.full(5, np.nan)], 3).size == 0 and edges([np.zeros(9)], 3).tolist() == [0.0]


def test_where_most_are_alike_the_rest_has_buckets_too() -> None:
    for values, buckets, wanted in (
        ([0] * 7 + [3], 2, [7, 1]),
        ([0] * 7 + [3], 3, [7, 1]),
        ([0] * 70 + list(range(1, 31)), 3, [70, 15, 15]),
        ([5] * 70 + list(range(5)), 3, [5, 70]),
        ([0] * 50 + [1] * 30 + [2] * 20, 3, [50, 30, 20]),
    ):
        given_values = np.array(values, float)
        kinds = Counter(strata({"x": given_values}, {"x": edges([given_values], buckets)}))
        assert [kinds[kind] for kind in sorted(kinds)] == wanted, (values, buckets)
    assert edges([np.array([0.0] * 7 + [3])], 2).tolist() == [3.0]
    assert edges([np.zeros(900), np.array([0.0, 0, 4])], 2).tolist() == [4.0]


@given(st.sets(st.floats(-1e6, 1e6), min_size=2, max_size=40), st.integers(2, 8))
def test_of_values_that_all_differ_edges_are_quantiles(values: set[float], buckets: int) -> None:
    side = np.array(sorted(values))
    assert np.array_equal(edges([side], buckets), np.unique(np.quantile(side, np.arange(1, buckets) / buckets)))


def test_a_small_side_says_as_much_as_a_large_one() -> None:
    large, small = np.zeros(10_000), np.full(3, 10.0)
    assert edges([large, small], 2) == pytest.approx([5.0]) == edges([small, large], 2)


@given(st.integers(1, 60), st.integers(0, 200), st.integers(0, 5))
def test_draws_repeat_in_whole_rounds_and_are_the_same_again(frames: int, number: int, seed: int) -> None:
    kinds = [(i % 3, i % 2) for i in range(frames)]
    taken = draw(kinds, number, seed=seed, side="real")
    assert taken == draw(kinds, number, seed=seed, side="real") and len(taken) == number
    times = Counter(taken)
    assert {times[k] for k in range(frames)} <= {number // frames, number // frames + 1}


def test_another_seed_or_side_draws_others() -> None:
    kinds = [(0,)] * 200
    first = draw(kinds, 50, seed=0, side="real")
    assert first != draw(kinds, 50, seed=1, side="real") and first != draw(kinds, 50, seed=0, side="synth")


def test_the_rarest_strata_hold_no_more_than_they_may() -> None:
    shares = {(0,): 0.5, (1,): 0.3, (2,): 0.15, (3,): 0.05, (4,): 0.0}
    assert rarest(shares, 0.2) == [(3,), (2,)]
    assert rarest(shares, 0.19) == [(3,)] == rarest(shares, 0.01)
    assert say_ties(shares, 0.2) == ""
    tied = {(0,): 0.6, (1,): 0.1, (2,): 0.1, (3,): 0.1, (4,): 0.06, (5,): 0.04}
    assert rarest(tied, 0.3) == [(5,), (4,)] and "none is in the tail" in say_ties(tied, 0.3)
    assert rarest(dict.fromkeys(tied, 1 / 6), 0.1) == list(tied)
    assert say_ties(dict.fromkeys(tied, 1 / 6), 0.1) == (
        "6 strata of 16.7% each are equally rare: all are in the tail, which so holds 100.0%"
    )
