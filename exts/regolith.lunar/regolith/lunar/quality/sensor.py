"""What repeated scans of one sensor differ by: `regolith calibrate sensor`, and the file it writes.

The file is JSON:

| field | |
|---|---|
| `schema` | 1 |
| `sensor` | its name |
| `scans` | how many scans were compared with each other |
| `rows` | one for each class and number of points |

and a row has

| field | |
|---|---|
| `class` | `all`, or a class of `labels.CLASSES` |
| `points` | points N drawn of each scan |
| `method` | how its Earth Mover's Distance was computed: `exact` or `sliced` |
| `pairs` | pairs of scans measured |
| `chamfer`, `emd` | `mean`, `std`, `p5`, `p50`, `p95` of the distances of these pairs [m] |
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import CLASSES
from regolith.lunar.params import InputError, Verb, quantity, sole_file
from regolith.lunar.perception.importing import CLASS_MAP, read_class_map
from regolith.lunar.perception.masks import ClassMap
from regolith.lunar.quality.clouds import Cloud, read_clouds
from regolith.lunar.quality.density import draw
from regolith.lunar.quality.geometry import EXACT_MAX, Distances, Method, distances, exact_solver, method_of
from regolith.lunar.quality.point_files import POINTS_MAX
from regolith.lunar.reading import read_json
from regolith.lunar.stage.spec import rng

SMALLEST = 64
"""Smallest number of points that is measured; each next is twice that."""
NAME_MAX = 200
"""Most characters of a sensor's name."""
ALL = "all"
"""Name of the row of all points."""
ROW_CLASSES: dict[str, int | None] = {ALL: None, **CLASSES}
"""Name of a row to its class, None for all points."""

Metres = Annotated[float, Field(ge=0, le=1e9)]


class _Plain(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, strict=True)


class Spread(_Plain):
    """Distances of pairs of real scans [m]."""

    mean: Metres
    std: Metres
    p5: Metres
    p50: Metres
    p95: Metres


class SensorRow(_Plain):
    """What was measured at one number of points."""

    class_: Literal["all", "regolith", "rock", "sky"] = Field(alias="class")
    points: int = Field(ge=1, le=POINTS_MAX)
    method: Method
    pairs: int = Field(ge=1, le=1_000_000)
    chamfer: Spread
    emd: Spread


class Sensor(_Plain):
    """A sensor as its repeated scans show it."""

    schema_: Literal[1] = Field(1, alias="schema")
    sensor: str = Field(max_length=NAME_MAX)
    scans: int = Field(ge=2, le=1_000_000)
    rows: list[SensorRow] = Field(min_length=1, max_length=1000)

    @model_validator(mode="after")
    def _ordered(self) -> Sensor:
        keys = [(row.class_, row.points) for row in self.rows]
        if len(set(keys)) < len(keys):
            raise ValueError("two rows of one class and number of points")
        return self

    def most_expected(self, name: str, count: int) -> Distances | None:
        """Largest distances expected of real against real [m]: 95th percentiles, which 19 of 20 repeated scans keep to.

        Between measured numbers they are interpolated along the logarithm of N.

        Args:
            name: Class of the row, or `all`.
            count: Points of each cloud.

        Returns:
            None where the class was not measured, or `count` lies outside of what was, or between a number of the
            exact and one of the sliced distance.
        """
        rows = [row for row in self.rows if (row.class_, row.method) == (name, method_of(count))]
        rows.sort(key=lambda row: row.points)
        if not rows or not rows[0].points <= count <= rows[-1].points:
            return None
        at = [math.log(row.points) for row in rows]
        found = (
            np.interp(math.log(count), at, [getattr(row, which).p95 for row in rows]) for which in Distances._fields
        )
        return Distances(*map(float, found))

    def measured(self, name: str) -> str:
        """Say at which numbers of points a class was measured: `64 … 4096`."""
        sizes = sorted(row.points for row in self.rows if row.class_ == name)
        return f"{sizes[0]} … {sizes[-1]}" if sizes else "none"


def read_sensor(path: Path) -> Sensor:
    """Read a file of `regolith calibrate sensor`.

    Raises:
        InputError: It is missing, not JSON, or something in it does not fit; the first one.
    """
    try:
        return Sensor.model_validate(read_json(path))
    except OSError as error:
        raise InputError("sensor", str(path), f"a readable file ({error.strerror})") from None
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(f"sensor: {place or path}", first["input"], first["msg"]) from None
    except ValueError as error:
        raise InputError("sensor", str(path), f"a file of `regolith calibrate sensor` ({error})") from None


class CalibrateSensor(Verb):
    """Measure how far repeated scans of one place by one sensor lie apart, at each number of points."""

    scans: Path = quantity(
        ..., "Repeated scans of one place: a folder of point files, or several files with commas between.",
        positional=True,
    )  # fmt: skip
    out: Path = quantity(..., "File to write (.json), which `regolith score geometry --sensor` takes.")
    name: str = quantity("sensor", f"Name of the sensor, to be told in reports; at most {NAME_MAX} characters.")
    most: int = quantity(
        4096,
        f"Largest number of points; above {EXACT_MAX} the sliced distance is measured.",
        ge=SMALLEST,
        le=POINTS_MAX,
    )
    pairs: int = quantity(24, "Pairs of scans measured at each number of points.", ge=2, le=10_000)
    classes: str = quantity("", f"What the classes of the scans' files mean; left out, our own. {CLASS_MAP}.")
    seed: int = quantity(0, "Seed of the points that are drawn.", ge=0)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Measure, write the file and return what is in it."""
        with show(self.events, "calibrate sensor", "steps") as emit:
            return calibrate_sensor(
                self.scans,
                self.out,
                name=self.name,
                most=self.most,
                pairs=self.pairs,
                classes=read_class_map(self.classes) if self.classes else None,
                seed=self.seed,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Give the means of each number of points and where the file is."""
        lines = [f"{result['sensor']}: {result['scans']} scans; real against real, mean [m] (95th percentile)"]
        for row in result["rows"]:
            chamfer, emd = (f"{row[key]['mean']:.4g} ({row[key]['p95']:.4g})" for key in Distances._fields)
            lines.append(f"  {row['class']:<8} {row['points']:>8} points: Chamfer {chamfer}, EMD {emd} {row['method']}")
        return "\n".join([*lines, str(self.out)])


def calibrate_sensor(
    scans: AnyPath,
    out: AnyPath,
    *,
    name: str = "sensor",
    most: int = 4096,
    pairs: int = 24,
    classes: ClassMap | None = None,
    seed: int = 0,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Measure real against real: the distances of pairs of repeated scans at each number of points.

    Args:
        scans: Scans of one place by one sensor (`read_clouds`).
        out: JSON file to write.
        name: Name of the sensor.
        most: Largest number of points; fewer where the scans have fewer.
        pairs: Pairs measured at each number; where scans make fewer, each is drawn from more than once.
        classes: What the classes of files mean (`read_clouds`).
        seed: Seed of the points that are drawn.
        emit: Receives `progress` events.

    Returns:
        What is in the file, as this module documents it.

    Raises:
        InputError: Too long a name, no POT, fewer than two scans, or none with `SMALLEST` points; or a file that cannot
            be written.
    """
    if len(name) > NAME_MAX:
        raise InputError("name", name, f"at most {NAME_MAX} characters")
    exact_solver()
    with sole_file("out", Path(out)) as file:
        clouds = [cloud.from_sensor() for cloud in read_clouds(Path(scans), field="scans", classes=classes)]
        if len(clouds) < 2:
            raise InputError("scans", str(scans), "at least two scans of one place")
        work = [
            (each, number, count)
            for each, number in ROW_CLASSES.items()
            if number is None or all(cloud.classes is not None for cloud in clouds)
            for count in sizes(clouds, number, most)
        ]
        if not work:
            raise InputError("scans", str(scans), f"at least two scans of {SMALLEST} points or more")
        rows = []
        for each, number, count in work:
            found = _repeated(clouds, number, count, pairs, seed)
            spreads = {which: spread(found[:, column]) for column, which in enumerate(Distances._fields)}
            rows.append({"class": each, "points": count, "method": method_of(count), "pairs": pairs} | spreads)
            emit({"event": "progress", "done": len(rows), "total": len(work)})
        result = {"schema": 1, "sensor": name, "scans": len(clouds), "rows": rows}
        write_json(file, result)
    return result


def sizes(clouds: Sequence[Cloud], number: int | None, most: int) -> list[int]:
    """Numbers of points measured: doubled from `SMALLEST`, and the last of the exact and first of the sliced ones.

    Args:
        clouds: Scans.
        number: Class of the points, None for all.
        most: Largest; at least two scans have as many points.
    """
    most = min(most, sorted(len(cloud.of(number)) for cloud in clouds)[-2])
    doubled = {SMALLEST << step for step in range(32)}
    return sorted(count for count in doubled | {EXACT_MAX, EXACT_MAX + 1, most} if SMALLEST <= count <= most)


def _repeated(clouds: Sequence[Cloud], number: int | None, count: int, pairs: int, seed: int) -> np.ndarray:
    """Distances of pairs of scans that have so many points of a class, float64 [pairs, 2]."""
    generator = rng(seed, "calibrate", "all" if number is None else number, count)
    sets = [points for cloud in clouds if len(points := cloud.of(number)) >= count]
    choices = list(combinations(range(len(sets)), 2))
    order = [choices[place] for place in generator.permutation(len(choices))]
    found = []
    for place in range(pairs):
        one, other = order[place % len(order)]
        found.append(distances(draw(sets[one], count, generator), draw(sets[other], count, generator)))
    return np.array(found)


def spread(values: np.ndarray) -> dict[str, float]:
    """Mean, standard deviation and percentiles of values, float64 [n]; the fields of `Spread`."""
    p5, p50, p95 = np.percentile(values, (5, 50, 95)).tolist()
    return {"mean": float(values.mean()), "std": float(values.std()), "p5": p5, "p50": p50, "p95": p95}
