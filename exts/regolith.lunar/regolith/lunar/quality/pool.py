"""Units of a pool that can be labelled: pictures, or windows of them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.labels import IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.perception.folders import overlay_name
from regolith.lunar.quality.pictures import Picture, Pictures

PICTURES_MAX = 100_000
"""Most pictures of a pool."""
SIDE_MAX = 1 << 16


@dataclasses.dataclass(frozen=True)
class Unit:
    """What is labelled at once."""

    picture: str
    """Name of its picture; of a split, the frame's number."""
    window: tuple[int, int, int, int]
    """Top, left, height and width in the picture, at the size it is looked at [px]."""
    scene: str
    is_whole: bool
    """Whether it is the picture."""

    @property
    def id(self) -> str:
        """What it is called in results: its picture, and the top left corner of its window."""
        return self.picture if self.is_whole else f"{self.picture}@{self.window[0]},{self.window[1]}"

    @property
    def file(self) -> str:
        """Name of its picture file in a queue."""
        corner = "" if self.is_whole else f"_{self.window[0]:05d}_{self.window[1]:05d}"
        return overlay_name(Path(f"{self.picture}{corner}"))

    def cut(self, array: np.ndarray) -> np.ndarray:
        """Return its part of something of its picture, [H, W, …]."""
        top, left, height, width = self.window
        return array[top : top + height, left : left + width]


class Pool:
    """Pictures, read one by one each time, and the units of each."""

    def __init__(
        self, folder: Path, *, masks: Path | None = None, size: int | None = None, crop: int | None = None,
        scene: re.Pattern[str] | None = None,
    ) -> None:  # fmt: skip
        """Look what is there.

        Args:
            folder: A split, or a folder of photographs.
            masks: Folder of the photographs' masks, or `apollo`; None where their truth is not known.
            size: Long side pictures are reduced to [px]; None for their own.
            crop: Side of the square windows that are units [px]; None for whole pictures.
            scene: What in a name says of which scene a photograph is: its first group, or all of it.

        Raises:
            InputError: There is no picture, or no mask of one.
        """
        self._pictures = Pictures(folder, field="pool", masks=masks, most=PICTURES_MAX)
        self._size, self._crop, self._scene = size or SIDE_MAX, crop, scene
        self.has_truth = self._pictures.labels != "pseudo"

    def __len__(self) -> int:
        return len(self._pictures)

    def read(self) -> Iterator[tuple[Picture, list[Unit]]]:
        """Yield every picture with its units; one smaller than a window has none."""
        labeller = None if self.has_truth else _without
        for picture in self._pictures.read(self._size, labeller):
            yield picture, self._units(picture)

    def _units(self, picture: Picture) -> list[Unit]:
        height, width = picture.classes.shape
        scene = picture.group
        if self._scene is not None and (match := self._scene.search(picture.name)):
            scene = (match.groups() or (None,))[0] or match[0]
        if self._crop is None:
            return [Unit(picture.name, (0, 0, height, width), scene, True)]
        side = self._crop
        return [
            Unit(picture.name, (top, left, side, side), scene, False)
            for top in _starts(height, side)
            for left in _starts(width, side)
        ]

    def words(self) -> dict[str, Any]:
        """What it is, for a result; see `Pictures.words`."""
        return self._pictures.words()


def _starts(length: int, side: int) -> list[int]:
    """Where windows begin that do not overlap, as many as there is room for, evenly spread."""
    return np.linspace(0, length - side, length // side).round().astype(int).tolist() if length >= side else []


def _without(rgb: np.ndarray) -> np.ndarray:
    """Classes where none is known."""
    return np.full(rgb.shape[:2], IGNORE, np.uint8)


def scene_pattern(text: str | None) -> re.Pattern[str] | None:
    """Read the pattern of scenes.

    Raises:
        InputError: It is no regular expression.
    """
    try:
        return None if text is None else re.compile(text)
    except re.error as error:
        raise InputError("scene_of", text, f"a regular expression ({error})") from None
