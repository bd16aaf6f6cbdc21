"""`regolith traverse`: a rover drives over stages; what it touches, how far it comes and how it slips is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from regolith.lunar import __version__
from regolith.lunar.dataset.splits import counted
from regolith.lunar.files import file_digest, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, PictureSize, PresetVerb, quantity, sole_folder
from regolith.lunar.params.dynamics import CONTROL_S, DynamicsParams
from regolith.lunar.params.fields import cross_field
from regolith.lunar.perception.model_files import find_model
from regolith.lunar.physics.course import Avoid, Course, Driver, author, open_stage
from regolith.lunar.physics.detector import TRUTH, Segment, open_detector
from regolith.lunar.physics.drive import REACHED_M
from regolith.lunar.physics.engines import TIMESTEP_S, EngineName
from regolith.lunar.physics.ledger import Ledger
from regolith.lunar.physics.outcome import sum_up
from regolith.lunar.physics.pictures import Pictures
from regolith.lunar.physics.policy import Policy
from regolith.lunar.physics.read import ROCK_MIN_M
from regolith.lunar.physics.steering import Mode
from regolith.lunar.randomize import Split
from regolith.lunar.render import open_renderer

RESULT = "traverse.json"

WAYS: dict[str, tuple[Avoid, ...]] = {
    "none": ("none",),
    "labels": ("labels",),
    "both": ("none", "labels"),
    "model": ("model",),
    "policy": ("policy",),
    "all": ("none", "labels", "model", "policy"),
}
"""Value of `avoid` to the ways each stage is driven, in their order; `policy` of `all` where there is one."""

TOLD: dict[Avoid, str] = {
    "none": "straight on", "labels": "round the labelled rocks", "model": "round what the model sees",
    "policy": "by the policy",
}  # fmt: skip


class Traverse(PresetVerb):
    """Drive the rover over a stage under lunar gravity: trajectory, slip, and rocks it touched."""

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
    def _whole_steps(self) -> Traverse:
        if abs(CONTROL_S / self.timestep_s - round(CONTROL_S / self.timestep_s)) > 1e-6:
            raise cross_field("timestep_s", self.timestep_s, f"a whole part of {CONTROL_S:g} s: 0.01, 0.005, 0.004, …")
        return self

    def run(self) -> dict[str, Any]:
        """Drive, write trajectories and result, and return that; drives that are done are not driven again.

        Raises:
            InputError: A stage without rover or ground, waypoints that are none, or no room for a way.
        """
        waypoints = read_waypoints(self.waypoints)
        if self.engine == "ovphysx" and self.soil != "none":
            raise InputError("soil", self.soil, "none with --engine ovphysx, which cannot change a friction")
        if self.frames:
            self._pictures.check(self.out)
        if self.stage is not None and self.stages != 1:
            raise InputError("stages", self.stages, "1 where --stage names the stage")
        if self.stage is not None and self.params.dynamics != DynamicsParams():
            raise InputError("dynamics", "ranges", "the stage's own where --stage names it: author it with them")
        if self.avoid != "all" and (self.avoid == "policy") != (self.policy is not None):
            raise InputError("policy", self.policy and str(self.policy), "a policy with --avoid policy or all alone")
        policy = None if self.policy is None else Policy(self.policy)
        segment = open_detector(self.model) if "model" in self._ways else None
        with sole_folder("out", self.out):
            with show(self.events, "traverse", "drives") as emit:
                runs = list(self._runs(Ledger(self.out, self._decisive), waypoints, policy, segment, emit))
                if not runs:
                    raise InputError("clearance_m", self.clearance_m, "one stage at least with a way round its rocks")
            result = {"engine": self.engine, "soil": self.soil, "seed": self.seed, "runs": runs}
            result["totals"] = {how: sum_up([run for run in runs if run["avoid"] == how]) for how in self._ways}
            if policy is not None:
                result["policy"] = policy.card["sha256"]
            if segment is not None:
                result["model"] = self.model
            if self.frames:
                result["frames"] = {how: self._draw(how, runs) for how in self._ways}
            write_json(self.out / RESULT, result)
        return result

    @property
    def _decisive(self) -> dict[str, Any]:
        """All that decides what comes of a drive, as plain values."""
        beside = {"out", "events", "stages", "avoid", "skip_crowded", "workers", "json_file", "debug", "preset"}
        beside |= {name for name in type(self).model_fields if name.startswith("frame")} | {"params_file"}
        files = {"stage": self.stage, "policy": self.policy}
        if "model" in self._ways and self.model != TRUTH:
            files["model"] = find_model(self.model)
        return {
            "version": __version__,
            "arguments": self.model_dump(mode="json", exclude=beside),
            "parameters": self.params.model_dump(mode="json"),
            "files": {name: file_digest(file) for name, file in files.items() if file is not None},
        }

    @property
    def _pictures(self) -> Pictures:
        return Pictures(
            self.params, self.split, self.seed, self.size, self.frame_every_m, self.frame_period_s, self.workers,
            asked=self.model_dump(mode="json"), stage=self.stage,
        )  # fmt: skip

    def _draw(self, how: Avoid, runs: list[dict[str, Any]]) -> dict[str, Any]:
        """Draw the pictures along the drives of one way of driving."""
        with show(self.events, f"frames {how}", "frames") as emit:
            drawn = self._pictures.draw(self.out, how, [run for run in runs if run["avoid"] == how], emit)
        return {name: drawn[name] for name in ("split", "frames", "drawn")}

    @property
    def _ways(self) -> tuple[Avoid, ...]:
        return tuple(how for how in WAYS[self.avoid] if how != "policy" or self.policy is not None)

    def _runs(
        self, ledger: Ledger, waypoints: np.ndarray | None, policy: Policy | None, segment: Segment | None, emit: Emit
    ) -> Iterator[dict[str, Any]]:
        total = self.stages * len(self._ways)
        with contextlib.ExitStack() as held:
            driver = None
            if policy is not None or segment is not None:
                renderer = held.enter_context(contextlib.closing(open_renderer(self.params.render.backend)))
                driver = Driver(renderer, policy, segment)
            for number in range(self.stages):
                before = {how: run for how in self._ways if (run := ledger.find(number, how))}
                if len(before) == len(self._ways):
                    yield from before.values()
                    emit({"event": "progress", "done": (number + 1) * len(self._ways), "total": total})
                    continue
                stage = open_stage(self.stage) if self.stage else author(self.params, self.seed, self.split, number)
                course = Course(self, stage, number)
                try:
                    places = waypoints if waypoints is not None else course.draw()
                except InputError as error:
                    if not self.skip_crowded or error.field != "clearance_m":
                        raise
                    continue
                routes = {how: course.route(places, how) for how in self._ways}
                with course.watched(places, emit):
                    for done, how in enumerate(self._ways, number * len(self._ways)):

                        def tell(share: float, done: int = done) -> None:
                            emit({"event": "progress", "done": done + share, "total": total})

                        if how not in before:
                            before[how] = course.drive(places, how, driver, route=routes[how], tell=tell)
                            ledger.add(before[how])
                        yield before[how]
                        tell(1.0)

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each way of driving."""
        lines = []
        for how, row in result["totals"].items():
            seen = "" if row["rock_iou"] is None else f"rock-IoU {row['rock_iou']:.2f}, "
            lines.append(
                f"{TOLD[how]}: {seen}success {row['success']['share']:.0%} (95 %: {row['success']['lo']:.0%} … "
                f"{row['success']['hi']:.0%}), reached {row['reached']} of {row['runs']}, "
                f"{row['rocks']['mean']:.2f} rocks touched a drive, {row['distance_m']['mean']:.1f} m, "
                f"slip {row['slip']['mean']:.3f}, {row['real_time_factor'] or 0.0:.0f} × real time"
            )
        lines += [f"{each['split']}: {counted(each['frames'], 'frame')}" for each in result.get("frames", {}).values()]
        return "\n".join([*lines, str(self.out / RESULT)])


def read_waypoints(text: str | None) -> np.ndarray | None:
    """Read `x,y;x,y`, shape [N, 2].

    Raises:
        InputError: It is none of that, or fewer than two places.
    """
    if text is None:
        return None
    try:
        places = np.array([[float(part) for part in place.split(",")] for place in text.split(";")])
        fits = places.ndim == 2 and places.shape[1] == 2 and len(places) > 1 and np.isfinite(places).all()
    except ValueError:
        fits, places = False, np.zeros(0)
    if not fits or (np.diff(places, axis=0) == 0.0).all(axis=1).any():
        raise InputError("waypoints", text, "x,y;x,y… in metres, two places or more, each unlike the one before")
    if np.linalg.norm(places[-1] - places[0]) <= REACHED_M:
        raise InputError("waypoints", text, f"a goal farther than {REACHED_M:g} m from the start, else it is reached")
    return places
