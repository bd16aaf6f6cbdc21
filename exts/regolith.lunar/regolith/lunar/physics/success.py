"""How often driving succeeds, and how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

LEVEL = 0.95


def succeeded(run: Mapping[str, Any]) -> bool:
    """Whether a drive (`physics.traverse.describe`) reached its goal and touched no rock."""
    return run["outcome"] == "reached" and not run["rocks"]


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Interval of a share at `LEVEL` (Wilson 1927): it has its width also where all or none succeed.

    Args:
        successes: How many succeeded.
        trials: Of how many, at least 1.
    """
    z = NormalDist().inv_cdf(0.5 + 0.5 * LEVEL)
    share = successes / trials
    middle = (share + z * z / (2.0 * trials)) / (1.0 + z * z / trials)
    half = z / (1.0 + z * z / trials) * math.sqrt(share * (1.0 - share) / trials + z * z / (4.0 * trials * trials))
    return max(0.0, middle - half), min(1.0, middle + half)


def success_rate(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How many drives succeeded, the share and its interval."""
    count = sum(map(succeeded, runs))
    lo, hi = wilson(count, len(runs))
    return {"count": count, "runs": len(runs), "share": count / len(runs), "lo": lo, "hi": hi}
