"""What is asked of a traverse: over which stages, where to, how, and with which eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import model_validator

from regolith.lunar.params import InputError, PictureSize, PresetVerb, quantity
from regolith.lunar.params.dynamics import CONTROL_S
from regolith.lunar.params.fields import cross_field
from regolith.lunar.physics.engines import TIMESTEP_S, EngineName
from regolith.lunar.physics.read import ROCK_MIN_M
from regolith.lunar.physics.steering import Mode
from regolith.lunar.randomize import Split

RESULT = "traverse.json"


class TraverseParams(PresetVerb):
    """Arguments of `regolith traverse`."""

    stage: Path | None = quantity(None, "Stage with a rover to drive on; left out, stages are authored.")
    stages: int = quantity(1, "Stages to author, one a scene of the split.", ge=1, le=10_000)
    seed: int = quantity(0, "Seed of the stages and of the ways over them.", ge=0)
    split: Split = quantity("train_dr", "Split the stages belong to.")
    waypoints: str | None = quantity(
        None, "Places x,y with semicolons between them, from the start to the goal [m]; left out, both are drawn."
    )
    distance_m: float = quantity(
        10.0, "From start to goal in a straight line, where they are drawn.", unit="m", ge=1, le=1000
    )
    avoid: Literal["none", "labels", "both", "model", "policy", "all"] = quantity(
        "both",
        "Drive straight on, round what is labelled rock, round what a model sees as rock on the way, or by what a "
        "policy sees; both is the first two on each stage, all is each of them.",
    )
    model: str = quantity(
        "default", "What sees rock with --avoid model: a shipped model by name, an .onnx file, or truth for the labels."
    )
    policy: Path | None = quantity(None, "policy.onnx of `regolith train-policy`, to drive by.")
    clearance_m: float = quantity(
        1.1, "From the middle of the rover to a rock that is avoided.", unit="m", ge=0.1, le=5, step=0.05
    )
    skip_crowded: bool = quantity(False, "Leave out stages without a way round their rocks, instead of refusing them.")
    rock_min_m: float = quantity(ROCK_MIN_M, "Smallest rock that collides.", unit="m", ge=0.03, le=5, step=0.01)
    speed_m_s: float = quantity(0.2, "Speed of the rover; 0.2 m/s is VIPER's fastest.", unit="m/s", ge=0.01, le=2)
    steering: Mode = quantity("ackermann", "Turn while driving where that is wide enough, or always on the spot.")
    soil: Literal["none", "lunar"] = quantity(
        "lunar", "Soil in which wheels sink and slip, by Bekker, Janosi, Wong and Reece; none for hard ground."
    )
    time_max_s: float = quantity(600.0, "Simulated time after which it is given up.", unit="s", ge=1, le=100_000)
    engine: EngineName = quantity(
        "mujoco", "Physics engine; ovphysx is there to hold the other against, on hard ground."
    )
    timestep_s: float = quantity(
        TIMESTEP_S, "Step of the simulation, a whole part of 0.02 s.", unit="s", ge=0.0005, le=0.01, step=0.0005
    )
    frames: bool = quantity(
        False, "Also draw what the rover's camera (--camera.rig viper --camera.view) sees on the way: a split of a "
        "dataset; run again to resume.",
    )  # fmt: skip
    frame_every_m: float = quantity(0.5, "Way between two pictures.", unit="m", ge=0.05, le=100, step=0.05)
    frame_period_s: float | None = quantity(None, "Time between two pictures instead.", unit="s", ge=0.1, le=10_000)
    size: PictureSize = quantity(PictureSize(256), "Size of the pictures.")
    workers: int = quantity(1, "Chunks of pictures drawn at once.", ge=1, le=256)
    out: Path = quantity(Path("out/traverse"), f"Folder of {RESULT} and the trajectories.")
    watch_m: float | None = quantity(
        None, "Draw a map of each drive and what the rover sees (--camera.view) anew after each so many metres; left "
        "out, neither.", unit="m", ge=0.05, le=1000, step=0.05,
    )  # fmt: skip
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    @model_validator(mode="after")
    def _whole_steps(self) -> TraverseParams:
        if abs(CONTROL_S / self.timestep_s - round(CONTROL_S / self.timestep_s)) > 1e-6:
            raise cross_field("timestep_s", self.timestep_s, f"a whole part of {CONTROL_S:g} s: 0.01, 0.005, 0.004, …")
        return self


def read_places(text: str) -> np.ndarray:
    """Read `x,y;x,y` [m], float64, shape [N, 2].

    Raises:
        InputError: It is none of that, or fewer than two places.
    """
    try:
        places = np.array([[float(part) for part in place.split(",")] for place in text.split(";")])
        fits = places.ndim == 2 and places.shape[1] == 2 and len(places) > 1 and np.isfinite(places).all()
    except ValueError:
        fits, places = False, np.zeros(0)
    if not fits or (np.diff(places, axis=0) == 0.0).all(axis=1).any():
        raise InputError("waypoints", text, "x,y;x,y… in metres, two places or more, each unlike the one before")
    return places
