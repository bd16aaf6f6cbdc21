"""Parameters of a frame of a scene: light, camera, sensor, the domains frames are drawn from, and how."""

from __future__ import annotations

from typing import Literal

from regolith.lunar.params.cameras import CameraModel
from regolith.lunar.params.fields import Group, GrownGroup, Interval, drawn, quantity
from regolith.lunar.params.rover import CameraView
from regolith.lunar.params.utc import UtcSpan

REDRAWS_MAX = 256
"""Most times a frame may be drawn again."""

EARTH_RADIUS_KM, EARTH_DISTANCE_KM, EARTH_ALBEDO = 6371.0, 384400.0, 0.367
"""Mean radius of the Earth, semi-major axis of the Moon's orbit, visual geometric albedo of the Earth (NASA, Moon Fact
Sheet and Earth Fact Sheet; later editions have 0.434 for the albedo, after Mallama et al. 2017, Icarus 282, 19)."""

FULL_EARTHSHINE = EARTH_ALBEDO * (EARTH_RADIUS_KM / EARTH_DISTANCE_KM) ** 2
"""Irradiance on the Moon by a full Earth over that by the sun: a body of geometric albedo p and radius R, seen at zero
phase from a distance d, sheds p (R / d)² of the sunlight that falls on it."""


class LightParams(GrownGroup):
    """The sun and the sky; intervals are drawn per frame, from the same range in every split."""

    sun_angle_deg: Interval = drawn(
        0.53, 0.53, "Angular diameter of the sun.",
        unit="deg", ge=0, le=5, step=0.01, randomizer="light", appearance=True,
    )  # fmt: skip
    irradiance: Interval = drawn(
        3.14159265, 3.14159265,
        "Irradiance of a surface facing the sun; π makes a white Lambert surface read 1. The exposure is "
        "set for the centre of the range.",
        unit="relative", ge=0.01, le=1000, step=0.1, randomizer="light", appearance=True,
    )  # fmt: skip
    sun_temperature_k: Interval = drawn(
        5772.0, 5772.0, "Colour temperature of the sunlight; the camera is balanced for 5772 K, the sun's own.",
        unit="K", ge=2500, le=12000, step=50, randomizer="light", appearance=True,
    )  # fmt: skip
    stars: int = quantity(0, "Stars on the sky; the lunar day sky of a photograph has none.", ge=0, le=20000, step=100)
    earthshine: float = quantity(
        0.0,
        f"Irradiance of a surface facing the Earth over that of one facing the sun, 0 for no Earth; a full Earth gives "
        f"{FULL_EARTHSHINE:.2g}.",
        ge=0,
        le=1,
        step=1e-5,
        later=True,
    )
    earth_elevation_deg: float = quantity(
        45.0, "Earth above the horizon.", unit="deg", ge=-90, le=90, step=0.5, later=True
    )
    earth_azimuth_deg: float = quantity(
        90.0, "Earth azimuth, anticlockwise from +X.", unit="deg", ge=0, le=360, step=1, later=True
    )


class CameraParams(GrownGroup):
    """The rover camera: what does not vary with the domain."""

    aperture_mm: float = quantity(20.955, "Horizontal aperture of the sensor.", unit="mm", ge=1, le=100, step=0.1)
    roam_m: float = quantity(
        4.0, "Radius about the scene centre inside which the mast stands.", unit="m", ge=0, le=20, step=0.5
    )
    clearance_m: float = quantity(
        0.25, "Smallest distance of the lens to any surface.", unit="m", ge=0.05, le=2, step=0.05
    )
    near_m: float = quantity(0.05, "Near clipping distance.", unit="m", ge=0.001, le=1, step=0.01)
    model: CameraModel = quantity(
        "none",
        "Real camera whose published optics and sensor take the place of the preset's, for each of their parameters "
        "that is not given; a picture then has the camera's shape where no size is given.",
        later=True,
    )
    rig: Literal["mast", "viper"] = quantity(
        "mast",
        "What carries the camera: a mast nobody sees, or the rover, whose rig then says how high it stands, how it is "
        "turned and how wide it sees, in place of what the domain draws.",
    )
    view: CameraView = quantity("navcam_left", "Camera of the rover that looks, on a rover's rig.")
    baseline_m: float = quantity(
        0.0,
        "Distance to a second camera, to the right along the first one's +X and parallel to it; 0 for none, as on a "
        "rover's rig, which has pairs of its own.",
        unit="m",
        ge=0,
        le=5,
        step=0.01,
        later=True,
    )


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
    encoding: Literal["srgb", "linear"] = quantity("srgb", "Transfer curve from linear values to 8 bits.")
    gain_db: Interval = drawn(
        0.0, 0.0, "Analogue gain at held brightness: 6 dB halve the light collected, so that noise grows.",
        unit="dB", ge=0, le=36, step=0.5, randomizer="sensor", appearance=True,
    )  # fmt: skip
    read_noise_e: Interval = drawn(
        8.0, 8.0, "RMS read noise.",
        unit="e-", ge=0, le=1000, step=1, randomizer="sensor", appearance=True,
    )  # fmt: skip
    psf_px: Interval = drawn(
        0.0, 0.0, "Standard deviation of the point spread function, 0 for a perfect lens.",
        unit="px", ge=0, le=8, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    lens_k1: Interval = drawn(
        0.0, 0.0, "Radial distortion k1 of the OpenCV pinhole model; negative is barrel.",
        ge=-0.3, le=0.3, step=0.005, randomizer="sensor", appearance=True,
    )  # fmt: skip
    lens_k2: Interval = drawn(
        0.0, 0.0, "Radial distortion k2 of the OpenCV pinhole model.",
        ge=-0.15, le=0.15, step=0.005, randomizer="sensor", appearance=True,
    )  # fmt: skip
    vignetting: Interval = drawn(
        0.0, 0.0, "Light lost in the picture corners, over cos⁴ of the field angle as 1.",
        ge=0, le=2, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    flare: Interval = drawn(
        0.0, 0.0, "Veiling glare: share of the scene light scattered over the picture, more towards the sun.",
        ge=0, le=0.3, step=0.005, randomizer="sensor", appearance=True,
    )  # fmt: skip
    hot_pixels: Interval = drawn(
        0.0, 0.0, "Hot pixels per million.",
        unit="1/Mpx", ge=0, le=5000, step=10, randomizer="sensor", appearance=True,
    )  # fmt: skip
    film: Interval = drawn(
        0.0, 0.0, "Weight of a photographic film curve (toe and shoulder) against the straight response.",
        ge=0, le=1, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    gamma: Interval = drawn(
        1.0, 1.0, "Exponent on the encoded values; above 1 darkens the mid-tones.",
        ge=0.4, le=2.5, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    saturation: Interval = drawn(
        0.0, 0.0, "Colour left in the picture: 0 is grey, 1 as the scene is lit.",
        ge=0, le=1, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    reseau: Interval = drawn(
        0.0, 0.0, "Opacity of the 5 × 5 crosses of a Réseau plate, as on Apollo Hasselblads.",
        ge=0, le=1, step=0.05, randomizer="sensor", appearance=True,
    )  # fmt: skip
    jpeg_quality: Interval = drawn(
        100.0, 100.0, "JPEG quality the picture passes through, rounded; 100 for none.",
        ge=5, le=100, step=1, randomizer="sensor", appearance=True,
    )  # fmt: skip


class Domain(GrownGroup):
    """What is drawn per frame: the randomizers' ranges of one domain."""

    sun_elevation_deg: Interval = drawn(
        9.0, 26.0, "Sun above the horizon.",
        unit="deg", ge=0, le=90, step=0.5, randomizer="light", appearance=True,
    )  # fmt: skip
    sun_azimuth_deg: Interval = drawn(
        0.0, 360.0, "Sun azimuth, anticlockwise from +X.",
        unit="deg", ge=0, le=360, step=1, randomizer="light", appearance=True,
    )  # fmt: skip
    albedo: Interval = drawn(
        0.09, 0.17, "Normal albedo of the ground.",
        ge=0.01, le=0.9, step=0.005, randomizer="ground", appearance=True,
    )  # fmt: skip
    roughness: Interval = drawn(
        0.9, 0.99, "Roughness of the preview material, and of the shading relief.",
        ge=0, le=1, step=0.01, randomizer="ground", appearance=True,
    )  # fmt: skip
    rock_albedo_ratio: Interval = drawn(
        0.8, 1.5, "Rock albedo over ground albedo.",
        ge=0.1, le=5, step=0.05, randomizer="rocks", appearance=True,
    )  # fmt: skip
    exposure_ev: Interval = drawn(
        -0.7, 0.5, "Exposure offset of a frame.",
        unit="EV", ge=-5, le=5, step=0.1, randomizer="sensor", appearance=True,
    )  # fmt: skip
    height_m: Interval = drawn(
        1.6, 2.8, "Camera height above the local ground.",
        unit="m", ge=0.2, le=20, step=0.1, randomizer="camera",
    )  # fmt: skip
    pitch_deg: Interval = drawn(
        -12.0, -3.0, "Camera pitch, negative looks down.",
        unit="deg", ge=-89, le=45, step=0.5, randomizer="camera",
    )  # fmt: skip
    roll_deg: Interval = drawn(-2.0, 2.0, "Camera roll.", unit="deg", ge=-45, le=45, step=0.5, randomizer="camera")
    heading_deg: Interval = drawn(
        0.0, 360.0, "Camera heading, anticlockwise from +X.",
        unit="deg", ge=0, le=360, step=1, randomizer="camera",
    )  # fmt: skip
    fov_deg: Interval = drawn(
        54.0, 70.0, "Horizontal field of view.",
        unit="deg", ge=5, le=140, step=1, randomizer="camera",
    )  # fmt: skip
    time: UtcSpan | None = quantity(
        None,
        "Time the sun stands where it stood or will stand at ground.site, in place of elevation and azimuth; of a span "
        "each frame draws one.",
        randomizer="light",
        appearance=True,
        later=True,
    )


class RandomizeParams(Group):
    """How the intervals of the other groups are drawn."""

    light: bool = quantity(True, "Draw the sun: direction, angular size, irradiance, colour; off, centres.")
    ground: bool = quantity(True, "Draw albedo, roughness, photometry, mottling, micro-relief; off, centres.")
    rocks: bool = quantity(True, "Draw abundance, size exponent, burial and albedo ratio of rocks; off, centres.")
    craters: bool = quantity(True, "Draw density and freshness of craters; off, centres.")
    camera: bool = quantity(True, "Draw height, attitude and field of view; off, centres. Its place always varies.")
    sensor: bool = quantity(True, "Draw exposure, noise, lens and film; off, centres.")
    dynamics: bool = quantity(True, "Draw the rover's dynamics; off, centres.")
    strength: float = quantity(
        1.0, "Factor on the width of every interval about its centre; 0 randomizes nothing.", ge=0, le=1, step=0.05
    )
    sampling: Literal["independent", "sobol"] = quantity(
        "independent", "Draws of a split: independent of each other, or a scrambled Sobol sequence that covers evenly."
    )
    rock_share: Interval = quantity(
        Interval(0, 1),
        "Share of rock pixels a frame must have; others are redrawn from another place and heading.",
        ge=0,
        le=1,
        step=0.01,
    )
    redraws: int = quantity(
        16, "Most redraws of a frame for its rock share; after them the nearest is kept.", ge=0, le=REDRAWS_MAX
    )
