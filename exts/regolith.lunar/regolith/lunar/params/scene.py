"""Parameters of a scene: terrain, craters, micro-relief, rocks, photometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import ValidatorFunctionWrapHandler, field_validator, model_validator

from regolith.lunar.params.fields import Group, GrownGroup, Interval, Site, cross_field, drawn, quantity
from regolith.lunar.params.places import LIMITS, PlaceName


class TerrainParams(Group):
    """Shape of the ground at metre scale: a square heightfield and the far relief around it."""

    size_m: float = quantity(40.0, "Side of the square working area.", unit="m", ge=40, le=120, step=1)
    cell_m: float = quantity(0.12, "Grid cell of the authored heightfield.", unit="m", ge=0.05, le=0.5, step=0.01)
    hurst: float = quantity(0.85, "Hurst exponent of the fractal relief.", ge=0.3, le=1.0, step=0.01)
    rms_slope_deg: float = quantity(
        3.0,
        "RMS slope of the fractal relief over a 1 m baseline, craters not counted.",
        unit="deg",
        ge=0,
        le=20,
        step=0.1,
    )
    hill_height_m: float = quantity(
        60.0, "Height of the hills on the horizon, 0 for a flat horizon.", unit="m", ge=0, le=400, step=5
    )
    far_radius_m: float = quantity(2000.0, "Distance the far relief reaches.", unit="m", ge=200, le=60000, step=50)


class CraterParams(Group):
    """Impact craters: a power-law size–frequency distribution in overlapping time order."""

    density: Interval = drawn(
        0.3, 0.8, "Crater density as a share of the lunar equilibrium distribution (Trask 1966); 0 for none.",
        ge=0, le=2, step=0.05, randomizer="craters", per="scene",
    )  # fmt: skip
    exponent: float = quantity(2.0, "Slope of the cumulative size–frequency distribution.", ge=1.0, le=4.0, step=0.05)
    diameter_min_m: float = quantity(0.4, "Smallest crater diameter.", unit="m", ge=0.1, le=10, step=0.05)
    diameter_max_m: float = quantity(14.0, "Largest crater diameter.", unit="m", ge=0.5, le=60, step=0.5)
    freshness: Interval = drawn(
        0.05, 1.0, "Freshness drawn per crater: 0 is degraded (depth/diameter 0.05), 1 is fresh (about 0.2).",
        ge=0, le=1, step=0.05, randomizer="craters", per="item",
    )  # fmt: skip

    @model_validator(mode="after")
    def _ordered(self) -> CraterParams:
        if self.diameter_min_m >= self.diameter_max_m:
            raise cross_field("diameter_min_m", self.diameter_min_m, f"below diameter_max_m, {self.diameter_max_m:g} m")
        return self


class ReliefParams(GrownGroup):
    """Micro-relief finer than the authored grid: procedural, seeded, tessellated near the camera."""

    enabled: bool = quantity(True, "Whether the ground has centimetre relief near the scene centre.")
    strength: Interval = drawn(
        1.0, 1.0, "Factor on the heights of the fractal micro-relief and of the clods.",
        ge=0, le=2, step=0.05, randomizer="ground", per="scene",
    )  # fmt: skip
    near_cell_m: float = quantity(
        0.015,
        "Cell of the finest ring, rounded to an even division of the terrain cell.",
        unit="m",
        ge=0.005,
        le=0.1,
        step=0.005,
    )
    near_radius_m: float = quantity(5.5, "Half-width of the finest ring.", unit="m", ge=1, le=15, step=0.5)
    mid_cell_m: float = quantity(0.03, "Cell of the middle ring.", unit="m", ge=0.01, le=0.2, step=0.005)
    mid_radius_m: float = quantity(11.0, "Half-width of the middle ring.", unit="m", ge=2, le=19, step=0.5)
    reach_m: float = quantity(
        0.0, "Distance to which the relief goes on beyond the middle ring, on edges of 0.4 % of it; 0 ends it there.",
        unit="m", ge=0, le=200, step=5, later=True,
    )  # fmt: skip
    wheel_tracks: float = quantity(
        0.0, "Tracks of rovers that cross the near ground, the mean of a Poisson number.", ge=0, le=20, step=0.5,
        later=True,
    )  # fmt: skip
    footprint_trails: float = quantity(
        0.0, "Trails of bootprints that cross the near ground, the mean of a Poisson number.", ge=0, le=20, step=0.5,
        later=True,
    )  # fmt: skip
    hurst: float = quantity(0.6, "Hurst exponent below the terrain cell.", ge=0.2, le=1.0, step=0.01)
    rms_height_m: float = quantity(
        0.006, "RMS height of the fractal part of the micro-relief.", unit="m", ge=0, le=0.05, step=0.001
    )
    pit_density: float = quantity(
        3.0, "Pits (2.5 cm craterlets and larger) per square metre.", unit="1/m²", ge=0, le=40, step=0.5
    )
    clod_height_m: float = quantity(0.012, "Height of regolith clods, 0 for none.", unit="m", ge=0, le=0.05, step=0.001)
    pebble_density: float = quantity(
        90.0, "Unlabelled clasts below the smallest rock per square metre.", unit="1/m²", ge=0, le=400, step=5
    )
    bump: float = quantity(
        0.5,
        "Strength of the shading relief below the mesh, locked to the pixel footprint.",
        ge=0,
        le=1.5,
        step=0.05,
    )


class RockParams(GrownGroup):
    """Labelled rocks: shapes, power-law sizes, burial and where they lie."""

    shape: Literal["blob", "basalt"] = quantity(
        "basalt", "Prototype family: low-poly blobs, or noise-displaced angular basalt."
    )
    shape_count: int = quantity(16, "Distinct prototype shapes.", ge=1, le=64)
    abundance: Interval = drawn(
        0.014, 0.023, "Share of the working area covered by labelled rocks, drawn per scene.",
        ge=0, le=0.3, step=0.0005, randomizer="rocks", per="scene",
    )  # fmt: skip
    exponent: Interval = drawn(
        1.6, 1.6, "Slope of the cumulative size–frequency distribution.",
        ge=0.5, le=4.0, step=0.05, randomizer="rocks", per="scene",
    )  # fmt: skip
    diameter_min_m: float = quantity(
        0.03, "Smallest labelled rock; clasts below it are ground.", unit="m", ge=0.01, le=1.0, step=0.01
    )
    diameter_max_m: float = quantity(4.0, "Largest rock.", unit="m", ge=0.1, le=10, step=0.1)
    burial: Interval = drawn(
        0.1, 0.6, "Share of a rock's height below the ground, drawn per rock.",
        ge=0, le=0.9, step=0.05, randomizer="rocks", per="item",
    )  # fmt: skip
    fillet: float = quantity(
        0.12,
        "Regolith banked against rocks: its mean height over the rock's own, where the ground has relief.",
        ge=0,
        le=0.4,
        step=0.01,
    )
    ejecta_share: float = quantity(
        0.35, "Share of rocks strewn around fresh craters instead of evenly.", ge=0, le=1, step=0.05
    )
    tracks: float = quantity(
        0.0, "Boulders that rolled down a slope and lie at the end of their track, the mean of a Poisson number.",
        ge=0, le=20, step=0.5, later=True,
    )  # fmt: skip
    subdivision: int = quantity(
        6,
        "Finest level of detail of basalt: 20 · 4ⁿ triangles, for boulders that fill the picture.",
        ge=3,
        le=7,
    )
    angularity: Interval = drawn(
        0.5, 0.5, "Sharpness of the edges, drawn per shape: 0 is soft and rounded, 1 a fresh angular block.",
        ge=0, le=1, step=0.05, randomizer="rocks", per="item",
    )  # fmt: skip
    slab_share: float = quantity(0.0, "Share of the shapes that are flat slabs.", ge=0, le=1, step=0.05)
    fractures: float = quantity(
        0.0, "Depth of joints and of the planes pieces broke off along, over the diameter.", ge=0, le=0.1, step=0.005
    )
    relief: float = quantity(
        0.0,
        "RMS height of knobs and fine relief over the diameter, down to the mesh; 0.01 is 3 cm on a 3 m boulder.",
        ge=0,
        le=0.03,
        step=0.001,
    )
    pits: int = quantity(0, "Small vesicles and zap pits per shape, beside the large ones.", ge=0, le=2000, step=10)
    clasts: float = quantity(
        0.0, "Share of a rock's surface that is inclusions, half bright and half dark.", ge=0, le=0.5, step=0.01
    )
    clast_contrast: float = quantity(
        1.6, "Albedo of bright inclusions over the rock's, and of the rock over that of dark ones.",
        ge=1, le=4, step=0.05,
    )  # fmt: skip
    dust: Interval = drawn(
        0.0, 0.0, "Regolith lying on a rock, drawn per rock: 0 is bare, 1 covers what faces up and its hollows.",
        ge=0, le=1, step=0.05, randomizer="rocks", per="item",
    )  # fmt: skip
    bump: float = quantity(
        1.0, "Factor on the strength of the shading relief of rocks below the mesh.", ge=0, le=8, step=0.1
    )
    maturity: Interval = drawn(
        1.0, 1.0,
        "Maturity drawn per rock: 1 is as bright as the albedo ratio says, 0 fresh and 1.25 times as bright, as "
        "Tycho's ejecta are beside the old highlands they lie on.",
        ge=0, le=1, step=0.05, randomizer="rocks", per="item", later=True,
    )  # fmt: skip
    far_radius_m: float = quantity(
        120.0,
        "Distance to which larger rocks (0.3 m and up) continue beyond the working area.",
        unit="m",
        ge=0,
        le=400,
        step=5,
    )

    @model_validator(mode="after")
    def _ordered(self) -> RockParams:
        if self.diameter_min_m >= self.diameter_max_m:
            raise cross_field("diameter_min_m", self.diameter_min_m, f"below diameter_max_m, {self.diameter_max_m:g} m")
        return self


class GroundParams(GrownGroup):
    """Photometry of regolith and rock, drawn per frame from one range in every split; and the place on the Moon."""

    photometry: Literal["lambert", "hapke"] = quantity("hapke", "Reflectance law of ground and rocks.")
    place: PlaceName = quantity(
        "none",
        "Ground whose published values of Hapke's law (Sato et al. 2014, 643 nm) take the place of the preset's, for "
        "each of domain.albedo and hapke_* that is not given.",
        later=True,
    )
    hapke_map: str = quantity(
        "", "Map of Hapke's parameters (LROC WAC, GeoTIFF) to read at the site instead of a place.", later=True
    )
    site: Site | None = quantity(
        None,
        "Place on the Moon the stage is of, at its centre, where maps and height models are read; there +X is east and "
        "+Y north.",
        later=True,
    )
    hapke_b: Interval = drawn(
        0.25, 0.25, "Width of the double Henyey–Greenstein lobes, b of Sato et al. (2014).",
        ge=LIMITS["b"][0], le=LIMITS["b"][1], step=0.01, randomizer="ground", appearance=True,
    )  # fmt: skip
    hapke_c: Interval = drawn(
        0.35, 0.35, "Balance of the lobes, c in [-1, 1], positive for backscatter.",
        ge=LIMITS["c"][0], le=LIMITS["c"][1], step=0.01, randomizer="ground", appearance=True,
    )  # fmt: skip
    hapke_b0: Interval = drawn(
        1.8, 1.8, "Amplitude of the shadow-hiding opposition surge.",
        ge=LIMITS["B_S0"][0], le=LIMITS["B_S0"][1], step=0.05, randomizer="ground", appearance=True,
    )  # fmt: skip
    hapke_h: Interval = drawn(
        0.07, 0.07, "Angular width of the opposition surge.",
        ge=LIMITS["h_S"][0], le=LIMITS["h_S"][1], step=0.005, randomizer="ground", appearance=True,
    )  # fmt: skip
    mottling: Interval = drawn(
        0.06, 0.06, "RMS of the albedo's relative variation over the ground.",
        ge=0, le=0.4, step=0.01, randomizer="ground", appearance=True,
    )  # fmt: skip
    dem: Path | None = quantity(
        None, "Height model (GeoTIFF, PDS3 label) the ground and its horizon are cut from, at the site.", later=True
    )
    dem_scale: float | None = quantity(
        None,
        "Metres per number of the height model, where the file does not say so or is wrong; 0.5 for LOLA's integers.",
        unit="m",
        ge=1e-4,
        le=1e4,
        later=True,
    )
    dem_sha256: str | None = quantity(
        None,
        "SHA-256 of what is read of the height model, which `generate` notes; left out, it is not checked.",
        later=True,
    )

    @field_validator("site", mode="wrap")
    @classmethod
    def _no_site(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Take a blank text for none."""
        return None if value in (None, "") else check(value)

    @field_validator("dem", mode="wrap")
    @classmethod
    def _path(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        """Take a text for a path, as files of parameters have it."""
        return Path(value) if isinstance(value, str) and value else check(value)

    @model_validator(mode="after")
    def _one_source(self) -> GroundParams:
        if self.hapke_map and self.site is None:
            raise cross_field("site", None, "a place on the Moon, LAT,LON in degrees, to read ground.hapke_map at")
        if self.hapke_map and self.place != "none":
            raise cross_field("place", self.place, "none beside ground.hapke_map")
        if self.dem is not None and self.site is None:
            raise cross_field("site", None, "LAT,LON of a place on the height model, ground.dem")
        return self
