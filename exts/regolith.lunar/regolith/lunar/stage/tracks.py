"""What wheels and boots leave in the regolith: ruts with the print of the tread, and trails of bootprints.

They are pressed into the micro-relief, so that they are ground in every output. Sizes are about those of what drove and
walked there: the wheels of the Lunar Roving Vehicle are 23 cm wide and 1.83 m apart, and sank 1.25 cm on average
(Costes, Farmer & George 1972, NASA TR R-401); a bootprint of Apollo 11 is about 2.5 cm deep (National Air and Space
Museum). Tread, step and sole are chosen by the photographs.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.spatial import KDTree

from regolith.lunar.stage.noise import smoothstep
from regolith.lunar.stage.recipe import ReliefRecipe
from regolith.lunar.stage.spec import rng

GAUGE_M = (0.9, 1.9)
"""Distance between the two ruts of a rover [m]: Yutu and Lunokhod to LRV and VIPER."""

WHEEL_M = (0.14, 0.26)
"""Width of a wheel [m]."""

RUT_DEPTH_M = (0.008, 0.03)
"""Depth of a rut [m], drawn log-uniformly."""

TREAD_M = (0.06, 0.12)
"""From one bar of the tread to the next along a rut [m]."""

STEP_M = (0.55, 0.85)
"""Length of a step [m]: a walk to a lope."""

SOLE_M = (0.33, 0.15)
"""Length and width of the sole of an overshoe [m]."""

PRINT_DEPTH_M = (0.01, 0.035)
"""Depth of a bootprint [m], drawn log-uniformly for each trail; prints lie within a third about it."""

RIBS = 9
"""Bars across a sole."""

ROCK_MIN_M = 0.04
"""Rocks from this diameter on are driven round; smaller ones are pressed in [m]."""

_NODE_M = 0.05
_BEND_M = 6.0  # radius of the tightest bends
_PASS = 0.6  # of the fine ring's half-width: how far from the centre a way passes at most
_RIM = 1.9  # half-widths of a rut where its berm ends
_SOLE_RIM = 1.5  # half-sizes of a sole where its rim ends
_SMOOTHED = 0.85  # share of the micro-relief that goes where it is pressed


@dataclasses.dataclass(frozen=True)
class Rut:
    """What one side's wheels left."""

    nodes: np.ndarray
    """Places along it, `_NODE_M` apart [m], shape [N, 2]."""
    heading: np.ndarray
    """Direction at each [rad], shape [N]."""
    half_width_m: float
    depth_m: float
    tread_m: float
    """From bar to bar."""
    phase: float
    """Of what varies along it."""


@dataclasses.dataclass(frozen=True)
class Prints:
    """One trail of bootprints."""

    place: np.ndarray
    """Centres of the soles [m], shape [N, 2]."""
    heading: np.ndarray
    """Where the toes point [rad], shape [N]."""
    depth_m: np.ndarray
    """Shape [N]."""


def draw_ruts(recipe: ReliefRecipe) -> list[Rut]:
    """Draw the ruts of a scene's rovers, oldest first; their number is a Poisson one about `wheel_tracks`."""
    found: list[Rut] = []
    for number in range(int(rng(recipe.seed, "wheel tracks").poisson(recipe.wheel_tracks))):
        random = rng(recipe.seed, "wheel track", number)
        way, heading = _way(recipe, random)
        gauge, width = random.uniform(*GAUGE_M), random.uniform(*WHEEL_M)
        depth, tread = _log_uniform(random, *RUT_DEPTH_M), random.uniform(*TREAD_M)
        for side in (-0.5, 0.5):
            aside = np.stack([-np.sin(heading), np.cos(heading)], axis=1)
            phase = float(random.uniform(0.0, 2.0 * np.pi))
            found.append(Rut(way + side * gauge * aside, heading, 0.5 * width, depth, tread, phase))
    return found


def draw_prints(recipe: ReliefRecipe) -> list[Prints]:
    """Draw the trails of bootprints, oldest first; their number is a Poisson one about `footprint_trails`."""
    found: list[Prints] = []
    for number in range(int(rng(recipe.seed, "footprint trails").poisson(recipe.footprint_trails))):
        random = rng(recipe.seed, "footprint trail", number)
        way, heading = _way(recipe, random)
        step, apart = random.uniform(*STEP_M), random.uniform(0.08, 0.16)
        at = np.cumsum(random.uniform(0.8, 1.2, int(len(way) * _NODE_M / step)) * step) / _NODE_M
        at = at[at < len(way) - 1].astype(int)
        side = np.where(np.arange(len(at)) % 2, apart, -apart)
        aside = np.stack([-np.sin(heading[at]), np.cos(heading[at])], axis=1)
        place = way[at] + side[:, None] * aside + random.normal(0.0, 0.02, (len(at), 2))
        toes = heading[at] + np.sign(side) * math.radians(6.0) + random.normal(0.0, math.radians(5.0), len(at))
        depth = _log_uniform(random, *PRINT_DEPTH_M) * random.uniform(0.67, 1.33, len(at))
        found.append(Prints(place, toes, depth))
    return found


def pressed(x: np.ndarray, y: np.ndarray, z: np.ndarray, cell: np.ndarray | float, recipe: ReliefRecipe) -> np.ndarray:
    """Press a scene's tracks into its micro-relief.

    Args:
        x: Places [m], any shape.
        y: The same.
        z: Micro-relief there without them [m], same shape.
        cell: Distance from one place to the next [m], broadcast against `x`: what is finer is left out.
        recipe: Micro-relief.

    Returns:
        Heights [m], float64, shape of `z`.
    """
    shape, z = z.shape, np.array(z, np.float64).ravel()
    x, y, cell = (np.broadcast_to(np.asarray(a, np.float64), shape).ravel() for a in (x, y, cell))
    for rut in draw_ruts(recipe):
        _press_rut(x, y, z, cell, rut)
    for prints in draw_prints(recipe):
        _press_prints(x, y, z, cell, prints)
    return z.reshape(shape)


def in_ruts(xy: np.ndarray, reach: np.ndarray, recipe: ReliefRecipe | None) -> np.ndarray:
    """Whether something of a radius `reach` [m], shape [N], at places [m], shape [N, 2], lies in a rut; bool, [N]."""
    found = np.zeros(len(xy), bool)
    for rut in draw_ruts(recipe) if recipe is not None else ():
        distance, _ = KDTree(rut.nodes).query(xy)
        found |= distance < reach + rut.half_width_m
    return found


def _way(recipe: ReliefRecipe, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A way across the relief that passes near the centre: places [m], shape [N, 2], and headings [rad], shape [N]."""
    reach = math.sqrt(2.0) * max(recipe.mid_radius_m, recipe.reach_m)
    passing = _PASS * recipe.near_radius_m * math.sqrt(random.random())
    bearing, begin = random.uniform(0.0, 2.0 * math.pi, 2)
    place = passing * np.array([math.cos(bearing), math.sin(bearing)])
    half = math.ceil((reach + passing) / _NODE_M)
    along = _NODE_M * np.arange(-half, half + 1)
    waves = random.uniform(8.0, 40.0, 3)
    bend = sum(
        np.sin(2.0 * np.pi * along / wave + turn) for wave, turn in zip(waves, random.uniform(0, 6.28, 3), strict=True)
    )
    heading = begin + np.cumsum(bend / (3.0 * _BEND_M)) * _NODE_M
    heading -= heading[half] - begin
    steps = _NODE_M * np.stack([np.cos(heading), np.sin(heading)], axis=1)
    way = np.cumsum(steps, axis=0)
    return way - way[half] + place, heading


def _press_rut(x: np.ndarray, y: np.ndarray, z: np.ndarray, cell: np.ndarray, rut: Rut) -> None:
    """Press one rut into heights [m], in place."""
    half = rut.half_width_m
    near = _near(x, y, rut.nodes, _RIM * half + _NODE_M)
    node, across, ahead = _nearest(x[near], y[near], rut.nodes, rut.heading)
    along = node * _NODE_M + ahead
    wobble = np.sin(along / 0.9 + rut.phase) + np.sin(along / 0.37 + 2.0 * rut.phase)
    side = np.abs(across) / (half * (1.0 + 0.03 * wobble))
    carried = 1.0 - smoothstep(0.5, 1.2, cell[near] / half)
    floor = (1.0 - smoothstep(0.82, 1.06, side)) * carried
    crumbs = 0.5 + 0.5 * np.sin(along / 0.045 + 3.0 * np.sign(across)) * np.sin(along / 0.11 + rut.phase)
    berm = np.exp(-(((side - 1.3) / 0.2) ** 2)) * (0.2 + 0.3 * crumbs) * (1.0 - smoothstep(1.6, _RIM, side)) * carried
    depth = rut.depth_m * (1.0 + 0.12 * wobble)
    bars = np.cos(2.0 * np.pi * (along + 0.5 * np.abs(across)) / rut.tread_m)  # a chevron
    bars *= 0.18 * (1.0 - smoothstep(0.2, 0.45, cell[near] / rut.tread_m))
    z[near] = z[near] * (1.0 - _SMOOTHED * floor) + depth * (berm - floor * (1.0 - bars))


def _press_prints(x: np.ndarray, y: np.ndarray, z: np.ndarray, cell: np.ndarray, prints: Prints) -> None:
    """Press one trail of prints into heights [m], in place."""
    if not len(prints.place):
        return
    length, width = 0.5 * SOLE_M[0], 0.5 * SOLE_M[1]
    near = _near(x, y, prints.place, _SOLE_RIM * length)
    at = np.column_stack([x[near], y[near]])
    distance, number = (np.asarray(part) for part in KDTree(prints.place).query(at))
    near, number, at = (part[distance < _SOLE_RIM * length] for part in (near, number, at))
    offset, heading = at - prints.place[number], prints.heading[number]
    ahead = (offset[:, 0] * np.cos(heading) + offset[:, 1] * np.sin(heading)) / length
    across = (offset[:, 1] * np.cos(heading) - offset[:, 0] * np.sin(heading)) / width
    across /= 0.93 + 0.07 * np.tanh(3.0 * ahead)  # the heel is narrower
    rho = (ahead**4 + np.abs(across) ** 3) ** 0.28
    carried = 1.0 - smoothstep(0.5, 1.2, cell[near] / width)
    sole = (1.0 - smoothstep(0.88, 1.04, rho)) * carried
    rim = np.exp(-(((rho - 1.18) / 0.12) ** 2)) * (0.3 + 0.15 * ahead) * carried
    ribs = np.cos(np.pi * RIBS * ahead) * 0.22 * (1.0 - smoothstep(0.25, 0.5, cell[near] * RIBS / SOLE_M[0]))
    toe = 1.0 - 0.2 * ahead  # the heel goes in first
    z[near] = z[near] * (1.0 - _SMOOTHED * sole) + prints.depth_m[number] * (rim - sole * (toe - ribs))


def _near(x: np.ndarray, y: np.ndarray, nodes: np.ndarray, reach: float) -> np.ndarray:
    """Numbers of the places [m], shape [N], that lie in tiles about some node: all those within `reach` [m] of it."""
    low, high = nodes.min(axis=0) - 2.0 * reach, nodes.max(axis=0) + 2.0 * reach
    boxed = np.flatnonzero((x > low[0]) & (x < high[0]) & (y > low[1]) & (y < high[1]))
    size = np.ceil((high - low) / reach).astype(int)
    tiles = np.zeros(size + 2, bool)
    column, row = ((nodes - low) / reach).astype(int).T
    for i in (-1, 0, 1):
        for j in (-1, 0, 1):
            tiles[column + i, row + j] = True
    return boxed[tiles[((x[boxed] - low[0]) / reach).astype(int), ((y[boxed] - low[1]) / reach).astype(int)]]


def _nearest(
    x: np.ndarray, y: np.ndarray, nodes: np.ndarray, heading: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nearest node of places [m], shape [N]: its number, and how far to its left and ahead of it they lie [m]."""
    number = np.asarray(KDTree(nodes).query(np.column_stack([x, y]))[1])
    dx, dy = x - nodes[number, 0], y - nodes[number, 1]
    c, s = np.cos(heading[number]), np.sin(heading[number])
    return number, dy * c - dx * s, dx * c + dy * s


def _log_uniform(random: np.random.Generator, lo: float, hi: float) -> float:
    return float(np.exp(random.uniform(math.log(lo), math.log(hi))))
