"""The Fréchet distance of two sets of vectors, of their means and covariances alone."""

from __future__ import annotations

import numpy as np

from regolith.lunar.quality.divergence import Statistic


def frechet_distance(x: np.ndarray, y: np.ndarray) -> Statistic:
    """Squared Fréchet distance of the normal distributions of two samples' means and covariances, in [0, ∞).

    D. Dowson, B. Landau, "The Fréchet distance between multivariate normal distributions", J. Multivariate Analysis 12
    (1982): |μ − ν|² + tr(S + T − 2 (S T)^½); of features of a network, M. Heusel et al. 2017 (arXiv 1706.08500). In
    units of the rows squared; biased upwards for few rows, the more the more columns there are.

    Args:
        x: float [n, d].
        y: float [m, d].
    """
    x, y = x.astype(np.float64), y.astype(np.float64)

    def statistic(wx: np.ndarray, wy: np.ndarray) -> float:
        (mean_x, cov_x), (mean_y, cov_y) = _moments(x, wx), _moments(y, wy)
        root = _root(cov_x)
        both = np.linalg.eigvalsh(root @ cov_y @ root)
        apart = ((mean_x - mean_y) ** 2).sum()
        return float(max(apart + np.trace(cov_x) + np.trace(cov_y) - 2 * np.sqrt(np.maximum(both, 0)).sum(), 0))

    return statistic


def _moments(x: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and covariance of weighted rows."""
    weights = weights / weights.sum()
    mean = weights @ x
    centred = x - mean
    return mean, (centred * weights[:, None]).T @ centred


def _root(matrix: np.ndarray) -> np.ndarray:
    """Square root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
