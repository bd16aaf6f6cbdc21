"""The rover of the open stage, driven in the app's own PhysX while its timeline plays.

Nothing of this has been run with PhysX in Isaac Sim: what is asked of it is that it parses `UsdPhysics` when the
timeline starts, follows changes of joint drives, and writes poses to USD (Omni PhysX, "Simulation Control").
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from pxr import Usd

from regolith.lunar.kit.tasks import Job
from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.context import CANCELLED, say
from regolith.lunar.panel.observe import Callback, Change, Observers, Subscription
from regolith.lunar.panel.work import Work
from regolith.lunar.params import InputError
from regolith.lunar.physics.drive import Outcome, heading_of
from regolith.lunar.physics.on_stage import StageDrive, StageJoints, find_way, read_channel, way_here
from regolith.lunar.physics.plan import Clearance
from regolith.lunar.physics.read import read_world
from regolith.lunar.physics.steering import read_layout
from regolith.lunar.physics.traverse import TOLD, Traverse, read_waypoints
from regolith.lunar.physics.world import World
from regolith.lunar.render import rtx
from regolith.lunar.render.settings_scope import SettingsScope
from regolith.lunar.stage import schema
from regolith.lunar.stage.spec import rng

if TYPE_CHECKING:
    from regolith.lunar.kit.host import KitHost

POSES_TO_USD = {"/physics/updateToUsd": True, "/physics/fabricEnabled": False}
"""Settings of Omni PhysX with which poses are written to USD, where they are read, and not to Fabric."""

WORDS: dict[Outcome, str] = {
    "reached": "the goal is reached", "stuck": "the rover is stuck", "tipped": "the rover has tipped over",
    "timeout": "time is up",
}  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Asked:
    """What is entered of a drive."""

    verb: Traverse
    half_m: float
    """Half the side of the working area [m]."""


class AppDrive:
    """One drive at a time; afterwards the timeline is stopped, and the rover back where it stood."""

    def __init__(self, host: KitHost, asked: Callable[[], Asked], busy: Callable[[], str]) -> None:
        """Make it.

        Args:
            host: The panel's.
            asked: Says what is entered; InputError where that is not allowed.
            busy: Says why the app cannot be had now; empty where it can.
        """
        self.work = Work("app_drive", "Drive in the app")
        self._host, self._asked, self._busy = host, asked, busy
        self._observers = Observers()
        self._job: Job | None = None
        self._stop = False
        self.action = Action(
            "app_drive", lambda: "Stop the drive in the app" if self.work.active else "Drive in the app",
            "Let the rover of the open stage drive in the app's own physics, as entered here: speed, steering, "
            "distance or waypoints, rocks (with both round the labelled ones), clearance.",
            self._press, reason=self._reason, refuse=lambda text: host.notify(text, "warning"),
        )  # fmt: skip
        """Its button."""

    def subscribe(self, callback: Callback) -> Subscription:
        """Call a function when `work` or `action` has changed, for as long as what is returned is held."""
        return self._observers.subscribe(callback)

    def tick(self) -> None:
        """Once a frame: bring the button up to date."""
        if self.action.refresh():
            self._observers.send(Change("actions", frozenset({self.action.key})))

    def _reason(self) -> str:
        if self.work.active:
            return "it is stopping" if self._stop else ""
        open_ = self._host.stage_state()
        stage = rtx.open_stage_now()
        if stage is None or open_ is None or not open_.ours:
            return "author a stage first"
        if not stage.GetPrimAtPath(schema.ROVER_CHASSIS):
            return "no rover on the stage: choose one under Camera and author it"
        try:
            way_here(self._asked().verb.avoid)
        except InputError as error:
            return str(error)
        return self._busy()

    def _press(self) -> None:
        if self.work.active:
            self._stop = True
            self._say("stopping")
            return
        self._stop = False
        self.work.log.clear()
        self.work.state, self.work.done, self.work.total = "running", 0.0, 0.0
        self._say("reading the stage")
        self._job = Job(self._run(self._asked()))

    async def _run(self, asked: Asked) -> None:
        stage = rtx.open_stage_now()
        try:
            if stage is None:
                raise InputError("stage", "closed", "a stage authored by the panel")
            await self._drive(stage, asked)
        except CANCELLED:
            self.work.state = "interrupted"
            raise
        except (InputError, RuntimeError) as error:  # USD's own errors are the latter
            self.work.state = "failed"
            self._say(say(error))
            self._host.notify(say(error), "error")

    async def _drive(self, stage: Usd.Stage, asked: Asked) -> None:
        pace, verb = rtx.Guest(), asked.verb
        world = await pace.aside(lambda: read_world(stage, rock_min_m=verb.rock_min_m, with_ground=False))
        joints, layout, how = StageJoints(stage, world), read_layout(world), way_here(verb.avoid)
        route = self._route(world, joints, asked)
        noise = int(
            rng(verb.seed, verb.split, "traverse", 0, "noise").integers(2**62)
        )  # of the first drive of `traverse`
        driven = StageDrive(
            joints, layout, route, speed=verb.speed_m_s, mode=verb.steering, time_max_s=verb.time_max_s,
            channel=read_channel(stage, layout, speed=verb.speed_m_s, seed=noise),
        )  # fmt: skip
        self.work.total = driven.length_m
        outcome: Outcome | None = None
        with self._host.holding_edits():
            settings, timeline = SettingsScope(POSES_TO_USD), rtx.Timeline()
            try:
                timeline.play(verb.time_max_s)
                while outcome is None and not self._stop:
                    await pace.update()
                    if rtx.open_stage_now() != stage or not timeline.playing:
                        break
                    outcome = driven.tick(timeline.played_s)
                    self._tell(driven)
            finally:
                timeline.stop()
                if rtx.open_stage_now() == stage:
                    driven.close()
                settings.close()
            await pace.update()  # PhysX puts the rover back
        self.work.state = "interrupted" if outcome is None else "finished"
        words = WORDS[outcome] if outcome else "stopped"
        self._say(f"{words} after {driven.driven_m:.1f} m in {driven.time_s:.0f} s, {TOLD[how]}")
        self._host.notify(f"{self.work.title}: {self.work.text}")

    def _route(self, world: World, joints: StageJoints, asked: Asked) -> np.ndarray:
        """Corners of the way from where the rover stands."""
        verb = asked.verb
        rocks = [shape for shape in world.fixed if shape.path.startswith(f"{schema.ROCKS}/")]
        position, turn = joints.pose(schema.ROVER_CHASSIS)
        heading = heading_of({"orientation": turn.as_quat(scalar_first=True)})
        return find_way(
            Clearance.of_rocks(rocks, half=asked.half_m), position[:2], heading, half_m=asked.half_m,
            goals=read_waypoints(verb.waypoints), distance_m=verb.distance_m, clearance_m=verb.clearance_m,
            avoid=way_here(verb.avoid),
        )  # fmt: skip

    def _tell(self, driven: StageDrive) -> None:
        done = min(driven.driven_m, driven.length_m)
        if done - self.work.done >= 0.1:
            self.work.done = done
            self._say(f"{driven.driven_m:.1f} of {driven.length_m:.1f} m, {driven.time_s:.0f} s")

    def _say(self, text: str) -> None:
        self.work.text = text
        self._observers.send(Change("work", frozenset({self.work.key})))

    def close(self) -> None:
        """End the drive at once."""
        self._stop = True
        if self._job is not None:
            self._job.cancel()
        self._observers.clear()
