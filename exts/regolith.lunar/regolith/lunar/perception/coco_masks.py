"""Masks from a COCO file, as CVAT, Label Studio and our own queues write it: the answers of people who label."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, Field, ValidationError

from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError
from regolith.lunar.perception.runs import draw_runs, run_lengths
from regolith.lunar.reading import read_json

ORDER = ("regolith", "sky", "rock", "ignore")
"""Classes as they are drawn, each over those before it, whatever the order of the file."""
POLYGON_SLACK_PX = 1.0
"""How far a corner of a polygon may lie outside its picture [px]."""
_Id = Annotated[int, Field(ge=0, le=2**53)]


class _Runs(BaseModel, strict=True):
    size: tuple[int, int] = Field(strict=False)
    counts: str | list[_Id]


class _Annotation(BaseModel, strict=True):
    image_id: _Id
    category_id: _Id
    segmentation: _Runs | list[list[float]]


class _Image(BaseModel, strict=True):
    id: _Id
    file_name: str = Field(min_length=1, max_length=4096)
    width: int = Field(ge=1, le=1 << 20)
    height: int = Field(ge=1, le=1 << 20)


class _Category(BaseModel, strict=True):
    id: _Id
    name: str


class _File(BaseModel, strict=True):
    images: list[_Image]
    annotations: list[_Annotation]
    categories: list[_Category]


@dataclasses.dataclass(frozen=True)
class CocoPicture:
    """A picture the file names, and what is drawn on it."""

    name: str
    """Its file, without folders."""
    size: tuple[int, int]
    """Width and height [px]."""
    shapes: list[tuple[str, Any]]
    """Class and segmentation, in the order they are drawn in."""

    def draw(self, rest: int = IGNORE) -> np.ndarray:
        """Return its classes, uint8 [H, W].

        Args:
            rest: Of what no annotation covers.

        Raises:
            InputError: A segmentation is none of a picture of this size.
        """
        width, height = self.size
        classes = np.full((height, width), rest, np.uint8)
        for name, segmentation in self.shapes:
            try:
                classes[_drawn(segmentation, (height, width))] = IGNORE if name == "ignore" else CLASSES[name]
            except ValueError as error:
                raise InputError(self.name, f"an annotation of {name}", f"polygons or run lengths ({error})") from None
        return classes


def read_coco(path: Path, classes: dict[int, int] | None = None) -> list[CocoPicture]:
    """Read the pictures of a COCO file.

    Args:
        path: The file: instances, as polygons or as run lengths, compressed or not.
        classes: Category id to a value of `labels.CLASSES` or `IGNORE`; None where categories have our names.

    Returns:
        The pictures by name, those without annotation too.

    Raises:
        InputError: The file cannot be read, lacks something, or an annotation is of a category without a class.
    """
    wanted = "a COCO file of images, annotations with segmentation, and categories"
    try:
        found = _File.model_validate(read_json(path))
    except OSError as error:
        raise InputError("coco", str(path), f"{wanted} ({error.strerror})") from None
    except ValidationError as error:
        place = ".".join(str(part) for part in error.errors()[0]["loc"][:3])
        raise InputError("coco", str(path), f"{wanted} ({place} in it is not)") from None
    except ValueError as error:
        raise InputError("coco", str(path), f"{wanted} ({error})") from None
    names = _class_names(found.categories, classes)
    pictures: dict[int, CocoPicture] = {}
    by_name: dict[str, _Image] = {}
    for image in found.images:
        name = PurePosixPath(image.file_name.replace("\\", "/")).name
        if image.id in pictures or by_name.setdefault(name, image) is not image:
            raise InputError("coco", image.file_name, "pictures of unlike ids and names")
        pictures[image.id] = CocoPicture(name, (image.width, image.height), [])
    for annotation in found.annotations:
        picture = pictures.get(annotation.image_id)
        if picture is None:
            raise InputError("coco", f"annotation of image {annotation.image_id}", "annotations of its images")
        if annotation.category_id not in names:
            known = ", ".join(map(str, sorted(names)))
            allowed = f"categories {known}; name others in --classes, such as rock=1,ignore=4"
            raise InputError("coco", f"category {annotation.category_id}", allowed)
        picture.shapes.append((names[annotation.category_id], annotation.segmentation))
    for picture in pictures.values():
        picture.shapes.sort(key=lambda shape: ORDER.index(shape[0]))
    return sorted(pictures.values(), key=lambda picture: picture.name)


def _class_names(categories: Iterable[_Category], classes: dict[int, int] | None) -> dict[int, str]:
    if classes is None:
        return {category.id: category.name for category in categories if category.name in ORDER}
    values = {value: name for name, value in CLASSES.items()} | {IGNORE: "ignore"}
    return {number: values[value] for number, value in classes.items()}


def _drawn(segmentation: _Runs | list[list[float]], shape: tuple[int, int]) -> np.ndarray:
    """Pixels of a segmentation, bool [H, W]; `ValueError` where it is none of such a picture."""
    if isinstance(segmentation, _Runs):
        if tuple(segmentation.size) != shape:
            raise ValueError(f"run lengths of {segmentation.size[1]}×{segmentation.size[0]} px")
        counts = segmentation.counts
        return draw_runs(run_lengths(counts) if isinstance(counts, str) else counts, shape)
    from pycocotools import mask as coco_mask

    height, width = shape
    polygons: list[list[float]] = []
    for polygon in segmentation:
        if len(polygon) < 6 or len(polygon) % 2 or not all(map(math.isfinite, polygon)):
            raise ValueError("a polygon of less than three corners")
        corners = np.array(polygon).reshape(-1, 2)
        inside = np.clip(corners, 0, (width, height))
        if np.abs(corners - inside).max() > POLYGON_SLACK_PX:
            raise ValueError("a polygon outside its picture")
        polygons.append(inside.ravel().tolist())
    if not polygons:
        return np.zeros(shape, bool)
    found: Any = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons, height, width)))  # pyright: ignore
    return found.astype(bool)


Rest = Literal["ignore", "regolith"]
"""What pixels are that no annotation covers."""
REST: dict[Rest, int] = {"ignore": IGNORE, "regolith": CLASSES["regolith"]}
