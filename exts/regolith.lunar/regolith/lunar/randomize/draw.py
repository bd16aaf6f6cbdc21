"""Draw scenes and frames: every value depends on (seed, split, number, name of the value) and the parameters alone.

`randomize.sampling` says how. *independent*: each value has a stream of its own, by its name, so that a new field
changes no other. *sobol*: frame i takes point i of a scrambled Sobol sequence whose axes are the `Interval`s drawn per
frame in the order of their fields (`frame_intervals`), those of a single value included, so that freezing a range
changes no other value; scene n takes point n of a sequence over the intervals drawn per scene. A new field is a new
axis: it changes the draws of every field, of this sampling only. Traverse k takes point k of a third sequence, over the
intervals drawn per traverse: frames and scenes do not depend on them.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, TypeVar, cast, get_args

from regolith.lunar.params import (
    Domain,
    Group,
    InputError,
    Interval,
    Params,
    RandomizeParams,
    UtcSpan,
    field_extra,
    intervals,
)
from regolith.lunar.randomize.sampling import sobol_point
from regolith.lunar.stage.ephemeris import sky_at, sun_range
from regolith.lunar.stage.rover_viper import rig_ranges
from regolith.lunar.stage.spec import FrameSpec, SceneSpec, Stance, rng

if TYPE_CHECKING:
    from regolith.lunar.stage.scene import Scene

P = ParamSpec("P")
R = TypeVar("R")

Split = Literal["train_dr", "train_nodr", "val", "test_photoreal"]
SPLITS: tuple[str, ...] = get_args(Split)
"""Training with and without domain randomization, selection, reporting."""

APART = ("sun_elevation_deg", "albedo", "roughness", "height_m", "pitch_deg", "fov_deg")
"""Ranges in which `test_photoreal` lies outside the training domain; azimuth, heading, roll, exposure are shared."""

AIM_PASSES = 4
"""Times a rover is put anew until its lens is where it is held, to a millimetre on ground of usual roughness."""

SCENE_VALUES = {
    "crater_density": ("craters", "density"),
    "relief_strength": ("relief", "strength"),
    "rock_abundance": ("rocks", "abundance"),
    "rock_exponent": ("rocks", "exponent"),
}
"""Value of `SceneSpec` to group and field of the `Interval` it is drawn from, in the order of the fields."""


def _kept(function: Callable[P, R]) -> Callable[P, R]:
    """Keep a function's latest results; its arguments are hashable, as parameter models are."""
    return cast("Callable[P, R]", functools.lru_cache(maxsize=64)(function))


@_kept
def narrowed(params: Params, split: str) -> Params:
    """Return the parameters with every range as a split draws from it.

    Ranges shrink about their centres by `randomize.strength`; those of a randomizer that is off, and in `train_nodr`
    all of the appearance, are their centres. A camera on a rover's rig has that rig's height, pitch, roll and field of
    view. A domain with a time has the sun of that time. The result asks for no further narrowing.

    Raises:
        InputError: There is no such split, the test domain overlaps the training domain, or the sun is below the
            horizon at a time a domain names (`stage.ephemeris.sun_range`).
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    if split == "test_photoreal":
        _check_apart(_under_the_sun(params))
    groups = {name: getattr(params, name) for name in Params.model_fields}
    update = {
        name: _narrow(group, params.randomize, split) for name, group in groups.items() if isinstance(group, Group)
    }
    if params.camera.rig != "mast":
        fixed = rig_ranges(params.camera.view)
        for name in ("domain", "test_domain"):
            update[name] = update[name].model_copy(update=fixed)
    return _under_the_sun(params.model_copy(update=update | {"randomize": _wide(params.randomize)}))


def _under_the_sun(params: Params) -> Params:
    """Parameters whose domains with a time have the ranges of elevation and azimuth the sun has then at the site."""
    site, update = params.ground.site, {}
    for name in ("domain", "test_domain"):
        domain = getattr(params, name)
        if domain.time is not None and site is not None:
            elevation, azimuth = sun_range(site, domain.time, f"{name}.time")
            sun = {"sun_elevation_deg": elevation, "sun_azimuth_deg": azimuth}
            update[name] = domain.model_copy(update=sun)
    return params.model_copy(update=update)


def _narrow(group: Group, randomize: RandomizeParams, split: str) -> Group:
    update: dict[str, Interval | UtcSpan] = {}
    for name, field in type(group).model_fields.items():
        extra = field_extra(field)
        if extra["randomizer"] and getattr(group, name) is not None:
            frozen = not getattr(randomize, extra["randomizer"]) or (split == "train_nodr" and extra["appearance"])
            update[name] = getattr(group, name).scaled(0.0 if frozen else randomize.strength)
    return group.model_copy(update=update)


def _wide(randomize: RandomizeParams) -> RandomizeParams:
    switches = {name: True for name, field in RandomizeParams.model_fields.items() if field.annotation is bool}
    return randomize.model_copy(update={**switches, "strength": 1.0})


def frame_intervals(params: Params, split: str) -> dict[str, Interval]:
    """Field name to the range a split draws it from, of every value drawn per frame.

    Raises:
        InputError: As `narrowed`.
    """
    return dict(_frame_intervals(params, split))


@_kept
def _frame_intervals(params: Params, split: str) -> Mapping[str, Interval]:
    narrow = narrowed(params, split)
    return MappingProxyType(intervals(narrow.model_copy(update={"domain": _domain(narrow, split)}), "frame"))


def _domain(params: Params, split: str) -> Domain:
    """The domain a split draws from."""
    return params.test_domain if split == "test_photoreal" else params.domain


def scene_intervals(params: Params, split: str) -> dict[str, Interval]:
    """Name in `SceneSpec` to the range a split draws it from, of every value drawn per scene.

    Raises:
        InputError: As `narrowed`.
    """
    narrow = narrowed(params, split)
    return {name: getattr(getattr(narrow, group), field) for name, (group, field) in SCENE_VALUES.items()}


def _check_apart(params: Params) -> None:
    """Refuse a test domain that shares a value with the training domain in any range that sets the two apart."""
    for name in APART:
        train, test = getattr(params.domain, name), getattr(params.test_domain, name)
        if train.overlaps(test):
            raise InputError(f"test_domain.{name}", str(test), f"no overlap with domain.{name}, {train}")


def scene_number(params: Params, index: int) -> int:
    """Return the number of the scene that serves frame `index`."""
    return index // params.dataset.frames_per_scene


def draw_scene(params: Params, seed: int, split: str, number: int) -> SceneSpec:
    """Draw scene `number` of a split; no other split and no other number shares its seed."""
    values = _draw(params, seed, split, "scene", number, scene_intervals(params, split))
    return SceneSpec(seed=int(rng(seed, split, "scene", number, "seed").integers(2**62)), **values)


def draw_values(params: Params, seed: int, split: str, index: int) -> dict[str, float]:
    """Draw the values of frame `index` of a split: field name to value, of every `Interval` drawn per frame.

    Those of the sun are of the time the frame is drawn for, where the domain has one.
    """
    ranges = _frame_intervals(params, split)
    values = _draw(params, seed, split, "frame", index, ranges)
    time, site = draw_time(params, seed, split, index), params.ground.site
    if time is not None and site is not None:
        sun = sky_at(site, time).sun
        for name, value in (("sun_elevation_deg", sun.elevation_deg), ("sun_azimuth_deg", sun.azimuth_deg)):
            values[name] = min(max(value, ranges[name].lo), ranges[name].hi)  # ranges of a span are sampled
    return values


def draw_time(params: Params, seed: int, split: str, index: int) -> datetime | None:
    """Draw the time of frame `index` of a split from the span of its domain (UTC); None where that has none."""
    span = _domain(narrowed(params, split), split).time
    if span is None:
        return None
    return span.start if span.start == span.end else span.at(float(rng(seed, split, "frame", index, "time").random()))


def _utc(params: Params, seed: int, split: str, index: int) -> str | None:
    time = draw_time(params, seed, split, index)
    return None if time is None else str(UtcSpan(time))


def traverse_intervals(params: Params, split: str) -> dict[str, Interval]:
    """Field name to the range a split draws it from, of every value drawn per traverse.

    Raises:
        InputError: As `narrowed`.
    """
    return intervals(narrowed(params, split), "traverse")


def draw_dynamics(params: Params, seed: int, split: str, number: int) -> dict[str, float]:
    """Draw the dynamics of traverse `number` of a split: field of `DynamicsParams` to value."""
    return _draw(params, seed, split, "traverse", number, traverse_intervals(params, split))


def _draw(
    params: Params,
    seed: int,
    split: str,
    kind: Literal["frame", "scene", "traverse"],
    number: int,
    ranges: Mapping[str, Interval],
) -> dict[str, float]:
    if params.randomize.sampling == "sobol":
        point = sobol_point(seed, split, kind, number, len(ranges)).tolist()
        return {name: interval.at(u) for (name, interval), u in zip(ranges.items(), point, strict=True)}
    values: dict[str, float] = {}
    for name, interval in ranges.items():
        single = interval.lo == interval.hi  # every draw gives the same: none is made
        values[name] = interval.at(0.0 if single else float(rng(seed, split, kind, number, name).random()))
    return values


def frame_seed(seed: int, split: str, index: int) -> int:
    """Seed of frame `index` of a split, for what is drawn while it is rendered; below 2^62."""
    return int(rng(seed, split, "frame", index, "seed").integers(2**62))


def outside(params: Params, split: str, spec: Mapping[str, Any]) -> list[tuple[str, float, Interval | None]]:
    """Compare the values of a journal's frame with what its split draws from.

    Args:
        params: Parameters of the dataset.
        split: Split of the frame.
        spec: The frame as `FrameSpec.to_dict` gives it, or its drawn values alone.

    Returns:
        (name, value, range) of every value outside its range, in the order of the fields; the value is NaN where it is
        missing or no number. Then those of a name no `Interval` drawn per frame has, with None for the range.

    Raises:
        InputError: As `narrowed`.
    """
    ranges = _frame_intervals(params, split)
    fixed = {field.name for field in dataclasses.fields(FrameSpec)}
    values = {name: _number(spec.get(name)) for name in [*ranges, *(key for key in spec if key not in fixed)]}
    checked = ((name, value, ranges.get(name)) for name, value in values.items())
    return [(name, value, wanted) for name, value, wanted in checked if wanted is None or not wanted.contains(value)]


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def draw_frame(params: Params, seed: int, split: str, index: int, scene: Scene, *, attempt: int = 0) -> FrameSpec:
    """Draw frame `index` of a split inside its scene.

    Args:
        params: Parameters.
        seed: Seed of the dataset.
        split: One of `SPLITS`.
        index: Number of the frame inside the split.
        scene: The built scene `scene_number(params, index)`, on whose ground the camera is placed.
        attempt: Number of the redraw; each has another place and heading, all other values stay.
    """
    from regolith.lunar.stage.camera import VIEW, seat_camera

    values = draw_values(params, seed, split, index)
    place = rng(seed, split, "frame", index, "camera", *([attempt] if attempt else []))
    if attempt:
        values["heading_deg"] = _frame_intervals(params, split)["heading_deg"].at(float(place.random()))
    view = {name: values[name] for name in VIEW}
    (x, y, z), rover = seat_camera(scene, rng=place, **view)
    return FrameSpec(
        split=split,
        index=index,
        scene=scene_number(params, index),
        seed=frame_seed(seed, split, index),
        camera_x_m=float(x),
        camera_y_m=float(y),
        camera_z_m=float(z),
        values=values,
        rover=rover,
        utc=_utc(params, seed, split, index),
    )


def lit_frame(params: Params, seed: int, split: str, number: int) -> FrameSpec:
    """Light, ground and sensor of frame `number` of a split, for a drive over scene `number`; no camera is placed."""
    values = draw_values(params, seed, split, number)
    return FrameSpec(
        split=split, index=number, scene=number, seed=frame_seed(seed, split, number), camera_x_m=0.0, camera_y_m=0.0,
        camera_z_m=0.0, values=values, utc=_utc(params, seed, split, number),
    )  # fmt: skip


def ride_frame(
    params: Params, seed: int, split: str, index: int, *, scene: int, stance: Stance, time_s: float
) -> FrameSpec:
    """Frame `index` of a split as a camera of a rover sees it that drives over scene `scene`.

    Light, ground and sensor stay through a drive (`lit_frame`). Noise is the frame's.

    Args:
        params: Parameters, with the camera on a rover's rig.
        seed: Seed of the dataset.
        split: One of `SPLITS`.
        index: Number of the frame inside the split.
        scene: Number of the scene inside the split.
        stance: How the rover stands.
        time_s: Time since it set out [s].
    """
    from regolith.lunar.stage.camera import mounted

    lit = dataclasses.replace(
        lit_frame(params, seed, split, scene), index=index, seed=frame_seed(seed, split, index), time_s=time_s
    )  # fmt: skip
    return mounted(lit, params.camera.view, stance)


def aim_frame(spec: FrameSpec, scene: Scene, held: Mapping[str, float]) -> FrameSpec:
    """Return a frame with values held over those drawn; with none held, the frame itself.

    The lens stays `height_m` above the ground below it wherever it is held.

    Args:
        spec: Frame as it was drawn.
        scene: Scene of the frame.
        held: Value by its name in `FrameSpec.values`, or `camera_x_m`, `camera_y_m` [m].

    Raises:
        InputError: There is no such value, or the camera cannot be there (`stage.camera.check_lens`).
    """
    import numpy as np

    from regolith.lunar.stage.camera import check_lens, check_right, lens_above

    known = {*spec.values, "camera_x_m", "camera_y_m"}
    for name, value in held.items():
        if name not in known:
            raise InputError(name, value, "a value that is drawn per frame, camera_x_m or camera_y_m")
    if not held:
        return spec
    values = {name: held.get(name, value) for name, value in spec.values.items()}
    x, y = (held.get(name, spec[name]) for name in ("camera_x_m", "camera_y_m"))
    moved = (x, y, values["height_m"]) != (spec.camera_x_m, spec.camera_y_m, spec["height_m"])
    lit = not {"sun_elevation_deg", "sun_azimuth_deg"} & held.keys()
    spec = dataclasses.replace(spec, values=values, utc=spec.utc if lit else None)
    if spec.carrier is not None:
        spec = _aim_rover(spec, scene, x, y, turned="heading_deg" in held)
    elif moved:
        check_lens(scene, np.array([x, y, np.inf]))  # beyond the working area there may be no ground to stand on
        lens = lens_above(scene, x, y, values["height_m"])
        check_lens(scene, lens)
        x, y, z = (float(part) for part in lens)
        spec = dataclasses.replace(spec, camera_x_m=x, camera_y_m=y, camera_z_m=z)
    check_right(scene, spec)
    return spec


def _aim_rover(spec: FrameSpec, scene: Scene, x: float, y: float, *, turned: bool) -> FrameSpec:
    """Put the rover of a frame where its camera is held, or turn it there; the rig keeps the lens at its height.

    Raises:
        InputError: The lens or the rover cannot be there, or another height is held.
    """
    import numpy as np

    from regolith.lunar.stage.camera import check_lens, mount_camera
    from regolith.lunar.stage.rover_stance import check_stance

    height = rig_ranges(scene.params.camera.view)["height_m"]
    if not height.contains(spec["height_m"]):
        raise InputError("height_m", spec["height_m"], f"{height.lo:g} m, where the rover's rig has this camera")
    if (x, y) == (spec.camera_x_m, spec.camera_y_m) and not turned:
        return spec
    check_lens(scene, np.array([x, y, np.inf]))
    lens, stance = mount_camera(scene, x, y, spec["heading_deg"], passes=AIM_PASSES)
    check_lens(scene, lens)
    check_stance(scene.terrain, scene.rocks, stance)
    x, y, z = (float(part) for part in lens)
    return dataclasses.replace(spec, camera_x_m=x, camera_y_m=y, camera_z_m=z, rover=stance)
