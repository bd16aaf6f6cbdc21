"""Clouds of points out of frames with depth and out of files: metres, z up, of bounded size."""

from __future__ import annotations

import dataclasses
import functools
import io
import math
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
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
from regolith.lunar.quality.laser import read_las, unpack_laz
from regolith.lunar.reading import open_regular, read_bytes
from regolith.lunar.stage.spec import rng

FILE_BYTES = 512 << 20
"""Largest file of points that is read."""
POINTS_MAX = 16_000_000
"""Most points of one cloud."""
HELD_MAX = 16_000_000
"""Most points that all clouds of one side keep: 400 MB. Of more, each cloud keeps an equal share, drawn by chance."""
CLOUDS_MAX = 64
"""Most clouds of one side that are read; of more, these are spread evenly over them."""
FARTHEST_M = 1e8
"""Largest coordinate: beyond it a double no longer tells a micrometre."""


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

    def keep(self, chosen: np.ndarray) -> Cloud:
        """The cloud of some of its points: indices, or bool [N]."""
        classes = None if self.classes is None else self.classes[chosen]
        return dataclasses.replace(self, points=self.points[chosen], classes=classes)


def points_of(points: np.ndarray, classes: np.ndarray | None, number: int | None) -> np.ndarray:
    """Points of a class, of None all, shape [n, 3]; of a class none where `classes` is None."""
    if number is None:
        return points
    return points[:0] if classes is None else points[classes == number]


Raw = tuple[np.ndarray, np.ndarray | None, np.ndarray]
"""Points [N, 3], values of their classes [N] or None, and the sensor's place [3], as a file has them."""


def read_clouds(
    path: Path, *, field: str, classes: ClassMap | None = None, emit: Emit = lambda event: None
) -> list[Cloud]:
    """Read clouds from splits with depth, datasets of such, folders of point files, and point files.

    A file's points are in the frame of its sensor, which stands in the origin, but for `.npz` of `regolith export`,
    which say where it stood. Non-finite points and those of class `ignore` are left out.

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
        raise InputError(field, f"frame {record.index} of {source.folder}", f"depth of a scene ({error})") from None


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
        raise ValueError("no finite point of a class")
    points = points[kept]
    if np.abs(points).max() > FARTHEST_M:
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


def _read_npz(path: Path) -> Raw:
    """Arrays `points_world` or `points`, maybe `class`, and maybe `camera_to_world`."""
    with open_regular(path) as file, zipfile.ZipFile(file) as archive:
        names = set(archive.namelist())
        key = next((name for name in ("points_world", "points") if f"{name}.npy" in names), None)
        if key is None:
            raise ValueError("no array points_world or points")
        points = _read_npy(archive, key)
        values = _read_npy(archive, "class") if "class.npy" in names else None
        origin = np.zeros(3)
        if "camera_to_world.npy" in names:
            pose = _read_npy(archive, "camera_to_world")
            if pose.shape != (4, 4) or not np.isfinite(pose).all():
                raise ValueError("camera_to_world is no finite [4, 4]")
            origin = pose[:3, 3]
    return points, values, origin


def _read_npy(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    """One array of an archive, whose header is believed only as far as its bytes go."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        headers = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in headers:
            raise ValueError(f"{name} of format {version[0]}.{version[1]}")
        shape, fortran, dtype = headers[version](stream)
        if dtype.kind not in "fiu":
            raise ValueError(f"{name} of type {dtype}, should be numbers")
        _check_count(math.prod(shape[:1]))
        size = math.prod(shape) * dtype.itemsize
        if not 0 <= size <= FILE_BYTES:
            raise ValueError(f"{name} of {size} bytes")
        data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"{name} is cut short")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran else "C")


def _check_count(count: int) -> None:
    if count > POINTS_MAX:
        raise ValueError(f"{count:,} points, more than {POINTS_MAX:,}")


def _read_xyz(path: Path) -> Raw:
    """Lines of x y z, or of x y z class; blanks or commas between, comments after # or //."""
    return _table(_numbers(read_bytes(path, FILE_BYTES).replace(b",", b" "), comments=("#", "//")))


def _numbers(data: bytes, *, comments: Sequence[str] | None = None, rows: int | None = None) -> np.ndarray:
    """Rows of numbers of a text, float64 [rows, columns]."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a text without a line is refused by what is made of it
        text = io.TextIOWrapper(io.BytesIO(data), "ascii")
        return np.loadtxt(text, comments=comments, ndmin=2, max_rows=POINTS_MAX + 1 if rows is None else rows)


def _table(rows: np.ndarray) -> Raw:
    _check_count(len(rows))
    if rows.shape[1] not in (3, 4):
        raise ValueError(f"lines of {rows.shape[1]} numbers, should be x y z, or x y z class")
    return rows[:, :3], rows[:, 3] if rows.shape[1] == 4 else None, np.zeros(3)


PLY_TYPES = {
    "char": "i1", "int8": "i1", "uchar": "u1", "uint8": "u1", "short": "i2", "int16": "i2", "ushort": "u2",
    "uint16": "u2", "int": "i4", "int32": "i4", "uint": "u4", "uint32": "u4", "float": "f4", "float32": "f4",
    "double": "f8", "float64": "f8",
}  # fmt: skip
PLY_ORDERS = {"ascii": "<", "binary_little_endian": "<", "binary_big_endian": ">"}
PLY_CLASSES = ("class", "classification", "label")
"""Vertex properties that say the class; the first of them that is there."""
HEADER_BYTES = 1 << 16
"""Longest header of a PLY file."""


def _read_ply(path: Path) -> Raw:
    """Vertices of a PLY file (Turk 1994), ascii or binary: x, y, z and maybe a class."""
    data = read_bytes(path, FILE_BYTES)
    end = re.search(rb"^end_header\r?\n", data[:HEADER_BYTES], re.MULTILINE)
    if end is None or not data.startswith((b"ply\n", b"ply\r\n")):
        raise ValueError("no header of a PLY file")
    kind, elements = _ply_header(data[: end.start()].decode("ascii").splitlines()[1:])
    lines = start = 0
    for name, count, columns in elements:
        if any(ending is None for _, ending in columns):
            raise ValueError(f"lists in {name}: vertices must come before any")
        row = np.dtype([(column, PLY_ORDERS[kind] + str(ending)) for column, ending in columns])
        if name != "vertex":
            lines, start = lines + count, start + count * row.itemsize
            continue
        _check_count(count)
        return _vertices(kind, data[end.end() :], row, count, (lines, start))
    raise ValueError("no vertices")


def _vertices(kind: str, body: bytes, row: np.dtype, count: int, skip: tuple[int, int]) -> Raw:
    names = row.names or ()
    if not {"x", "y", "z"} <= set(names):
        raise ValueError("vertices without x, y, z")
    lines, start = skip
    if kind == "ascii":
        rows = _numbers(b"\n".join(body.split(b"\n", lines + count)[lines:][:count]), rows=count)
        if rows.shape != (count, len(names)):
            raise ValueError(f"{len(rows)} vertices of {rows.shape[1]} numbers, should be {count} of {len(names)}")
        columns = dict(zip(names, rows.T, strict=True))
    else:
        if len(body) - start < count * row.itemsize:
            raise ValueError("cut short")
        found = np.frombuffer(body, row, count, start)
        columns = {name: found[name] for name in names}
    values = next((columns[name] for name in PLY_CLASSES if name in columns), None)
    return np.stack([columns[axis] for axis in "xyz"], axis=1), values, np.zeros(3)


def _ply_header(lines: Sequence[str]) -> tuple[str, list[tuple[str, int, list[tuple[str, str | None]]]]]:
    """Kind, and elements as (name, count, [(property, type, None of a list)])."""
    kind, elements = "", []
    for line in lines:
        match line.split():
            case [] | ["comment" | "obj_info", *_]:
                pass
            case ["format", kind, "1.0"] if kind in PLY_ORDERS:
                pass
            case ["element", name, count] if count.isdecimal() and len(count) < 19:
                elements.append((name, int(count), []))
            case ["property", "list", _, _, name] if elements:
                elements[-1][2].append((name, None))
            case ["property", ending, name] if elements and ending in PLY_TYPES:
                elements[-1][2].append((name, PLY_TYPES[ending]))
            case _:
                raise ValueError(f"a header line {line[:40]!r}")
    if not kind:
        raise ValueError("no format in the header")
    return kind, elements


def _read_las(path: Path) -> Raw:
    read = unpack_laz if path.suffix.lower() == ".laz" else read_las
    points, codes = read(path, most_bytes=FILE_BYTES, most_points=POINTS_MAX)
    return points, codes, np.zeros(3)


LASER = (".las", ".laz")
READERS: dict[str, Callable[[Path], Raw]] = {
    ".npz": _read_npz, ".ply": _read_ply, ".xyz": _read_xyz, **dict.fromkeys(LASER, _read_las),
}  # fmt: skip
"""Ending to what reads such a file; anything damaged in it raises one of `DAMAGE` or `OSError`."""

DAMAGE = (
    ValueError, LookupError, ArithmeticError, TypeError, AttributeError, EOFError, RuntimeError, SyntaxError,
    MemoryError, struct.error, tokenize.TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What readers of numpy, zipfile and laspy raise at damaged files."""
