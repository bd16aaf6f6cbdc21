"""The micro-relief's recipe: plain numbers that travel in the stage and make the same ground everywhere."""

from __future__ import annotations

import dataclasses

from regolith.lunar.params import InputError, Params
from regolith.lunar.stage.craters import COUNT_MAX, areal_density
from regolith.lunar.stage.mesh import grid_cells
from regolith.lunar.stage.power_law import PowerLaw
from regolith.lunar.stage.spec import SceneSpec, rng

PIT_MIN_M = 0.025
"""Smallest pit [m]."""

PEBBLE_MIN_M = 0.009
"""Smallest pebble [m]; what is smaller belongs to the renderer's shading relief."""

RING_CELLS_MAX = 3200
"""Most cells along a side of a ring."""


@dataclasses.dataclass(frozen=True)
class ReliefRecipe:
    """All numbers the micro-relief hangs on; each becomes one attribute of the stage."""

    seed: int
    """Seed of fractal part, pits, clods and pebbles."""
    cell_m: float
    """Cell of the authored grid [m]."""
    near_split: int
    """Fine-ring cells along one grid cell; a multiple of `mid_split`."""
    near_half: int
    """Half-width of the fine ring in grid cells."""
    mid_split: int
    """Middle-ring cells along one grid cell."""
    mid_half: int
    """Half-width of the middle ring in grid cells."""
    hurst: float
    """Hurst exponent of the fractal part."""
    rms_height_m: float
    """RMS height of the fractal part [m]."""
    wavelength_max_m: float
    """Longest wavelength of the fractal part [m]; the grid carries the longer ones."""
    pit_density: float
    """Pits of at least `pit_min_m` per m²."""
    pit_min_m: float
    """Smallest pit [m]."""
    pit_exponent: float
    """Slope of the cumulative size–frequency distribution of pits and craters."""
    crater_density: float
    """Craters of at least `crater_min_m` per m² that the grid is too coarse for."""
    crater_min_m: float
    """Smallest crater of the crater law [m]."""
    pit_max_m: float
    """Upper limit of pits [m]: four grid cells."""
    crater_top_m: float
    """Upper limit of the craters [m]: the same, or the crater law's largest."""
    freshness_min: float
    """Lower end of the craters' freshness."""
    freshness_max: float
    """Upper end of the craters' freshness."""
    clod_height_m: float
    """Height of clods [m]."""
    pebble_density: float
    """Pebbles per m²."""
    pebble_min_m: float
    """Smallest pebble [m]."""
    pebble_max_m: float
    """Largest pebble [m]: the smallest labelled rock."""
    pebble_exponent: float
    """Slope of the pebbles' cumulative size–frequency distribution."""
    baked: bool = False
    """Whether the stage's Terrain mesh already holds all of this."""
    reach_m: float = 0.0
    """Distance to which the relief goes on beyond the middle ring [m]; up to that ring's half-width it ends there."""
    half_m: float = 0.0
    """Half the side of the grid [m]."""
    wheel_tracks: float = 0.0
    """Mean number of the tracks of rovers."""
    footprint_trails: float = 0.0
    """Mean number of the trails of bootprints."""

    @classmethod
    def from_params(cls, params: Params, scene: SceneSpec) -> ReliefRecipe | None:
        """Fit the rings to the grid and fix every number; None where the micro-relief is off.

        Ring cells are whole divisions of the grid's, radii whole numbers of grid cells, at least one of which is left
        to the grid at its border.

        Raises:
            InputError: A ring would have more than `RING_CELLS_MAX` cells a side, or too many craters.
        """
        relief, law, terrain = params.relief, params.craters, params.terrain
        if not relief.enabled:
            return None
        cells, cell = grid_cells(terrain.size_m, terrain.cell_m)
        mid_split = max(1, round(cell / relief.mid_cell_m))
        near_split = mid_split * max(1, round(cell / relief.near_cell_m / mid_split))
        near_half = min(max(1, round(relief.near_radius_m / cell)), cells // 2 - 1)
        mid_half = min(max(near_half, round(relief.mid_radius_m / cell)), cells // 2 - 1)
        for name, split, half in (("near", near_split, near_half), ("mid", mid_split, mid_half)):
            if 2 * half * split > RING_CELLS_MAX:
                least = 2.0 * half * cell / RING_CELLS_MAX
                given = getattr(relief, f"{name}_cell_m")
                raise InputError(f"relief.{name}_cell_m", given, f"at least {least:.3g} m for a ring this wide")
        largest = 4.0 * cell
        top = min(largest, law.diameter_max_m)
        craters = 0.0
        if law.diameter_min_m < top:
            craters = areal_density(scene.crater_density, PowerLaw(law.exponent, law.diameter_min_m, top))
        if craters * (2.0 * mid_half * cell) ** 2 > COUNT_MAX:
            raise InputError("craters.diameter_min_m", law.diameter_min_m, "larger for this density and exponent")
        return cls(
            seed=int(rng(scene.seed, "relief").integers(2**31)),
            cell_m=cell,
            near_split=near_split,
            near_half=near_half,
            mid_split=mid_split,
            mid_half=mid_half,
            hurst=relief.hurst,
            rms_height_m=scene.relief_strength * relief.rms_height_m,
            wavelength_max_m=4.0 * cell,
            pit_density=relief.pit_density,
            pit_min_m=PIT_MIN_M,
            pit_exponent=law.exponent,
            crater_density=craters,
            crater_min_m=law.diameter_min_m,
            pit_max_m=largest,
            crater_top_m=top,
            freshness_min=law.freshness.lo,
            freshness_max=law.freshness.hi,
            clod_height_m=scene.relief_strength * relief.clod_height_m,
            pebble_density=relief.pebble_density,
            pebble_min_m=min(PEBBLE_MIN_M, 0.5 * params.rocks.diameter_min_m),
            pebble_max_m=params.rocks.diameter_min_m,
            pebble_exponent=scene.rock_exponent,
            reach_m=min(relief.reach_m, terrain.far_radius_m),
            half_m=0.5 * cells * cell,
            wheel_tracks=relief.wheel_tracks,
            footprint_trails=relief.footprint_trails,
        )

    @property
    def tracked(self) -> bool:
        """Whether somebody may have been there."""
        return self.wheel_tracks > 0.0 or self.footprint_trails > 0.0

    @property
    def near_cell_m(self) -> float:
        """Cell of the fine ring [m]."""
        return self.cell_m / self.near_split

    @property
    def near_radius_m(self) -> float:
        """Half-width of the fine ring [m]."""
        return self.near_half * self.cell_m

    @property
    def mid_cell_m(self) -> float:
        """Cell of the middle ring [m]."""
        return self.cell_m / self.mid_split

    @property
    def mid_radius_m(self) -> float:
        """Half-width of the middle ring [m]."""
        return self.mid_half * self.cell_m
