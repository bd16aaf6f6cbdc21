"""Impact craters: how many, how large, how deep, and how they wear down.

Numbers follow the lunar equilibrium distribution (Trask 1966, JPL Tech. Rep. 32-800): N(>D) = 10^-1.1 D^-2 craters
per km² with D in km. Fresh shape follows Pike (1977, in Impact and Explosion Cratering): depth about 0.196 D and rim
height 0.036 D below 15 km; Melosh (1989, Impact Cratering) for the parabolic bowl; McGetchin et al. (1973, EPSL 20,
226) for ejecta thinning as r^-3. Wear is topographic diffusion (Fassett & Thomson 2014, JGR Planets 119, 2255).
"""

from __future__ import annotations

import functools

import numpy as np
from scipy import special
from scipy.linalg import solve_banded

from regolith.lunar.params import CraterParams, InputError
from regolith.lunar.stage.noise import smoothstep
from regolith.lunar.stage.power_law import PowerLaw

CRATER_DTYPE = np.dtype([("x", "f8"), ("y", "f8"), ("diameter", "f8"), ("freshness", "f8")])
"""A crater: centre [m], rim-to-rim diameter [m], freshness in [0, 1]; arrays are ordered oldest first. What is
drawn per crater bears the name of its parameter."""

EQUILIBRIUM_1M = 10.0**-1.1
"""Craters of at least 1 m per m² at equilibrium: 10^-1.1 · (10^-3)^-2 per km² (Trask 1966)."""

DEPTH_FRESH = 0.20
"""Rim-to-floor depth over diameter of a fresh crater (Pike 1977: 0.196)."""

DEPTH_DEGRADED = 0.05
"""Rim-to-floor depth over diameter of the most degraded craters drawn."""

RIM_HEIGHT = 0.038
"""Height of a fresh rim over diameter (Pike 1977: 0.036; small craters slightly more)."""

REACH = 5.0
"""Distance in rim radii where the tabulated profile has gone to zero."""

COUNT_MAX = 300_000
"""Most craters drawn for one square; beyond it the parameters ask for more than can be laid down in time order."""

_OUTLINE = ((2, 0.045), (3, 0.03), (5, 0.018))  # departure of a rim from a circle: lobes, relative amplitude
_OUTLINE_MAX = 1.0 + sum(amplitude for _, amplitude in _OUTLINE)
_RADII = 501
_LEVELS = 61


def draw_craters(
    params: CraterParams, density: float, half_width: float, rng: np.random.Generator, *, margin: float | None = None
) -> np.ndarray:
    """Draw craters over a square, from a power-law size–frequency distribution (`areal_density`).

    The count is Poisson. Freshness leans to the degraded end; the
    time order follows from it: a crater's diffusion age is κt = τ(freshness) R² (see `degradation_age`), hence large
    degraded craters are the oldest and small ones are young, as in an equilibrium population.

    Args:
        params: Law and limits.
        density: Share of equilibrium.
        half_width: Half the side of the square [m].
        rng: Source of the draws.
        margin: How far centres may lie beyond the square [m]; the largest diameter by default, so that craters cut
            its border as they do anywhere else.

    Returns:
        `CRATER_DTYPE`, oldest first.

    Raises:
        InputError: The law asks for more than `COUNT_MAX` craters.
    """
    law = PowerLaw(params.exponent, params.diameter_min_m, params.diameter_max_m)
    half = half_width + (params.diameter_max_m if margin is None else margin)
    expected = areal_density(density, law) * (2.0 * half) ** 2
    if expected > COUNT_MAX:
        most = density * COUNT_MAX / expected
        raise InputError("craters.density", density, f"at most {most:.3g} for this exponent and smallest diameter")
    count = int(rng.poisson(expected))
    craters = np.empty(count, CRATER_DTYPE)
    craters["x"] = rng.uniform(-half, half, count)
    craters["y"] = rng.uniform(-half, half, count)
    craters["diameter"] = law.draw(rng, count)
    craters["freshness"] = draw_freshness(params, count, rng)
    age = degradation_age(craters["freshness"]) * (0.5 * craters["diameter"]) ** 2
    return craters[np.argsort(-age, kind="stable")]


def areal_density(density: float, law: PowerLaw) -> float:
    """Craters of all sizes of a law per m².

    Without its upper end, N(>D) = density · EQUILIBRIUM_1M · (D / 1 m)^-exponent per m², so that at D = 1 m it is that
    share of equilibrium whatever the exponent.

    Args:
        density: Share of equilibrium.
        law: Law of the diameters [m].
    """
    return density * EQUILIBRIUM_1M * law.total


def draw_freshness(params: CraterParams, count: int, rng: np.random.Generator) -> np.ndarray:
    """Draw freshness in the interval asked for, shape [count], as its lower end plus its width times u^1.6.

    Most craters of a surface near equilibrium are worn: depth/diameter of metre-sized ones averages about 0.1
    (Fassett & Thomson 2014; Mahanti et al. 2018, Icarus 299, 475), which this gives for the interval [0, 1].
    """
    return params.freshness.lo + (params.freshness.hi - params.freshness.lo) * rng.random(count) ** 1.6


def degradation_age(freshness: np.ndarray) -> np.ndarray:
    """Diffusion age κt / R² at which a fresh crater has worn to a freshness.

    Freshness is linear in depth/diameter: d/D = 0.05 + 0.15 · freshness; the age is read off the diffusion of the
    fresh profile (Fassett & Thomson 2014, with κt in units of the squared rim radius).
    """
    return np.interp(freshness, np.linspace(0.0, 1.0, _LEVELS), _profiles()[1])


def crater_profile(r_over_R: np.ndarray, diameter: np.ndarray | float, freshness: np.ndarray | float) -> np.ndarray:
    """Height [m] of craters over the surface they formed in.

    Args:
        r_over_R: Distance from the centre in rim radii; any shape.
        diameter: Rim-to-rim diameter [m], broadcast against it.
        freshness: 1 fresh, depth/diameter 0.2; 0 degraded, 0.05; broadcast against it.

    Returns:
        float64; bowl, raised rim and ejecta, zero beyond `REACH` rim radii.
    """
    table = _profiles()[0]
    u = np.clip(np.asarray(r_over_R, np.float64) * ((_RADII - 1) / REACH), 0.0, _RADII - 1.0)
    i = np.minimum(u.astype(np.intp), _RADII - 2)
    u = u - i
    if np.ndim(freshness) == 0:
        v = min(max(float(freshness), 0.0), 1.0) * (_LEVELS - 1)
        j = min(int(v), _LEVELS - 2)
        row = table[j] + (v - j) * (table[j + 1] - table[j])
        return diameter * (row[i] + u * (row[i + 1] - row[i]))
    v = np.clip(freshness, 0.0, 1.0) * (_LEVELS - 1)
    j = np.minimum(v.astype(np.intp), _LEVELS - 2)
    v = v - j
    below = table[j, i] + u * (table[j, i + 1] - table[j, i])
    above = table[j + 1, i] + u * (table[j + 1, i + 1] - table[j + 1, i])
    return diameter * (below + v * (above - below))


def crater_spectrum(k: float, params: CraterParams, density: float, largest_m: float) -> float:
    """Power spectral density [m⁴] of the ground that craters make alone, at a wave number [rad/m].

    Craters of a Poisson process add their power (Campbell's theorem): the sum over sizes and freshness of their number
    per area times |F|² / (2π)², F their profile's Hankel transform.

    Args:
        k: Wave number.
        params: Law; above its largest diameter craters are worn in proportion to their size.
        density: Share of equilibrium.
        largest_m: Largest diameter counted [m].
    """
    if density <= 0.0 or largest_m <= params.diameter_min_m:
        return 0.0
    law = PowerLaw(params.exponent, params.diameter_min_m, largest_m)
    edges = np.geomspace(law.lo, law.hi, 33)
    counts = areal_density(density, law) * -np.diff(law.share(edges))
    diameter = np.sqrt(edges[1:] * edges[:-1])[:, None, None]
    freshness = (
        params.freshness.lo
        + (params.freshness.hi - params.freshness.lo) * (np.arange(8) + 0.5)[:, None] ** 1.6 / 8**1.6
    )
    worn = freshness * np.minimum(1.0, params.diameter_max_m / diameter)
    rho = np.linspace(0.0, REACH, 257)
    radius = 0.5 * diameter
    height = crater_profile(rho, diameter, worn)
    transform = (
        2.0 * np.pi * np.trapezoid(height * special.j0(k * radius * rho) * rho, rho, axis=-1) * radius[..., 0] ** 2
    )
    return float(np.sum(counts[:, None] * transform**2) / freshness.size) / (2.0 * np.pi) ** 2


def depth_to_diameter(height: np.ndarray, diameter: float) -> float:
    """Rim-to-floor depth over diameter of a profile of heights [m] that reaches from the centre past the rim."""
    return float((np.max(height) - np.min(height)) / diameter)


@functools.cache
def _profiles() -> tuple[np.ndarray, np.ndarray]:
    """Tabulate the worn profiles: heights over diameter, shape [levels, radii], and their ages κt / R².

    Level j has depth/diameter 0.05 + 0.15 j / (levels - 1). The fresh profile is diffused in cylindrical symmetry,
    ∂h/∂t = κ/r ∂(r ∂h/∂r)/∂r, by backward Euler on finite volumes out to 1.6 `REACH`.
    """
    step = REACH / (_RADII - 1)
    r = np.arange(int(1.6 * _RADII)) * step
    h = np.where(r < 1.0, RIM_HEIGHT - DEPTH_FRESH * (1.0 - r**2), RIM_HEIGHT * np.maximum(r, 1.0) ** -3.0)
    h *= 1.0 - smoothstep(0.7 * REACH, REACH, r)
    outer, inner = r + 0.5 * step, np.maximum(r - 0.5 * step, 0.0)
    volume = 0.5 * (outer**2 - inner**2)
    up, down = outer / (step * volume), inner / (step * volume)
    up[-1] = 0.0
    ages, shapes, depths = [0.0], [h], [np.ptp(h)]
    dt = 2e-5
    while depths[-1] > 0.98 * DEPTH_DEGRADED:
        bands = np.zeros((3, r.size))
        bands[0, 1:], bands[1], bands[2, :-1] = -dt * up[:-1], 1.0 + dt * (up + down), -dt * down[1:]
        h = solve_banded((1, 1), bands, h)
        ages.append(ages[-1] + dt)
        shapes.append(h)
        depths.append(np.ptp(h))
        dt = min(dt * 1.04, 1e-3)
    target = np.linspace(DEPTH_DEGRADED, DEPTH_FRESH, _LEVELS)
    falling = np.array(depths)[::-1]
    at = np.interp(target, falling, np.arange(falling.size)[::-1].astype(float))
    low = np.minimum(at.astype(int), len(shapes) - 2)
    part = (at - low)[:, None]
    stack = np.array(shapes)
    table = (1.0 - part) * stack[low] + part * stack[low + 1]
    table *= 1.0 - smoothstep(0.7 * REACH, REACH, r)
    age = np.interp(at, np.arange(len(ages)), ages)
    table = np.ascontiguousarray(table[:, :_RADII])
    for array in (table, age):
        array.flags.writeable = False
    return table, age


def rim_distance(dx: np.ndarray, dy: np.ndarray, crater: np.void) -> np.ndarray:
    """Distance from a crater's centre in units of its rim radius, which varies by a few percent with azimuth.

    Args:
        dx: Offset from the centre along X [m]; broadcast against `dy`.
        dy: Offset along Y [m].
        crater: One element of `CRATER_DTYPE`.
    """
    radius = np.hypot(dx, dy)
    azimuth = np.arctan2(dy, dx)
    phase = 2.399963 * (31.0 * crater["x"] + 57.0 * crater["y"])
    rim = 1.0
    for lobes, amplitude in _OUTLINE:
        rim = rim + amplitude * np.cos(lobes * azimuth + lobes * phase)
    return radius / (0.5 * crater["diameter"] * rim)


def interiors(xy: np.ndarray, craters: np.ndarray) -> np.ndarray:
    """Number the craters that points lie in, by their rims as they are laid down (`rim_distance`).

    A crater wipes out what is older inside its rim: of several it is the youngest.

    Args:
        xy: Positions [m], shape [N, 2].
        craters: `CRATER_DTYPE`, oldest first.

    Returns:
        1 + number of the youngest crater whose rim holds the point, 0 for none, int64, shape [N].
    """
    order = np.argsort(xy[:, 0], kind="stable")
    x, y = np.ascontiguousarray(xy[order].T)
    reach = 0.5 * _OUTLINE_MAX * craters["diameter"]
    first, end = np.searchsorted(x, craters["x"] - reach), np.searchsorted(x, craters["x"] + reach)
    found = np.zeros(len(x), np.int64)
    for number in np.flatnonzero(end > first).tolist():
        crater, lo, hi = craters[number], first[number], end[number]
        near = lo + np.flatnonzero(np.abs(y[lo:hi] - crater["y"]) < reach[number])
        inside = rim_distance(x[near] - crater["x"], y[near] - crater["y"], crater) < 1.0
        found[near[inside]] = number + 1
    numbers = np.empty_like(found)
    numbers[order] = found
    return numbers


def overprint(z: np.ndarray, dx: np.ndarray, dy: np.ndarray, crater: np.void) -> np.ndarray:
    """Lay one crater over heights: what it excavates goes, its profile comes.

    Inside the rim the older relief is replaced by the plane that fits it (so a bowl follows the slope it formed on);
    a quarter of the finest relief stays, from the rim outwards the older ground lies under the ejecta unchanged.

    Args:
        z: Heights [m] around the crater, any shape.
        dx: Offsets of the heights from the centre along X [m], same shape.
        dy: Offsets along Y [m], same shape.
        crater: One element of `CRATER_DTYPE`.

    Returns:
        New heights [m], shape of `z`.
    """
    rho = rim_distance(dx, dy, crater)
    profile = crater_profile(rho, float(crater["diameter"]), float(crater["freshness"]))
    inside = 1.0 - smoothstep(0.75, 1.15, rho)
    total = float(inside.sum())
    if total < 3.0:
        return z + profile
    scale = 0.5 * float(crater["diameter"])
    basis = np.stack([np.ones_like(inside), dx / scale, dy / scale]).reshape(3, -1)
    weighted = basis * inside.ravel()
    gram = weighted @ basis.T + 1e-6 * total * np.eye(3)
    plane = (np.linalg.solve(gram, weighted @ z.ravel()) @ basis).reshape(z.shape)
    return z + inside * (plane - z) + profile
