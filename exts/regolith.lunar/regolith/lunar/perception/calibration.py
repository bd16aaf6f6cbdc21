"""How far a confidence can be believed, and the temperature that mends it (Guo et al. 2017, arXiv 1706.04599)."""

from __future__ import annotations

from typing import Any

import numpy as np

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.perception.metrics import ratio

BINS = 15
"""Bins of equal width over confidences 0 … 1, as in the paper."""
PIXELS_AT_ONCE = 1 << 20
"""Pixels that are counted at a time: what is made of one takes some 20 bytes."""
TEMPERATURE_MIN, TEMPERATURE_MAX = 0.05, 20.0
"""Temperatures that are searched and that a card may name."""


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Return probabilities of logits divided by a temperature.

    Args:
        logits: Float, classes first: [3, …].
        temperature: Above 1 for less confidence; no temperature changes the likeliest class.
    """
    scaled = logits - logits.max(axis=0)
    power = np.exp(scaled if temperature == 1.0 else scaled / np.asarray(temperature, scaled.dtype))
    return power / power.sum(axis=0)


class Reliability:
    """Confidence against accuracy over pixels, summed over pictures.

    Expected calibration error: the mean over pixels of |accuracy − mean confidence| of the bin a pixel's confidence is
    in. That of the rock class is the same over the pixels called rock, so |precision − mean confidence|.
    """

    def __init__(self) -> None:
        self._pixels = np.zeros((2, BINS), np.int64)  # all that count; of these, those called rock
        self._correct = np.zeros((2, BINS), np.int64)
        self._confidence = np.zeros((2, BINS), np.float64)

    def add(self, truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> None:
        """Add a picture.

        Args:
            truth: True classes, any shape; pixels of value `IGNORE` do not count.
            predicted: Predicted classes, same shape.
            confidence: Probability of the predicted class, same shape.
        """
        flat = [np.ravel(array) for array in (truth, predicted, confidence)]
        for start in range(0, truth.size, PIXELS_AT_ONCE):
            self._add(*(array[start : start + PIXELS_AT_ONCE] for array in flat))

    def _add(self, truth: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> None:
        counted = truth != IGNORE
        for row, chosen in enumerate((counted, counted & (predicted == ROCK))):
            values = confidence[chosen].astype(np.float64)
            places = np.minimum((values * BINS).astype(int), BINS - 1)
            correct = truth[chosen] == predicted[chosen]
            self._pixels[row] += np.bincount(places, minlength=BINS)
            self._correct[row] += np.bincount(places[correct], minlength=BINS)
            self._confidence[row] += np.bincount(places, values, minlength=BINS)

    def result(self) -> dict[str, Any]:
        """Return `ece` and `ece_rock` (None without such pixels), and the bins of all pixels that have some."""
        gaps = np.abs(self._correct - self._confidence).sum(axis=1)
        ece, rock = (ratio(float(gap), int(pixels.sum())) for gap, pixels in zip(gaps, self._pixels, strict=True))
        rows = zip(self._pixels[0].tolist(), self._confidence[0].tolist(), self._correct[0].tolist(), strict=True)
        bins = [
            {"from": i / BINS, "to": (i + 1) / BINS, "pixels": n, "confidence": total / n, "accuracy": correct / n}
            for i, (n, total, correct) in enumerate(rows)
            if n
        ]
        return {"ece": ece, "ece_rock": rock, "bins": bins}


def log_loss(logits: np.ndarray, classes: np.ndarray, temperature: float) -> float:
    """Return the mean negative log-likelihood of true classes.

    Args:
        logits: Float [3, pixels], at least one pixel.
        classes: True classes, integers [pixels].
        temperature: Of the softmax.
    """
    scaled = (logits - logits.max(axis=0)).astype(np.float64) / temperature
    true = np.take_along_axis(scaled, classes[None].astype(np.int64), axis=0)[0]
    return float((np.log(np.exp(scaled).sum(axis=0)) - true).mean())


def fit_temperature(logits: np.ndarray, classes: np.ndarray) -> float:
    """Return the temperature of least negative log-likelihood, within its limits.

    Args:
        logits: Float [3, pixels], at least one pixel.
        classes: True classes, integers [pixels].
    """
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(  # one minimum: the loss is convex in 1 / temperature
        lambda exponent: log_loss(logits, classes, float(np.exp(exponent))),
        bounds=(np.log(TEMPERATURE_MIN), np.log(TEMPERATURE_MAX)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))
