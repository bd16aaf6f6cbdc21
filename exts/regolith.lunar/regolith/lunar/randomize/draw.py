"""Draw scenes and frames: every value depends on (seed, split, number, name of the value) and the parameters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from regolith.lunar.params import Group, InputError, Interval, Params, RandomizeParams, field_extra, intervals
from regolith.lunar.stage.spec import FrameSpec, SceneSpec, rng

if TYPE_CHECKING:
    from regolith.lunar.stage.author import Scene

Split = Literal["train_dr", "train_nodr", "val", "test_photoreal"]
SPLITS: tuple[str, ...] = get_args(Split)
"""Training with and without domain randomization, selection, reporting."""

APART = ("sun_elevation_deg", "albedo", "roughness", "height_m", "pitch_deg", "fov_deg")
"""Ranges in which `test_photoreal` lies outside the training domain; azimuth, heading, roll, exposure are shared."""


def narrowed(params: Params, split: str) -> Params:
    """Return the parameters with every range as a split draws from it.

    Ranges shrink about their centres by `randomize.strength`; those of a randomizer that is off, and in `train_nodr`
    all of the appearance, are their centres. The result asks for no further narrowing.

    Raises:
        InputError: There is no such split, or the test domain overlaps the training domain.
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    if split == "test_photoreal":
        _check_apart(params)
    groups = {name: getattr(params, name) for name in Params.model_fields}
    update = {
        name: _narrow(group, params.randomize, split) for name, group in groups.items() if isinstance(group, Group)
    }
    return params.model_copy(update=update | {"randomize": _wide(params.randomize)})


def _narrow(group: Group, randomize: RandomizeParams, split: str) -> Group:
    update: dict[str, Interval] = {}
    for name, field in type(group).model_fields.items():
        extra = field_extra(field)
        if extra["randomizer"]:
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
    narrow = narrowed(params, split)
    domain = narrow.test_domain if split == "test_photoreal" else narrow.domain
    return intervals(narrow.model_copy(update={"domain": domain}), "frame")


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
    narrow = narrowed(params, split)

    def draw(name: str, interval: Interval) -> float:
        return interval.at(float(rng(seed, split, "scene", number, name).random()))

    return SceneSpec(
        seed=int(rng(seed, split, "scene", number, "seed").integers(2**62)),
        crater_density=draw("crater_density", narrow.craters.density),
        rock_abundance=draw("rock_abundance", narrow.rocks.abundance),
        rock_exponent=draw("rock_exponent", narrow.rocks.exponent),
        relief_strength=draw("relief_strength", narrow.relief.strength),
    )


def draw_values(params: Params, seed: int, split: str, index: int) -> dict[str, float]:
    """Draw the values of frame `index` of a split: field name to value, of every `Interval` drawn per frame."""
    return {
        name: interval.at(float(rng(seed, split, "frame", index, name).random()))
        for name, interval in frame_intervals(params, split).items()
    }


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
    from regolith.lunar.stage.camera import place_camera

    values = draw_values(params, seed, split, index)
    place = rng(seed, split, "frame", index, "camera", *([attempt] if attempt else []))
    if attempt:
        values["heading_deg"] = frame_intervals(params, split)["heading_deg"].at(float(place.random()))
    view = {name: values[name] for name in ("height_m", "pitch_deg", "heading_deg", "fov_deg")}
    x, y, z = place_camera(scene, rng=place, **view)
    return FrameSpec(
        split=split,
        index=index,
        scene=scene_number(params, index),
        seed=int(rng(seed, split, "frame", index, "seed").integers(2**62)),
        camera_x_m=float(x),
        camera_y_m=float(y),
        camera_z_m=float(z),
        values=values,
    )
