"""Does a score of training sets rank them as the networks trained on them do? Rank correlation, with its doubts.

C. Spearman, "The proof and measurement of association between two things" (1904); M. Kendall, "The treatment of ties in
ranking problems", Biometrika 33 (1945), for tau-b.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.stats import rankdata

ROUNDS = 2000
"""Draws of the bootstrap."""
PERMUTATIONS = 9999
BLOCK = 500
"""Permutations of all scores that are in memory at once."""
DISTINCT_MIN = 4
"""Fewest different arms of a draw: of three, correlations are ±1 or ±½ whatever holds."""


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's correlation along the last axis, ties by average ranks; not a number where all of a side are equal.

    Args:
        x: float [..., n].
        y: float, of a shape that broadcasts with it.
    """
    x, y = (_centred(rankdata(part, axis=-1)) for part in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


def _centred(values: np.ndarray) -> np.ndarray:
    return values - values.mean(axis=-1, keepdims=True)


def kendall(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Kendall's tau-b along the last axis; arguments and what is undefined as of `spearman`."""
    a, b = (np.sign(part[..., :, None] - part[..., None, :]) for part in (x, y))
    with np.errstate(invalid="ignore", divide="ignore"):
        return (a * b).sum((-1, -2)) / np.sqrt((a * a).sum((-1, -2)) * (b * b).sum((-1, -2)))


@dataclasses.dataclass(frozen=True)
class Correlation:
    """Of one score with one outcome."""

    spearman: float | None
    spearman_interval: tuple[float, float] | None
    """95 %, percentiles of draws of arms with replacement, and in each of its seeds."""
    kendall: float | None
    kendall_interval: tuple[float, float] | None
    p: float | None
    """Two-sided, of Spearman's under exchange of arms."""
    p_of_all: float | None
    """The same against the largest of all scores tried (P. Westfall, S. Young 1993): chance finds the best of many."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, rounded to four digits."""
        return {key: _rounded(value) for key, value in dataclasses.asdict(self).items()}


def _rounded(value: Any) -> Any:
    if isinstance(value, tuple):
        return [round(part, 4) for part in value]
    return None if value is None else round(value, 4)


def correlate(
    scores: np.ndarray, outcomes: np.ndarray, *, rounds: int = ROUNDS, permutations: int = PERMUTATIONS, seed: int = 0
) -> list[Correlation]:
    """Correlate several scores of arms with one outcome of the trainings on them.

    Args:
        scores: float [k, arms], of which none is undefined.
        outcomes: float [arms, seeds].
        rounds: Draws of the bootstrap.
        permutations: Of the p-values.
        seed: Of both.

    Returns:
        A row for each score; None for what is not defined, as where all arms score alike.
    """
    random = np.random.default_rng(seed)
    arms, seeds = outcomes.shape
    mean = outcomes.mean(axis=1)
    rho, tau = spearman(scores, mean[None]), kendall(scores, mean[None])

    drawn = random.integers(arms, size=(rounds, arms))
    drawn = drawn[[len(np.unique(row)) >= DISTINCT_MIN for row in drawn]]
    of_seed = random.integers(seeds, size=(*drawn.shape, seeds))
    again = np.take_along_axis(outcomes[drawn], of_seed, axis=2).mean(axis=2)  # [rounds, arms]

    extreme = np.zeros(len(scores))
    extreme_of_all = np.zeros(len(scores))
    found = np.nan_to_num(np.abs(rho))
    for start in range(0, permutations, BLOCK):
        count = min(BLOCK, permutations - start)
        shuffled = random.permuted(np.tile(mean, (count, 1)), axis=1)
        by_chance = np.nan_to_num(np.abs(spearman(scores[:, None], shuffled[None])))  # [k, count]
        extreme += (by_chance >= found[:, None] - 1e-12).sum(axis=1)
        extreme_of_all += (by_chance.max(axis=0)[None] >= found[:, None] - 1e-12).sum(axis=1)

    rows = []
    for number, score in enumerate(scores):
        defined = bool(np.isfinite(rho[number]))
        rows.append(
            Correlation(
                float(rho[number]) if defined else None,
                _interval(spearman(score[drawn], again)) if defined else None,
                float(tau[number]) if defined else None,
                _interval(kendall(score[drawn], again)) if defined else None,
                float((1 + extreme[number]) / (1 + permutations)) if defined else None,
                float((1 + extreme_of_all[number]) / (1 + permutations)) if defined else None,
            )
        )
    return rows


def _interval(values: np.ndarray) -> tuple[float, float] | None:
    values = values[np.isfinite(values)]
    if not len(values):
        return None
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
