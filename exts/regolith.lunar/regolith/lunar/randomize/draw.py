"""Draw scenes and frames: every value depends on (seed, split, number, name of the value) and the parameters alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

from regolith.lunar.params import Domain, InputError, Interval, Params, field_extra
from regolith.lunar.stage.spec import FrameSpec, SceneSpec, rng

if TYPE_CHECKING:
    from regolith.lunar.stage.author import Scene

Split = Literal["train_dr", "train_nodr", "val", "test_photoreal"]
SPLITS: tuple[str, ...] = get_args(Split)
"""Training with and without domain randomization, selection, reporting."""

APART = ("sun_elevation_deg", "albedo", "roughness", "height_m", "pitch_deg", "fov_deg")
"""Ranges in which `test_photoreal` lies outside the training domain; azimuth, heading, roll, exposure are shared."""


def split_domain(params: Params, split: str) -> Domain:
    """Return the ranges a split draws its frames from; `train_nodr` has its appearance frozen at the centres.

    Raises:
        InputError: There is no such split, or the test domain overlaps the training domain.
    """
    if split not in SPLITS:
        raise InputError("split", split, ", ".join(SPLITS))
    if split == "test_photoreal":
        _check_apart(params)
        return params.test_domain
    if split != "train_nodr":
        return params.domain
    frozen = {
        name: Interval(getattr(params.domain, name).center)
        for name, field in Domain.model_fields.items()
        if field_extra(field)["appearance"]
    }
    return params.domain.model_copy(update=frozen)


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

    def u(name: str) -> float:
        return float(rng(seed, split, "scene", number, name).random())

    return SceneSpec(
        seed=int(rng(seed, split, "scene", number, "seed").integers(2**62)),
        crater_density=params.craters.density.at(u("crater_density")),
        rock_abundance=params.rocks.abundance.at(u("rock_abundance")),
    )


def draw_frame(params: Params, seed: int, split: str, index: int, scene: Scene) -> FrameSpec:
    """Draw frame `index` of a split inside its scene.

    Args:
        params: Parameters.
        seed: Seed of the dataset.
        split: One of `SPLITS`.
        index: Number of the frame inside the split.
        scene: The built scene `scene_number(params, index)`, on whose ground the camera is placed.
    """
    from regolith.lunar.stage.camera import place_camera

    domain = split_domain(params, split)
    values = {
        name: getattr(domain, name).at(float(rng(seed, split, "frame", index, name).random()))
        for name in Domain.model_fields
    }
    x, y, z = place_camera(
        scene,
        rng=rng(seed, split, "frame", index, "camera"),
        height_m=values["height_m"],
        pitch_deg=values["pitch_deg"],
        heading_deg=values["heading_deg"],
        fov_deg=values["fov_deg"],
    )
    return FrameSpec(
        split=split,
        index=index,
        scene=scene_number(params, index),
        seed=int(rng(seed, split, "frame", index, "seed").integers(2**62)),
        camera_x_m=float(x),
        camera_y_m=float(y),
        camera_z_m=float(z),
        **values,
    )
