"""Pictures with their classes, from a split or from a folder of photographs, at one working size."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from regolith.lunar.dataset.split_reader import SplitReader, StoredFrame, open_split
from regolith.lunar.dataset.splits import is_split
from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError
from regolith.lunar.perception.apollo_masks import APOLLO, draw_masks, find_masks
from regolith.lunar.perception.folders import Survey, only_mask, survey
from regolith.lunar.perception.photos import read_mask, read_photo
from regolith.lunar.perception.views import SIZE_PX

PICTURES_MAX = 1000
"""Most pictures of a set that are looked at."""
READ_PX = 1 << 24
"""Pixels beyond which a photograph is reduced while it is read: all that is kept of it is its working size."""

Labels = Literal["split", "masks", "apollo", "pseudo"]
"""Where classes come from: the split, masks beside the photographs, the shipped Apollo masks, a model's prediction."""
Labeller = Callable[[np.ndarray], np.ndarray]
"""Picture uint8 [H, W, 3] to classes uint8 [H, W]."""


@dataclasses.dataclass(frozen=True)
class Picture:
    """One picture of height H and width W."""

    name: str
    rgb: np.ndarray
    """uint8 [H, W, 3]."""
    classes: np.ndarray
    """uint8 [H, W]; `labels.IGNORE` where there is none."""
    group: str
    """What it shares with pictures it is not independent of: the scene of a frame, itself of a photograph."""


class Pictures:
    """A split or a folder of photographs; pictures are read one by one, each time they are iterated over."""

    def __init__(self, folder: Path, *, field: str, masks: Path | None = None, most: int = PICTURES_MAX) -> None:
        """Look what is there; nothing is decoded yet.

        Args:
            folder: A split, or a folder of photographs, or one photograph.
            field: Parameter that named it, for errors.
            masks: Folder of the photographs' masks, or `apollo`; None for a model's prediction.
            most: Pictures that are looked at, evenly spread, where there are more.

        Raises:
            InputError: There is no picture, no mask of a photograph, or a split is given masks.
        """
        self.folder = folder
        self._most = most
        self._split: SplitReader | None = open_split(folder) if is_split(folder) else None
        self._survey: Survey | None = None
        self._left_out = 0
        self.labels: Labels = "split"
        if self._split is not None:
            if masks is not None:
                raise InputError("masks", str(masks), f"none: {folder} is a split, which has its own")
            return
        self.labels = "pseudo" if masks is None else "apollo" if str(masks) == APOLLO else "masks"
        if masks is not None and self.labels == "masks" and not masks.is_dir():
            raise InputError("masks", str(masks), f"a folder of masks, or `{APOLLO}`")
        if not folder.exists():
            raise InputError(field, str(folder), "a split, or a folder of photographs")
        try:
            self._survey = survey(folder, masks if self.labels == "masks" else None)
        except InputError as error:
            raise InputError(field if error.field == "images" else error.field, error.value, error.allowed) from None
        self._left_out = len(self._survey.left_out)
        if self.labels == "apollo":
            masked = [photo for photo in self._survey.photos if find_masks(photo.stem)]
            if not masked:
                raise InputError("masks", APOLLO, "photographs those masks are of, named as they are or by NASA id")
            self._left_out += len(self._survey.photos) - len(masked)
            self._survey = dataclasses.replace(self._survey, photos=masked)

    def __len__(self) -> int:
        return min(self._found, self._most)

    @property
    def _found(self) -> int:
        return len(self._split) if self._split is not None else len(self._photos)

    @property
    def _photos(self) -> list[Path]:
        return [] if self._survey is None else self._survey.photos

    @property
    def groups(self) -> int:
        """Groups the pictures are of: see `Picture.group`."""
        if self._split is None:
            return len(self)
        return len({_group(self._split[number]) for number in self._chosen()})

    def _chosen(self) -> list[int]:
        """Return the numbers of the pictures that are looked at."""
        return np.linspace(0, self._found - 1, len(self)).round().astype(int).tolist()

    @property
    def long_side_px(self) -> int | None:
        """Long side of a split's frames; None of photographs, which have sizes of their own."""
        return None if self._split is None else max(self._split.width, self._split.height)

    def read(self, px: int, labeller: Labeller | None = None) -> Iterator[Picture]:
        """Yield every picture with its long side at most `px`; smaller ones stay as they are.

        Args:
            px: Longest side [px].
            labeller: What the classes are taken from instead of labels; sees a picture before it is reduced.

        Raises:
            InputError: A file cannot be used.
        """
        for number in range(len(self)):
            yield self.one(number, px, labeller)

    def one(self, number: int, px: int, labeller: Labeller | None = None) -> Picture:
        """Return one of the pictures that are looked at, by its place among them; else as `read`."""
        place = self._chosen()[number]
        if self._split is not None:
            frame = self._split[place]
            rgb = frame.rgb
            classes = frame.mask if labeller is None else labeller(rgb)
            return _fit(Picture(f"{frame.index:05d}", rgb, classes, _group(frame)), px)
        path = self._photos[place]
        name = shown_name(path)
        rgb = read_photo(path, most_px=READ_PX if self.labels != "masks" else None)
        return _fit(Picture(name, rgb, self._classes(path, rgb, labeller), name), px)

    @property
    def frames(self) -> list[StoredFrame]:
        """The frames of a split that are looked at, in order; of photographs none."""
        return [] if self._split is None else [self._split[place] for place in self._chosen()]

    def _classes(self, path: Path, rgb: np.ndarray, labeller: Labeller | None) -> np.ndarray:
        if labeller is not None:
            return labeller(rgb)
        shape = (rgb.shape[0], rgb.shape[1])
        if self.labels == "apollo":
            return draw_masks(find_masks(path.stem), path.stem, shape)
        if self.labels == "masks" and self._survey is not None:
            return read_mask(only_mask(path, self._survey.masks[path]), shape)
        raise ValueError("photographs without masks need a labeller")

    def words(self) -> dict[str, Any]:
        """What it is, for a result: {folder, pictures, of, left_out, groups, labels}.

        `left_out` counts files that are no photographs, and photographs the Apollo masks do not know.
        """
        return {
            "folder": str(self.folder),
            "pictures": len(self),
            "of": self._found,
            "left_out": self._left_out,
            "groups": self.groups,
            "labels": self.labels,
        }


def _group(frame: StoredFrame) -> str:
    return f"scene {frame.spec['scene']}" if "scene" in frame.spec else f"frame {frame.index}"


def working_px(first: Pictures, second: Pictures, asked: int | None) -> int:
    """Long side both sets are brought to [px]: what is asked for, else the smaller split's, else `SIZE_PX`."""
    sides = [side for side in (first.long_side_px, second.long_side_px) if side is not None]
    return asked or min(sides, default=SIZE_PX)


def _fit(picture: Picture, px: int) -> Picture:
    height, width = picture.classes.shape
    scale = px / max(height, width)
    if scale >= 1:
        return picture
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    rgb = np.asarray(Image.fromarray(picture.rgb).resize(size, Image.Resampling.BOX))
    classes = np.asarray(Image.fromarray(picture.classes).resize(size, Image.Resampling.NEAREST))
    return dataclasses.replace(picture, rgb=rgb, classes=classes)
