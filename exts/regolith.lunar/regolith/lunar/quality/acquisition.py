"""Which unlabelled pictures teach most: uncertainty of a model, diversity, and what to label next. Arrays alone.

Uncertainty is in bit. Of passes that differ (dropout left on, or members of an ensemble), the entropy of their mean is
all a model does not know; the part on which the passes disagree, its mutual information with the weights, is what a
label can teach: BALD. Houlsby et al., "Bayesian Active Learning for Classification and Preference Learning", 2011
(arXiv 1112.5745); Gal & Ghahramani, "Dropout as a Bayesian Approximation", ICML 2016; Gal, Islam & Ghahramani, "Deep
Bayesian Active Learning with Image Data", ICML 2017. Units far apart in the features of the model teach different
things: Sener & Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", ICLR 2018.
"""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

TINY = 1e-12
"""Probability below which p · log p counts as 0."""


def entropy(probabilities: np.ndarray, axis: int = 0) -> np.ndarray:
    """Return the entropy of class probabilities [bit], in [0, log2 of the number of classes].

    Args:
        probabilities: Float, any shape; they sum to 1 along the axis.
        axis: Axis of the classes, which the result lacks.
    """
    return -(probabilities * np.log2(np.maximum(probabilities, TINY))).sum(axis=axis)


class Posterior:
    """What passes of a model say of a picture, summed up: no pass is kept."""

    def __init__(self) -> None:
        self.passes = 0
        """Passes so far."""
        self._sum: np.ndarray | float = 0.0
        self._entropy: np.ndarray | float = 0.0

    def add(self, probabilities: np.ndarray) -> None:
        """Add passes.

        Args:
            probabilities: Float [passes, classes, …].
        """
        self.passes += len(probabilities)
        self._sum = self._sum + probabilities.sum(axis=0)
        self._entropy = self._entropy + entropy(probabilities, axis=1).sum(axis=0)

    @property
    def mean(self) -> np.ndarray:
        """Mean probabilities [classes, …]."""
        return np.asarray(self._sum) / self.passes

    @property
    def entropy(self) -> np.ndarray:
        """Predictive entropy [bit], […]: that of the mean."""
        return entropy(self.mean)

    @property
    def mutual_information(self) -> np.ndarray:
        """Entropy of the mean less the mean of the passes' entropies [bit], […], at least 0: BALD."""
        return np.maximum(self.entropy - np.asarray(self._entropy) / self.passes, 0.0)


def k_center(
    vectors: np.ndarray, count: int, *, centres: Sequence[int] = (), allowed: Sequence[int] | None = None,
    groups: Sequence[str] | None = None, most: int | None = None,
) -> tuple[list[int], list[float]]:  # fmt: skip
    """Choose rows greedily, each the one farthest from all chosen before: within twice the best cover (k-center).

    Args:
        vectors: float [n, channels], compared by Euclidean distance.
        count: Rows to choose.
        centres: Rows chosen earlier; without any, the first allowed one begins.
        allowed: Rows that may be chosen, in order of preference where distances are equal; left out, all.
        groups: Group of each row.
        most: Most rows of a group.

    Returns:
        The rows in the order of choice, fewer than `count` where there are no more, and the distance of each to the
        nearest centre at the time; infinity for one that begins.
    """
    order = np.arange(len(vectors)) if allowed is None else np.asarray(allowed, np.int64)
    rows = vectors[order].astype(np.float64)
    nearest = np.full(len(order), np.inf)
    for centre in centres:
        nearest = np.minimum(nearest, np.linalg.norm(rows - vectors[centre], axis=1))
    is_open = np.ones(len(order), bool)
    taken: Counter[str] = Counter()
    chosen: list[int] = []
    distances: list[float] = []
    while len(chosen) < count and is_open.any():
        place = int(np.where(is_open, nearest, -1.0).argmax())
        row = int(order[place])
        chosen.append(row)
        distances.append(float(nearest[place]))
        is_open[place] = False
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[place], axis=1))
        if groups is not None and most is not None:
            taken[groups[row]] += 1
            if taken[groups[row]] >= most:
                is_open &= np.array([groups[int(other)] != groups[row] for other in order])
    return chosen, distances


@dataclasses.dataclass(frozen=True)
class Batch:
    """Units to label next, in the order of choice."""

    units: list[int]
    distances: list[float]
    """Of each to the nearest unit labelled or chosen before it, in the model's features; infinity for a first one."""
    candidates: list[int]
    """Units among which they were chosen, by falling score."""


def choose_batch(
    scores: np.ndarray, vectors: np.ndarray, scenes: Sequence[str], count: int, *, top_share: float = 0.05,
    per_scene: int | None = None, labelled: Sequence[int] = (),
) -> Batch:  # fmt: skip
    """Choose units of high score that are unlike each other and what is labelled.

    Candidates are the open units of the highest scores, a share of them; of lower ones as many more as a batch needs,
    the limit of a scene kept. Among the candidates it is distance that decides (`k_center`).

    Args:
        scores: Float [n]; of equal ones the first counts as higher.
        vectors: Features, float [n, channels].
        scenes: Scene of each unit.
        count: Units of the batch.
        top_share: Share of the open units that are candidates, in (0, 1].
        per_scene: Most units of a scene; None for no limit.
        labelled: Units that are not open.
    """
    taken = set(labelled)
    ranked = [int(unit) for unit in np.argsort(-scores, kind="stable") if int(unit) not in taken]
    wanted = math.ceil(top_share * len(ranked))
    candidates: list[int] = []
    usable: Counter[str] = Counter()
    for unit in ranked:
        if len(candidates) >= wanted and sum(usable.values()) >= count:
            break
        candidates.append(unit)
        usable[scenes[unit]] = min(usable[scenes[unit]] + 1, per_scene or len(ranked))
    units, distances = k_center(
        vectors, count, centres=labelled, allowed=candidates, groups=scenes, most=per_scene
    )  # fmt: skip
    return Batch(units, distances, candidates)
