"""The outputs of a frame: one table from which their files, encoding, decoding and checks follow.

Another output is a row of `OUTPUTS`, its switch in `params.DatasetParams`, and in each renderer the function that draws
it. Each output has a folder of its own name.
"""

from __future__ import annotations

import dataclasses
import io
import struct
from collections.abc import Callable
from typing import Literal

import numpy as np
from PIL import Image

from regolith.lunar.labels import IGNORE, ROCK, SKY
from regolith.lunar.params import Params

PNG_LEVEL = 2
"""zlib level of the PNG files, by `benchmarks/bench_generate.py --rows speed png`: higher ones take longer for little,
and with the zlib-ng of current Pillow level 4 is larger as well."""

NORMAL_TOLERANCE = 0.002
"""Largest error of a normal's length: three float16 components of rounding error 2^-12 each, with a margin of 5."""


@dataclasses.dataclass(frozen=True)
class PixelCheck:
    """How an output must agree with the mask, pixel by pixel."""

    name: str
    """Name of the check in what `regolith verify` says."""
    holds: str
    """What holds where it finds nothing."""
    disagree: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """Marks the pixels that disagree: (output [H, W] or [H, W, 3], mask uint8 [H, W]) to bool [H, W]."""


@dataclasses.dataclass(frozen=True)
class Output:
    """One output of a frame."""

    name: str
    """Also that of its folder, and of its switch in `DatasetParams` where it is not always written."""
    dtype: np.dtype
    """Type on disk."""
    mode: str | None = None
    """Pillow's mode of a PNG file; None for a `.npy` file."""
    channels: int | None = None
    """Length of the last axis; None for arrays of shape [H, W]."""
    check: PixelCheck | None = None

    @property
    def ending(self) -> Literal["png", "npy"]:
        """Ending of its files."""
        return "npy" if self.mode is None else "png"

    def shape(self, width: int, height: int) -> tuple[int, ...]:
        """Shape of the array of a picture of that size [px]."""
        return (height, width) if self.channels is None else (height, width, self.channels)

    def file_name(self, index: int) -> str:
        """Path of frame `index`'s file, relative to the split: `rgb/rgb_00000.png`."""
        return f"{self.name}/{self.name}_{index:05d}.{self.ending}"

    def encode(self, array: np.ndarray, *, level: int = PNG_LEVEL) -> bytes:
        """Encode an array as the bytes of its file.

        Args:
            array: Of `shape` and, for a PNG file, `dtype`; any float for the rest.
            level: zlib level of a PNG file.
        """
        buffer = io.BytesIO()
        if self.mode is None:
            np.save(buffer, array.astype(self.dtype))
        else:
            Image.fromarray(array).save(buffer, "PNG", compress_level=level)
        return buffer.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """Decode the bytes of a file to the array it was written from.

        Raises:
            ValueError: It cannot be decoded, or its pixels are of another type; says which.
        """
        try:
            if self.mode is None:
                array = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
                kind, wanted = array.dtype.name, self.dtype.name
            else:
                image = Image.open(io.BytesIO(data), formats=["PNG"])
                array, kind, wanted = np.asarray(image), image.mode, self.mode
        except (OSError, ValueError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError) as error:
            raise ValueError(f"cannot be decoded ({' '.join(str(error).split())})") from None
        if kind != wanted:
            raise ValueError(f"pixels of type {kind}, should be {wanted}")
        return array


def _depth_pixels(depth: np.ndarray, mask: np.ndarray) -> np.ndarray:
    sky = mask == SKY
    return np.where(sky, ~np.isposinf(depth), ~(np.isfinite(depth) & (depth > 0)))


def _normal_pixels(normals: np.ndarray, mask: np.ndarray) -> np.ndarray:
    length = np.sqrt(np.sum(np.square(normals, dtype=np.float32), axis=-1))
    return ~(np.abs(length - (mask != SKY)) <= NORMAL_TOLERANCE)


def _instance_pixels(instance: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return (instance > 0) != (mask == ROCK)


def _disparity_pixels(disparity: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask == SKY, disparity != 0, ~(np.isfinite(disparity) & (disparity > 0)))


def _unseen(mask: np.ndarray) -> np.ndarray:
    """Pixels of which no more is known than that they are sky, or no part of the ground: the rover."""
    return (mask == SKY) | (mask == IGNORE)


def _shadow_pixels(shadow: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(_unseen(mask), shadow != IGNORE, shadow > 2)


def _crater_pixels(crater: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return _unseen(mask) & (crater != 0)


def _slope_pixels(slope: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(_unseen(mask), ~np.isnan(slope), ~((slope >= 0) & (slope <= 90)))


def _hazard_pixels(hazard: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(_unseen(mask), hazard != IGNORE, hazard > 3)


OUTPUTS: dict[str, Output] = {
    row.name: row
    for row in (
        Output("rgb", np.dtype("u1"), "RGB", channels=3),
        Output("mask", np.dtype("u1"), "L"),
        Output(
            "depth", np.dtype("<f4"),
            check=PixelCheck("depth", "infinite on the sky and only there", _depth_pixels),
        ),
        Output(
            "normals", np.dtype("<f2"), channels=3,
            check=PixelCheck("normals", "of length 1, and 0 on the sky", _normal_pixels),
        ),
        Output(
            "instance", np.dtype("<u2"), "I;16",
            check=PixelCheck("instances", "ids on rock, on all of it and only there", _instance_pixels),
        ),
        Output("right", np.dtype("u1"), "RGB", channels=3),
        Output(
            "disparity", np.dtype("<f4"),
            check=PixelCheck("disparity", "0 on the sky and only there", _disparity_pixels),
        ),
        Output(
            "shadow", np.dtype("u1"), "L",
            check=PixelCheck("shadows", "0, 1 or 2, and 255 on sky and rover", _shadow_pixels),
        ),
        Output(
            "crater", np.dtype("<u2"), "I;16",
            check=PixelCheck("craters", "0 on sky and rover", _crater_pixels),
        ),
        Output(
            "slope", np.dtype("<f4"),
            check=PixelCheck("slopes", "0 … 90, and NaN on sky and rover", _slope_pixels),
        ),
        Output(
            "hazard", np.dtype("u1"), "L",
            check=PixelCheck("hazards", "0 … 3, and 255 on sky and rover", _hazard_pixels),
        ),
    )
}  # fmt: skip
"""Every output by name, in the order in which `dataset.json` lists them."""

ALWAYS = ("rgb", "mask")
"""Outputs every frame has."""


def chosen(params: Params) -> tuple[str, ...]:
    """Outputs that parameters ask for."""
    return tuple(name for name in OUTPUTS if name in ALWAYS or getattr(params.dataset, name))


def file_name(output: str, index: int) -> str:
    """Path of one output of frame `index`, relative to the split: `rgb/rgb_00000.png`."""
    return OUTPUTS[output].file_name(index)
