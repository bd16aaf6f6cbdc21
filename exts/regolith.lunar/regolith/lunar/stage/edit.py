"""Edits of an authored stage that turn it into one frame: sun, ground, camera, sensor. Plain attribute sets."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from pxr import Gf, Usd

from regolith.lunar.params.capture import EARTH_DISTANCE_KM, EARTH_RADIUS_KM
from regolith.lunar.params.errors import InputError
from regolith.lunar.params.io import dump_params
from regolith.lunar.params.models import Params
from regolith.lunar.stage import schema
from regolith.lunar.stage.colour import SUN_TEMPERATURE_K, light_colour
from regolith.lunar.stage.lens import check_view
from regolith.lunar.stage.pose import camera_matrix
from regolith.lunar.stage.rover_stance import move_rover
from regolith.lunar.stage.spec import FrameSpec, Stance, rng
from regolith.lunar.stage.stereo import baseline_m
from regolith.lunar.stage.truth import asks_ground, set_footprint

TINT = (1.028, 1.0, 0.916)
"""Colour of lunar soil over its luminance (Rec. 709 weights): reflectance rises gently towards red, as in the
full-disc spectra of Kieffer & Stone (2005) between 450 and 650 nm; scaled so that luminance is kept."""

FAR_CLIP_M = 1.0e5
"""Far clipping distance [m]."""

EARTH_ANGLE_DEG = 2.0 * math.degrees(math.asin(EARTH_RADIUS_KM / EARTH_DISTANCE_KM))
"""Angular diameter of the Earth from the Moon [deg]."""


def set_sun(
    stage: Usd.Stage,
    elevation_deg: float,
    azimuth_deg: float,
    *,
    angle_deg: float,
    irradiance: float,
    temperature_k: float = SUN_TEMPERATURE_K,
) -> None:
    """Point the sun.

    Args:
        stage: Stage of the `stage.schema` layout.
        elevation_deg: Sun above the horizon [deg].
        azimuth_deg: Direction to the sun, anticlockwise from +X [deg].
        angle_deg: Angular diameter [deg].
        irradiance: Irradiance of a surface facing the sun.
        temperature_k: Colour temperature of its light [K]; the camera is balanced for the sun's own.
    """
    _set_light(stage, schema.SUN, elevation_deg, azimuth_deg, angle_deg, irradiance, light_colour(temperature_k))


def set_earth(stage: Usd.Stage, elevation_deg: float, azimuth_deg: float, *, irradiance: float) -> None:
    """Point the Earth, as a light of the sun's colour.

    Args:
        stage: Stage of the `stage.schema` layout, with an Earth.
        elevation_deg: Earth above the horizon [deg].
        azimuth_deg: Direction to the Earth, anticlockwise from +X [deg].
        irradiance: Irradiance of a surface facing the Earth.

    Raises:
        InputError: The stage has no Earth.
    """
    _set_light(stage, schema.EARTH, elevation_deg, azimuth_deg, EARTH_ANGLE_DEG, irradiance, (1.0, 1.0, 1.0))


def _set_light(
    stage: Usd.Stage,
    path: str,
    elevation_deg: float,
    azimuth_deg: float,
    angle_deg: float,
    irradiance: float,
    colour: tuple[float, float, float],
) -> None:
    _set(stage, path, "xformOp:rotateXYZ", Gf.Vec3f(0.0, 90.0 - elevation_deg, azimuth_deg))
    _set(stage, path, "inputs:angle", angle_deg)
    _set(stage, path, "inputs:intensity", irradiance)
    _set(stage, path, "inputs:color", Gf.Vec3f(*colour))


def set_ground(
    stage: Usd.Stage,
    albedo: float,
    roughness: float,
    rock_albedo_ratio: float,
    *,
    bump: float | None = None,
    photometry: Mapping[str, float] | None = None,
) -> None:
    """Colour ground and rocks.

    Args:
        stage: Stage of the `stage.schema` layout.
        albedo: Normal albedo of the ground.
        roughness: Roughness of the preview material.
        rock_albedo_ratio: Rock albedo over ground albedo; the product is held below 0.95.
        bump: Strength of the ground's shading relief; None leaves it.
        photometry: Values of ground and rock by the names of `schema.PHOTOMETRY_VALUES`.
    """
    rock = min(albedo * rock_albedo_ratio, 0.95)
    looks = [(schema.LOOK_GROUND, albedo), (schema.LOOK_ROCK, rock)]
    for look in (schema.LOOK_BRIGHT, schema.LOOK_DARK, *schema.LOOKS_FRESH):
        if ratio := stage.GetAttributeAtPath(f"{look}.{schema.CLAST_RATIO}"):
            looks.append((look, min(rock * ratio.Get(), 0.95)))
    for look, value in looks:
        _set(stage, f"{look}/Surface", "inputs:diffuseColor", Gf.Vec3f(*(min(value * t, 1.0) for t in TINT)))
        _set(stage, f"{look}/Surface", "inputs:roughness", roughness)
        _set(stage, look, f"{schema.PHOTOMETRY}albedo", value)
        for field, number in (photometry or {}).items():
            _set(stage, look, schema.PHOTOMETRY + schema.PHOTOMETRY_VALUES[field].name, number)
    if bump is not None:
        _set(stage, schema.LOOK_GROUND, f"{schema.PHOTOMETRY}bump", bump)


def set_camera(
    stage: Usd.Stage,
    position: tuple[float, float, float],
    heading_deg: float,
    pitch_deg: float,
    roll_deg: float,
    fov_deg: float,
    *,
    exposure_ev: float,
    width: int,
    height: int,
    aperture_mm: float,
    near_m: float = 0.05,
    stance: Stance | None = None,
) -> None:
    """Place the camera and set its intrinsics, and those of the right one where there is one; pixels are square.

    Args:
        stage: Stage of the `stage.schema` layout.
        position: Lens in the world frame [m].
        heading_deg: Optical axis in the XY plane, anticlockwise from +X [deg].
        pitch_deg: Optical axis above the horizon [deg].
        roll_deg: Clockwise roll seen from behind the camera [deg].
        fov_deg: Horizontal field of view [deg].
        exposure_ev: Exposure [EV]: linear pixel value = 2^exposure · radiance.
        width: Picture width [px].
        height: Picture height [px].
        aperture_mm: Horizontal aperture [mm].
        near_m: Near clipping distance [m].
        stance: Rover that carries the camera, whose tilt comes on top of the angles; None for a level mast.

    Raises:
        InputError: The field of view is not an open angle below 180°, or the picture has no pixels.
    """
    check_view(fov_deg, width, height)
    matrix = camera_matrix(position, heading_deg, pitch_deg, roll_deg, stance=stance)
    _set(stage, schema.CAMERA, "xformOp:transform", Gf.Matrix4d(*matrix.ravel().tolist()))
    for camera in _cameras(stage):
        _set(stage, camera, "focalLength", 0.5 * aperture_mm / math.tan(math.radians(0.5 * fov_deg)))
        _set(stage, camera, "horizontalAperture", aperture_mm)
        _set(stage, camera, "verticalAperture", aperture_mm * height / width)
        _set(stage, camera, "clippingRange", Gf.Vec2f(near_m, FAR_CLIP_M))
        _set(stage, camera, "exposure", exposure_ev)
        _set(stage, camera, f"{schema.SENSOR}resolution", Gf.Vec2i(width, height))


def set_baseline(stage: Usd.Stage, baseline: float) -> None:
    """Place the right camera beside the left one.

    Args:
        stage: Stage of the `stage.schema` layout, with a right camera.
        baseline: Distance of the two along the left one's +X [m].

    Raises:
        InputError: The stage has no right camera.
    """
    _set(stage, schema.CAMERA_RIGHT, "xformOp:translate", Gf.Vec3d(baseline, 0.0, 0.0))


def set_sensor(
    stage: Usd.Stage, *, full_well_e: float, encoding: str, noise_seed: int, values: Mapping[str, float]
) -> None:
    """Set the sensor, and that of the right camera where there is one: the same, with noise of its own.

    Args:
        stage: Stage of the `stage.schema` layout.
        full_well_e: Electrons at linear pixel value 1; 0 for no shot noise.
        encoding: `srgb` or `linear`.
        noise_seed: Seed of the frame's noise, from which that of the right picture follows; its 63 low bits count.
        values: Values of lens, noise and film by the names of `schema.SENSOR_VALUES`.
    """
    for camera in _cameras(stage):
        seed = noise_seed if camera == schema.CAMERA else int(rng(noise_seed, "right").integers(2**62))
        _set(stage, camera, f"{schema.SENSOR}fullWell", full_well_e)
        _set(stage, camera, f"{schema.SENSOR}encoding", encoding)
        _set(stage, camera, f"{schema.SENSOR}noiseSeed", seed & 0x7FFF_FFFF_FFFF_FFFF)
        for field, value in values.items():
            _set(stage, camera, schema.SENSOR + schema.SENSOR_VALUES[field][0], value)


def exposure_for(key: float, albedo: float, irradiance: float, elevation_deg: float) -> float:
    """Exposure [EV] that puts level ground of a Lambert albedo at linear pixel value `key`.

    Its radiance is albedo / π · irradiance · sin(elevation), and pixel = 2^exposure · radiance.
    """
    radiance = albedo / math.pi * irradiance * math.sin(math.radians(max(elevation_deg, 0.1)))
    return math.log2(key / radiance)


def apply_frame(stage: Usd.Stage, params: Params, frame: FrameSpec, width: int, height: int) -> None:
    """Turn the stage into one frame.

    Args:
        stage: Stage of the frame's scene.
        params: What does not vary per frame: light, sensor, camera.
        frame: What does.
        width: Picture width [px].
        height: Picture height [px].
    """
    light, sensor = params.light, params.sensor
    set_sun(
        stage,
        frame["sun_elevation_deg"],
        frame["sun_azimuth_deg"],
        angle_deg=frame["sun_angle_deg"],
        irradiance=frame["irradiance"],
        temperature_k=frame["sun_temperature_k"],
    )
    if light.earthshine > 0.0:
        irradiance = light.earthshine * frame["irradiance"]
        set_earth(stage, light.earth_elevation_deg, light.earth_azimuth_deg, irradiance=irradiance)
    set_ground(
        stage,
        frame["albedo"],
        frame["roughness"],
        frame["rock_albedo_ratio"],
        bump=ground_bump(params, frame["roughness"]),
        photometry={field: frame[field] for field in schema.PHOTOMETRY_VALUES},
    )
    facing_sun = math.cos(math.radians(frame["heading_deg"] - frame["sun_azimuth_deg"]))
    exposure = exposure_for(sensor.exposure_key, frame["albedo"], light.irradiance.center, frame["sun_elevation_deg"])
    exposure += sensor.sun_compensation_ev * facing_sun
    set_camera(
        stage,
        (frame.camera_x_m, frame.camera_y_m, frame.camera_z_m),
        frame["heading_deg"],
        frame["pitch_deg"],
        frame["roll_deg"],
        frame["fov_deg"],
        exposure_ev=exposure + frame["exposure_ev"],
        width=width,
        height=height,
        aperture_mm=params.camera.aperture_mm,
        near_m=params.camera.near_m,
        stance=frame.carrier,
    )
    if frame.rover is not None:
        move_rover(stage, frame.rover)
    if (baseline := baseline_m(params)) > 0.0:
        set_baseline(stage, baseline)
    if asks_ground(params):
        set_footprint(stage, params)
    set_sensor(
        stage,
        full_well_e=sensor.full_well_e,
        encoding=sensor.encoding,
        noise_seed=frame.seed,
        values={field: frame[field] for field in schema.SENSOR_VALUES},
    )
    note_frame(stage, params, frame)


def note_frame(stage: Usd.Stage, params: Params, frame: FrameSpec) -> None:
    """Say on a stage what it shows now (`schema.SHOWN`).

    Args:
        stage: Stage of the `stage.schema` layout.
        params: Parameters the frame was applied with.
        frame: The frame.
    """
    world = stage.GetPrimAtPath(schema.WORLD)
    shown = {
        "preset": params.preset,
        "parameters": dump_params(params),
        "frame": json.dumps(frame.to_dict(), sort_keys=True, separators=(",", ":")),
    }
    if world.GetCustomDataByKey(schema.SHOWN) != shown:
        world.SetCustomDataByKey(schema.SHOWN, shown)


def ground_bump(params: Params, roughness: float) -> float:
    """Strength of the ground's shading relief at a roughness; 0 where the ground is meant smooth."""
    return params.relief.bump * roughness if params.relief.enabled else 0.0


def _cameras(stage: Usd.Stage) -> tuple[str, ...]:
    """Paths of the cameras: the left one, and the right one where there is one."""
    return (schema.CAMERA, *((schema.CAMERA_RIGHT,) if stage.GetPrimAtPath(schema.CAMERA_RIGHT) else ()))


def _set(stage: Usd.Stage, path: str, name: str, value: Any) -> None:
    attribute = stage.GetAttributeAtPath(f"{path}.{name}")
    if not attribute:
        raise InputError(f"{path}.{name}", "nothing", "a stage written by regolith author")
    attribute.Set(value)
