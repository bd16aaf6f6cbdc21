"""What files of points say, `.npz`, `.ply`, `.xyz`, `.las` and `.laz`: read in bounded memory, whatever they hold.

The largest that is read takes about a gigabyte until it is a cloud.
"""

from __future__ import annotations

import io
import itertools
import math
import os
import re
import struct
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regolith.lunar.quality.laser import read_laser
from regolith.lunar.reading import open_regular

FILE_BYTES = 512 << 20
"""Largest file of points that is read."""
POINTS_MAX = 16_000_000
"""Most points of one cloud."""
LINE_MAX = 1000
"""Most characters of a line of numbers."""
LINES_AT_ONCE = 8192
"""Lines of a text that are read at once."""
COMMENTS = ("#", "//")
ENTRY = b"PK\1\2"
"""What every entry of an archive's directory begins with."""
ENTRIES_MAX = 1000
"""Most of these in an archive: of arrays it has a handful, the others are chance."""

Raw = tuple[np.ndarray, np.ndarray | None, np.ndarray]
"""Points [N, 3], values of their classes [N] or None, and the sensor's place [3], as a file has them."""


def _read_npz(path: Path) -> Raw:
    """Arrays `points_world` or `points`, maybe `class`, and maybe `camera_to_world`."""
    with _open(path) as file, _open_archive(file) as archive:
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


def _open_archive(file: BinaryIO) -> zipfile.ZipFile:
    """Open an archive of at most `ENTRIES_MAX` entries, of each of which zipfile makes an object at once."""
    entries, last = 0, b""
    while piece := file.read(1 << 20):
        entries += (last + piece).count(ENTRY)
        last = piece[1 - len(ENTRY) :]
    if entries > ENTRIES_MAX:
        raise ValueError(f"an archive of more than {ENTRIES_MAX:,} entries")
    return zipfile.ZipFile(file)


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


def _open(path: Path) -> BinaryIO:
    """Open a file of at most `FILE_BYTES`."""
    file = open_regular(path)
    if os.fstat(file.fileno()).st_size > FILE_BYTES:
        file.close()
        raise ValueError(f"larger than {FILE_BYTES >> 20} MiB")
    return file


def _read_xyz(path: Path) -> Raw:
    """Lines of x y z, or of x y z class; blanks or commas between, comments after # or //."""
    with _open(path) as file:
        lines = (line.replace(",", " ") for line in _lines(file))
        return _table(_numbers(lines, (3, 4), "lines of {1} numbers, should be x y z, or x y z class", COMMENTS))


def _lines(file: BinaryIO) -> Iterator[str]:
    """Lines of a text from where a file stands on, of at most `LINE_MAX` characters."""
    text = io.TextIOWrapper(file, "ascii")
    while line := text.readline(LINE_MAX + 1):
        if len(line) > LINE_MAX:
            raise ValueError(f"a line of more than {LINE_MAX:,} characters")
        yield line


def _numbers(
    lines: Iterator[str],
    columns: Sequence[int],
    wrong: str,
    comments: Sequence[str] | None = None,
    kept: Sequence[int] | None = None,
) -> np.ndarray:
    """Numbers of lines, read some lines at once: beside them, no more is held than what is kept.

    Args:
        lines: The lines; those without a number are passed over.
        columns: How many numbers every line may have.
        wrong: What is said where they have others: {0} is the number of lines, {1} of their numbers.
        comments: What begins a comment.
        kept: Columns that are kept; left out, all.

    Returns:
        float64 [rows, columns kept].
    """
    held, rows, found = bytearray(), 0, 0
    while piece := list(itertools.islice(lines, LINES_AT_ONCE)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # lines without a number are no fault
            table = np.loadtxt(piece, comments=comments, ndmin=2)
        if not len(table):
            continue
        if table.shape[1] not in columns or found not in (0, table.shape[1]):
            raise ValueError(wrong.format(len(table), table.shape[1]))
        rows, found = rows + len(table), table.shape[1]
        _check_count(rows)
        held += (table if kept is None else table[:, kept]).tobytes()
    if not found:
        raise ValueError(wrong.format(0, 0))
    return np.frombuffer(held).reshape(rows, -1)


def _table(rows: np.ndarray) -> Raw:
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
    with _open(path) as file:
        data = file.read(HEADER_BYTES)
        end = re.search(rb"^end_header\r?\n", data, re.MULTILINE)
        if end is None or not data.startswith((b"ply\n", b"ply\r\n")):
            raise ValueError("no header of a PLY file")
        kind, elements = _ply_header(data[: end.start()].decode("ascii").splitlines()[1:])
        lines, start = 0, end.end()
        for name, count, columns in elements:
            if any(ending is None for _, ending in columns):
                raise ValueError(f"lists in {name}: vertices must come before any")
            row = np.dtype([(column, PLY_ORDERS[kind] + str(ending)) for column, ending in columns])
            if name == "vertex":
                _check_count(count)
                file.seek(end.end())
                return _vertices(kind, file, row, count, (lines, start))
            lines, start = lines + count, start + count * row.itemsize
    raise ValueError("no vertices")


def _vertices(kind: str, file: BinaryIO, row: np.dtype, count: int, skip: tuple[int, int]) -> Raw:
    """Vertices of a file that stands behind its header.

    Args:
        kind: One of `PLY_ORDERS`.
        file: The file.
        row: Properties of a vertex.
        count: Vertices.
        skip: Lines before them in ascii, and the byte they begin at in binary.
    """
    names = list(row.names or ())
    if not {"x", "y", "z"} <= set(names):
        raise ValueError("vertices without x, y, z")
    lines, start = skip
    wanted = ["x", "y", "z", *[name for name in PLY_CLASSES if name in names][:1]]
    if kind == "ascii":
        body = itertools.islice(_lines(file), min(lines, FILE_BYTES), min(lines, FILE_BYTES) + count)
        wrong = f"{{}} vertices of {{}} numbers, should be {count} of {len(names)}"
        rows = _numbers(body, (len(names),), wrong, kept=[names.index(name) for name in wanted])
        if len(rows) != count:
            raise ValueError(wrong.format(len(rows), len(names)))
        return _table(rows)
    if os.fstat(file.fileno()).st_size - start < count * row.itemsize:
        raise ValueError("cut short")
    file.seek(start)
    found = np.frombuffer(file.read(count * row.itemsize), row)
    points = np.stack([found[axis] for axis in "xyz"], axis=1)
    return points, found[wanted[3]].copy() if len(wanted) > 3 else None, np.zeros(3)


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
    points, codes = read_laser(path, most_bytes=FILE_BYTES, most_points=POINTS_MAX)
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
