"""Bring labelled pictures from elsewhere into the dataset layout: same files, same journal, same checks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image, ImageOps

from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.dataset.generate import parse_size
from regolith.lunar.dataset.layout import FrameRecord, make_contract, write_contract
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.write import append_records, write_frame
from regolith.lunar.files import file_digest
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError, Params, Verb, quantity
from regolith.lunar.perception.photos import ENDINGS, read_photo

RENDERER = "import"
"""Renderer name in the contract of an imported split; its parameters are empty."""

TARGETS: dict[str, int] = {**CLASSES, "ignore": IGNORE}
"""What a mask's values can be mapped to."""

CLASS_MAP = "a YAML file or text like rock=1,regolith=0,sky=2,ignore=255; colours as #rrggbb, several joined by |"


class Import(Verb):
    """Import labelled pictures as a split; files, sizes, names and mask values that do not match are refused."""

    images: Path = quantity(..., "Folder of pictures, of one size.")
    masks: Path = quantity(..., "Folder of masks, named like their pictures (the ending may differ).")
    classes: str = quantity(..., f"Mask values or colours by class: {CLASS_MAP}.")
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    split: str = quantity(..., "Name of the split to make.")
    crop: str = quantity("", "Cut pictures to this size about their centre: SIDE, or WIDTHxHEIGHT in pixels.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Import and say where the split is."""
        from regolith.lunar.jobs.progress import show

        with show(self.events, f"import {self.split}", "frames") as emit:
            return import_split(
                self.images,
                self.masks,
                self.out,
                classes=read_class_map(self.classes),
                split=self.split,
                crop=read_crop(self.crop),
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is and what is in it."""
        total = sum(result["counts"].values())
        shares = ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in result["counts"].items())
        size = f"{result['width']}x{result['height']}"
        return f"{result['split']}: {counted(result['frames'], 'frame')} of {size}; {shares}"


@dataclasses.dataclass(frozen=True)
class ClassMap:
    """Which mask values, or colours, are which class."""

    values: Mapping[int, int]
    """Value, or colour as R · 65536 + G · 256 + B, to one of `TARGETS`' values."""
    colors: bool
    """Whether the keys are colours."""


def read_crop(text: str) -> tuple[int, int] | None:
    """Read `256` or `640x480` as (width, height); None for an empty text.

    Raises:
        InputError: Not a size `regolith generate` would draw.
    """
    if not text:
        return None
    try:
        return parse_size(text)
    except InputError as error:
        raise InputError("crop", error.value, error.allowed) from None


def read_class_map(text: str) -> ClassMap:
    """Read a class map from a YAML file, or from text like `rock=1,regolith=0|3,sky=#87ceeb`.

    In a file a class has one value or a list: `{rock: 1, regolith: [0, 3], sky: "#87ceeb"}`.

    Raises:
        InputError: The file cannot be read, a name is no class, a value is neither 0 … 65535 nor #rrggbb, values and
            colours are mixed, or one stands for two classes.
    """
    given: dict[str, list[Any]] = {}
    if text.lower().endswith((".yaml", ".yml")):
        try:
            data = yaml.safe_load(Path(text).read_text("utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = " ".join(str(getattr(error, "strerror", None) or error).split())
            raise InputError("classes", text, f"{CLASS_MAP} ({reason})") from None
        if not isinstance(data, dict):
            raise InputError("classes", text, "a file of lines like rock: 1")
        given = {str(name): value if isinstance(value, list) else [value] for name, value in data.items()}
    else:
        for part in text.split(","):
            name, equals, value = part.partition("=")
            if not equals or name.strip() in given:
                raise InputError("classes", part, CLASS_MAP)
            given[name.strip()] = [item.strip() for item in value.split("|")]
    return _class_map(given)


def _class_map(given: Mapping[str, list[Any]]) -> ClassMap:
    values: dict[int, int] = {}
    kinds: set[bool] = set()
    for name, items in given.items():
        if name not in TARGETS:
            raise InputError("classes", name, ", ".join(TARGETS))
        for item in items:
            value, is_color = _key(name, item)
            if value in values:
                raise InputError(f"classes.{name}", item, "a value that stands for one class only")
            kinds.add(is_color)
            values[value] = TARGETS[name]
    if len(kinds) != 1:
        raise InputError("classes", ", ".join(given), "values alone or colours alone, at least one")
    return ClassMap(values, kinds.pop())


def _key(name: str, item: Any) -> tuple[int, bool]:
    text = str(item)
    if re.fullmatch(r"#[0-9a-fA-F]{6}", text):
        return int(text[1:], 16), True
    if not isinstance(item, bool) and re.fullmatch(r"\d{1,5}", text) and int(text) <= 65535:
        return int(text), False
    raise InputError(f"classes.{name}", item, "a whole number 0 … 65535 or a colour #rrggbb")


def import_split(
    images: Path,
    masks: Path,
    out: Path,
    *,
    classes: ClassMap,
    split: str,
    crop: tuple[int, int] | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Import labelled pictures as the split `out / split`; whole or not at all.

    Pictures keep every pixel of what `read_photo` sees: EXIF orientation applied, 8 bits, transparency on black. Masks
    are taken to lie on the upright picture; one with an orientation of its own is turned by it. Everything is read and
    checked before anything is written.

    Args:
        images: Folder of pictures.
        masks: Folder of masks with their pictures' names; endings may differ.
        out: Dataset folder.
        classes: Which mask values are which class.
        split: Name of the split.
        crop: Width and height every picture is cut to about its centre [px]; a split has pictures of one size, and
            nothing is resampled.
        emit: Receives `progress` events once everything is checked.

    Returns:
        {split, frames, width, height, counts}: counts as pixels per class.

    Raises:
        InputError: A name, a file that is no picture, a mask that is missing or left over, two files of one name, a
            file that cannot be read, a size unlike its picture's or the others', a value the class map does not have,
            a split that is there, a folder that cannot be written or has no room.
    """
    if not re.fullmatch(r"\w[\w.-]*", split, re.ASCII):
        raise InputError("split", split, "letters, digits, _, - and .")
    pairs = find_pairs(images, masks)
    height, width = 0, 0
    for picture, mask in pairs:
        found = _read_pair(picture, mask, classes, crop)[0].shape[:2]
        if (height, width) == (0, 0):
            height, width = found
        if found != (height, width):
            allowed = f"{_size((height, width))}, the size of {pairs[0][0].name}; --crop cuts them alike"
            raise InputError(picture.name, _size(found), allowed)
    counts = dict.fromkeys(TARGETS, 0)
    with new_folder(out / split) as folder:
        records: list[FrameRecord] = []
        for index, (picture, mask) in enumerate(pairs):
            rgb, label = _read_pair(picture, mask, classes, crop)
            if rgb.shape[:2] != (height, width):
                raise InputError(picture.name, "changed", "files that stay as they are while they are imported")
            spec = {
                "source": picture.name,
                "source_sha256": file_digest(picture),
                "mask": mask.name,
            }
            record = write_frame(folder, index, {"rgb": rgb, "mask": label}, seed=0, spec=spec)
            counts = {name: counts[name] + record.counts[name] for name in counts}
            records.append(record)
            emit({"event": "progress", "done": len(records), "total": len(pairs)})
        contract = make_contract(
            Params(), split=split, frames=len(pairs), seed=0, width=width, height=height, renderer={"name": RENDERER}
        )
        write_contract(folder, contract | {"parameters": {}})  # nothing was drawn
        append_records(folder, records)
    return {"split": str(out / split), "frames": len(pairs), "width": width, "height": height, "counts": counts}


def find_pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair pictures with masks by name without ending, ordered by name.

    Raises:
        InputError: A folder has no picture or something that is none, two files share a name, a picture has no mask,
            or a mask no picture.
    """
    pictures, labels = (_by_stem(folder, field) for folder, field in ((images, "images"), (masks, "masks")))
    for stem, picture in pictures.items():
        if stem not in labels:
            raise InputError(picture.name, "no mask", f"a mask named {stem} in {masks}")
    for stem, label in labels.items():
        if stem not in pictures:
            raise InputError(label.name, "no picture", f"a picture named {stem} in {images}")
    return [(pictures[stem], labels[stem]) for stem in sorted(pictures)]


def _by_stem(folder: Path, field: str) -> dict[str, Path]:
    try:
        paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise InputError(field, str(folder), f"a folder of pictures ({error.strerror})") from None
    if not paths:
        raise InputError(field, str(folder), "a folder with pictures in it")
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir() or path.suffix.lower() not in ENDINGS:
            what = "a folder" if path.is_dir() else "no picture"
            raise InputError(f"{field}/{path.name}", what, f"pictures alone ({', '.join(sorted(ENDINGS))})")
        if path.stem in found:
            raise InputError(path.name, f"beside {found[path.stem].name}", "one file of a name, whatever its ending")
        found[path.stem] = path
    return found


def _read_pair(
    picture: Path, mask: Path, classes: ClassMap, crop: tuple[int, int] | None
) -> tuple[np.ndarray, np.ndarray]:
    """Picture, uint8 [H, W, 3], and its classes, uint8 [H, W]."""
    rgb = read_photo(picture)
    label = read_label(mask, classes)
    if label.shape != rgb.shape[:2]:
        raise InputError(mask.name, _size(label.shape), f"{_size(rgb.shape)}, the size of {picture.name}")
    if crop is None:
        return rgb, label
    (height, width), (columns, rows) = label.shape, crop
    if height < rows or width < columns:
        raise InputError(picture.name, _size(label.shape), f"at least {_size((rows, columns))}, the --crop")
    top, left = (height - rows) // 2, (width - columns) // 2
    inside = np.s_[top : top + rows, left : left + columns]
    return rgb[inside], label[inside]


def read_label(path: Path, classes: ClassMap) -> np.ndarray:
    """Read a mask and map its values, or colours, to our classes.

    Returns:
        uint8 [H, W].

    Raises:
        InputError: The file is missing or damaged, of more than one channel where values are mapped, or holds a value
            the class map does not have.
    """
    try:
        with Image.open(path) as image:
            image.load()
            upright = ImageOps.exif_transpose(image)
            keys = _colors(upright) if classes.colors else _values(upright, path)
    except FileNotFoundError:
        raise InputError(path.name, "no file", "a mask with the name of its picture") from None
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError) as error:
        raise InputError(path.name, "damaged", f"a complete mask ({error})") from None
    found, where = np.unique(keys, return_inverse=True)
    strange = [value for value in found.tolist() if value not in classes.values]
    if strange:
        shown = f"colour #{strange[0]:06x}" if classes.colors else f"value {strange[0]}"
        known = ", ".join(f"#{value:06x}" if classes.colors else str(value) for value in sorted(classes.values))
        raise InputError(path.name, shown, f"what --classes names: {known}")
    table = np.array([classes.values[value] for value in found.tolist()], np.uint8)
    return table[where].reshape(keys.shape)


def _colors(image: Image.Image) -> np.ndarray:
    rgb = np.asarray(image.convert("RGB")).astype(np.int64)
    return rgb[..., 0] << 16 | rgb[..., 1] << 8 | rgb[..., 2]


def _values(image: Image.Image, path: Path) -> np.ndarray:
    """Values of a single-channel mask; a palette keeps its indices, grey saved as colour is grey again."""
    array = np.asarray(image)
    if array.ndim == 3:
        channels = array[..., : 3 if array.shape[2] >= 3 else 1]
        if (channels != channels[..., :1]).any():
            raise InputError(path.name, "a picture in colour", "one channel, or colours in --classes")
        array = channels[..., 0]
    if not (np.issubdtype(array.dtype, np.integer) or array.dtype == bool):
        raise InputError(path.name, f"values of type {array.dtype}", "whole numbers")
    return array.astype(np.int64)


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} px"
