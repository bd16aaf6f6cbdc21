"""Which files of a folder are photographs, which mask belongs to which, and what is left out.

Names pair alike on every machine: by the very same name before the ending; else by one that differs in letter case or
in how its accents are composed (NFC, NFD); else as NAME_mask and its like.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError
from regolith.lunar.perception.decode import ENDINGS, opened
from regolith.lunar.perception.depth import is_deep, read_deep
from regolith.lunar.perception.masks import FORMATS, OWN_CLASSES

SOFTWARE = "regolith evaluate"
"""What the pictures an evaluation writes say of themselves, so that no later one takes them for photographs."""
SHEET = "contact_sheet.png"
HIDDEN = "hidden"
MASK_NAME = re.compile(
    r"(?:(.+?)(?:[ _.-](?:segmentation|seg|gt|gtfine|instance))?"
    r"(?:[ _.-]?mask|[ _.-](?:label|labelid|labeltrainid|seg|segmentation|gt|annotation|instance|instanceid))s?"
    r"|masks?[ _.-](.+))",
    re.IGNORECASE,
)
"""Names people give the mask of NAME."""
LABEL_NAME = re.compile(r"(.+?)[ _.-](?:labelcolors?|colou?r|inst|l)", re.IGNORECASE)
"""Names of the mask of NAME that photographs have too."""
OVERLAY_BYTES_MAX = 120
"""Longest name an overlay takes over [bytes]; encrypted file systems take names of 143."""
FLAT_MIN = 0.9
"""Share of pixels equal to their neighbours from which on a picture is no photograph.

Of 36 photographs of the Moon and of a test bed none has more than 0.37 (0.73 within `LOSSY_LEVELS`), of rendered frames
0.65; masks have 0.92 and more.
"""
FLAT_ROWS = 1024
"""Rows of a picture that are looked at for it, evenly spread."""
LOSSY_LEVELS = 4
"""Levels that compression moves the values of a mask by and that still count as equal."""
LABEL_VALUES_MAX = 32
"""Most values a picture has that is taken for the mask of another of its name."""


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file of a folder that is not looked at as a photograph."""

    path: Path
    reason: str


@dataclasses.dataclass(frozen=True)
class Survey:
    """What lies in a folder of photographs."""

    photos: list[Path]
    """Photographs by name."""
    left_out: list[LeftOut]
    """Everything else, by name."""
    masks: dict[Path, list[Path]]
    """Masks of each photograph: one where all is well."""
    unused: list[Path]
    """Pictures of the folder of masks that are no photograph's mask."""


def survey(images: Path, masks: Path | None = None) -> Survey:
    """Sort a folder of photographs, or take one file, and pair each photograph with its masks.

    Args:
        images: Folder, or one photograph.
        masks: Folder of masks, the same one or another; None where there are none.

    Raises:
        InputError: There is no photograph, or a folder cannot be read.
    """
    if images.exists() and not images.is_dir() and not images.is_file():
        raise InputError("images", str(images), "a photograph or a folder of them (no regular file)")
    pictures, left_out = ([images], []) if images.is_file() else pictures_of(images, "images")
    labels = pictures_of(masks, "masks")[0] if masks is not None else []
    photos: list[Path] = []
    for path, reason in _reasons(pictures).items():
        if reason is None:
            photos.append(path)
        else:
            left_out.append(LeftOut(path, reason))
    left_out.sort(key=lambda item: item.path.name)
    if not photos:
        found = f" ({_list(left_out)})" if left_out else ""
        allowed = f"a photograph, or a folder with some ({', '.join(sorted(ENDINGS))}){found}"
        raise InputError("images", str(images), allowed)
    own = {_identity(path) for path in photos}
    labels = [label for label in labels if _identity(label) not in own]
    found = pair(photos, labels)
    used = {label for candidates in found.values() for label in candidates}
    return Survey(photos, left_out, found, [label for label in labels if label not in used])


def pictures_of(folder: Path, field: str) -> tuple[list[Path], list[LeftOut]]:
    """Return the files of a folder that are pictures by their ending, and the others, each by name.

    Raises:
        InputError: The folder cannot be read.
    """
    try:
        paths = sorted(folder.iterdir())
    except OSError as error:
        raise InputError(field, str(folder), f"a folder of pictures ({error.strerror})") from None
    pictures: list[Path] = []
    others: list[LeftOut] = []
    for path in paths:
        reason = _no_picture(path)
        if reason is None:
            pictures.append(path)
        else:
            others.append(LeftOut(path, reason))
    return pictures, others


def _no_picture(path: Path) -> str | None:
    """Return why a file of a folder is not opened as a picture; None where it is."""
    if path.name.startswith("."):
        return HIDDEN
    if path.is_dir():
        return "a folder"
    if path.suffix.lower() not in ENDINGS:
        return "no picture"
    if not path.is_file():
        return "no regular file" if path.exists() else "a link to nothing"
    return None


def name_key(name: str) -> str:
    """Return what names have in common that differ in letter case or in how accents are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def pair(photos: Sequence[Path], labels: Iterable[Path]) -> dict[Path, list[Path]]:
    """Return the masks of each photograph by the nearest kind of name that has any; several are ambiguous."""
    found: dict[Path, list[Path]] = {photo: [] for photo in photos}
    left = list(labels)
    levels: tuple[tuple[Callable[[str], str], Callable[[str], str]], ...] = (
        (str, str),
        (name_key, name_key),
        (name_key, lambda stem: name_key(_named_for(stem) or _named_for(stem, LABEL_NAME) or "")),
    )
    for of_photo, of_label in levels:
        by_name: dict[str, list[Path]] = defaultdict(list)
        for label in left:
            by_name[of_label(label.stem)].append(label)
        found = {photo: masks or by_name.get(of_photo(photo.stem), []) for photo, masks in found.items()}
        used = {label for candidates in found.values() for label in candidates}
        left = [label for label in left if label not in used]
    return found


def only_mask(photo: Path, masks: Sequence[Path]) -> Path:
    """Return the one mask of a photograph.

    Raises:
        InputError: It has none, or more than one by its name.
    """
    if len(masks) == 1:
        return masks[0]
    found = ", ".join(shown_name(mask) for mask in masks) or "no file"
    raise InputError(shown_name(photo), found, f"one mask named {shown_name(Path(photo.stem))}")


def _named_for(stem: str, pattern: re.Pattern[str] = MASK_NAME) -> str | None:
    """Return NAME of `NAME_mask` and its like; None for other names."""
    match = pattern.fullmatch(stem)
    return next((group for group in match.groups() if group), None) if match else None


def _reasons(pictures: Sequence[Path]) -> dict[Path, str | None]:
    """Return why a picture is no photograph; None where it is one."""
    names = {path.name for path in pictures}
    stems: dict[str, list[Path]] = defaultdict(list)
    for path in pictures:
        stems[name_key(path.stem)].append(path)
    reasons: dict[Path, str | None] = {}
    for path in pictures:
        named_for = _named_for(path.stem)
        others = [other for other in stems[name_key(path.stem)] if other != path]
        if path.stem in names:
            reasons[path] = f"an overlay of {shown_name(path.with_name(path.stem))}"
        elif path.name == SHEET or _written_by_us(path):
            reasons[path] = "written by an evaluation"
        elif named_for is not None and name_key(named_for) in stems:
            reasons[path] = f"the mask of {shown_name(stems[name_key(named_for)][0])}"
        else:
            values = _label_values(path)
            if values is not None and values <= set(OWN_CLASSES.values):
                reasons[path] = f"a mask: its values are {', '.join(map(str, sorted(values)))}"
            elif values is not None and others and not all(_label_values(other) for other in others):
                reasons[path] = f"the mask of {shown_name(others[0])}"
            elif values is not None and named_for is not None:
                reasons[path] = "a mask by its name"
            else:
                reasons[path] = "flat areas, as labels have" if _is_flat(path) else None
    return reasons


def _written_by_us(path: Path) -> bool:
    if path.suffix.lower() != ".png":
        return False
    try:
        with opened(path, "photograph") as image:
            return image is not None and image.info.get("Software") == SOFTWARE
    except InputError:
        return False


def _label_values(path: Path) -> set[int] | None:
    """Return the values of a picture that can be a mask: kept without loss and few; None of any other.

    A colour stands as R · 65536 + G · 256 + B where its channels differ. A black picture in colour is a photograph.
    """
    try:
        with opened(path, "photograph") as image:
            if image is None or image.format not in FORMATS or is_deep(image):
                return None
            if image.mode not in ("1", "L", "P", "LA", "RGB", "RGBA"):
                return None
            colors = image.getcolors(LABEL_VALUES_MAX)
    except InputError:
        return None  # said where it is read
    if colors is None:
        return None
    values = {_value(color) for _, color in colors}
    return None if image.mode in ("RGB", "RGBA") and len(values) == 1 else values


def _is_flat(path: Path) -> bool:
    """Whether a picture of any depth consists of areas of one value each; where all is one value it cannot be told."""
    try:
        with opened(path, "photograph") as image:
            if image is None or is_deep(image):
                samples, lossy = read_deep(path, image)[0], False
            else:
                samples, lossy = np.asarray(image), image.format not in FORMATS and image.format != "WEBP"
    except InputError:
        return False  # said where it is read
    if min(samples.shape[:2]) < 2:
        return False
    rows = np.unique(np.linspace(0, len(samples) - 2, min(len(samples) - 1, FLAT_ROWS)).astype(int))
    here, below = (samples[r].reshape(len(r), samples.shape[1], -1).astype(np.float64) for r in (rows, rows + 1))
    near = LOSSY_LEVELS if lossy else 0
    if np.ptp(here) <= near:
        return False
    equal = (np.abs(here[:, 1:] - here[:, :-1]) <= near) & (np.abs(below - here)[:, :-1] <= near)
    return bool(equal.all(axis=2).mean() >= FLAT_MIN)


def _value(color: Any) -> int:
    """Return the value of one of `Image.getcolors`' colours: a number, or channels with alpha or none."""
    if isinstance(color, int | float):
        return int(color)
    return color[0] if len(color) < 3 or len(set(color[:3])) == 1 else color[0] << 16 | color[1] << 8 | color[2]


def overlay_name(photo: Path) -> str:
    """Return the name of a photograph's overlay: its own with its ending, cut where file systems could not take it."""
    name = shown_name(photo)
    if name == photo.name and len(name.encode()) <= OVERLAY_BYTES_MAX:
        return f"{name}.png"  # a.jpg and a.png are two photographs
    try:
        os.fsencode(name)
    except UnicodeEncodeError:  # a locale without these letters
        name = name.encode("ascii", "replace").decode("ascii")
    stem = re.sub(r"[^\w.-]", "_", name).encode()[:OVERLAY_BYTES_MAX].decode("utf-8", "ignore")
    return f"{stem}-{hashlib.sha256(os.fsencode(photo.name)).hexdigest()[:8]}.png"


def _identity(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_dev, status.st_ino


def _list(left_out: Sequence[LeftOut], limit: int = 5) -> str:
    words = [f"{shown_name(item.path)}: {item.reason}" for item in left_out[:limit]]
    return ", ".join([*words, *([f"and {len(left_out) - limit} more"] if len(left_out) > limit else [])])
