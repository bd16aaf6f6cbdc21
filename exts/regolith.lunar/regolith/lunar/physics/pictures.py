"""Labelled pictures along drives: what a camera of the rover sees where a trajectory has it, as a split of a dataset.

A split OUT/HOW/SPLIT holds the drives of one way of driving, scene by scene. A frame is a row of a trajectory: the
rover stands as it says, arms, steering and wheels included, and the camera is where the rig has it on that rover.
Light, ground and sensor stay through a drive.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.run import begin
from regolith.lunar.dataset.views import Views
from regolith.lunar.files import file_digest
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError, Params, PictureSize
from regolith.lunar.physics.stance import stance_at
from regolith.lunar.randomize import ride_frame
from regolith.lunar.stage.spec import FrameSpec

STANDING_M, STANDING_RAD = 0.05, 0.05
"""A rover that has come no farther [m], and not turned by more [rad], sees the same picture: it is not taken again."""

BESIDE = ("preset", "params_file", "split", "seed", "out", "events", "frames", "size", "workers", "json_file", "debug")
"""Arguments that decide no view, or that a contract has elsewhere."""


ROW = ("time_s", "position_m", "orientation", "suspension_rad", "steering_rad", "wheel_rad")
"""Columns of a trajectory that a frame is made of."""


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Pictures along drives, as they are asked for."""

    params: Params
    split: str
    """Split the scenes belong to."""
    seed: int
    size: PictureSize
    every_m: float
    """Way between two pictures [m]."""
    every_s: float | None
    """Time between two pictures instead [s]."""
    workers: int
    """Chunks drawn at once."""
    asked: Mapping[str, Any]
    """Arguments of the drives as plain values, for the contract."""
    stage: Path | None
    """Stage that is driven over; None for scenes of the split."""

    def check(self, folder: Path) -> None:
        """Refuse, before anything is driven, pictures that cannot be drawn.

        Raises:
            InputError: The camera is on no rover, or `dataset.run.begin` refuses.
        """
        rig = self.params.camera.rig
        if rig == "mast":
            raise InputError("camera.rig", rig, "viper, with --frames: the rover's own camera takes them")
        width, height = self.size.width, self.size.height
        begin(self.params, folder, split=self.split, frames=1, width=width, height=height, seed=self.seed)

    def draw(self, folder: Path, how: str, runs: Sequence[Mapping[str, Any]], emit: Emit) -> dict[str, Any]:
        """Draw what is missing of the pictures along the drives of one way of driving.

        Args:
            folder: Where the trajectories lie; the split lands in FOLDER/HOW/SPLIT.
            how: Way of driving.
            runs: Its runs, as the result of `regolith traverse` has them.
            emit: Receives `progress` and `note` events.

        Returns:
            What `dataset.generate.generate` returns.

        Raises:
            InputError: As `generate`; a split of other drives among it.
            RuntimeError: As `generate`.
            KeyboardInterrupt: SIGINT or SIGTERM came; the frames being written were finished first.
        """
        views = Views(tuple(self._specs(folder, runs)), self._about(how))
        return generate(
            self.params, folder / how, split=self.split, frames=len(views), width=self.size.width,
            height=self.size.height, seed=self.seed, workers=self.workers, views=views, emit=emit,
        )  # fmt: skip

    def _about(self, how: str) -> dict[str, Any]:
        stage = {}
        if self.stage is not None:
            stage = {"stage": str(self.stage.resolve()), "stage_sha256": file_digest(self.stage)}
        asked = {name: value for name, value in self.asked.items() if name not in BESIDE}
        return {"made_by": "traverse", **asked, "avoid": how, **stage}

    def _specs(self, folder: Path, runs: Sequence[Mapping[str, Any]]) -> Iterator[FrameSpec]:
        index = 0
        for run in runs:
            with np.load(folder / run["trajectory"]) as file:
                trajectory = dict(file)
            for number in picked(trajectory, every_m=self.every_m, every_s=self.every_s):
                row = {name: trajectory[name][number] for name in ROW}
                yield ride_frame(
                    self.params, self.seed, self.split, index, scene=run["scene"], stance=stance_at(row),
                    time_s=float(row["time_s"]),
                )  # fmt: skip
                index += 1


def picked(trajectory: Mapping[str, np.ndarray], *, every_m: float, every_s: float | None) -> list[int]:
    """Rows of a trajectory that are pictured: the first, and then one every so many metres or seconds.

    Args:
        trajectory: Columns of `physics.drive`.
        every_m: Way between two pictures [m].
        every_s: Time between two pictures instead [s].
    """
    place, turn = trajectory["position_m"], Rotation.from_quat(trajectory["orientation"], scalar_first=True)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(place[:, :2], axis=0), axis=1))])
    passed, step = (along, every_m) if every_s is None else (trajectory["time_s"], every_s)
    rows, due = [0], step
    for row in range(1, len(passed)):
        if passed[row] < due - 1e-9:
            continue
        due = (passed[row] // step + 1.0) * step
        moved = float(np.linalg.norm(place[row] - place[rows[-1]]))
        turned = float((turn[row] * turn[rows[-1]].inv()).magnitude())
        if moved > STANDING_M or turned > STANDING_RAD:
            rows.append(row)
    return rows
