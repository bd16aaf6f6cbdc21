"""Metrics against brute force, and what they say where a figure is not defined."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from regolith.lunar.labels import IGNORE, NAMES, ROCK, SKY
from regolith.lunar.perception.metrics import (
    bin_index,
    class_share,
    confusion_matrix,
    iou_per_class,
    mean_defined,
    rock_counts,
    rock_scores,
    scores,
)

SHAPES = hnp.array_shapes(min_dims=2, max_dims=2, max_side=9)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    shape = draw(SHAPES)
    truth = draw(hnp.arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, IGNORE])))
    predicted = draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, 2)))
    return truth, predicted


@given(pairs())
def test_confusion_and_iou_equal_brute_force(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = pair
    expected = np.zeros((3, 3), int)
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if t != IGNORE:
            expected[t, p] += 1
    confusion = confusion_matrix(truth, predicted)
    assert np.array_equal(confusion, expected)
    result = scores(confusion)
    for c, name in enumerate(NAMES):
        t = {i for i, v in enumerate(truth.ravel()) if v == c}
        p = {i for i, v in enumerate(predicted.ravel()) if v == c and truth.ravel()[i] != IGNORE}
        iou = len(t & p) / len(t | p) if t | p else None
        assert result["iou"][name] == pytest.approx(iou)
    defined = [v for v in result["iou"].values() if v is not None]
    assert result["miou"] == (pytest.approx(sum(defined) / len(defined)) if defined else None)
    counted = truth != IGNORE
    same = (truth == predicted)[counted]
    assert result["accuracy"] == (pytest.approx(same.mean()) if counted.any() else None)


@given(pairs())
def test_rock_figures_equal_brute_force(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = pair
    tp = fp = fn = 0
    for t, p in zip(truth.ravel().tolist(), predicted.ravel().tolist(), strict=True):
        if t == IGNORE:
            continue
        tp += t == ROCK and p == ROCK
        fp += t != ROCK and p == ROCK
        fn += t == ROCK and p != ROCK
    assert rock_counts(truth, predicted) == (tp, fp, fn)
    rock = scores(confusion_matrix(truth, predicted))["rock"]
    assert (rock["tp"], rock["fp"], rock["fn"]) == (tp, fp, fn)
    assert rock["recall"] == (pytest.approx(tp / (tp + fn)) if tp + fn else None)
    assert rock["precision"] == (pytest.approx(tp / (tp + fp)) if tp + fp else None)


@given(hnp.arrays(np.uint8, SHAPES, elements=st.integers(0, 2)))
def test_flood_equals_brute_force(mask: np.ndarray) -> None:
    assert class_share(mask, ROCK) == pytest.approx(sum(v == ROCK for v in mask.ravel()) / mask.size)


@given(pairs())
def test_confusion_adds_over_tiles(pair: tuple[np.ndarray, np.ndarray]) -> None:
    truth, predicted = pair
    k = truth.shape[0] // 2
    parts = confusion_matrix(truth[:k], predicted[:k]) + confusion_matrix(truth[k:], predicted[k:])
    assert np.array_equal(parts, confusion_matrix(truth, predicted))


def test_sky_on_a_sky_less_truth_is_simply_no_rock() -> None:
    truth = np.array([[0, 1, 1, 255]], np.uint8)
    assert rock_counts(truth, np.array([[SKY, SKY, ROCK, ROCK]], np.uint8)) == (1, 0, 1)


def test_undefined_is_none() -> None:
    nothing = np.full((2, 2), IGNORE, np.uint8)
    result = scores(confusion_matrix(nothing, np.zeros_like(nothing)))
    assert result["miou"] is None and result["accuracy"] is None
    assert set(result["iou"].values()) == {None}
    ground = np.zeros((2, 2), np.uint8)
    assert iou_per_class(confusion_matrix(ground, ground)) == {"regolith": 1.0, "rock": None, "sky": None}
    assert rock_scores(0, 0, 5) == {"iou": 0.0, "precision": None, "recall": 0.0, "tp": 0, "fp": 0, "fn": 5}
    assert mean_defined([None, None]) is None and mean_defined([None, 0.5]) == 0.5


def test_wrong_values_and_shapes_are_refused() -> None:
    ok = np.zeros((2, 2), np.uint8)
    with pytest.raises(ValueError, match="class outside"):
        confusion_matrix(ok, np.full((2, 2), 3, np.uint8))
    with pytest.raises(ValueError, match="class outside"):
        confusion_matrix(np.full((2, 2), 7, np.uint8), ok)
    for count in (confusion_matrix, rock_counts):
        with pytest.raises(ValueError, match="shape"):
            count(ok, ok[:1])


@given(
    st.floats(-1, 12, allow_nan=False), st.lists(st.integers(0, 10), min_size=2, max_size=6, unique=True).map(sorted)
)
def test_bins_equal_brute_force(value: float, edges: list[int]) -> None:
    found = [i for i in range(len(edges) - 1) if edges[i] <= value < edges[i + 1]]
    if value == edges[-1]:
        found = [len(edges) - 2]
    assert bin_index(value, edges) == (found[0] if found else None)
