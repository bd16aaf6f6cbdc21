"""Uncertainty in bit, batches that differ: held to what the formulas say of cases that can be counted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.quality.acquisition import Posterior, choose_batch, entropy, k_center


def sure(*classes: int) -> np.ndarray:
    """Passes that are sure of a class each, [passes, 3, 1]."""
    return np.eye(3)[list(classes)][:, :, None]


def test_disagreement_of_sure_passes_is_what_a_label_teaches() -> None:
    """Houlsby et al. 2011: passes sure of unlike classes have all their entropy in common with the weights."""
    posterior = Posterior()
    posterior.add(sure(0, 1))
    posterior.add(sure(0, 1))  # in two batches as in one
    assert posterior.passes == 4
    assert posterior.entropy == pytest.approx(1) and posterior.mutual_information == pytest.approx(1)


def test_what_every_pass_doubts_no_label_teaches() -> None:
    posterior = Posterior()
    posterior.add(np.full((5, 3, 1), 1 / 3))
    assert posterior.entropy == pytest.approx(np.log2(3)) and posterior.mutual_information == pytest.approx(0)


@given(st.integers(0, 2**31), st.integers(1, 6))
def test_mutual_information_lies_between_nothing_and_entropy(seed: int, passes: int) -> None:
    drawn = np.random.default_rng(seed).dirichlet((0.3, 0.3, 0.3), (passes, 4)).transpose(0, 2, 1)
    posterior = Posterior()
    posterior.add(drawn)
    assert np.allclose(posterior.mean, drawn.mean(0))
    assert (posterior.mutual_information >= 0).all()
    assert (posterior.mutual_information <= posterior.entropy + 1e-9).all()
    assert passes > 1 or posterior.mutual_information.max() < 1e-9
    assert np.allclose(entropy(drawn, axis=1).shape, (passes, 4))


@given(st.integers(0, 2**31), st.integers(1, 4))
def test_greedy_centres_cover_within_twice_the_best(seed: int, count: int) -> None:
    """Gonzalez 1985, as in Sener & Savarese 2018, against every choice there is."""
    from itertools import combinations

    points = np.random.default_rng(seed).normal(size=(9, 2))
    apart = np.linalg.norm(points[:, None] - points[None], axis=2)
    chosen, distances = k_center(points, count)
    best = min(apart[:, list(some)].min(1).max() for some in combinations(range(9), count))
    assert apart[:, chosen].min(1).max() <= 2 * best + 1e-12
    assert len(set(chosen)) == count and distances[0] == np.inf and sorted(distances[1:], reverse=True) == distances[1:]


def test_centres_keep_away_from_what_is_labelled() -> None:
    points = np.array([[0.0], [1], [2], [10]])
    assert k_center(points, 1, centres=[3]) == ([0], [10.0])
    assert k_center(points, 2, centres=[0], allowed=[1, 2]) == ([2, 1], [2.0, 1.0])


def test_batch_is_of_the_top_unlike_each_other_and_of_several_scenes() -> None:
    scores = np.array([9.0, 8.9, 8.8, 5, 4, 3, 2, 1, 0, 0])
    vectors = np.array([[0.0], [0.1], [5], [50], [60], [70], [80], [90], [0], [0]])
    scenes = ["a", "a", "a", "b", "b", "b", "c", "c", "c", "c"]
    top = choose_batch(scores, vectors, scenes, 2, top_share=0.3)
    assert top.candidates == [0, 1, 2] and top.units == [0, 2]  # the second best is like the best
    spread = choose_batch(scores, vectors, scenes, 3, top_share=0.3, per_scene=1)
    assert sorted(scenes[unit] for unit in spread.units) == ["a", "b", "c"]  # as far down the ranking as that takes
    assert spread.candidates == [0, 1, 2, 3, 4, 5, 6]
    again = choose_batch(scores, vectors, scenes, 2, top_share=0.3, labelled=top.units)
    assert not set(again.units) & set(top.units) and len(again.candidates) == 3
    assert len(choose_batch(scores, vectors, scenes, 99).units) == 10
