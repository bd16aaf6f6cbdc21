"""Bring labelled pictures from elsewhere into the dataset layout: same files, same journal, same checks."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.croissant import write_croissant
from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.dataset.layout import FrameRecord, append_records
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.write import write_frame
from regolith.lunar.files import AnyPath, file_digest, shown_name
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError, PictureSize, Verb, quantity
from regolith.lunar.perception.coco_masks import REST, CocoPicture, Rest, read_coco
from regolith.lunar.perception.decode import ENDINGS
from regolith.lunar.perception.folders import HIDDEN, pictures_of, survey
from regolith.lunar.perception.masks import ClassMap, decode_mask
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.reading import parse_yaml, read_text

TARGETS: dict[str, int] = {**CLASSES, "ignore": IGNORE}
"""What a mask's values can be mapped to."""

NOTES_SHOWN = 8
"""Notes the summary gives; the result has all."""

CLASS_MAP = "a YAML file or text like rock=1,regolith=0,sky=2,ignore=255; colours as #rrggbb, several joined by |"


class Import(Verb):
    """Import labelled pictures as a split; files, sizes, names and mask values that do not match are refused."""

    images: Path = quantity(..., "Folder of pictures, of one size.")
    masks: Path | None = quantity(None, "Folder of masks, named like their pictures (the ending may differ).")
    coco: Path | None = quantity(
        None, "COCO file of polygons or run lengths instead of masks, as `select`, CVAT and Label Studio write it."
    )
    classes: str | None = quantity(
        None,
        f"Mask values or colours by class: {CLASS_MAP}; of COCO, ids of categories, where they have not our names.",
    )
    rest: Rest = quantity("ignore", "What pixels are that no annotation of a COCO file covers.")
    out: Path = quantity(..., "Dataset folder; the split lands in OUT/SPLIT.")
    split: str = quantity(..., "Name of the split to make.")
    crop: PictureSize | None = quantity(None, "Size to cut pictures to about their centre.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Import and say where the split is."""
        from regolith.lunar.jobs.progress import show

        with show(self.events, f"import {self.split}", "frames") as emit:
            return import_split(
                self.images,
                self.masks,
                self.out,
                classes=self.classes,
                split=self.split,
                coco=self.coco,
                rest=self.rest,
                crop=(self.crop.width, self.crop.height) if self.crop else None,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the split is and what is in it."""
        total = sum(result["counts"].values())
        shares = ", ".join(f"{name} {100 * count / total:.1f} %" for name, count in result["counts"].items())
        size = f"{result['width']}x{result['height']}"
        line = f"{result['split']}: {counted(result['frames'], 'frame')} of {size}; {shares}"
        notes = result["notes"]
        more = [f"and {len(notes) - NOTES_SHOWN} more like these"] if len(notes) > NOTES_SHOWN else []
        return "\n".join([line, *notes[:NOTES_SHOWN], *more])


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
            data = parse_yaml(read_text(Path(text)))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
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
    images: AnyPath,
    masks: AnyPath | None,
    out: AnyPath,
    *,
    classes: ClassMap | str | None = None,
    split: str,
    coco: AnyPath | None = None,
    rest: Rest = "ignore",
    crop: tuple[int, int] | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Import labelled pictures as the split `out / split`; whole or not at all.

    Pictures keep every pixel of what `read_photo` sees: EXIF orientation applied, 8 bits, transparency on black. Masks
    are taken to lie on the upright picture; one with an orientation of its own is turned by it. Everything is read and
    checked before anything is written.

    Args:
        images: Folder of pictures.
        masks: Folder of masks with their pictures' names; endings may differ. None where `coco` is given.
        out: Dataset folder.
        classes: Which mask values are which class; as text, `rock=1,regolith=0,sky=2,ignore=255` or a YAML file. Of a
            COCO file, ids of categories; None where those are named rock, regolith, sky, ignore.
        split: Name of the split.
        coco: COCO file with an entry for every picture; its shapes are drawn over each other, ground below, rock above
            sky.
        rest: Class of pixels that none of its annotations covers. As `ignore`, pictures without any are left out.
        crop: Width and height every picture is cut to about its centre [px]; a split has pictures of one size, and
            nothing is resampled.
        emit: Receives `progress` events once everything is checked.

    Returns:
        {split, frames, width, height, counts, notes}: counts as pixels per class; a note for each picture of which
        something cannot be told for certain.

    Raises:
        InputError: A name, a file that is no picture, a mask that is missing or left over, two files of one name, a
            file that cannot be read, a size unlike its picture's or the others', a value the class map does not have,
            a split that is there, a folder that cannot be written or has no room.
    """
    if not re.fullmatch(r"\w[\w.-]*", split, re.ASCII):
        raise InputError("split", split, "letters, digits, _, - and .")
    images, out = Path(images), Path(out)
    if isinstance(classes, str):
        classes = read_class_map(classes)
    pairs, left_out = _labelled(images, masks, coco, classes, rest)
    height, width = 0, 0
    notes = left_out
    for picture, mask in pairs:
        said: list[str] = []
        found = _read_pair(picture, mask, crop, said)[0].shape[:2]
        notes += [f"{shown_name(picture)}: {note}" for note in said]
        if (height, width) == (0, 0):
            height, width = found
        if found != (height, width):
            allowed = f"{_size((height, width))}, the size of {shown_name(pairs[0][0])}; --crop cuts them alike"
            raise InputError(shown_name(picture), _size(found), allowed)
    counts = dict.fromkeys(TARGETS, 0)
    with new_folder(out / split) as folder:
        records: list[FrameRecord] = []
        for index, (picture, mask) in enumerate(pairs):
            rgb, pixels = _read_pair(picture, mask, crop)
            if rgb.shape[:2] != (height, width):
                raise InputError(shown_name(picture), "changed", "files that stay as they are while they are imported")
            spec = {
                "source": picture.name,
                "source_sha256": file_digest(picture),
                "mask": mask.name,
            }
            record = write_frame(folder, index, {"rgb": rgb, "mask": pixels}, seed=0, spec=spec)
            counts = {name: counts[name] + record.counts[name] for name in counts}
            records.append(record)
            emit({"event": "progress", "done": len(records), "total": len(pairs)})
        contract = Contract.of_import(split=split, frames=len(pairs), width=width, height=height)
        contract.write(folder)
        append_records(folder, records)
        write_croissant(folder, contract, records[0], name=split)
    result = {"split": str(out / split), "frames": len(pairs), "width": width, "height": height, "counts": counts}
    return result | {"notes": notes}


def find_pairs(images: Path, masks: Path) -> list[tuple[Path, Path]]:
    """Pair pictures with masks by name without ending (`perception.folders`), ordered by name.

    Raises:
        InputError: A folder has no picture or something that is none, two files share a name, a picture has no mask,
            a mask no picture, or a name is no UTF-8, which no split can hold.
    """
    found = survey(images, masks)
    by_stem: dict[str, Path] = {}
    for picture in found.photos:
        first = by_stem.setdefault(picture.stem, picture)
        if first is not picture:
            raise _beside(picture, first)
    used = {mask for candidates in found.masks.values() for mask in candidates}
    others = [("images", item) for item in found.left_out if item.path not in used]
    others += [("masks", item) for item in pictures_of(masks, "masks")[1]]
    for field, item in others:
        if item.reason != HIDDEN:
            what = "photographs" if field == "images" else "masks"
            allowed = f"{what} alone ({', '.join(sorted(ENDINGS))})"
            raise InputError(f"{field}/{shown_name(item.path)}", item.reason, allowed)
    for picture, candidates in found.masks.items():
        if not candidates:
            raise InputError(
                shown_name(picture), "no mask", f"a mask named {shown_name(Path(picture.stem))} in {masks}"
            )
        if len(candidates) > 1:
            raise _beside(candidates[1], candidates[0])
    if found.unused:
        stem = shown_name(Path(found.unused[0].stem))
        raise InputError(shown_name(found.unused[0]), "no picture", f"a picture named {stem} in {images}")
    pairs = [(by_stem[stem], found.masks[by_stem[stem]][0]) for stem in sorted(by_stem)]
    _check_names([path for both in pairs for path in both])
    first_of: dict[Path, Path] = {}
    for picture, mask in pairs:
        first = first_of.setdefault(mask, picture)
        if first is not picture:
            what = f"the mask of {shown_name(first)} and of {shown_name(picture)}"
            raise InputError(shown_name(mask), what, "a mask for each picture")
    return pairs


def _check_names(paths: Sequence[Path]) -> None:
    for path in paths:
        try:
            path.name.encode()
        except UnicodeEncodeError:
            raise InputError(shown_name(path), "a name that is no UTF-8", "names in UTF-8") from None


def _beside(path: Path, first: Path) -> InputError:
    return InputError(shown_name(path), f"beside {shown_name(first)}", "one file of a name, whatever its ending")


@dataclasses.dataclass(frozen=True)
class _Mask:
    """Where the classes of a picture come from."""

    name: str
    """File it is read from."""
    read: Callable[[tuple[int, int]], np.ndarray]
    """Of the picture's height and width, its classes, uint8 [H, W] of any size."""


def _labelled(
    images: Path, masks: AnyPath | None, coco: AnyPath | None, classes: ClassMap | None, rest: Rest
) -> tuple[list[tuple[Path, _Mask]], list[str]]:
    """Pictures with their masks by name, and a note for each that is left out."""
    if coco is not None:
        if masks is not None:
            raise InputError("masks", str(masks), "either masks or --coco, not both")
        if classes is not None and classes.colors:
            raise InputError("classes", "colours", "ids of categories, where --coco is given")
        return _coco_pairs(images, Path(coco), None if classes is None else dict(classes.values), rest)
    if masks is None or classes is None:
        raise InputError("masks" if masks is None else "classes", None, "--masks with --classes, or --coco")
    return [(picture, _from_file(mask, classes)) for picture, mask in find_pairs(images, Path(masks))], []


def _from_file(path: Path, classes: ClassMap) -> _Mask:
    return _Mask(shown_name(path), lambda shape: decode_mask(path, classes))


def _coco_pairs(
    images: Path, coco: Path, classes: dict[int, int] | None, rest: Rest
) -> tuple[list[tuple[Path, _Mask]], list[str]]:
    named = {picture.name: picture for picture in read_coco(coco, classes)}
    photos, others = pictures_of(images, "images")  # the file says which are: a dark window may look like labels
    for item in others:
        if item.reason != HIDDEN:
            raise InputError(f"images/{shown_name(item.path)}", item.reason, "photographs alone")
    _check_names(photos)
    pairs: list[tuple[Path, _Mask]] = []
    notes: list[str] = []
    for path in photos:
        picture = named.pop(path.name, None)
        if picture is None:
            raise InputError(shown_name(path), "not in the file", f"a picture {coco.name} names")
        if not picture.shapes and rest == "ignore":
            notes.append(f"{shown_name(path)}: left out: nothing is labelled in it")
        else:
            pairs.append((path, _from_coco(picture, rest, coco.name)))
    if named:
        raise InputError("coco", next(iter(named)), f"pictures in {images}")
    if not pairs:
        raise InputError("coco", str(coco), "a picture with something labelled in it; or --rest regolith")
    return pairs, notes


def _from_coco(picture: CocoPicture, rest: Rest, file: str) -> _Mask:
    def read(shape: tuple[int, int]) -> np.ndarray:
        width, height = picture.size
        if (height, width) != shape:  # before anything of a size that a stranger names is made
            raise InputError(picture.name, f"{_size((height, width))} in {file}", f"{_size(shape)}, as the picture")
        return picture.draw(REST[rest])

    return _Mask(file, read)


def _read_pair(
    picture: Path, mask_of: _Mask, crop: tuple[int, int] | None, notes: list[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Picture, uint8 [H, W, 3], and its classes, uint8 [H, W]."""
    rgb = read_photo(picture, notes=notes)
    mask = mask_of.read((rgb.shape[0], rgb.shape[1]))
    if mask.shape != rgb.shape[:2]:
        raise InputError(mask_of.name, _size(mask.shape), f"{_size(rgb.shape)}, the size of {shown_name(picture)}")
    if crop is None:
        return rgb, mask
    (height, width), (columns, rows) = mask.shape, crop
    if height < rows or width < columns:
        raise InputError(shown_name(picture), _size(mask.shape), f"at least {_size((rows, columns))}, the --crop")
    top, left = (height - rows) // 2, (width - columns) // 2
    inside = np.s_[top : top + rows, left : left + columns]
    return rgb[inside], mask[inside]


def _size(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}×{shape[0]} px"
