"""The parameter models: stage, randomizers, camera, sensor, renderer, dataset.

Every field is declared once, here, by `quantity`: default, help, unit, limits and step. The command line, the
panels, parameter files, the dataset contract and the copy in a stage's `customLayerData` all come from it.
"""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from regolith.lunar.params.fields import Group, Interval, cross_field, quantity


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
    far_radius_m: float = quantity(2000.0, "Distance the far relief reaches.", unit="m", ge=200, le=5000, step=50)


class CraterParams(Group):
    """Impact craters: a power-law size–frequency distribution in overlapping time order."""

    density: Interval = quantity(
        Interval(0.3, 0.8),
        "Crater density as a share of the lunar equilibrium distribution (Trask 1966); 0 for none.",
        ge=0,
        le=2,
        step=0.05,
    )
    exponent: float = quantity(2.0, "Slope of the cumulative size–frequency distribution.", ge=1.0, le=4.0, step=0.05)
    diameter_min_m: float = quantity(0.4, "Smallest crater diameter.", unit="m", ge=0.1, le=10, step=0.05)
    diameter_max_m: float = quantity(14.0, "Largest crater diameter.", unit="m", ge=0.5, le=60, step=0.5)
    freshness: Interval = quantity(
        Interval(0.05, 1.0),
        "Freshness drawn per crater: 0 is degraded (depth/diameter 0.05), 1 is fresh (about 0.2).",
        ge=0,
        le=1,
        step=0.05,
    )

    @model_validator(mode="after")
    def _ordered(self) -> CraterParams:
        if self.diameter_min_m >= self.diameter_max_m:
            raise cross_field("diameter_min_m", self.diameter_min_m, f"below diameter_max_m, {self.diameter_max_m:g} m")
        return self


class ReliefParams(Group):
    """Micro-relief finer than the authored grid: procedural, seeded, tessellated near the camera."""

    enabled: bool = quantity(True, "Whether the ground has centimetre relief near the scene centre.")
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


class RockParams(Group):
    """Labelled rocks: shapes, power-law sizes, burial and where they lie."""

    shape: Literal["blob", "basalt"] = quantity(
        "basalt", "Prototype family: low-poly blobs, or noise-displaced angular basalt."
    )
    shape_count: int = quantity(16, "Distinct prototype shapes.", ge=1, le=64)
    abundance: Interval = quantity(
        Interval(0.014, 0.023),
        "Share of the working area covered by labelled rocks, drawn per scene.",
        ge=0,
        le=0.3,
        step=0.0005,
    )
    exponent: float = quantity(1.6, "Slope of the cumulative size–frequency distribution.", ge=0.5, le=4.0, step=0.05)
    diameter_min_m: float = quantity(
        0.03, "Smallest labelled rock; clasts below it are ground.", unit="m", ge=0.01, le=1.0, step=0.01
    )
    diameter_max_m: float = quantity(4.0, "Largest rock.", unit="m", ge=0.1, le=10, step=0.1)
    burial: Interval = quantity(
        Interval(0.1, 0.6),
        "Share of a rock's height below the ground, drawn per rock.",
        ge=0,
        le=0.9,
        step=0.05,
    )
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


class GroundParams(Group):
    """Photometry of regolith and rock."""

    photometry: Literal["lambert", "hapke"] = quantity("hapke", "Reflectance law of ground and rocks.")
    hapke_b: float = quantity(
        0.25, "Width of the double Henyey–Greenstein lobes, b of Sato et al. (2014).", ge=0, le=0.9, step=0.01
    )
    hapke_c: float = quantity(
        0.35, "Balance of the lobes, c in [-1, 1], positive for backscatter.", ge=-1, le=1, step=0.01
    )
    hapke_b0: float = quantity(1.8, "Amplitude of the shadow-hiding opposition surge.", ge=0, le=3, step=0.05)
    hapke_h: float = quantity(0.07, "Angular width of the opposition surge.", ge=0.001, le=0.5, step=0.005)
    mottling: float = quantity(0.06, "RMS of the albedo's relative variation over the ground.", ge=0, le=0.4, step=0.01)


class LightParams(Group):
    """The sun and the sky."""

    sun_angle_deg: float = quantity(0.53, "Angular diameter of the sun.", unit="deg", ge=0, le=5, step=0.01)
    irradiance: float = quantity(
        3.14159265, "Irradiance of a surface facing the sun; π makes a white Lambert surface read 1.",
        unit="relative", ge=0.01, le=1000, step=0.1,
    )  # fmt: skip
    stars: int = quantity(0, "Stars on the sky; the lunar day sky of a photograph has none.", ge=0, le=20000, step=100)


class CameraParams(Group):
    """The rover camera: what does not vary with the domain."""

    aperture_mm: float = quantity(20.955, "Horizontal aperture of the sensor.", unit="mm", ge=1, le=100, step=0.1)
    roam_m: float = quantity(
        4.0, "Radius about the scene centre inside which the mast stands.", unit="m", ge=0, le=20, step=0.5
    )
    clearance_m: float = quantity(
        0.25, "Smallest distance of the lens to any surface.", unit="m", ge=0.05, le=2, step=0.05
    )
    near_m: float = quantity(0.05, "Near clipping distance.", unit="m", ge=0.001, le=1, step=0.01)


class SensorParams(Group):
    """From scene radiance to pixel values."""

    exposure_key: float = quantity(
        0.32, "Linear pixel value of level Lambert ground at the frame's sun, before the frame's offsets.",
        ge=0.02, le=1, step=0.01,
    )  # fmt: skip
    sun_compensation_ev: float = quantity(
        0.8,
        "Stops the lens is opened towards the sun and closed away from it: Apollo magazines said f/11 for sunlit "
        "ground, f/5.6 for shaded sides.",
        unit="EV",
        ge=0,
        le=3,
        step=0.1,
    )
    full_well_e: float = quantity(
        12000.0,
        "Electrons at linear pixel value 1; sets the noise, 0 for a sensor without any.",
        unit="e-",
        ge=0,
        le=1e6,
        step=500,
    )
    read_noise_e: float = quantity(8.0, "RMS read noise.", unit="e-", ge=0, le=1000, step=1)
    encoding: Literal["srgb", "linear"] = quantity("srgb", "Transfer curve from linear values to 8 bits.")


class Domain(Group):
    """What is drawn per frame: the randomizers' ranges of one domain."""

    sun_elevation_deg: Interval = quantity(
        Interval(9, 26), "Sun above the horizon.", unit="deg", ge=0.5, le=90, step=0.5, appearance=True
    )
    sun_azimuth_deg: Interval = quantity(
        Interval(0, 360),
        "Sun azimuth, anticlockwise from +X.",
        unit="deg",
        ge=0,
        le=360,
        step=1,
        appearance=True,
    )
    albedo: Interval = quantity(
        Interval(0.09, 0.17), "Normal albedo of the ground.", ge=0.01, le=0.9, step=0.005, appearance=True
    )
    roughness: Interval = quantity(
        Interval(0.90, 0.99), "Roughness of the preview material, and of the shading relief.", ge=0, le=1, step=0.01,
        appearance=True,
    )  # fmt: skip
    rock_albedo_ratio: Interval = quantity(
        Interval(0.8, 1.5), "Rock albedo over ground albedo.", ge=0.1, le=5, step=0.05, appearance=True
    )
    exposure_ev: Interval = quantity(
        Interval(-0.7, 0.5), "Exposure offset of a frame.", unit="EV", ge=-5, le=5, step=0.1, appearance=True
    )
    height_m: Interval = quantity(
        Interval(1.6, 2.8), "Camera height above the local ground.", unit="m", ge=0.2, le=20, step=0.1
    )
    pitch_deg: Interval = quantity(
        Interval(-12, -3), "Camera pitch, negative looks down.", unit="deg", ge=-89, le=45, step=0.5
    )
    roll_deg: Interval = quantity(Interval(-2, 2), "Camera roll.", unit="deg", ge=-45, le=45, step=0.5)
    heading_deg: Interval = quantity(
        Interval(0, 360), "Camera heading, anticlockwise from +X.", unit="deg", ge=0, le=360, step=1
    )
    fov_deg: Interval = quantity(Interval(54, 70), "Horizontal field of view.", unit="deg", ge=5, le=140, step=1)


class RenderParams(Group):
    """The renderer's settings."""

    quality: Literal["draft", "default", "reference"] = quantity(
        "default",
        "draft: 4 samples, direct light; default: 8 samples and one bounce; reference: 256 and brute force.",
    )
    backend: Literal["auto", "llvm", "scalar", "cuda"] = quantity(
        "auto", "Back end of the embedded renderer; auto takes the fastest that works here."
    )


class DatasetParams(Group):
    """Layout of a generated split."""

    frames_per_scene: int = quantity(20, "Consecutive frames that share a scene.", ge=1, le=200)
    depth: bool = quantity(False, "Also write depth along the ray, float32 metres, as `.npy`.")
    instance: bool = quantity(False, "Also write rock instance ids as 16-bit PNG.")


class Params(Group):
    """All parameters of a scene generation and the datasets drawn from it."""

    preset: str = quantity("v3", "Name of the preset these parameters started from.")
    terrain: TerrainParams = TerrainParams()
    craters: CraterParams = CraterParams()
    relief: ReliefParams = ReliefParams()
    rocks: RockParams = RockParams()
    ground: GroundParams = GroundParams()
    light: LightParams = LightParams()
    camera: CameraParams = CameraParams()
    sensor: SensorParams = SensorParams()
    domain: Domain = Domain()
    test_domain: Domain = Domain(
        sun_elevation_deg=Interval(28, 46),
        albedo=Interval(0.175, 0.26),
        roughness=Interval(0.78, 0.89),
        height_m=Interval(2.85, 3.6),
        pitch_deg=Interval(-18, -12.5),
        fov_deg=Interval(70.5, 84),
    )
    render: RenderParams = RenderParams()
    dataset: DatasetParams = DatasetParams()
