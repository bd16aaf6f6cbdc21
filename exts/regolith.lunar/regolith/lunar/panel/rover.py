"""The verbs about the rover, as the panel has them: drive it, and measure its motion and its camera."""

from __future__ import annotations

from typing import Any

from regolith.lunar.dataset.splits import counted
from regolith.lunar.panel.verb_row import VerbRow
from regolith.lunar.panel.work import Table
from regolith.lunar.physics.calibrate import CalibrateDynamics
from regolith.lunar.physics.traverse import Traverse
from regolith.lunar.physics.watch import MAP, VIEW
from regolith.lunar.quality.calibrate_camera import PARAMS, CalibrateCamera, say_range

WAYS = {"none": "straight on", "labels": "round the rocks"}
"""What the ways of driving are called; any other by its name."""
DRIVES = 12
"""Drives that a table has a line for; of more it has the means alone."""
WATCH_M = 1.0
"""Distance between two pictures of a drive [m], where no other is entered."""


def _way(name: str) -> str:
    return WAYS.get(name, name)


def _say_traverse(result: dict[str, Any]) -> str:
    rows = result["totals"].items()
    return "; ".join(
        f"{_way(name)}: reached {row['reached']} of {row['runs']}, {row['rocks']['mean']:.2f} rocks touched a drive"
        for name, row in rows
    )


def _table_traverse(result: dict[str, Any]) -> Table:
    runs = result["runs"]
    lines = [
        (
            str(run["scene"]), _way(run["avoid"]), run["outcome"], f"{run['time_s']:.0f} s",
            f"{run['distance_m']:.1f} m", f"{run['slip_mean']:.3f}", str(len(run["rocks"])),
        )
        for run in (runs if len(runs) <= DRIVES else [])
    ]  # fmt: skip
    if len({run["scene"] for run in runs}) > 1:
        lines += [
            (
                "all", _way(name), f"{row['reached']} of {row['runs']}", "",
                f"{row['distance_m']['mean']:.1f} m", f"{row['slip']['mean']:.3f}", f"{row['rocks']['mean']:.2f}",
            )
            for name, row in result["totals"].items()
        ]  # fmt: skip
    return ("Scene", "Way", "Outcome", "Time", "Length", "Slip", "Rocks"), *lines


def _say_dynamics(result: dict[str, Any]) -> str:
    found = result["parameters"].values()
    told = sum(each["told"] for each in found)
    return f"{told} of {counted(len(found), 'value')} told by {counted(len(result['runs']), 'run')}"


def _table_dynamics(result: dict[str, Any]) -> Table:
    return ("Value", "Estimate", "Interval"), *(
        (name, f"{each['value']:.4g}", f"{each['lo']:.4g} … {each['hi']:.4g}" if each["told"] else "not told")
        for name, each in result["parameters"].items()
    )


def _say_camera(result: dict[str, Any]) -> str:
    found = result["found"].values()
    written = sum(row["written"] is not None for row in found)
    return f"{counted(written, 'range')} narrowed, by {counted(result['photographs'], 'photograph')}"


def _table_camera(result: dict[str, Any]) -> Table:
    return ("Value", "Status", "Interval"), *(
        (name, row["status"], say_range(row)) for name, row in result["found"].items()
    )


ROVER: tuple[VerbRow, ...] = (
    VerbRow(
        "traverse", "traverse", Traverse, "Drive", "Drive",
        "Let the rover drive over stages of these parameters under lunar gravity, in a process of its own.",
        "drives", _say_traverse, {"out": "traverse"}, {"watch_m": WATCH_M}, splits=(), files=("stage",),
        section="traverse", pictures={MAP: "Planned yellow, driven blue", VIEW: "What the rover sees"},
        table=_table_traverse,
    ),
    VerbRow(
        "calibrate_dynamics", "calibrate dynamics", CalibrateDynamics, "Dynamics", "Calibrate dynamics",
        "Narrow the rover's dynamics to what measured runs show of a real one.",
        "fits", _say_dynamics, {"runs": "measured", "out": "calibration/dynamics.yaml"}, splits=(), files=("out",),
        section="calibrate", table=_table_dynamics, ranges="",
    ),
    VerbRow(
        "calibrate_camera", "calibrate camera", CalibrateCamera, "Camera", "Calibrate the camera",
        "Narrow a preset's camera to what photographs show of a real one.",
        "photographs", _say_camera, {"images": "photographs", "out": "calibration/camera"}, splits=(),
        section="calibrate", table=_table_camera, ranges=PARAMS,
    ),
)  # fmt: skip
"""The verbs, in the order of their headings."""
