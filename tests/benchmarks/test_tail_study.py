"""The parts of the tail study that decide what it says: which rocks are of a tail, their IoU, what arms gain."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import tail_figures  # noqa: E402
import transfer_arms  # noqa: E402

from regolith.lunar.quality.tail import find_tail  # noqa: E402


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two frames of 64 × 64 px, each with a rock of 20 × 20 px and five of 6 × 6 px, darker than the ground."""
    folder = tmp_path_factory.mktemp("study") / transfer_arms.SPLIT
    mask = np.zeros((64, 64), np.uint8)
    mask[2:22, 2:22] = 1
    for number in range(5):
        mask[40:46, 2 + 12 * number : 8 + 12 * number] = 1
    rgb = np.repeat((200 - 100 * mask)[..., None], 3, axis=2).astype(np.uint8)
    transfer_arms.write_derived(folder, [(rgb, mask, {"scene": number}) for number in range(2)], transfer_arms.SPLIT)
    return folder


def test_what_is_measured_is_the_tail_that_tail_found(split, tmp_path) -> None:
    """The two large rocks are rare; a network that finds the small ones alone has IoU 0 there and 1 elsewhere."""
    found = find_tail(split, tmp_path, percentile=20, buckets=10)
    assert tail_figures.supply(split, {"frequency": found}) == {"frequency": 1}

    def predict(rgb: np.ndarray) -> np.ndarray:
        classes = (rgb[..., 0] < 150).astype(np.uint8)
        classes[:30] = 0
        return classes

    row = tail_figures.measure(split, predict, {"frequency": found})
    assert row["frequency"] == {"rocks": 2, "iou": 0} and row["all"] == {"rocks": 12, "iou": pytest.approx(10 / 12)}
    assert row["pixels"] == pytest.approx(180 / 580)


def test_a_tail_by_what_a_split_does_not_know_is_not_measured(split, tmp_path) -> None:
    found = find_tail(split, tmp_path, buckets=2)
    found["edges"]["sun_elevation_deg"] = [10.0]
    row = tail_figures.measure(split, lambda rgb: np.zeros(rgb.shape[:2], np.uint8), {"error": found})
    assert row == {"pixels": 0, "all": {"rocks": 12, "iou": 0}}
    assert tail_figures.figures({"polar": row}) == {"polar pixels": 0, "polar all": 0}


def test_a_gain_is_over_as_many_others_seed_by_seed() -> None:
    runs = {
        arm: [{"test pixels": value + 0.1 * seed} for seed in range(3)]
        for arm, value in {"base": 0.1, "untargeted": 0.2, "frequency": 0.25, "error": 0.15}.items()
    }
    arms = tail_figures.compare(runs)["test pixels"]
    assert arms["frequency"]["gain"] == pytest.approx([0.05] * 3) and arms["error"]["gain"] == pytest.approx(
        [-0.05] * 3
    )
    assert arms["base"] == {"mean": pytest.approx(0.2), "sd": pytest.approx(0.1)}
    said = tail_figures.say({"test pixels": arms}).splitlines()[-1]
    assert said.startswith("| test pixels | 0.200 ± 0.100 | 0.300 ± 0.100 | 0.350 ± 0.100 (+0.050, +0.050, +0.050) |")
