"""What Replicator's annotators return, as the arrays of a frame. Pure numpy.

Ids are per capture and start at 2 in the order in which labels are met; 0 is BACKGROUND and 1 UNLABELLED. They mean
something only through the table that comes with them, whose keys are ids, as numbers or as text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from regolith.lunar.labels import CLASSES, IGNORE, REGOLITH, ROCK, SKY, TAXONOMY
from regolith.lunar.stage import schema
from regolith.lunar.stage.colour import LUMINANCE

BACKGROUND = "BACKGROUND"
"""Replicator's name of pixels that nothing is seen in: the black sky."""

RANK = (ROCK, REGOLITH, SKY)
"""Class that counts where nested labels name several."""

_ROCK = re.compile(re.escape(schema.ROCKS) + r"/rock_(\d+)(/|$)")


def image(data: Any, width: int, height: int, channels: int = 0) -> np.ndarray:
    """Copy an annotator's buffer, which it uses again, as a picture.

    Args:
        data: Array of shape [H, W], [H, W, C] or flat; Replicator's versions differ.
        width: Picture width [px].
        height: Picture height [px].
        channels: Channels to keep of those there; 0 for a picture without.

    Returns:
        Shape [H, W], or [H, W, channels].

    Raises:
        RuntimeError: It is no picture of that size.
    """
    array = np.array(data)
    there, rest = divmod(array.size, width * height)
    if rest or there < max(channels, 1):
        raise RuntimeError(f"Replicator returned {array.shape} for a picture of {width}x{height} pixels")
    if not channels:
        return array.reshape(height, width, there)[..., 0]
    return np.ascontiguousarray(array.reshape(height, width, there)[..., :channels])


def label_of(names: Any) -> int:
    """Class of an entry of `idToLabels`: {"class": "rock"}, or text; of several names, joined by commas, by `RANK`."""
    text = names.get(TAXONOMY, "") if isinstance(names, Mapping) else str(names)
    words = {word.strip() for word in text.split(",")}
    if BACKGROUND in words:
        return SKY
    found = {CLASSES[word] for word in words if word in CLASSES}
    return next((label for label in RANK if label in found), IGNORE)


def classes(ids: np.ndarray, id_to_labels: Mapping[Any, Any]) -> np.ndarray:
    """Classes of a semantic segmentation by its own table.

    Args:
        ids: Semantic ids, unsigned, shape [H, W].
        id_to_labels: Id to names.

    Returns:
        Class (`regolith.lunar.labels`), uint8, shape [H, W]; what the table does not name is ignored, but for id 0,
        which is the sky in every table.
    """
    return _mapped(ids, {0: SKY} | {int(key): label_of(names) for key, names in id_to_labels.items()}, IGNORE, np.uint8)


def instances(ids: np.ndarray, id_to_labels: Mapping[Any, Any]) -> np.ndarray:
    """Rock numbers of an instance segmentation by its own table.

    Args:
        ids: Instance ids, unsigned, shape [H, W].
        id_to_labels: Id to prim path.

    Returns:
        1 + the number in the path of a rock, 0 elsewhere, uint16, shape [H, W].

    Raises:
        RuntimeError: A rock has a number that 16 bits do not hold.
    """
    table: dict[int, int] = {}
    for key, path in id_to_labels.items():
        match = _ROCK.match(str(path))
        if match:
            table[int(key)] = int(match[1]) + 1
    if max(table.values(), default=0) > np.iinfo(np.uint16).max:
        raise RuntimeError(f"{schema.ROCKS} holds more than 65535 rocks, the instance ids")
    return _mapped(ids, table, 0, np.uint16)


def radiance(hdr: np.ndarray, gain: float) -> np.ndarray:
    """Radiance of `HdrColor`.

    Args:
        hdr: Linear light, float16, shape [H, W, 3 or more].
        gain: Radiance over it.

    Returns:
        float32, shape [H, W].
    """
    weights = gain * LUMINANCE.astype(np.float32)
    return np.nan_to_num(hdr[..., :3].astype(np.float32), nan=0.0, posinf=65504.0, neginf=0.0) @ weights


def settled(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Hold what else was seen to the classes: depth is infinite and normals are 0 on the sky, instances are rocks.

    Args:
        arrays: By our names: mask, depth, and of normals, instance those there are; others stay as they are.
    """
    sky = arrays["mask"] == SKY
    found = {**arrays, "depth": np.where(sky, np.float32(np.inf), arrays["depth"].astype(np.float32))}
    if "normals" in found:
        found["normals"] = np.where(sky[..., None], np.float32(0.0), found["normals"].astype(np.float32))
    if "instance" in found:
        found["instance"] = np.where(found["mask"] == ROCK, found["instance"], np.uint16(0))
    return found


def _mapped(ids: np.ndarray, table: Mapping[int, int], other: int, kind: type) -> np.ndarray:
    """Look ids up; those not in the table become `other`."""
    lut = np.full(max(table, default=0) + 2, other, kind)
    for key, value in table.items():
        lut[key] = value
    return lut[np.minimum(ids, lut.size - 1)]
