"""Clouds of points out of frames with depth and out of files: metres, z up, of bounded size."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.pointcloud import FrameCamera, unproject
from regolith.lunar.dataset.splits import is_split, splits_in
from regolith.lunar.files import shown_name
from regolith.lunar.jobs.events import Emit
from regolith.lunar.labels import IGNORE
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError
from regolith.lunar.params.training import split_folders
from regolith.lunar.perception.masks import OWN_CLASSES, ClassMap
from regolith.lunar.quality.point_files import DAMAGE, LASER, READERS, Raw
from regolith.lunar.stage.spec import rng

HELD_MAX = 16_000_000
"""Most points that all clouds of one side keep: 400 MB. Of more, each cloud keeps an equal share, drawn by chance."""
CLOUDS_MAX = 64
"""Most clouds of one side that are read; of more, these are spread evenly over them."""
FARTHEST_M = 1e8
"""Largest coordinate: beyond it a double no longer tells a micrometre."""


class PointsError(InputError):
    """There are no points, or too few to be compared."""


class _NoPointError(ValueError):
    """A cloud has no point that counts."""


@dataclasses.dataclass(frozen=True)
class Cloud:
    """Points that one sensor saw from one place."""

    points: np.ndarray
    """Positions with z up [m], float64, shape [N, 3], N at least 1."""
    classes: np.ndarray | None
    """Class of each point (`labels.CLASSES`), uint8, shape [N]; None where nobody says."""
    origin: np.ndarray
    """Where the sensor stood, in the frame of the points [m], shape [3]."""
    place: str
    """What it shows: clouds of one scene of a split have the same."""
    name: str

    def of(self, number: int | None) -> np.ndarray:
        """Points of a class, of None all [m], shape [n, 3]; of a class none where nobody says."""
        return points_of(self.points, self.classes, number)

    def from_sensor(self) -> Cloud:
        """The cloud about its sensor: what stood in `origin` stands in 0, and axes stay as they are."""
        return dataclasses.replace(self, points=self.points - self.origin, origin=np.zeros(3))

    def keep(self, chosen: np.ndarray) -> Cloud:
        """The cloud of some of its points: indices, or bool [N]."""
        classes = None if self.classes is None else self.classes[chosen]
        return dataclasses.replace(self, points=self.points[chosen], classes=classes)


def points_of(points: np.ndarray, classes: np.ndarray | None, number: int | None) -> np.ndarray:
    """Points of a class, of None all, shape [n, 3]; of a class none where `classes` is None."""
    if number is None:
        return points
    return points[:0] if classes is None else points[classes == number]


def read_clouds(
    path: Path, *, field: str, classes: ClassMap | None = None, emit: Emit = lambda event: None
) -> list[Cloud]:
    """Read clouds from splits with depth, datasets of such, folders of point files, and point files.

    A file's points are about its sensor, which stands in the origin. Those of a split's depth are in the frame of its
    stage, as are `.npz` of `regolith export`, and say where the sensor stood. Non-finite points and those of class
    `ignore` are left out.

    Args:
        path: One of these, or several with commas between them.
        field: Parameter that names it, for errors.
        classes: What the classes of files mean; left out, they are `labels.CLASSES`, and `.las` files, whose codes
            name no rock (LAS 1.4, table 17), have none.
        emit: Receives `progress` events.

    Returns:
        At most `CLOUDS_MAX` clouds ordered as the paths, by name or number in each, together at most `HELD_MAX` points.

    Raises:
        InputError: There is nothing of the kind, or something in it is not as it should be; the first one.
    """
    found: list[Callable[[], Cloud]] = []
    for part in split_folders(path):
        found += _in(part, field, classes)
    if not found:
        allowed = f"a split with depth, a folder of {', '.join(READERS)} files, or such a file"
        raise InputError(field, str(path), allowed)
    count = min(len(found), CLOUDS_MAX)
    clouds = []
    for number in range(count):
        cloud = found[number * len(found) // count]()
        share = max(1, HELD_MAX // count)
        if len(cloud.points) > share:
            cloud = cloud.keep(rng(0, "cloud", number).choice(len(cloud.points), share, replace=False))
        clouds.append(cloud)
        emit({"event": "progress", "done": len(clouds), "total": count, "stage": field})
    return clouds


def _in(path: Path, field: str, classes: ClassMap | None) -> Iterator[Callable[[], Cloud]]:
    """What reads each cloud of one place on disk, in order."""
    try:
        splits = [path] if is_split(path) else splits_in(path) if path.is_dir() else []
        files = [path] if path.is_file() else []
        if path.is_dir() and not splits:
            files = sorted(each for each in path.iterdir() if each.suffix.lower() in READERS and each.is_file())
    except OSError as error:
        raise InputError(field, str(path), f"a folder that can be read ({error.strerror})") from None
    for split in splits:
        source = read_source(split)
        if not source.has("depth"):
            raise InputError("dataset.depth", False, f"true, when {source.name} is generated: points come from depth")
        for record in source.records:
            yield functools.partial(_of_frame, source, record, field)
    for file in files:
        yield functools.partial(read_cloud, file, field=field, classes=classes)


def _of_frame(source: Source, record: FrameRecord, field: str) -> Cloud:
    view = FrameCamera.from_spec(record.spec, source.width, source.height)
    points, pixel = unproject(source.array("depth", record), view.lens)
    columns, rows = pixel.T
    scene = record.spec.get("scene", f"frame {record.index}")
    raw = view.to_world(points), source.array("mask", record)[rows, columns], view.camera_to_world[:3, 3]
    name = f"{source.name} {record.index}"
    try:
        return _checked(raw, OWN_CLASSES, place=f"{source.folder} {scene}", name=name)
    except ValueError as error:
        kind = PointsError if isinstance(error, _NoPointError) else InputError
        raise kind(field, f"frame {record.index} of {source.folder}", f"depth of a scene ({error})") from None


def read_cloud(path: Path, *, field: str, classes: ClassMap | None = None) -> Cloud:
    """Read one point file; arguments as of `read_clouds`.

    Raises:
        InputError: It is missing, of another kind, damaged, too large or holds no points.
    """
    ending = path.suffix.lower()
    if ending not in READERS:
        raise InputError(field, str(path), f"a file of points: {', '.join(READERS)}")
    try:
        raw = READERS[ending](path)
        known = (None if ending in LASER else OWN_CLASSES) if classes is None else classes
        return _checked(raw, known, place=str(path), name=shown_name(path))
    except ModuleNotFoundError:
        allowed = f"a file whose packages are installed: laspy is not; {install_command('quality')}"
        raise InputError(field, str(path), allowed) from None
    except OSError as error:
        raise InputError(field, str(path), f"a file that can be read ({error.strerror or error})") from None
    except DAMAGE as error:
        raise InputError(field, str(path), f"a {ending} file of points ({error or type(error).__name__})") from None


def _checked(raw: Raw, known: ClassMap | None, *, place: str, name: str) -> Cloud:
    """Make a cloud of what a file says; what does not fit is a `ValueError`."""
    points, values, origin = raw
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise ValueError(f"points of shape {list(points.shape)}, should be [N, 3]")
    kept = np.isfinite(points).all(axis=1)
    classes = None
    if values is not None and known is not None:
        classes = _classes(values, len(points), known)
        kept &= classes != IGNORE
    if not kept.any():
        raise _NoPointError("no finite point of a class")
    points = points[kept]
    if max(points.max(), -points.min()) > FARTHEST_M:
        raise ValueError(f"a coordinate beyond {FARTHEST_M:g} m")
    return Cloud(points, None if classes is None else classes[kept], np.asarray(origin, np.float64), place, name)


def _classes(values: np.ndarray, count: int, known: ClassMap) -> np.ndarray:
    if values.shape != (count,):
        raise ValueError(f"classes of shape {list(values.shape)}, should be [{count}]")
    classes = np.full(count, IGNORE, np.uint8)
    for value in np.unique(values).tolist():
        if value not in known.values:
            raise ValueError(f"class {value:g} is none of {known.source}: {', '.join(map(str, sorted(known.values)))}")
        classes[values == value] = known.values[value]
    return classes
