"""How hard a contact is, as the damping of a spring."""

from __future__ import annotations

import math
from typing import cast

import scipy

REBOUND_STEP, REBOUND_RATE = 0.1, 300.0
"""Angle that a contact that rebounds turns through in a step at most, of its free oscillation [rad], and rate of that
at most [rad/s]: it lasts thirty steps, and 10 ms at least. Where in a step it begins changes what it throws back by up
to 0.03 of what fell."""


def rebound_ratio(restitution: float) -> float:
    """Damping ratio of a spring and a dashpot that throw back what falls on them at a restitution in (0, 1].

    They let go where they would begin to pull (Schwager & Pöschel, "Coefficient of restitution and linear-dashpot model
    revisited", Granular Matter 9, 2007). Down to `exp(-2)`, what critical damping gives; below it the ratio is 1.
    """
    if restitution <= math.exp(-2.0):
        return 1.0
    return float(cast("float", scipy.optimize.brentq(lambda ratio: _rebound(ratio) - restitution, 0.0, 1.0)))


def _rebound(ratio: float) -> float:
    """Restitution of a spring and a dashpot of a damping ratio in [0, 1]."""
    swing = math.sqrt(1.0 - ratio * ratio)
    if swing == 0.0:
        return math.exp(-2.0)
    return math.exp(-ratio / swing * math.atan2(2.0 * ratio * swing, 2.0 * ratio * ratio - 1.0))
