"""Arms of the transfer study: what each network is trained on, rendered, or made of frames rendered for another.

`make_arm` draws or derives the split of an arm; what is there already stays as it is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageFilter

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import append_records
from regolith.lunar.dataset.split_reader import StoredFrame, open_split
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.params import Params, change_params, load_preset

WIDTH, HEIGHT = 320, 256
"""Size of the frames [px]."""
FRAMES, SCENE_FRAMES = 80, 10
"""Frames of an arm, and of them how many share a scene."""
SEED = 21
"""Of all renders that name no other."""
BLUR_PX = 3.0
"""Standard deviation of the blurred arm's blur [px]: half the width of the small rocks of a frame."""
SPLIT = "train_dr"

Derivation = Literal["blurred", "shuffled", "mixed"]


@dataclasses.dataclass(frozen=True)
class Arm:
    """One training set."""

    name: str
    what: str
    """What is in it, for a table."""
    preset: str = "v4"
    changes: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """Parameters that are not the preset's, as `change_params` takes them."""
    frames: int = FRAMES
    derived: Derivation | None = None
    sources: tuple[str, ...] = ()
    """Arms whose frames it is made of."""
    seed: int = SEED


ROUGH: dict[str, Any] = {
    "relief.strength": (0.3, 1.4),
    "relief.rms_height_m": 0.012,
    "relief.clod_height_m": 0.03,
    "relief.bump": 1.0,
    "rocks.abundance": (0.004, 0.08),
    "rocks.diameter_max_m": 0.8,
    "domain.sun_elevation_deg": (5.0, 45.0),
    "domain.rock_albedo_ratio": (0.8, 3.0),
    "domain.exposure_ev": (-2.0, 0.8),
    "domain.height_m": (0.8, 2.4),
    "domain.pitch_deg": (-45.0, -8.0),
    "domain.fov_deg": (30.0, 75.0),
}
"""The rough ground of the shipped model (models/README.md)."""
FLAT: dict[str, Any] = {
    "terrain.rms_slope_deg": 0.0,
    "terrain.hill_height_m": 0.0,
    "craters.density": (0.0, 0.0),
    "relief.enabled": False,
}

ARMS: tuple[Arm, ...] = (
    Arm("v1", "preset v1", "v1"),
    Arm("v2", "preset v2", "v2"),
    Arm("v3", "preset v3", "v3"),
    Arm("v4", "preset v4"),
    Arm("flat", "v4 rocks on a plane: no relief, craters, hills", changes=FLAT),
    Arm("albedo", "v4, ground 0.60–0.85 bright, rocks a tenth to a quarter of it",
        changes={"domain.albedo": (0.6, 0.85), "domain.rock_albedo_ratio": (0.1, 0.25)}),
    Arm("no-shadows", "v4 under a sun 84–90° high", changes={"domain.sun_elevation_deg": (84.0, 90.0)}),
    Arm("one-size", "v4, rocks of 0.25–0.28 m alone",
        changes={"rocks.diameter_min_m": 0.25, "rocks.diameter_max_m": 0.28, "relief.pebble_density": 0.0}),
    Arm("blurred", f"frames of v4, Gaussian blur of {BLUR_PX:g} px", derived="blurred", sources=("v4",)),
    Arm("shuffled", "frames of v4, each with the mask of another scene", derived="shuffled", sources=("v4",)),
    Arm("wide", "preset wide", "wide"),
    Arm("wide+v4", "half of each", derived="mixed", sources=("wide", "v4")),
    Arm("wide+v4+boulders", "a third of each", derived="mixed", sources=("wide", "v4", "boulders")),
    Arm("wide+v4+boulders+rough", "a quarter of each", derived="mixed", sources=("wide", "v4", "boulders", "rough")),
)  # fmt: skip
"""What is trained on: four generations, six that are broken on purpose, four mixtures."""
POOLS: tuple[Arm, ...] = (
    Arm("boulders", "preset boulders", "boulders", {"camera.clearance_m": 0.45}, frames=30),
    Arm("rough", "preset wide, rough and clumpy ground", "wide", ROUGH, frames=20),
)
"""Rendered for mixtures alone."""
BY_NAME = {arm.name: arm for arm in (*ARMS, *POOLS)}
GENERATIONS, BROKEN = ("v1", "v2", "v3", "v4"), ("flat", "albedo", "no-shadows", "one-size", "blurred", "shuffled")
INGREDIENTS = ("wide", "wide+v4", "wide+v4+boulders", "wide+v4+boulders+rough")


def folder_of(root: Path, name: str) -> Path:
    """Folder of an arm's split."""
    return root / "data" / name / SPLIT


def parameters(arm: Arm) -> Params:
    """Parameters an arm is drawn from."""
    return change_params(load_preset(arm.preset), {"dataset.frames_per_scene": SCENE_FRAMES, **dict(arm.changes)})


def make_arm(root: Path, arm: Arm, *, frames: int | None = None, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Path:
    """Draw or derive an arm's split, and first those it is made of; return its folder.

    Args:
        root: Folder of the study.
        arm: The arm.
        frames: Frames to draw instead of the arm's own.
        size: Width and height [px].
    """
    folder = folder_of(root, arm.name)
    count = frames or arm.frames
    if arm.derived is None:
        width, height = size
        generate(
            parameters(arm), folder.parent, split=SPLIT, frames=count, width=width, height=height, seed=arm.seed,
            executor="in-process",
        )  # fmt: skip
        return folder
    if folder.exists():
        return folder
    sources = [make_arm(root, BY_NAME[name], frames=frames, size=size) for name in arm.sources]
    write_derived(folder, derive([list(open_split(source)) for source in sources], arm.derived, count), SPLIT)
    return folder


Derived = tuple[np.ndarray, np.ndarray, dict[str, Any]]
"""Picture uint8 [H, W, 3], classes uint8 [H, W], and what they were drawn from."""


def derive(sources: list[list[StoredFrame]], how: Derivation, count: int) -> list[Derived]:
    """Make `count` frames of those of one or several splits.

    Blurred pictures keep their masks; shuffled ones get the mask of the frame a scene further on; a mixture takes equal
    shares, evenly spread over each split. Scenes of a mixture are numbered anew, so that they stay as many.
    """
    found: list[Derived] = []
    if how == "mixed":
        shares = [count // len(sources) + (k < count % len(sources)) for k in range(len(sources))]
        for k, (frames, share) in enumerate(zip(sources, shares, strict=True)):
            for number in np.linspace(0, len(frames) - 1, share).round().astype(int):
                frame = frames[number]
                found.append((frame.rgb, frame.mask, frame.spec | {"scene": 1000 * k + frame.spec["scene"]}))
        return found
    (frames,) = sources
    for number, frame in enumerate(frames[:count]):
        if how == "blurred":
            soft = Image.fromarray(frame.rgb).filter(ImageFilter.GaussianBlur(BLUR_PX))
            found.append((np.asarray(soft), frame.mask, frame.spec))
        else:
            found.append((frame.rgb, frames[(number + SCENE_FRAMES) % len(frames)].mask, frame.spec))
    return found


def write_derived(folder: Path, frames: list[Derived], split: str) -> None:
    """Write frames as a split that was imported, whole or not at all; they keep the scenes they are of."""
    height, width = frames[0][1].shape
    with new_folder(folder) as temporary:
        records = [
            write_frame(temporary, index, {"rgb": rgb, "mask": mask}, seed=0, spec=spec)
            for index, (rgb, mask, spec) in enumerate(frames)
        ]
        Contract.of_import(split=split, frames=len(frames), width=width, height=height).write(temporary)
        append_records(temporary, records)
