"""Segmentation metrics in plain numpy. A figure that is not defined is None, never 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from regolith.lunar.labels import IGNORE, NAMES, ROCK

SUN_EDGES_DEG = (0.0, 5.0, 10.0, 15.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 90.0)
"""Edges of the sun elevation bins [deg], lower edge included, the last edge too."""


def confusion_matrix(truth: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    """Count pixels by true and predicted class.

    Args:
        truth: True classes, any shape; pixels of value `IGNORE` do not count.
        predicted: Predicted classes, same shape, values 0 … 2.

    Returns:
        int64 [3, 3], rows true, columns predicted.

    Raises:
        ValueError: The shapes differ, or a value that counts is no class.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {predicted.shape}")
    n = len(NAMES)
    valid = truth != IGNORE
    t, p = truth[valid].astype(np.int64), predicted[valid].astype(np.int64)
    if t.size and (t.min() < 0 or t.max() >= n or p.min() < 0 or p.max() >= n):
        raise ValueError(f"a class outside 0 … {n - 1}")
    return np.bincount(t * n + p, minlength=n * n).reshape(n, n)


def ratio(part: float, whole: float) -> float | None:
    """Return part / whole, None where the whole is 0."""
    return None if whole == 0 else float(part) / float(whole)


def mean_defined(values: Sequence[float | None]) -> float | None:
    """Return the mean of the defined values, None where there is none."""
    defined = [v for v in values if v is not None]
    return math.fsum(defined) / len(defined) if defined else None


def iou_per_class(confusion: np.ndarray) -> dict[str, float | None]:
    """Return tp / (tp + fp + fn) by class name; None for a class neither true nor predicted anywhere."""
    tp = np.diag(confusion)
    union = confusion.sum(0) + confusion.sum(1) - tp
    return {name: ratio(tp[i], union[i]) for i, name in enumerate(NAMES)}


def scores(confusion: np.ndarray) -> dict[str, Any]:
    """Return IoU per class, mIoU (over the defined classes), accuracy, and the rock figures of `rock_scores`."""
    iou = iou_per_class(confusion)
    tp = int(confusion[ROCK, ROCK])
    rock = rock_scores(tp, int(confusion[:, ROCK].sum()) - tp, int(confusion[ROCK].sum()) - tp)
    return {
        "iou": iou,
        "miou": mean_defined(list(iou.values())),
        "accuracy": ratio(np.trace(confusion), confusion.sum()),
        "rock": rock,
        "pixels": int(confusion.sum()),
    }


def rock_scores(tp: int, fp: int, fn: int) -> dict[str, Any]:
    """Return IoU, precision and recall of the rock class; precision is None where no rock was predicted."""
    return {
        "iou": ratio(tp, tp + fp + fn),
        "precision": ratio(tp, tp + fp),
        "recall": ratio(tp, tp + fn),
        "tp": tp,
        "fp": fp,
        "fn": fn,
    }


def rock_counts(truth: np.ndarray, predicted: np.ndarray) -> tuple[int, int, int]:
    """Count rock against everything else where the truth knows no sky.

    A predicted sky is simply no rock; pixels of true value `IGNORE` do not count.

    Returns:
        True positives, false positives and false negatives in pixels.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {predicted.shape}")
    valid = truth != IGNORE
    t, p = (truth == ROCK) & valid, (predicted == ROCK) & valid
    tp = int(np.count_nonzero(t & p))
    return tp, int(np.count_nonzero(p)) - tp, int(np.count_nonzero(t)) - tp


def class_share(mask: np.ndarray, value: int) -> float:
    """Return the share of a picture's pixels that have a class; with `ROCK` it is the flood.

    Args:
        mask: Predicted classes of the picture's own pixels, padding cut off; at least one pixel.
        value: The class.
    """
    return int(np.count_nonzero(mask == value)) / mask.size


def bin_index(value: float, edges: Sequence[float]) -> int | None:
    """Return the bin of a value: edges[i] ≤ value < edges[i + 1], the last edge included; None outside."""
    if value == edges[-1]:
        return len(edges) - 2
    i = int(np.searchsorted(edges, value, side="right")) - 1
    return i if 0 <= i < len(edges) - 1 else None
