"""What came of drives: trajectories as files, a drive as plain values, and means over drives."""

from __future__ import annotations

import dataclasses
import io
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import write_bytes
from regolith.lunar.perception.metrics import ratio
from regolith.lunar.physics.drive import Drive, Touch
from regolith.lunar.physics.success import success_rate


def write_trajectory(path: Path, drive: Drive) -> None:
    """Write a trajectory (`physics.drive`) whole or not at all."""
    data = io.BytesIO()
    np.savez_compressed(data, allow_pickle=False, **drive.trajectory)
    write_bytes(path, data.getvalue())


def describe(drive: Drive, places: np.ndarray) -> dict[str, Any]:
    """What came of a drive, as plain values."""
    return {
        "outcome": drive.outcome,
        "time_s": round(drive.time_s, 3),
        "distance_m": drive.distance_m,
        "straight_m": float(np.linalg.norm(np.diff(places, axis=0), axis=1).sum()),
        "slip_mean": drive.slip_mean,
        "rocks": [dataclasses.asdict(touch) for touch in sorted(drive.touches, key=_by_time)],
        "real_time_factor": drive.time_s / max(drive.cpu_s, 1e-9),
    }


def _by_time(touch: Touch) -> tuple[float, str]:
    return touch.first_s, touch.rock


def sum_up(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over drives, with standard deviations of what varies from stage to stage (None for one drive)."""
    columns = {
        "rocks": [float(len(run["rocks"])) for run in runs],
        "distance_m": [run["distance_m"] for run in runs],
        "slip": [run["slip_mean"] for run in runs],
    }
    found: dict[str, Any] = {
        "runs": len(runs),
        "reached": sum(run["outcome"] == "reached" for run in runs),
        "touching": sum(bool(run["rocks"]) for run in runs),
        "real_time_factor": ratio(
            sum(run["time_s"] for run in runs),
            sum(run["time_s"] / max(run["real_time_factor"], 1e-9) for run in runs),
        ),
        "success": success_rate(runs),
        "rock_iou": _seen_iou(runs),
    }
    for name, values in columns.items():
        deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
        found[name] = {"mean": float(np.mean(values)), "sd": deviation}
    return found


def _seen_iou(runs: list[dict[str, Any]]) -> float | None:
    """Rock-IoU over all pictures that a detector took on the way; None where none drove."""
    seen = [run["seen_px"] for run in runs if "seen_px" in run]
    tp, fp, fn = (sum(each[name] for each in seen) for name in ("tp", "fp", "fn"))
    return ratio(tp, tp + fp + fn) if seen else None
