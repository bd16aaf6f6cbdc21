"""The local-contrast baseline finds the threshold an exhaustive search finds, and what it says is what it scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK
from regolith.lunar.perception.baseline import EDGES, SIDES, SIGMAS, ContrastBaseline, local_contrast
from regolith.lunar.perception.metrics import rock_counts, rock_scores
from regolith.lunar.stage.spec import rng


def draw_scene(seed: int, level: int) -> tuple[np.ndarray, np.ndarray]:
    """Rocks of one brightness on noisy ground, and their mask with a border that does not count."""
    random = rng(seed, "contrast")
    truth = np.full((60, 90), REGOLITH, np.uint8)
    for _ in range(6):
        y, x = random.integers(8, 50), random.integers(8, 80)
        truth[y : y + 4, x : x + 5] = ROCK
    grey = np.where(truth == ROCK, level, 90) + random.normal(0, 12, truth.shape)
    truth[:5] = IGNORE
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=2), truth


def search(pairs: list[tuple[np.ndarray, np.ndarray]]) -> float:
    best = 0.0
    for sigma, side in itertools.product(SIGMAS, SIDES):
        contrast = [local_contrast(rgb, sigma * max(truth.shape)) for rgb, truth in pairs]
        contrast = [{"bright": c, "dark": -c, "both": np.abs(c)}[side] for c in contrast]
        for edge in EDGES[::10]:
            masks = [np.where(c >= edge, ROCK, REGOLITH) for c in contrast]
            counts = np.sum([rock_counts(t, m) for (_, t), m in zip(pairs, masks, strict=True)], axis=0)
            best = max(best, rock_scores(*map(int, counts))["iou"] or 0.0)
    return best


@pytest.mark.parametrize(("level", "side"), [(170, "bright"), (20, "dark")])
def test_best_threshold_is_at_least_what_a_coarse_search_finds(level: int, side: str) -> None:
    pairs = [draw_scene(seed, level) for seed in (1, 2)]
    baseline = ContrastBaseline()
    for rgb, truth in pairs:
        baseline.add(rgb, truth)
    best = baseline.best()
    assert best is not None and best["side"] == side
    assert best["iou"] >= search(pairs) > 0.3
    counts = np.zeros(3, int)
    for rgb, truth in pairs:
        contrast = local_contrast(rgb, best["sigma"] * 90) * (1 if side == "bright" else -1)
        counts += rock_counts(truth, np.where(contrast >= best["threshold"], ROCK, REGOLITH))
    assert (best["tp"], best["fp"], best["fn"]) == pytest.approx(tuple(counts), abs=2)  # float32 against float64 edges


def test_flat_ground_has_no_contrast_and_no_rock_no_baseline() -> None:
    flat = np.full((40, 40, 3), 90, np.uint8)
    assert np.abs(local_contrast(flat, 4.0)).max() < 0.05
    baseline = ContrastBaseline()
    baseline.add(flat, np.zeros((40, 40), np.uint8))
    assert baseline.best() is None
