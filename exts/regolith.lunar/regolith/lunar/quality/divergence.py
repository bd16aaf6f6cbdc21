"""How unlike two sets of vectors are: divergences, distances, intervals and p-values, of plain arrays.

A statistic is prepared once of two samples and then asked for with a weight for each row, which is what a bootstrap
needs: rows of one picture, or of one scene, are not independent, so pictures or scenes are drawn and not rows.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable

import numpy as np
import scipy

BINS = 32
"""Bins of a histogram of norms."""
COMPONENTS = 8
"""Most principal components that are kept."""
NEIGHBOURS_MIN, NEIGHBOURS = 4, 16
"""Neighbours a density ratio is taken from: the root of the smaller sample's rows, within these bounds."""
RATIO_MAX, DRAWS = 3, 4
"""Rows of the larger sample for one of the smaller: of more, so many are drawn, and the mean of some draws is taken."""
REACH = 8
"""Nearest points that are kept, in multiples of the neighbours: enough where a bootstrap leaves groups out."""
BLOCK = 512
"""Points whose distances to all others are in memory at once."""
ROUNDS = 200
"""Draws of a bootstrap."""
GROUPS_MIN = 5
"""Fewest groups of a side an interval is given for: draws of fewer know too few unlike samples, and the interval is
much too narrow; of two a side it is a point."""
FEW_NOTE = f"fewer than {GROUPS_MIN} scenes or photographs on a side: no intervals"
PERMUTATIONS = 999

Statistic = Callable[[np.ndarray, np.ndarray], float]
"""Weights of the rows of the first and of the second sample, float [n] and [m], to a value."""
Terms = Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
"""The same weights to what each row adds, float [n] and [m]; not a number where nothing is known of a row."""


@dataclasses.dataclass(frozen=True)
class Divergence:
    """A divergence, and what each row has of it."""

    value: Statistic
    terms: Callable[[], tuple[np.ndarray, np.ndarray]]
    """What each row adds where all weigh the same [bit], float [n] and [m]: 1 where the other sample has nothing, 0
    where both are alike, below 0 where the other is denser. The value is the mean of both samples' means of them; of
    samples of unlike sizes about so, for every row is asked then and not drawn ones."""

    def __call__(self, wx: np.ndarray, wy: np.ndarray) -> float:
        """Return the value."""
        return self.value(wx, wy)


def js_divergence(p: np.ndarray, q: np.ndarray) -> float:
    """Jensen–Shannon divergence of two discrete distributions, base 2, in [0, 1].

    J. Lin, "Divergence measures based on the Shannon entropy", IEEE Trans. Inf. Theory 37 (1991): H((p + q) / 2) −
    (H(p) + H(q)) / 2.

    Args:
        p: Masses, shape [k], not negative, of positive sum; they are normalised.
        q: The same.
    """
    p, q = p / p.sum(), q / q.sum()
    return float(np.clip(_entropy((p + q) / 2) - (_entropy(p) + _entropy(q)) / 2, 0, 1))


def _entropy(p: np.ndarray) -> float:
    """Shannon entropy of masses of sum 1 [bit]."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())


def norm_divergence(x: np.ndarray, y: np.ndarray, *, bins: int = BINS) -> Divergence:
    """Jensen–Shannon divergence of histograms of Euclidean norms, in [0, 1].

    That norms are compared is published for a semantic score of simulated clouds (DoGSS-PCL, arXiv 2505.17959, of
    which only the abstract was at hand); bins and edges are ours: equal widths over the range of both samples. Blind to
    everything but length. At equal distributions it is biased upwards, by about (bins − 1) (1/n + 1/m) / (8 ln 2)
    where every bin is hit, n and m being effective numbers of independent rows.

    Args:
        x: float [n, d].
        y: float [m, d].
        bins: Bins of both histograms.
    """
    norms = np.linalg.norm(x, axis=1), np.linalg.norm(y, axis=1)
    edges = _edges(np.concatenate(norms), bins)
    places = [np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1) for values in norms]

    def shares(wx: np.ndarray, wy: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(np.bincount(at, w, minlength=bins) / w.sum() for at, w in zip(places, (wx, wy), strict=True))

    def terms() -> tuple[np.ndarray, np.ndarray]:
        p, q = shares(np.ones(len(x)), np.ones(len(y)))
        a, b = (np.log2(np.maximum(own, 1e-300) / np.maximum((p + q) / 2, 1e-300)) for own in (p, q))
        return a[places[0]], b[places[1]]

    return Divergence(lambda wx, wy: js_divergence(*shares(wx, wy)), terms)


def _edges(values: np.ndarray, bins: int) -> np.ndarray:
    low, high = float(values.min()), float(values.max())
    return np.linspace(low, high if high > low else low + 1, bins + 1)


def project(x: np.ndarray, y: np.ndarray, *, components: int = COMPONENTS) -> tuple[np.ndarray, np.ndarray]:
    """Bring two samples to common principal components, each sample counting half, scaled by the first's deviation.

    Args:
        x: float [n, d].
        y: float [m, d].
        components: Most components; fewer where d is smaller.

    Returns:
        float64 [n, c] and [m, c]: the projections, divided by the root of the first component's variance.
    """
    x, y = x.astype(np.float64), y.astype(np.float64)
    mean = (x.mean(axis=0) + y.mean(axis=0)) / 2
    x, y = x - mean, y - mean
    values, vectors = np.linalg.eigh((x.T @ x / len(x) + y.T @ y / len(y)) / 2)
    kept = vectors[:, ::-1][:, :components]
    scale = math.sqrt(values[-1]) if values[-1] > 0 else 1.0
    return x @ kept / scale, y @ kept / scale


def neighbour_divergence(
    x: np.ndarray, y: np.ndarray, gx: np.ndarray, gy: np.ndarray, *, neighbours: int | None = None, seed: int = 0
) -> Divergence:
    """Jensen–Shannon divergence of two densities from nearest neighbours, base 2, clipped to [0, 1].

    The divergence is the mutual information of a point of the even mixture and the sample it is from, so 1 − E[H(η)],
    η the share of the first density at the point. η is the first sample's share of the mass in the ball that holds
    `neighbours` / (n + m) of the mixture, as nearest-neighbour density ratios are (Q. Wang, S. Kulkarni, S. Verdú,
    "Divergence estimation for multidimensional densities via k-nearest-neighbor distances", IEEE Trans. Inf. Theory 55,
    2009), without the points of its own group. The entropy of that share is too low by about 1 / (2 k ln 2), the
    cross-entropy of it with the truth too high by as much: their mean is taken, and what is left of the bias at equal
    distributions has either sign.

    Where one sample is much the larger, a ball of k points holds none of the smaller, and small divergences come out as
    0: of the larger at most `RATIO_MAX` rows for one of the smaller are drawn, `DRAWS` times, and the mean is taken. Of
    few rows k nearest ones reach far, and large divergences come out too low: k is then less.

    Args:
        x: float [n, d].
        y: float [m, d].
        gx: Group of each row of the first sample, int [n]; a row's neighbours are of other groups only.
        gy: The same of the second; groups of the two samples are different ones.
        neighbours: k, for equal samples the number of neighbours; None for what `NEIGHBOURS` says.
        seed: Of the draws from a sample that is much the larger.

    Returns:
        The divergence; not a number where no row with a weight is among those drawn.
    """
    least = min(len(x), len(y))
    k = neighbours or min(max(NEIGHBOURS_MIN, round(math.sqrt(least))), NEIGHBOURS)
    random = np.random.default_rng(seed)
    unlike = max(len(x), len(y)) > RATIO_MAX * least
    parts: list[tuple[np.ndarray, np.ndarray, Terms]] = []
    for _ in range(DRAWS if unlike else 1):
        a, b = (_drawn(len(part), RATIO_MAX * least, random) for part in (x, y))
        parts.append((a, b, _ball_terms(x[a], y[b], gx[a], gy[b], k)))

    def value(wx: np.ndarray, wy: np.ndarray) -> float:
        found = []
        for a, b, of in parts:
            if wx[a].any() and wy[b].any():
                p, q = of(wx[a], wy[b])
                found.append((p @ wx[a] / wx[a].sum() + q @ wy[b] / wy[b].sum()) / 2)
        return float(np.clip(np.mean(found), 0, 1)) if found else math.nan

    def terms() -> tuple[np.ndarray, np.ndarray]:
        if not unlike:
            return parts[0][2](np.ones(len(x)), np.ones(len(y)))
        found = np.zeros(len(x)), np.zeros(len(y))
        order = np.random.default_rng(seed)
        pieces = [np.array_split(order.permutation(len(part)), -(-len(part) // (RATIO_MAX * least))) for part in (x, y)]
        for a, b in itertools.product(*pieces):  # one side is whole: each row of the other is in one piece
            each = _ball_terms(x[a], y[b], gx[a], gy[b], k)(np.ones(len(a)), np.ones(len(b)))
            for total, rows, own in zip(found, (a, b), each, strict=True):
                total[rows] += own
        return found[0] / len(pieces[1]), found[1] / len(pieces[0])

    return Divergence(value, terms)


def _drawn(rows: int, most: int, random: np.random.Generator) -> np.ndarray:
    """Return the numbers of all rows, or of so many drawn ones."""
    return np.arange(rows) if rows <= most else np.sort(random.choice(rows, most, replace=False))


def _ball_terms(x: np.ndarray, y: np.ndarray, gx: np.ndarray, gy: np.ndarray, neighbours: int) -> Terms:
    """Return what each row adds to `neighbour_divergence`, of samples of about as many rows."""
    points = np.concatenate([x, y])
    first = np.arange(len(points)) < len(x)
    groups = np.concatenate([gx, gy + gx.max(initial=0) + 1])
    reach = min(len(points), REACH * neighbours)
    order = np.empty((len(points), reach), np.int32)
    foreign = np.empty((len(points), reach), bool)
    for start in range(0, len(points), BLOCK):
        block = slice(start, start + BLOCK)
        distances = scipy.spatial.distance.cdist(points[block], points)
        distances[groups[block, None] == groups] = np.inf
        near = np.argpartition(distances, reach - 1, axis=1)[:, :reach]
        distances = np.take_along_axis(distances, near, axis=1)
        by = np.argsort(distances, axis=1, kind="stable")
        order[block] = np.take_along_axis(near, by, axis=1)
        foreign[block] = np.isfinite(np.take_along_axis(distances, by, axis=1))
    is_first = first[order]

    def terms(wx: np.ndarray, wy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        weights = np.concatenate([wx / wx.sum(), wy / wy.sum()]) / 2
        own = np.zeros(groups.max() + 1)
        np.add.at(own, groups, weights)
        left = np.maximum(0.5 - own[groups], 1e-12)  # of the mass of the point's own sample, without its group
        mass = np.where(foreign, weights[order], 0) * np.where(is_first == first[:, None], 0.5 / left[:, None], 1)
        before = np.cumsum(mass, axis=1) - mass
        inside = mass * (before < neighbours / len(points))
        a, b = (inside * is_first).sum(axis=1), (inside * ~is_first).sum(axis=1)
        share = np.where(a + b > 0, a / np.maximum(a + b, 1e-300), 0.5)
        truth = np.where(first, share, 1 - share)
        smooth = (truth * neighbours + 0.5) / (neighbours + 1)
        entropy = -_xlog2(share) - _xlog2(1 - share)
        each = 1 - (entropy - np.log2(smooth)) / 2
        return each[: len(x)], each[len(x) :]

    return terms


def _xlog2(x: np.ndarray) -> np.ndarray:
    return x * np.log2(np.where(x > 0, x, 1))


def group_kernel(x: np.ndarray, y: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> np.ndarray:
    """Mean over pairs of rows of a Gaussian kernel, between groups: the kernel of their mean embeddings.

    The bandwidth is the median distance of the rows of both samples (A. Gretton et al., "A kernel two-sample test",
    JMLR 13, 2012), of at most 1000 of each, evenly spread.

    Args:
        x: float [n, d].
        y: float [m, d].
        gx: Group of each row of the first sample, 0 … a − 1, each with a row, int [n].
        gy: The same of the second, 0 … b − 1.

    Returns:
        float64 [a + b, a + b], symmetric; the groups of the first sample come first.
    """
    some = np.concatenate([part[np.linspace(0, len(part) - 1, min(len(part), 1000)).astype(int)] for part in (x, y)])
    apart = scipy.spatial.distance.cdist(some, some, "sqeuclidean")
    median = float(np.median(apart[np.triu_indices(len(some), 1)])) if len(some) > 1 else 1.0
    points = np.concatenate([x, y])
    groups = np.concatenate([gx, gy + gx.max() + 1])
    order = np.argsort(groups, kind="stable")
    points, counts = points[order], np.bincount(groups)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    kernel = np.empty((len(counts), len(counts)))
    for group, start in enumerate(starts):
        rows = points[start : start + counts[group]]
        values = np.exp(-scipy.spatial.distance.cdist(rows, points, "sqeuclidean") / (2 * (median or 1.0)))
        kernel[group] = np.add.reduceat(values.mean(axis=0), starts) / counts
    return (kernel + kernel.T) / 2


def mmd_squared(kernel: np.ndarray, gx: np.ndarray, gy: np.ndarray) -> Statistic:
    """Squared maximum mean discrepancy of groups, unbiased: below 0 as often as above where there is none; at most 2.

    Gretton et al. 2012, lemma 6, with a group's mean embedding as one observation: no pair is of one group.

    Args:
        kernel: As `group_kernel` returns it, [a + b, a + b].
        gx: Group of each row of the first sample, int [n].
        gy: The same of the second.
    """
    rows = np.bincount(gx), np.bincount(gy)
    apart = kernel * (1 - np.eye(len(kernel)))

    def statistic(wx: np.ndarray, wy: np.ndarray) -> float:
        first, second = (np.bincount(g, w) / n for g, w, n in zip((gx, gy), (wx, wy), rows, strict=True))
        a, b = np.concatenate([first, 0 * second]), np.concatenate([0 * first, second])
        return float(_mmd(apart, a[None], b[None])[0])

    return statistic


def _mmd(apart: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared MMD of each row of weights a, b [k, groups], given a kernel without its diagonal."""
    ka, kb = a @ apart, b @ apart
    pairs_a, pairs_b = (np.maximum(w.sum(axis=1) ** 2 - (w**2).sum(axis=1), 1e-12) for w in (a, b))
    across = np.maximum(a.sum(axis=1) * b.sum(axis=1), 1e-12)
    return (ka * a).sum(axis=1) / pairs_a + (kb * b).sum(axis=1) / pairs_b - 2 * (ka * b).sum(axis=1) / across


def permutation_p(kernel: np.ndarray, first: int, *, permutations: int = PERMUTATIONS, seed: int = 0) -> float:
    """p-value of the squared MMD under exchange of groups between the samples, in (0, 1].

    Where there are no more ways to part the groups than draws and one, the share of all ways that are no smaller; else
    (1 + draws that are no smaller) / (1 + draws), which is valid at any number of draws (B. Phipson, G. Smyth,
    "Permutation p-values should never be zero", 2010). Never below `smallest_p`.

    Args:
        kernel: As `group_kernel` returns it.
        first: Groups of the first sample.
        permutations: Draws.
        seed: Of the draws.
    """
    count = len(kernel)
    if math.comb(count, first) <= 1 + permutations:
        a = np.zeros((math.comb(count, first), count))
        for row, chosen in zip(a, itertools.combinations(range(count), first), strict=True):
            row[list(chosen)] = 1
    else:
        places = np.argsort(np.random.default_rng(seed).random((permutations, count)), axis=1)
        a = np.vstack([np.arange(count) < first, places < first]).astype(np.float64)
    values = _mmd(kernel * (1 - np.eye(count)), a, 1 - a)  # the first is the parting as it is
    return float((values >= values[0] - 1e-12).mean())


def smallest_p(first: int, second: int, *, permutations: int = PERMUTATIONS) -> float:
    """Smallest p-value `permutation_p` can give: one over the ways to part the groups, or over the draws and one.

    Of sides of equally many groups twice that: the two ways that exchange the sides have one and the same MMD.
    """
    ways = 2 if first == second else 1
    return max(ways / math.comb(first + second, first), 1 / (1 + permutations))


def bootstrap_interval(
    statistic: Statistic,
    gx: np.ndarray,
    gy: np.ndarray,
    *,
    low: float = 0.0,
    high: float = math.inf,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> list[float] | None:
    """Interval of 95 % of a statistic, from groups drawn with replacement in each sample.

    The basic bootstrap: twice the value less the quantiles of the draws, cut to what the statistic can be. A drawn
    sample repeats groups and so looks more unlike the other than the data do; that takes it back. (A. Davison,
    D. Hinkley, "Bootstrap methods and their application", 1997, section 5.2.)

    Args:
        statistic: As the functions here return it.
        gx: Group of each row of the first sample, 0 … a − 1, int [n].
        gy: The same of the second.
        low: Smallest the statistic can be.
        high: Largest.
        rounds: Draws; those that come to fewer than two groups of a sample, or to no value, are left out.
        seed: Of the draws.

    Returns:
        [lower, upper] end; None where a sample has fewer than `GROUPS_MIN` groups, or no draw has a value.
    """
    if min(gx.max(), gy.max()) + 1 < GROUPS_MIN:
        return None
    random = np.random.default_rng(seed)
    value = statistic(np.ones(len(gx)), np.ones(len(gy)))
    found: list[float] = []
    for _ in range(rounds):
        weights: list[np.ndarray] = []
        for groups in (gx, gy):
            count = int(groups.max()) + 1
            drawn = np.bincount(random.integers(0, count, count), minlength=count)
            weights.append(drawn[groups].astype(np.float64))
            if (drawn > 0).sum() < 2:
                weights.clear()
                break
        if weights:
            found.append(statistic(weights[0], weights[1]))
    found = [drawn for drawn in found if math.isfinite(drawn)]
    if not found:
        return None
    below, above = np.quantile(found, (0.025, 0.975))
    return [float(np.clip(2 * value - end, low, high)) for end in (above, below)]
