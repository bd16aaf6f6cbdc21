"""Calibration: errors counted by hand, and temperatures that are known because the labels were drawn with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK
from regolith.lunar.perception.calibration import Reliability, fit_temperature, log_loss, softmax
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.stage.spec import rng


def drawn(temperature: float, pixels: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    """Return logits [3, pixels] and classes drawn with their probabilities at a temperature."""
    random = rng(3, "calibration")
    logits = random.normal(0, 4, (3, pixels)).astype(np.float32)
    edges = softmax(logits, temperature).cumsum(axis=0)
    return logits, (random.random(pixels) > edges[:2]).sum(axis=0).astype(np.uint8)


def test_errors_are_those_of_a_sum_by_hand() -> None:
    """Bins of 1/15: 0.62 and 0.66 share one, 0.9 and 1.0 have one each."""
    truth = np.array([ROCK, REGOLITH, REGOLITH, ROCK, IGNORE], np.uint8)
    predicted = np.array([ROCK, ROCK, REGOLITH, REGOLITH, ROCK], np.uint8)
    confidence = np.array([0.62, 0.66, 0.9, 1.0, 0.5], np.float32)
    reliability = Reliability()
    reliability.add(truth[:3], predicted[:3], confidence[:3])
    reliability.add(truth[3:], predicted[3:], confidence[3:])
    result = reliability.result()
    assert result["ece"] == pytest.approx((2 * abs(0.5 - 0.64) + abs(1 - 0.9) + abs(0 - 1.0)) / 4, abs=1e-6)
    assert result["ece_rock"] == pytest.approx(abs(0.5 - 0.64), abs=1e-6)
    assert [(row["pixels"], row["accuracy"]) for row in result["bins"]] == [(2, 0.5), (1, 1.0), (1, 0.0)]
    assert all(row["from"] <= row["confidence"] <= row["to"] for row in result["bins"])


def test_no_pixels_give_no_error() -> None:
    reliability = Reliability()
    assert reliability.result() == {"ece": None, "ece_rock": None, "bins": []}
    reliability.add(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8), np.ones((2, 2)))
    assert reliability.result()["ece"] == 0 and reliability.result()["ece_rock"] is None


@pytest.mark.parametrize("temperature", [0.4, 1.0, 3.0])
def test_the_temperature_labels_were_drawn_with_is_found_and_mends_the_error(temperature: float) -> None:
    logits, classes = drawn(temperature)
    found = fit_temperature(logits, classes)
    assert found == pytest.approx(temperature, rel=0.05)
    for other in (0.9 * found, 1.1 * found):
        assert log_loss(logits, classes, found) < log_loss(logits, classes, other)
    errors = {}
    for t in (1.0, found):
        probabilities, reliability = softmax(logits, t), Reliability()
        reliability.add(classes, probabilities.argmax(axis=0), probabilities.max(axis=0))
        errors[t] = reliability.result()["ece"]
    assert errors[found] < 0.02 and (temperature == 1.0 or errors[1.0] > 5 * errors[found])


@given(st.floats(0.3, 3), st.integers(0, 1000))
def test_logits_times_a_factor_want_a_temperature_times_it(factor: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (3, 200))
    classes = np.where(random.random(200) < 0.7, logits.argmax(axis=0), random.integers(0, 3, 200))
    assert fit_temperature(factor * logits, classes) == pytest.approx(
        factor * fit_temperature(logits, classes), rel=2e-3
    )
    assert log_loss(logits, classes, 1.0) == pytest.approx(
        -np.log(np.take_along_axis(softmax(logits), classes[None], axis=0)).mean()
    )


def test_the_cards_temperature_divides_logits_before_views_are_averaged(
    write_model: Callable[..., Path], tmp_path: Path
) -> None:
    plain = Segmenter(write_model(tmp_path / "plain.onnx"), threads=1)
    warm = Segmenter(write_model(tmp_path / "warm.onnx", temperature=40 / 3), threads=1)
    random = rng(4, "views")
    rgb = np.repeat(random.integers(0, 256, (32, 64, 1), dtype=np.uint8), 3, axis=2)
    logits = plain.logits(rgb[None])[0]
    expected = softmax(logits, 40 / 3)
    once = warm.predict(rgb, size=None)
    assert np.array_equal(once.mask, plain.predict(rgb, size=None).mask)
    assert np.allclose(once.confidence, expected.max(axis=0), atol=1e-6)
    flipped = warm.predict(rgb, size=None, tta="flip")  # the model sees single pixels: a mirror image changes nothing
    assert np.allclose(flipped.confidence, expected.max(axis=0), atol=1e-6)
    assert (once.confidence < plain.predict(rgb, size=None).confidence).mean() > 0.9
    assert (plain.temperature, warm.temperature) == (1.0, 40 / 3)
