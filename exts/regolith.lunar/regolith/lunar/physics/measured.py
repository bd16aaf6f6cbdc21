"""Measured motion: a run of one experiment as a `.csv` or `.npz` file that names its units.

A CSV begins with lines `# experiment: steps` and, where the experiment asks for one, `# slope [deg]: 12`; then a row of
columns, `time [s],command [rad/s],speed [mm/s]`, and the numbers. An NPZ has the same names: `experiment` as text, the
settings as numbers, the columns as arrays of one length. `UNITS` has what may stand in the brackets.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from regolith.lunar.files import AnyPath, write_bytes
from regolith.lunar.params import InputError
from regolith.lunar.reading import read_bytes

UNITS: dict[str, dict[str, float]] = {
    "time": {"s": 1.0, "ms": 1e-3},
    "length": {"m": 1.0, "cm": 1e-2, "mm": 1e-3},
    "speed": {"m/s": 1.0, "cm/s": 1e-2, "mm/s": 1e-3},
    "angle": {"rad": 1.0, "deg": math.radians(1.0)},
    "spin": {"rad/s": 1.0, "deg/s": math.radians(1.0), "rpm": math.pi / 30.0},
}
"""Kind of a quantity to its units, the SI unit first, and what one of them is in that."""

KINDS = {
    "time": "time",
    "height": "length",
    "distance": "length",
    "speed": "speed",
    "spin": "spin",
    "command": "spin",
    "release": "length",
    "slope": "angle",
    "start": "speed",
}
"""Column or setting to the kind of its quantity."""

FILE_BYTES = 64 << 20
"""Largest file of a run."""
SAMPLES_MIN, SAMPLES_MAX = 10, 100_000
"""Samples a run may have."""
SECONDS_MAX = 120.0
"""Longest run [s]: it is simulated some hundred times."""


@dataclasses.dataclass(frozen=True)
class Recipe:
    """What a run of an experiment has to say."""

    settings: tuple[str, ...]
    """Numbers beside the columns."""
    inputs: tuple[str, ...]
    """Columns that are done to the rover."""
    outputs: tuple[str, ...]
    """Columns that are measured: one of them at least."""


EXPERIMENTS: dict[str, Recipe] = {
    "drop": Recipe(("release",), (), ("height",)),
    "rolling": Recipe(("slope",), (), ("distance", "spin")),
    "coast": Recipe(("start",), (), ("speed", "spin")),
    "steps": Recipe((), ("command",), ("speed", "spin")),
}
"""Experiments by name; `physics.experiments` simulates them."""


@dataclasses.dataclass(frozen=True)
class Run:
    """One experiment, measured or simulated, in SI units."""

    name: str
    """What to call it in messages: its file."""
    experiment: str
    settings: Mapping[str, float]
    time: np.ndarray
    """Since the experiment began [s], rising, shape [N]."""
    columns: Mapping[str, np.ndarray]
    """Inputs and outputs by name, shape [N] each."""

    @property
    def outputs(self) -> dict[str, np.ndarray]:
        """What was measured."""
        return {name: self.columns[name] for name in EXPERIMENTS[self.experiment].outputs if name in self.columns}


def load_run(path: AnyPath) -> Run:
    """Read a run.

    Raises:
        InputError: The file cannot be read, or something in it is missing, has no unit, or is no such run; names it.
    """
    path = Path(path)
    if path.suffix not in (".csv", ".npz"):
        raise InputError("runs", str(path), "files .csv or .npz")
    try:
        data = read_bytes(path, FILE_BYTES)
        texts, arrays = _parse_csv(data) if path.suffix == ".csv" else _parse_npz(data)
    except OSError as error:
        raise InputError("runs", str(path), f"a readable file ({error.strerror or error})") from None
    except (ValueError, KeyError, EOFError, MemoryError, zipfile.BadZipFile) as error:
        raise InputError("runs", str(path), f"a well-formed {path.suffix[1:].upper()} ({error})") from None
    return _check(path.name, texts.get("experiment"), arrays)


def save_run(run: Run, path: AnyPath) -> None:
    """Write a run as CSV or NPZ, by the file's ending, in SI units; reading it back gives the same.

    Raises:
        InputError: Another ending.
        OSError: The file cannot be written.
    """
    path = Path(path)
    named = {"time": run.time, **run.columns}
    headed = {f"{name} [{_si(name)}]": values for name, values in named.items()}
    settings = {f"{name} [{_si(name)}]": value for name, value in run.settings.items()}
    stream = io.BytesIO()
    if path.suffix == ".npz":
        np.savez(stream, experiment=np.array(run.experiment), **settings, **headed)  # pyright: ignore[reportArgumentType]
    elif path.suffix == ".csv":
        lines = [f"# experiment: {run.experiment}", *(f"# {name}: {value!r}" for name, value in settings.items())]
        rows = (",".join(map(repr, row)) for row in np.column_stack(list(named.values())).tolist())
        stream.write("\n".join([*lines, ",".join(headed), *rows, ""]).encode())
    else:
        raise InputError("runs", str(path), "a .csv or .npz file")
    write_bytes(path, stream.getvalue())


def _si(name: str) -> str:
    return next(iter(UNITS[KINDS[name]]))


def _parse_csv(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Texts and arrays of a CSV by their headings; a setting is an array of no dimensions."""
    lines = data.decode("utf-8-sig").splitlines()
    start = next((number for number, line in enumerate(lines) if line.strip() and line[0] != "#"), len(lines))
    texts = {name.strip(): value.strip() for name, _, value in (line[1:].partition(":") for line in lines[:start])}
    rows = [row for row in csv.reader(lines[start:]) if row]
    if not rows:
        raise ValueError("no row of columns")
    head = [name.strip() for name in rows[0]]
    if (twice := next((name for name in head if head.count(name) > 1), None)) is not None:
        raise ValueError(f"column {twice!r} twice")
    for number, row in enumerate(rows[1:], 1):
        if len(row) != len(head):
            raise ValueError(f"{len(row)} values in row {number}, should be {len(head)}")
    numbers = np.array([[float(value) for value in row] for row in rows[1:]], np.float64).reshape(-1, len(head))
    arrays = {name: np.array(float(value)) for name, value in texts.items() if "[" in name}
    return texts, arrays | dict(zip(head, numbers.T, strict=True))


def _parse_npz(data: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """The same of an NPZ."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > FILE_BYTES:
            raise ValueError(f"more than {FILE_BYTES >> 20} MiB unpacked")
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        found = {name: archive[name] for name in archive.files}
    texts = {name: str(value) for name, value in found.items() if value.dtype.kind == "U"}
    return texts, {name: np.asarray(value, np.float64) for name, value in found.items() if name not in texts}


def _check(name: str, experiment: str | None, arrays: Mapping[str, np.ndarray]) -> Run:
    """Hold what a file says to its experiment."""
    if experiment not in EXPERIMENTS:
        raise InputError(f"{name}: experiment", experiment, ", ".join(EXPERIMENTS))
    recipe = EXPERIMENTS[experiment]
    allowed = ("time", *recipe.settings, *recipe.inputs, *recipe.outputs)
    found: dict[str, np.ndarray] = {}
    for heading, values in arrays.items():
        match = re.fullmatch(r"\s*(\w+)\s*\[([^]]*)\]\s*", heading)
        key = match[1] if match else heading
        if key not in allowed:
            raise InputError(f"{name}: {experiment}", heading, ", ".join(map(_heading, allowed)))
        if match is None or match[2] not in UNITS[KINDS[key]]:
            raise InputError(f"{name}: {experiment}", heading, f"a unit: {_heading(key)}")
        found[key] = values * UNITS[KINDS[key]][match[2]]
    for key in ("time", *recipe.settings, *recipe.inputs):
        if key not in found:
            raise InputError(f"{name}: {key}", None, _heading(key))
    outputs = [key for key in recipe.outputs if key in found]
    if not outputs:
        raise InputError(f"{name}: {recipe.outputs[0]}", None, " or ".join(map(_heading, recipe.outputs)))
    time = found["time"]
    _check_values(name, found, recipe)
    columns = {key: found[key] for key in (*recipe.inputs, *outputs)}
    return Run(name, experiment, {key: float(found[key]) for key in recipe.settings}, time, columns)


def _heading(name: str) -> str:
    """`time [s] or [ms]`."""
    return f"{name} " + " or ".join(f"[{unit}]" for unit in UNITS[KINDS[name]])


def _check_values(name: str, found: Mapping[str, np.ndarray], recipe: Recipe) -> None:
    """Refuse times that do not rise, columns of other lengths, and numbers that are none."""
    time = found["time"]
    if time.ndim != 1 or not SAMPLES_MIN <= time.size <= SAMPLES_MAX:
        raise InputError(f"{name}: time", f"{time.size} samples", f"{SAMPLES_MIN} … {SAMPLES_MAX} samples")
    for key, values in found.items():
        shape = () if key in recipe.settings else time.shape
        if values.shape != shape:
            raise InputError(f"{name}: {key}", f"{values.size} values", "one value" if not shape else f"{time.size}")
        if not np.isfinite(values).all():
            raise InputError(f"{name}: {key}", "a value that is no number", "finite numbers")
    if time[0] < 0.0 or not (np.diff(time) > 0.0).all() or time[-1] > SECONDS_MAX:
        raise InputError(
            f"{name}: time", f"{time[0]:g} … {time[-1]:g} s", f"rising from 0 on to {SECONDS_MAX:g} s at most"
        )
