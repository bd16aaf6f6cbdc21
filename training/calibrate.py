"""Fit the temperature of an exported model's probabilities on one split and measure what it mends on another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.formats.source import read_source
from regolith.lunar.labels import IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.perception.calibration import Reliability, fit_temperature, log_loss, softmax
from regolith.lunar.perception.session import MULTIPLE, Segmenter
from regolith.lunar.stage.spec import rng

FRAME_PIXELS = 4096
"""Pixels of a frame that the fit looks at, drawn at random."""


def calibrate(model: Path, fit: Path, measure: Path) -> dict[str, Any]:
    """Return `temperature` and `calibration` for a model's card.

    Args:
        model: An exported model with its card.
        fit: Split the temperature is fitted on, by the negative log-likelihood of its pixels.
        measure: Another split, on which the expected calibration error is given before and after.

    Raises:
        InputError: A split cannot be used, or no pixel of `fit` has a class.
    """
    segmenter = Segmenter(model)
    drawn = [_draw(number, logits, truth) for number, (logits, truth) in enumerate(_frames(segmenter, fit))]
    logits = np.concatenate([values for values, _ in drawn], axis=1)
    classes = np.concatenate([truth for _, truth in drawn])
    if not classes.size:
        raise InputError("temperature_split", str(fit), "a split with labelled pixels")
    temperature = fit_temperature(logits, classes)
    before, after, frames = Reliability(), Reliability(), 0
    for values, truth in _frames(segmenter, measure):
        frames += 1
        for reliability, divisor in ((before, 1.0), (after, temperature)):
            probabilities = softmax(values, divisor)
            reliability.add(truth, probabilities.argmax(axis=0), probabilities.max(axis=0))
    was, now = before.result(), after.result()
    return {
        "temperature": temperature,
        "calibration": {
            "fitted_on": {
                "split": fit.name,
                "frames": len(drawn),
                "pixels": int(classes.size),
                "log_loss_before": log_loss(logits, classes, 1.0),
                "log_loss_after": log_loss(logits, classes, temperature),
            },
            "measured_on": {"split": measure.name, "frames": frames}
            | {
                f"{key}_{when}": of[key]
                for when, of in (("before", was), ("after", now))
                for key in ("ece", "ece_rock")
            },
        },
    }


def _frames(segmenter: Segmenter, split: Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield logits float32 [3, H, W] and true classes uint8 [H, W] of frames, cut to whole multiples of 32."""
    source = read_source(split)
    for record in source.records:
        rgb, truth = source.array("rgb", record), source.array("mask", record)
        height, width = (side - side % MULTIPLE for side in rgb.shape[:2])
        yield segmenter.logits(rgb[None, :height, :width])[0], truth[:height, :width]


def _draw(number: int, logits: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Draw labelled pixels of a frame: logits float32 [3, pixels] and classes uint8 [pixels]."""
    places = np.flatnonzero(truth != IGNORE)
    if places.size > FRAME_PIXELS:
        places = rng(0, "calibrate", number).choice(places, FRAME_PIXELS, replace=False)
    return logits.reshape(len(logits), -1)[:, places], truth.ravel()[places]
