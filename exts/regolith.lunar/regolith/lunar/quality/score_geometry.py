"""`regolith score geometry`: how far the shapes of synthetic ground and rocks lie from those of real ones.

It writes `geometry.json`:

| field | |
|---|---|
| `schema` | 1 |
| `synth`, `real` | what was compared |
| `compared` | `patches`: pieces of different places, as sets; `paired`: clouds of the same places, one by one |
| `clouds` | number of clouds read of `synth` and `real` |
| `score` | that of all points, in [0, 1] |
| `rows` | one for all points and one for each class that either side has |

With `patches` also `patch_m` [m] and `voxel_m`, the spacing [m] both sides were thinned to; with `paired` also
`sensor`, its name. A row has

| field | |
|---|---|
| `class` | `all`, or a class of `labels.CLASSES` |
| `score` | in [0, 1]; null: see `note` |
| `spread` | standard deviation of the score where places are drawn anew with replacement (`patches` only) |
| `points`, `method` | points a sample, with `patches` in the mean; how its Earth Mover's Distance was computed |
| `samples` | patches a side, or pairs |
| `relief` | RMS height over ground's plane, `synth_m`, `real_m` [m]; with `patches` also `ratio` and `interval` |
| `spacing_m` | mean distance of a real sample's points to the nearest of the others [m]; `paired` only |
| `chamfer`, `emd` | the metrics, as below; the row's score is the mean of theirs |
| `note` | why there is no score, which side lacks the class, or that points lie too far apart to see the relief |

and a metric

| field | |
|---|---|
| `distance_m` | synthetic against real [m] |
| `max_expected_distance_m` | `paired`: the 95th percentile of repeated real scans [m] |
| `expected_distance_m` | `patches`: the mean of real patches against real ones of other places [m] |
| `closeness` | 1, or expected by found where that is less |
| `variety` | how like the spread of synthetic patches is to that of real ones; 1 with `paired` |
| `score` | closeness × variety |

With `patches` a metric also has `synth_to_real_m`, `real_to_synth_m` and `synth_to_synth_m` [m], mean distances of
patches to the nearest of as many others, of other places where it is their own side. The larger of the first two is the
distance, and the variety is the smaller of the third and of what is expected by the larger.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from regolith.lunar.files import AnyPath, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Verb, quantity, sole_folder
from regolith.lunar.perception.importing import CLASS_MAP, read_class_map
from regolith.lunar.perception.masks import ClassMap
from regolith.lunar.quality.clouds import PointsError, read_clouds
from regolith.lunar.quality.compare import DISTANCE, EXPECTED, paired_rows, patch_rows
from regolith.lunar.quality.geometry import EXACT_MAX, Distances, exact_solver, method_of
from regolith.lunar.quality.patches import match_voxels
from regolith.lunar.quality.point_files import POINTS_MAX
from regolith.lunar.quality.sensor import read_sensor

RESULT = "geometry.json"


class FewPatchesError(PointsError):
    """There are too few patches to be compared as sets."""


class ScoreGeometry(Verb):
    """Score the geometry of synthetic clouds against real ones."""

    synth: Path = quantity(
        ..., "Synthetic clouds: a split or dataset with depth, a folder of point files, or files with commas between.",
        positional=True,
    )  # fmt: skip
    real: Path = quantity(..., "Real clouds, likewise; .npz, .ply, .xyz, .las or .laz.")
    sensor: Path | None = quantity(
        None,
        "File of `regolith calibrate sensor`: both sides then show the same places and are paired in order; left out, "
        "patches of any places are compared as sets, and real ones with those of other places.",
    )
    out: Path = quantity(Path("out/score-geometry"), f"Folder of {RESULT}.")
    points: int = quantity(
        640,
        f"Most points of a sample; fewer where clouds or patches have fewer, and at most {EXACT_MAX} of a patch.",
        ge=16,
        le=POINTS_MAX,
    )
    patch_m: float = quantity(2.0, "Side of a patch.", unit="m", ge=0.1, le=1000)
    classes: str = quantity("", f"What the classes of REAL's files mean; left out, our own. {CLASS_MAP}.")
    seed: int = quantity(0, "Seed of the points and patches that are drawn.", ge=0)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Score, write the result and return it."""
        with show(self.events, "score geometry", "clouds") as emit:
            try:
                return score_geometry(
                    self.synth,
                    self.real,
                    sensor=self.sensor,
                    out=self.out,
                    points=self.points,
                    patch_m=self.patch_m,
                    classes=read_class_map(self.classes) if self.classes else None,
                    seed=self.seed,
                    emit=emit,
                )
            except FewPatchesError as error:
                allowed = f"{error.allowed}; or --sensor, for clouds of the same places as SYNTH"
                raise InputError(error.field, error.value, allowed) from None

    def summary(self, result: dict[str, Any]) -> str:
        """Give the table of scores and how they were made."""
        return "\n".join([*_words(result), str(self.out / RESULT)])


def score_geometry(
    synth: AnyPath,
    real: AnyPath,
    *,
    sensor: AnyPath | None = None,
    out: AnyPath | None = None,
    points: int = 640,
    patch_m: float = 2.0,
    classes: ClassMap | None = None,
    seed: int = 0,
    field: str = "real",
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Score the geometry of synthetic clouds against real ones.

    Args:
        synth: Synthetic clouds (`read_clouds`).
        real: Real ones.
        sensor: File of `regolith calibrate sensor`, where both show the same places.
        out: Folder of `geometry.json`; None to write nothing.
        points: Most points of a sample.
        patch_m: Side of a patch [m].
        classes: What the classes of REAL's files mean.
        seed: Seed of what is drawn.
        field: Parameter that named REAL, for errors.
        emit: Receives `progress` events.

    Returns:
        What `geometry.json` holds, as this module documents it.

    Raises:
        InputError: POT is needed and missing; clouds that cannot be read; a folder that cannot be written.
        PointsError: Clouds that do not suffice for what is asked.
    """
    if out is not None:
        with sole_folder("out", Path(out)) as folder:
            result = score_geometry(
                synth, real, sensor=sensor, points=points, patch_m=patch_m, classes=classes, seed=seed, field=field,
                emit=emit,
            )  # fmt: skip
            write_json(folder / RESULT, result)
        return result
    known = None if sensor is None else read_sensor(Path(sensor))
    if known is None or method_of(points) == "exact":
        exact_solver()
    sides = (
        read_clouds(Path(synth), field="synth", emit=emit),
        read_clouds(Path(real), field=field, classes=classes, emit=emit),
    )
    result: dict[str, Any] = {"schema": 1, "synth": str(synth), "real": str(real)}
    result["clouds"] = {"synth": len(sides[0]), "real": len(sides[1])}
    if known is None:
        grid = match_voxels(*sides, patch_m, points)
        result |= {"compared": "patches", "patch_m": patch_m, "voxel_m": grid.spacing_m}
        rows = patch_rows(sides, grid, points, seed)
        if rows[0]["score"] is None:
            raise FewPatchesError(field, str(real), rows[0]["note"])
    else:
        result |= {"compared": "paired", "sensor": known.sensor}
        rows = paired_rows(sides, known, points, seed)
    return result | {"score": rows[0]["score"], "rows": rows}


def _words(result: dict[str, Any]) -> list[str]:
    """Lines of the table of scores, and how they were made."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    count = result["clouds"]
    how = f"{count['synth']} synthetic and {count['real']} real clouds, "
    if result["compared"] == "patches":
        how += f"patches of {result['patch_m']:g} m at {result['voxel_m']:.3g} m, as sets; expected: real against real"
    else:
        how += f"of the same places, in pairs; expected: 95 % of repeated scans of {result['sensor']}"
        how += f"; points {result['rows'][0]['spacing_m']:.2g} m apart"
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = False
    for head in ("class", "score", "", "samples", "points", *(f"{m} [m]" for m in ("Chamfer", "EMD")), "expected"):
        table.add_column(head, justify="left" if head == "class" else "right", no_wrap=True)
    for row in result["rows"]:
        spread = "" if row["spread"] is None else f"± {row['spread']:.2f}"
        cells = [_number(row[which], DISTANCE) for which in Distances._fields]
        expected = " / ".join(
            _number(row[which], EXPECTED[result["compared"]]) for which in Distances._fields if row[which]
        )
        score = "–" if row["score"] is None else f"{row['score']:.3f}"
        table.add_row(row["class"], score, spread, str(row["samples"]), str(row["points"]), *cells, expected)
    console = Console(width=100)
    with console.capture() as capture:
        console.print(table)
    notes = [f"{row['class']}: {row['note']}" for row in result["rows"] if row["note"]]
    return [how, *(line.rstrip() for line in capture.get().splitlines()), *notes]


def _number(metric: dict[str, float] | None, key: str) -> str:
    return "" if metric is None else f"{metric[key]:.4g}"
