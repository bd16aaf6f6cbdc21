"""`regolith traverse`: a rover drives over stages; what it touches, how far it comes and how it slips is counted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
from pxr import Usd

from regolith.lunar import __version__
from regolith.lunar.dataset.splits import counted
from regolith.lunar.files import file_digest, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, sole_folder
from regolith.lunar.params.dynamics import DynamicsParams
from regolith.lunar.perception.model_files import find_model
from regolith.lunar.physics.asked import RESULT, TraverseParams, read_places
from regolith.lunar.physics.course import Avoid, Course, Driver, author, open_stage
from regolith.lunar.physics.detector import TRUTH, Segment, open_detector
from regolith.lunar.physics.drive import REACHED_M
from regolith.lunar.physics.ledger import Ledger
from regolith.lunar.physics.outcome import sum_up
from regolith.lunar.physics.pictures import Pictures
from regolith.lunar.physics.policy import Policy
from regolith.lunar.render import open_renderer

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


class Traverse(TraverseParams):
    """Drive the rover over a stage under lunar gravity: trajectory, slip, and rocks it touched."""

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
        given = None if self.stage is None else open_stage(self.stage)
        if given and self.stages != 1:
            raise InputError("stages", self.stages, "1 where --stage names the stage")
        if given and self.params.dynamics != DynamicsParams():
            raise InputError("dynamics", "ranges", "the stage's own where --stage names it: author it with them")
        if self.avoid != "all" and (self.avoid == "policy") != (self.policy is not None):
            raise InputError("policy", self.policy and str(self.policy), "a policy with --avoid policy or all alone")
        policy = None if self.policy is None else Policy(self.policy)
        segment = open_detector(self.model) if "model" in self._ways else None
        with sole_folder("out", self.out):
            with show(self.events, "traverse", "drives") as emit:
                runs = list(self._runs(Ledger(self.out, self._decisive), given, waypoints, policy, segment, emit))
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
        self,
        ledger: Ledger,
        given: Usd.Stage | None,
        waypoints: np.ndarray | None,
        policy: Policy | None,
        segment: Segment | None,
        emit: Emit,
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
                stage = given or author(self.params, self.seed, self.split, number)
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
    """Read places to drive to, shape [N, 2]; None where there are none.

    Raises:
        InputError: As `read_places`, or the goal is within reach of the start.
    """
    if text is None:
        return None
    places = read_places(text)
    if np.linalg.norm(places[-1] - places[0]) <= REACHED_M:
        raise InputError("waypoints", text, f"a goal farther than {REACHED_M:g} m from the start, else it is reached")
    return places
