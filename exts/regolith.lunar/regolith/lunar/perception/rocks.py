"""Rocks one by one: which are found and which are false, by apparent size.

A rock is an 8-connected region of rock pixels, true or predicted: rocks that touch in the picture count as one.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.perception.metrics import ratio

SIZE_EDGES_PX = (0.0, 4.0, 8.0, 16.0, 32.0, 64.0, math.inf)
"""Edges of the apparent-size bins: equivalent diameter of a rock region √(4·area/π) [px], lower edge included."""
MATCH_IOU = 0.5
"""Least IoU of a true and a predicted rock that are one."""
NEIGHBOURS = np.ones((3, 3), int)


@dataclasses.dataclass(frozen=True)
class RockMatch:
    """The rocks of one picture. Pixels whose truth is `IGNORE` count in no area and no overlap."""

    area: np.ndarray
    """Of each true rock, int64 [true] [px]."""
    hits: np.ndarray
    """Of its pixels, those that are predicted rock, int64 [true]."""
    iou: np.ndarray
    """Its IoU with the predicted rock that fits best, float64 [true]."""
    predicted_area: np.ndarray
    """Of each predicted rock, int64 [predicted] [px]; those mostly under `IGNORE` are left out."""
    predicted_hits: np.ndarray
    """Of its pixels, those that are true rock, int64 [predicted]."""
    predicted_iou: np.ndarray
    """Its IoU with the true rock that fits best, float64 [predicted]."""


def match_rocks(truth: np.ndarray, predicted: np.ndarray) -> RockMatch:
    """Compare the true and the predicted rocks of a picture.

    Args:
        truth: True classes [H, W], `IGNORE` where unknown.
        predicted: Predicted classes [H, W].

    Raises:
        ValueError: The shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"truth has shape {truth.shape}, prediction {predicted.shape}")
    ours, n = scipy.ndimage.label(truth == ROCK, structure=NEIGHBOURS)  # type: ignore[misc]
    theirs, m = scipy.ndimage.label(predicted == ROCK, structure=NEIGHBOURS)  # type: ignore[misc]
    counted = truth != IGNORE
    whole = np.bincount(theirs.ravel(), minlength=m + 1)[1:]
    area = np.bincount(ours.ravel(), minlength=n + 1)[1:]
    predicted_area = np.bincount(theirs[counted], minlength=m + 1)[1:]
    both = (ours > 0) & (theirs > 0)
    pairs, overlap = np.unique((ours[both] - 1) * np.int64(m) + theirs[both] - 1, return_counts=True)
    i, j = np.divmod(pairs, max(m, 1))
    fit = overlap / (area[i] + predicted_area[j] - overlap)
    hits, predicted_hits = np.zeros(n, np.int64), np.zeros(m, np.int64)
    iou, predicted_iou = np.zeros(n), np.zeros(m)
    np.add.at(hits, i, overlap)
    np.add.at(predicted_hits, j, overlap)
    np.maximum.at(iou, i, fit)
    np.maximum.at(predicted_iou, j, fit)
    kept = 2 * predicted_area >= whole
    return RockMatch(area, hits, iou, predicted_area[kept], predicted_hits[kept], predicted_iou[kept])


class RocksBySize:
    """Rocks found and false rocks by apparent size, summed over pictures."""

    def __init__(self, edges: Sequence[float] = SIZE_EDGES_PX) -> None:
        self.edges = tuple(edges)
        self.pictures = 0
        self._sums = {name: np.zeros(len(self.edges) - 1, np.int64) for name in _COUNTS}

    def add(self, truth: np.ndarray, predicted: np.ndarray) -> None:
        """Add one picture: true and predicted classes, both [H, W]."""
        match = match_rocks(truth, predicted)
        self.pictures += 1
        self._count(match.area, pixels=match.area, hit_pixels=match.hits, rocks=1, found=2 * match.hits >= match.area,
                    found_iou=match.iou >= MATCH_IOU, found_touch=match.hits > 0)  # fmt: skip
        self._count(
            match.predicted_area, false_iou=match.predicted_iou < MATCH_IOU, false_touch=match.predicted_hits == 0
        )

    def _count(self, area: np.ndarray, **values: np.ndarray | int) -> None:
        places = np.searchsorted(self.edges, np.sqrt(4 * area / np.pi), side="right") - 1
        for name, value in values.items():
            np.add.at(self._sums[name], places, value)

    def rows(self) -> list[dict[str, Any]]:
        """Return per bin: size range [px], rocks, shares of them found, false rocks per picture, pixels, pixel recall.

        `found` is the share with at least half their pixels predicted, `found_iou` that with a predicted rock of IoU
        ≥ `MATCH_IOU`, `found_touch` that with a predicted pixel at all. `false_iou` are predicted rocks that fit no
        true one so, `false_touch` those with no true rock's pixel; their sizes are their own.
        """
        rows = []
        for i, (low, high) in enumerate(zip(self.edges, self.edges[1:], strict=False)):
            n = {name: int(sums[i]) for name, sums in self._sums.items()}
            rows.append(
                {"from_px": low, "to_px": None if math.isinf(high) else high, "rocks": n["rocks"]}
                | {name: ratio(n[name], n["rocks"]) for name in ("found", "found_iou", "found_touch")}
                | {name: ratio(n[name], self.pictures) for name in ("false_iou", "false_touch")}
                | {"pixels": n["pixels"], "recall": ratio(n["hit_pixels"], n["pixels"])}
            )
        return rows


_COUNTS = ("pixels", "hit_pixels", "rocks", "found", "found_iou", "found_touch", "false_iou", "false_touch")


def size_words(row: dict[str, Any]) -> str:
    """Say one row of `RocksBySize.rows` in a line."""
    high = "" if row["to_px"] is None else f"{row['to_px']:g}"
    found = [f"{row[key]:.3f}" if row["rocks"] else "undefined" for key in ("found_iou", "found_touch")]
    return (
        f"{row['from_px']:g}–{high} px: {row['rocks']} rocks, found {found[0]} (touched {found[1]}), false a picture "
        f"{row['false_iou']:.2f} (touching none {row['false_touch']:.2f})"
    )
