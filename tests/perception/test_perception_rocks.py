"""Rocks found and false rocks: cases counted by hand, and what holds for every pair of masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.perception.metrics import rock_counts
from regolith.lunar.perception.rocks import RocksBySize, match_rocks, size_words


@st.composite
def pairs(draw: st.DrawFn, values: tuple[int, ...] = (0, ROCK, SKY, IGNORE)) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=12))
    truth = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from(values)))
    predicted = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, ROCK, SKY])))
    return truth, predicted


def test_rocks_and_false_rocks_by_size() -> None:
    truth, predicted = np.zeros((60, 40), np.uint8), np.zeros((60, 40), np.uint8)
    truth[1, 1] = truth[2, 2] = ROCK  # they touch at a corner: one rock of 2 px, diameter 1.6
    predicted[1, 1] = ROCK  # IoU 0.5: found
    truth[10:20, 10:20] = ROCK  # 100 px: diameter 11.3
    predicted[10:20, 10:16] = ROCK  # IoU 0.6: found
    truth[30:40, 30:40] = ROCK
    predicted[30:40, 36:40] = ROCK  # IoU 0.4: touched, and a false rock of 40 px, diameter 7.1, that touches one
    truth[30:40, 10:20] = ROCK  # missed
    predicted[0:10, 30:40] = ROCK  # a false rock of 100 px
    truth[50:60, 0:10] = truth[50:60, 20:30] = ROCK
    predicted[50:60, 0:30] = ROCK  # one over two: fits neither, IoU 1/3, but touches both
    sizes = RocksBySize((0.0, 4.0, 8.0, math.inf))
    sizes.add(truth, predicted)
    sizes.add(np.zeros_like(truth), np.zeros_like(truth))
    small, middle, large = sizes.rows()
    assert (small["rocks"], small["found"], small["found_iou"], small["found_touch"]) == (1, 1.0, 1.0, 1.0)
    assert (small["pixels"], small["recall"], small["false_iou"], small["false_touch"]) == (2, 0.5, 0, 0)
    assert (middle["rocks"], middle["found"], middle["found_iou"], middle["recall"]) == (0, None, None, None)
    assert (middle["false_iou"], middle["false_touch"]) == (0.5, 0)
    assert (large["rocks"], large["found"], large["found_iou"], large["found_touch"]) == (5, 0.6, 0.2, 0.8)
    assert (large["pixels"], large["recall"], large["to_px"]) == (500, 0.6, None)
    assert (large["false_iou"], large["false_touch"]) == (1.0, 0.5)  # of two pictures
    assert size_words(large) == (
        "8– px: 5 rocks, found 0.200 (touched 0.800), false a picture 1.00 (touching none 0.50)"
    )
    assert "0 rocks, found undefined (touched undefined)" in size_words(middle)


@pytest.mark.parametrize(("ignored", "false"), [(4, [60]), (5, [50]), (6, [])])
def test_a_predicted_rock_mostly_under_ignore_is_not_false(ignored: int, false: list[int]) -> None:
    truth, predicted = np.zeros((20, 20), np.uint8), np.zeros((20, 20), np.uint8)
    predicted[5:15, 5:15] = ROCK
    truth[5 : 5 + ignored] = IGNORE
    assert match_rocks(truth, predicted).predicted_area.tolist() == false


def test_an_ignored_outline_costs_no_rock_its_match() -> None:
    """A prediction that runs out into the outline band fits as well as one that stops before it."""
    truth = np.zeros((20, 20), np.uint8)
    truth[4:16, 4:16] = IGNORE
    truth[7:13, 7:13] = ROCK
    predicted = np.zeros_like(truth)
    predicted[5:15, 5:15] = ROCK
    match = match_rocks(truth, predicted)
    assert match.iou.tolist() == [1.0]
    split = predicted.copy()
    split[:, 9:11] = 0  # two predicted rocks with a third of the true one each
    assert match_rocks(truth, split).iou.tolist() == [pytest.approx(1 / 3)]


@given(pairs())
def test_sizes_add_up_to_the_pixels_and_touching_is_easier(pair: tuple[np.ndarray, np.ndarray]) -> None:
    match = match_rocks(*pair)
    tp, _, fn = rock_counts(*pair)
    assert match.area.sum() == tp + fn and match.hits.sum() == tp
    assert ((match.iou > 0) == (match.hits > 0)).all()
    assert ((match.predicted_iou > 0) == (match.predicted_hits > 0)).all()
    assert (match.iou <= match.hits / match.area).all() and (match.predicted_area > 0).all()
    sizes = RocksBySize()
    sizes.add(*pair)
    assert sum(row["rocks"] for row in sizes.rows()) == len(match.area)
    assert all(row["false_touch"] <= row["false_iou"] for row in sizes.rows())


@given(pairs(values=(0, ROCK, SKY)))
def test_truth_and_prediction_change_places(pair: tuple[np.ndarray, np.ndarray]) -> None:
    ahead, back = match_rocks(*pair), match_rocks(*pair[::-1])
    assert np.array_equal(ahead.iou, back.predicted_iou) and np.array_equal(ahead.area, back.predicted_area)
    same = match_rocks(pair[0], pair[0])
    assert (same.iou == 1).all() and (same.predicted_iou == 1).all()


@given(pairs(), st.integers(0, 2**31))
def test_what_is_predicted_under_ignore_hits_nothing(pair: tuple[np.ndarray, np.ndarray], seed: int) -> None:
    """Pixels under `IGNORE` may join predicted regions, but count in no area."""
    truth, predicted = pair
    match = match_rocks(truth, predicted)
    other = predicted.copy()
    hidden = truth == IGNORE
    other[hidden] = np.random.default_rng(seed).integers(0, 3, int(hidden.sum()))
    assert np.array_equal(match.hits, match_rocks(truth, other).hits)
    assert np.array_equal(match.area, match_rocks(truth, other).area)


def test_shapes_that_differ_are_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        match_rocks(np.zeros((2, 2), np.uint8), np.zeros((2, 3), np.uint8))
