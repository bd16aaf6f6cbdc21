"""Points of LAS and LAZ files (LAS 1.4 R15), by laspy.

What is compressed is unpacked in a process of its own, python -m regolith.lunar.quality.laser: lazrs believes the sizes
that a file states, takes gigabytes for a damaged one, or ends its process.
"""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import BinaryIO

import numpy as np

from regolith.lunar.jobs.confined import LimitError, begin, run_confined
from regolith.lunar.jobs.events import emit
from regolith.lunar.reading import open_regular
from regolith.lunar.scratch import scratch_folder

RECORD_BYTES = 54
"""Least bytes of a variable length record before the points (table 7)."""
FORMAT_BYTE, COMPRESSED = 104, 0xC0
"""Where the header has the points' format, and the bits of it that say they are compressed (LASzip's)."""
CHUNK_BYTES = 64 << 20
"""Bytes of points that are unpacked at once."""
UNPACK_BYTES = 1 << 29
"""Most memory unpacking may take, beside `POINT_BYTES` a point [bytes]."""
POINT_BYTES = 75
"""Most bytes a point takes while its parts are put together: three coordinates and a code, three times."""
UNPACK_CPU_S = 60.0
"""Most processor time it may take [s]; a million points take 0.3."""

logging.getLogger("laspy").addHandler(logging.NullHandler())  # its errors are raised as well: one line, not two


def read_laser(path: Path, *, most_bytes: int, most_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Read a file: one whose header says that it is compressed, whatever its name, in a process of its own.

    Args:
        path: The file.
        most_bytes: Largest file that is read [bytes].
        most_points: Most points.

    Returns:
        Points in the coordinates of the file's own reference system, float64 [n, 3], and classification codes, uint8
        [n].

    Raises:
        ModuleNotFoundError: laspy is not installed.
        OSError: The file cannot be read.
        ValueError: It is damaged, too large or holds no points; so do other errors of numpy and laspy say.
    """
    import laspy  # noqa: F401  (a missing package is said here, not there)

    with open_regular(path) as file:
        head = file.read(255)
        _check_header(head, os.fstat(file.fileno()).st_size, most_bytes)
        if not head[FORMAT_BYTE] & COMPRESSED:
            return _read(file, most_points)
    stated = int.from_bytes(head[247:255] if head[25] > 3 else head[107:111], "little")  # by minor version (table 3)
    return _unpack(path, most_points, min(stated, most_points))


def _read(file: BinaryIO, most_points: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and codes of an open file, read in this process."""
    import laspy
    import lazrs

    try:
        file.seek(0)
        with laspy.LasReader(file, closefd=False, read_evlrs=False) as reader:
            if reader.header.point_count > most_points:
                raise ValueError(f"{reader.header.point_count:,} points, more than {most_points:,}")
            at_once = max(1, CHUNK_BYTES // reader.header.point_format.size)
            names = ("x", "y", "z", "classification")
            parts = [[np.asarray(part[name]) for name in names] for part in reader.chunk_iterator(at_once)]
    except (laspy.errors.LaspyException, lazrs.LazrsError) as error:  # pyright: ignore[reportAttributeAccessIssue]
        raise ValueError(" ".join(str(error).split())) from None
    if not parts:
        raise ValueError("no points")
    x, y, z, codes = (np.concatenate(column) for column in zip(*parts, strict=True))
    return np.stack([x, y, z], axis=1), codes


def _check_header(head: bytes, size: int, most: int) -> None:
    """Refuse a header that says more than the file holds: laspy would go on for all of it (table 3)."""
    if len(head) < 107 or not head.startswith(b"LASF"):
        raise ValueError("no header of a LAS file")
    if size > most:
        raise ValueError(f"larger than {most >> 20} MiB")
    records = int.from_bytes(head[100:104], "little")
    if records * RECORD_BYTES > size:
        raise ValueError(f"{records} records in {size} bytes")


def _unpack(path: Path, most_points: int, stated: int) -> tuple[np.ndarray, np.ndarray]:
    """Points and codes of a compressed file that states so many points, read in a process of its own."""
    with scratch_folder() as folder:
        out = folder / "points.npz"
        try:
            run_confined(
                "regolith.lunar.quality.laser",
                [str(path), str(out), str(most_points)],
                most_bytes=UNPACK_BYTES + POINT_BYTES * stated,
                most_cpu_s=UNPACK_CPU_S,
            )
        except LimitError:
            raise ValueError("it takes more memory or time to unpack than any of its size") from None
        except ChildProcessError as error:
            _, _, said = error.args[0].partition(": ")
            raise ValueError(said or "it ends the process that unpacks it") from None
        with np.load(out) as arrays:
            return arrays["points"], arrays["codes"]


def main() -> None:
    """Unpack a file for `read_laser`; what is wrong with it is the last line on stderr."""
    import laspy  # noqa: F401  (loading them is not the file's doing)
    import lazrs  # noqa: F401

    path, out, most_points, launcher = sys.argv[1:]
    begin(int(launcher))
    with open_regular(Path(path)) as file:
        points, codes = _read(file, int(most_points))
    np.savez(out, points=points, codes=codes)
    emit({"event": "done", "status": "finished"})


if __name__ == "__main__":
    main()
