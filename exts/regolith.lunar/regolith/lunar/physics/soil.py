"""A rigid wheel on soil that gives way: Bekker's pressure, Janosi's shear, the stresses of Wong & Reece.

Angles are counted from below the axle, forward positive: the wheel meets the ground at the entry angle θ₁, the normal
stress is largest at θₘ, and contact ends at the exit angle θ₂.

- Bekker, Introduction to Terrain-Vehicle Systems (1969): p = (k_c / b + k_φ) zⁿ.
- Janosi & Hanamoto, Proc. 1st Int. Conf. Terrain-Vehicle Systems (1961): τ = (c + σ tan φ)(1 − exp(−j / K)).
- Wong & Reece, J. Terramechanics 4 (1967), parts 1 and 2: how σ and j lie over the rim, and their integrals.
"""

from __future__ import annotations

import dataclasses
import math
from typing import cast

import numpy as np
import scipy
from numpy.typing import ArrayLike

NODES = 24
"""Nodes of the Gauss–Legendre rule on either side of the largest stress."""

_AT, _WEIGHT = np.polynomial.legendre.leggauss(NODES)


@dataclasses.dataclass(frozen=True)
class Soil:
    """Parameters of a soil; the defaults are lunar.

    Bekker's and Janosi's values are those recommended for the Moon's surface in the Lunar Sourcebook (Heiken et al.
    1991, chapter 9, from the Lunar Roving Vehicle); the angle of the largest stress is that which Ishigami et al. 2007
    (J. Field Robotics 24, 233) use on lunar simulant.
    """

    cohesive_modulus: float = 1400.0
    """k_c [N/m^(n+1)]."""
    frictional_modulus: float = 820_000.0
    """k_φ [N/m^(n+2)]."""
    exponent: float = 1.0
    """n, of sinkage."""
    cohesion: float = 170.0
    """c [Pa]."""
    friction_deg: float = 35.0
    """φ, angle of internal friction [°]."""
    shear_modulus: float = 0.018
    """K, shear displacement at which 1 − 1/e of the strength acts [m]."""
    stress_base: float = 0.4
    """a₀ of θₘ = (a₀ + a₁ s) θ₁."""
    stress_slip: float = 0.15
    """a₁ of the same."""
    exit_ratio: float = 0.0
    """−θ₂ / θ₁: 0 where the rut does not rise again behind the wheel."""

    def pressure(self, sinkage: np.ndarray | float, width: float) -> np.ndarray:
        """Pressure under a plate [Pa] at a sinkage [m]; `width` [m] is its smaller side."""
        return (self.cohesive_modulus / width + self.frictional_modulus) * np.asarray(sinkage) ** self.exponent

    def shear(self, normal: np.ndarray | float, displacement: np.ndarray | float) -> np.ndarray:
        """Shear stress [Pa] at a normal stress [Pa] and a shear displacement [m], with the sign of that."""
        strength = self.cohesion + np.asarray(normal) * math.tan(math.radians(self.friction_deg))
        return strength * np.sign(displacement) * -np.expm1(-np.abs(displacement) / self.shear_modulus)


@dataclasses.dataclass(frozen=True)
class Rim:
    """A rigid wheel without grousers."""

    radius: float
    """[m]."""
    width: float
    """[m]."""


@dataclasses.dataclass(frozen=True)
class WheelState:
    """A wheel that drives at a slip; forces act on the wheel."""

    sinkage: float
    """[m]."""
    load: float
    """Vertical force of the ground [N]."""
    pull: float
    """Drawbar pull [N]: thrust less resistance, along the drive."""
    torque: float
    """Torque that the drive needs [N m]."""
    resistance: float
    """Horizontal part of the normal stress [N], against the drive: what compacting the soil costs."""


def plate_sinkage(soil: Soil, pressure: float, width: float) -> float:
    """Sinkage [m] of a plate under a pressure [Pa]: Bekker's law, inverted."""
    return float((pressure / soil.pressure(1.0, width)) ** (1.0 / soil.exponent))


def compaction_resistance(soil: Soil, rim: Rim, sinkage: float) -> float:
    """Bekker's resistance [N] of a wheel that leaves a rut `sinkage` [m] deep: b (k_c / b + k_φ) zⁿ⁺¹ / (n + 1)."""
    order = soil.exponent + 1.0
    return float(rim.width * soil.pressure(1.0, rim.width) * sinkage**order / order)


def plate_thrust(soil: Soil, *, area: float, length: float, load: float, slip: float) -> float:
    """Janosi & Hanamoto's thrust [N] of a track: shear displacement grows evenly over its length.

    Args:
        soil: Soil.
        area: Contact area [m²].
        length: Contact length [m].
        load: [N].
        slip: In [0, 1].
    """
    if slip == 0.0:
        return 0.0
    strength = area * soil.cohesion + load * math.tan(math.radians(soil.friction_deg))
    reach = slip * length / soil.shear_modulus
    return strength * (1.0 + math.expm1(-reach) / reach)


def slip_ratio(rolling: ArrayLike, speed: ArrayLike) -> np.ndarray:
    """Slip in [−1, 1] of a wheel whose rim runs at `rolling` = ω r [m/s] over ground passing at `speed` [m/s].

    Driving, (ω r − v) / ω r; braking, (ω r − v) / v; 0 at rest. Where the two have opposite signs it is ±1.
    """
    rolling, speed = np.broadcast_arrays(np.asarray(rolling, np.float64), np.asarray(speed, np.float64))
    larger = np.where(np.abs(rolling) >= np.abs(speed), rolling, speed)
    along = np.where(larger == 0.0, 1.0, larger)
    return np.clip((rolling - speed) / along, -1.0, 1.0)


def _shear_path(rim: Rim, angle: np.ndarray, entry: float, slip: float) -> np.ndarray:
    """Shear displacement [m] at angles of the rim: driving by Wong & Reece's part 1, braking with s = ω r / v − 1."""
    rolled, travelled = entry - angle, math.sin(entry) - np.sin(angle)
    if slip >= 0.0:
        return rim.radius * (rolled - (1.0 - slip) * travelled)
    return rim.radius * ((1.0 + slip) * rolled - travelled)


def sunk_wheel(soil: Soil, rim: Rim, sinkage: float, slip: float) -> WheelState:
    """Integrate the stresses over the rim of a wheel sunk in by `sinkage` [m], at most its radius.

    Args:
        soil: Soil.
        rim: Wheel.
        sinkage: Depth of its lowest point below the undisturbed ground [m].
        slip: In [−1, 1] (`slip_ratio`).
    """
    if sinkage <= 0.0:
        return WheelState(0.0, 0.0, 0.0, 0.0, 0.0)
    entry = math.acos(1.0 - sinkage / rim.radius)
    leave = -soil.exit_ratio * entry
    most = min(max((soil.stress_base + soil.stress_slip * slip) * entry, leave), entry)
    sums = np.zeros(4)
    for low, high in ((leave, most), (most, entry)):
        if high <= low:
            continue
        half = 0.5 * (high - low)
        angle, weight = low + half * (_AT + 1.0), half * _WEIGHT
        front = angle if low == most else entry - (angle - leave) / (most - leave) * (entry - most)
        depth = rim.radius * (np.cos(front) - math.cos(entry))
        normal = soil.pressure(np.maximum(depth, 0.0), rim.width)
        shear = soil.shear(normal, _shear_path(rim, angle, entry, slip))
        sine, cosine = np.sin(angle), np.cos(angle)
        sums += [
            weight @ (normal * cosine + shear * sine),
            weight @ (shear * cosine - normal * sine),
            weight @ shear,
            weight @ (normal * sine),
        ]
    load, pull, torque, resistance = sums * rim.radius * rim.width
    return WheelState(sinkage, load, pull, torque * rim.radius, resistance)


def loaded_wheel(soil: Soil, rim: Rim, load: float, slip: float) -> WheelState:
    """Find how deep a wheel sinks in under a load [N] at a slip, and what it then pulls.

    Raises:
        ValueError: It would sink in past its axle.
    """
    if load <= 0.0:
        return sunk_wheel(soil, rim, 0.0, slip)
    if sunk_wheel(soil, rim, rim.radius, slip).load < load:
        raise ValueError(f"a wheel of radius {rim.radius:g} m sinks in past its axle under {load:g} N at slip {slip:g}")

    def lacking(sinkage: float) -> float:
        return sunk_wheel(soil, rim, sinkage, slip).load - load

    found = cast("float", scipy.optimize.brentq(lacking, 0.0, rim.radius, xtol=1e-9))
    return sunk_wheel(soil, rim, found, slip)
