"""What a script does with scenes and frames of a split, as `import regolith.lunar as rl` offers it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from regolith.lunar import randomize
from regolith.lunar.dataset.split_reader import SplitReader, open_split
from regolith.lunar.files import AnyPath
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError, Params
from regolith.lunar.stage import edit
from regolith.lunar.stage.author import build_scene as build
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import FrameSpec

if TYPE_CHECKING:
    from pxr import Usd

    from training.torch_split import TorchSplit


def build_scene(params: Params, *, split: str = "train_dr", seed: int = 0, frame: int = 0) -> Scene:
    """Build the scene that serves a frame of a split: terrain and rocks, everything that stays while frames change.

    Args:
        params: Parameters of the dataset.
        split: `train_dr`, `train_nodr`, `val` or `test_photoreal`.
        seed: Seed of the dataset.
        frame: Number of the frame inside the split; `dataset.frames_per_scene` frames in a row share a scene.

    Returns:
        The scene, Z up, metres, centred on the origin; the same arguments always give the same one.

    Raises:
        InputError: There is no such split, or the test domain overlaps the training domain.
    """
    number = randomize.scene_number(params, frame)
    return build(randomize.narrowed(params, split), randomize.draw_scene(params, seed, split, number))


def draw_frame(params: Params, scene: Scene, *, split: str = "train_dr", seed: int = 0, frame: int = 0) -> FrameSpec:
    """Draw everything random of a frame: sun, ground, sensor, and the camera on the scene's ground.

    `generate` draws the same values; where `randomize.rock_share` asks for a share of rock, it may draw another place
    and heading.

    Args:
        params: Parameters of the dataset.
        scene: The scene that serves the frame, of `build_scene` with the same arguments.
        split: `train_dr`, `train_nodr`, `val` or `test_photoreal`.
        seed: Seed of the dataset.
        frame: Number of the frame inside the split.

    Returns:
        The frame's values: `camera_x_m`, `camera_y_m`, `camera_z_m` of the lens in the world frame [m], and under
        `values` by the names of their parameters those that were drawn.

    Raises:
        InputError: There is no such split, or the camera finds no room between the rocks.
    """
    return randomize.draw_frame(params, seed, split, frame, scene)


def apply_frame(stage: Usd.Stage, spec: FrameSpec, *, params: Params, width: int = 256, height: int = 256) -> None:
    """Turn a stage into a frame: sets sun, ground, camera and sensor; nothing is built, so it costs milliseconds.

    Args:
        stage: Stage of the frame's scene, of `author_stage`, or what `Renderer.load` returned for it.
        spec: The frame, of `draw_frame`.
        params: Parameters of the dataset, for what does not vary: light, sensor, camera.
        width: Picture width [px].
        height: Picture height [px]; pixels are square.

    Raises:
        InputError: A stage of another layout, or a picture without pixels.
    """
    edit.apply_frame(stage, params, spec, width, height)


def open_torch_split(
    split: SplitReader | AnyPath, *, transform: Callable[[dict[str, Any]], Any] | None = None
) -> TorchSplit:
    """Open a split as a `torch.utils.data.Dataset`.

    Args:
        split: Folder of a split, or an opened one, of which only some frames may be left.
        transform: What is done to each item; left out, nothing.

    Returns:
        Items {image, mask, index}, and the other outputs where the split has them: `image` uint8 [3, H, W];
        `mask` int64 [H, W], classes and 255 for ignored pixels; `depth` float32 [H, W] along the ray [m], inf on sky;
        `instance` int64 [H, W], rock ids and 0; `normals` float32 [3, H, W] in the world frame; `right` uint8
        [3, H, W], the picture of the right camera; `disparity` float32 [H, W] of the rectified pair [px], 0 on sky;
        `shadow` int64 [H, W], 0 lit, 1 cast, 2 turned away; `crater` int64 [H, W], crater numbers and 0; `slope`
        float32 [H, W] [deg]; `hazard` int64 [H, W], bit 0 slope, bit 1 step; of these 255 or NaN on sky and rover.

    Raises:
        InputError: torch is not installed, or the folder is no split.
    """
    if importlib.util.find_spec("torch") is None:
        raise InputError("torch", None, f"PyTorch: {install_command('train')}")
    from training.torch_split import TorchSplit

    return TorchSplit(split if isinstance(split, SplitReader) else open_split(split), transform)
