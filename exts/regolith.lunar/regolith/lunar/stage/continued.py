"""Real ground, continued: a height model, and below what it resolves our own relief with its statistics.

The model's power spectral density is measured about the site and fitted by a power law (`measure_seam`). Where its
density falls off from that, it no longer resolves the ground: there the self-affine relief fills up what is lacking,
and beyond it takes over at the density of the fit, less what the craters that are added have there. Its Hurst exponent
leads from that density to the slope over 1 m that `terrain.rms_slope_deg` asks for, so that the ground a rover sees is
as rough as elsewhere; where the model resolves a few metres itself, it is the fit's own.
"""

from __future__ import annotations

import dataclasses
import math
from typing import NamedTuple

import numpy as np
from scipy import fft, special

from regolith.lunar.params import Params
from regolith.lunar.stage.craters import crater_spectrum
from regolith.lunar.stage.far import Rings, ring_cell, smoothed, weighted
from regolith.lunar.stage.height_model import HeightModel, stage_model
from regolith.lunar.stage.mesh import grid_cells
from regolith.lunar.stage.noise import Tile, next_fast_size, radial_spectrum, spectral_tile
from regolith.lunar.stage.spec import SceneSpec, rng

SHEETS = (256, 128, 64)
"""Sides of the sheet the model's spectrum is measured on [px]: the largest that has data."""

FITTED_PX = 8.0
"""Shortest wavelength of the fit [px]: files are often finer than what was measured."""

FALL = 0.25
"""Share of the fitted density below which the model no longer resolves a wavelength."""

LEAST_SHARE = 0.1
"""Least share of the density at the seam that is left to the self-affine relief beside craters."""

HURST = (0.3, 1.3)
"""Hurst exponents the relief below the seam may have."""

NEAR_M = 8.0
"""Wavelength of a seam [m] up to which the relief below it keeps the fit's Hurst exponent."""

STEP = 2.0
"""Ratio of densities at the seam that is told of."""

SHORT_M = 1.5
"""Wavelength [m], at least eight grid cells, below which small impacts renew the relief, craters or not."""

BAND = 16.0
"""Longest over shortest wavelength of a band."""

BAND_NODES = 480
"""Nodes of a band's tile a side: at five to the shortest wavelength, six periods of the longest."""


class Seam(NamedTuple):
    """Where a height model ends and our relief begins."""

    wavelength_m: float
    """Shortest wavelength the model resolves [m]."""
    density: float
    """Power spectral density of the model's fit there [m⁴]; NaN where too little of it could be measured."""
    hurst: float
    """Hurst exponent of the fit."""
    lacking: tuple[tuple[float, float], ...] = ()
    """Longer wavelengths [m], ascending, and the share of the fit's density the model lacks there."""


@dataclasses.dataclass(frozen=True)
class Continued:
    """Ground of a stage cut from a height model, without craters (`far.BareGround`)."""

    model: HeightModel
    seam: Seam
    cell: float
    """Cell of the square's grid [m]."""
    rough: Tile
    """Relief below `SHORT_M`, on the grid's own lattice."""
    bands: tuple[tuple[Tile, float], ...]
    """Relief from there to the seam, in bands; each with the turn of its tile [rad]."""
    scale: float
    """Factor on the relief."""
    datum_m: float
    """Height of the bands at the site [m], which is Z = 0 with them too."""
    largest_crater_m: float
    """Diameter from which on craters are in the model already [m]: half the wavelength of the seam."""
    notes: tuple[str, ...]
    """What is to be known of the model, in words."""

    def smooth_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the model and the longer bands at the nodes of the square's grid."""
        at = (np.arange(cells + 1) - cells // 2) * self.cell
        x, y = (part.ravel() for part in np.meshgrid(at, at))
        z = self.model.height(x, y) + self.banded(x, y, np.full(x.shape, self.cell))
        return z.reshape(cells + 1, cells + 1)

    def rough_grid(self, cells: int) -> np.ndarray:
        """Heights [m] of the shortest band at the nodes of the square's grid."""
        nodes = np.arange(cells + 1) - cells // 2
        return self.scale * self.rough.at_nodes(nodes, nodes).astype(np.float64)

    def smooth_far(self, rings: Rings, params: Params, scene: SceneSpec) -> np.ndarray:
        """Heights [m] of the model and the longer bands at the rings' vertices."""
        x, y = rings.xy.T
        cell = np.maximum(self.cell, ring_cell(rings.half))
        return self.model.height(x, y, cell) + self.banded(x, y, cell)

    def rough_far(self, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Heights [m] of the shortest band at (x, y) [m], as far as cells of a mesh [m] carry them."""
        return self.scale * smoothed(self.rough, x, y, cell)

    def banded(self, x: np.ndarray, y: np.ndarray, cell: np.ndarray) -> np.ndarray:
        """Heights [m] of the longer bands at (x, y) [m], as far as cells of a mesh [m] carry them, shape [N]."""
        z = np.full(x.shape, -self.datum_m)
        for tile, turn in self.bands:
            u, v = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
            carried = (cell < 0.2 * BAND_NODES * tile.cell).astype(np.float64)
            z += self.scale * weighted(carried, lambda *at, tile=tile: smoothed(tile, *at), u, v, cell)
        return z


def continue_model(params: Params, scene: SceneSpec) -> Continued:
    """Read the height model of a stage and draw the relief below its resolution.

    Raises:
        InputError: The model cannot be used (`height_model.read_height_model`).
    """
    terrain = params.terrain
    cells, cell = grid_cells(terrain.size_m, terrain.cell_m)
    model = stage_model(params)
    seam = measure_seam(model)
    largest = 0.5 * seam.wavelength_m
    k_seam = 2.0 * math.pi / seam.wavelength_m
    asked = math.tan(math.radians(terrain.rms_slope_deg))
    craters = crater_spectrum(k_seam, params.craters, scene.crater_density, largest)
    density = seam.density
    hurst, notes = terrain.hurst, list(model.notes)
    if math.isnan(density):
        density = _anchored(1.0, hurst, k_seam, cell, asked)
        notes.append(
            f"{params.ground.dem} shows too little about the site to measure its roughness: terrain.hurst it is"
        )
    else:
        density = max(density - craters, LEAST_SHARE * density)
        if seam.wavelength_m > NEAR_M:
            hurst = _leading_hurst(density, k_seam, cell, asked)
            density = max(density, _anchored(1.0, hurst, k_seam, cell, asked)) if hurst == HURST[0] else density
        else:
            hurst = min(max(seam.hurst, HURST[0]), HURST[1])
        step = (density + craters) / seam.density
        if step > STEP:
            notes.append(
                f"{params.ground.dem} is smoother at {seam.wavelength_m:.3g} m than the relief below it, which has "
                f"{step:.2g} times its power; lower terrain.rms_slope_deg or craters.density to close that"
            )
    scale = math.sqrt(density * k_seam ** (2.0 * hurst + 2.0))
    rough, bands = _draw_bands(scene.seed, cells, cell, hurst, min(seam.wavelength_m, 4.0 * terrain.far_radius_m))
    if seam.lacking:
        bands = (*bands, _draw_lacking(scene.seed, hurst, seam))
    ground = Continued(model, seam, cell, rough, bands, scale, 0.0, largest, tuple(notes))
    datum = ground.banded(np.zeros(1), np.zeros(1), np.full(1, cell))
    return dataclasses.replace(ground, datum_m=float(datum[0]))


def measure_seam(model: HeightModel) -> Seam:
    """Fit a power law to the spectrum of a height model about its site, and find where the model falls off from it."""
    coarsest = Seam(2.0 * model.pixel_m, math.nan, math.nan)
    sheet = next((sheet for side in SHEETS if (sheet := model.sheet(side)) is not None), None)
    if sheet is None or sheet.std() == 0.0:
        return coarsest
    k, density = radial_spectrum(sheet, model.pixel_m)
    waves = 2.0 * np.pi / k
    fitted = waves >= FITTED_PX * model.pixel_m
    slope, level = np.polyfit(np.log(k[fitted]), np.log(density[fitted]), 1)
    short = np.flatnonzero((waves < FITTED_PX * model.pixel_m) & (density < FALL * np.exp(level) * k**slope))
    wavelength = float(waves[short[0] - 1]) if short.size else 2.0 * model.pixel_m
    k_seam = 2.0 * math.pi / wavelength
    lack = np.clip(1.0 - density / (np.exp(level) * k**slope), 0.0, 1.0)
    lacking = tuple((float(waves[at]), float(lack[at])) for at in np.flatnonzero(~fitted & (waves > wavelength))[::-1])
    return Seam(wavelength, float(np.exp(level) * k_seam**slope), float(-0.5 * slope - 1.0), lacking)


def _deviation(density: float, hurst: float, k_seam: float, cell: float) -> float:
    """RMS deviation over 1 m [m] of self-affine relief between a wave number [rad/m] and that of two grid cells."""
    k = np.geomspace(k_seam, max(math.pi / cell, 1.01 * k_seam), 2000)
    power = density * (k / k_seam) ** (-2.0 * hurst - 2.0) * 2.0 * (1.0 - special.j0(k)) * 2.0 * math.pi * k
    return math.sqrt(float(np.trapezoid(power, k)))


def _anchored(density: float, hurst: float, k_seam: float, cell: float, asked: float) -> float:
    """Density at the seam [m⁴], given any, that has a deviation over 1 m [m]."""
    return density * (asked / _deviation(density, hurst, k_seam, cell)) ** 2


def _leading_hurst(density: float, k_seam: float, cell: float, asked: float) -> float:
    """Hurst exponent in `HURST` that leads from a density at the seam [m⁴] to a deviation over 1 m [m]."""
    low, high = HURST
    if _deviation(density, low, k_seam, cell) <= asked:
        return low
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _deviation(density, middle, k_seam, cell) > asked else (low, middle)
    return high


def _draw_bands(
    seed: int, cells: int, cell: float, hurst: float, longest: float
) -> tuple[Tile, tuple[tuple[Tile, float], ...]]:
    """Draw unscaled relief of wavelengths up to a longest one [m]: the part on the grid, and bands with their turns."""
    short = max(SHORT_M, 8.0 * cell)
    size = next_fast_size(math.ceil(1.25 * cells))
    rough = spectral_tile(
        rng(seed, "terrain", "rough"), size, cell, hurst=hurst, wavelength_max=min(short, longest)
    )  # fmt: skip
    bands = []
    while short < longest:
        top = min(BAND * short, longest)
        stream = rng(seed, "terrain", "band", len(bands))
        tile = spectral_tile(stream, BAND_NODES, 0.2 * short, hurst=hurst, wavelength_min=short, wavelength_max=top)
        bands.append((tile, float(stream.uniform(0.0, 2.0 * math.pi))))
        short = top
    return rough, tuple(bands)


def _draw_lacking(seed: int, hurst: float, seam: Seam) -> tuple[Tile, float]:
    """Draw unscaled relief that fills up what a model lacks above its seam, with its turn."""
    waves, lack = np.array(seam.lacking).T
    stream = rng(seed, "terrain", "lacking")
    drawn = spectral_tile(
        stream, BAND_NODES, 0.2 * seam.wavelength_m, hurst=hurst, wavelength_min=seam.wavelength_m,
        wavelength_max=float(waves[-1]),
    )  # fmt: skip
    k = np.hypot(fft.fftfreq(BAND_NODES, drawn.cell)[:, None], fft.rfftfreq(BAND_NODES, drawn.cell)[None, :])
    share = np.interp(1.0 / np.maximum(k, 1e-12), waves, lack)
    z = np.asarray(fft.irfft2(np.asarray(fft.rfft2(drawn.z)) * np.sqrt(share), drawn.z.shape))
    return Tile(z, drawn.cell), float(stream.uniform(0.0, 2.0 * math.pi))
