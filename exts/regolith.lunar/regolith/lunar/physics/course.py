"""One stage to be driven over: ways are drawn on it, and driven in each way of driving."""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pxr import Tf, Usd

from regolith.lunar.jobs.events import Emit
from regolith.lunar.params import InputError, Params, PictureSize
from regolith.lunar.physics.actuation import Actuation, Channel, command_channel
from regolith.lunar.physics.asked import TraverseParams
from regolith.lunar.physics.detector import DetectorPilot, Segment
from regolith.lunar.physics.drive import PERIOD_S, Drive, Pilot, drive_route, place_rover
from regolith.lunar.physics.engines import open_engine
from regolith.lunar.physics.outcome import describe, write_trajectory
from regolith.lunar.physics.plan import Clearance, Guide
from regolith.lunar.physics.policy import Decide, Policy, SeeingPilot
from regolith.lunar.physics.read import read_terrain, read_world
from regolith.lunar.physics.sight import Sight, frame_shown
from regolith.lunar.physics.sketch import Sketch
from regolith.lunar.physics.soil import Soil
from regolith.lunar.physics.steering import Layout, read_layout
from regolith.lunar.physics.watch import SIZE, Watch
from regolith.lunar.physics.wheel_soil import WheelSoil
from regolith.lunar.physics.world import World
from regolith.lunar.randomize import draw_dynamics, draw_scene, lit_frame, narrowed
from regolith.lunar.render import Renderer, open_renderer
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import apply_dynamics, read_actuation
from regolith.lunar.stage.spec import rng

TRIES = 200
"""Ways that are drawn before a stage counts as one without room."""
LOAD_SHARE = 4.0
"""Largest load of a wheel that soil is tabulated for, over its share of the rover's weight."""

Avoid = Literal["none", "labels", "model", "policy"]


@dataclasses.dataclass(frozen=True)
class Driver:
    """What drives by pictures."""

    renderer: Renderer
    """Draws them."""
    policy: Policy | None = None
    segment: Segment | None = None


class Course:
    """One stage in an engine, to be driven over more than once."""

    def __init__(self, verb: TraverseParams, stage: Usd.Stage, number: int) -> None:
        """Load a stage.

        Raises:
            InputError: It has no rover, no ground, or something the engine does not know.
        """
        self._verb, self._number, self._stage = verb, number, stage
        wheels = [schema.rover_body("wheel", corner) for corner in schema.CORNERS]
        gripping = wheels if verb.soil == "lunar" else []
        world = read_world(stage, rock_min_m=verb.rock_min_m)
        self._layout: Layout = read_layout(world)
        self._terrain = read_terrain(stage)
        self._engine = open_engine(world, engine=verb.engine, timestep_s=verb.timestep_s, gripping=gripping)
        self._rocks = [shape for shape in world.fixed if shape.path.startswith(f"{schema.ROCKS}/")]
        self._half = min(self._terrain.grid.half_x, self._terrain.grid.half_y)
        self._clearance = Clearance.of_rocks(self._rocks, half=self._half)
        self._watch: Watch | None = None
        self._channel = Channel.of(read_actuation(stage))
        self._soil = None
        if verb.soil == "lunar":
            load = LOAD_SHARE * _weight(world) / len(wheels)
            self._soil = WheelSoil(self._engine, self._layout.wheels, Soil(), load_max=load)

    def draw(self, again: int = 0) -> np.ndarray:
        """Draw start and goal [m], shape [2, 2], at equal distances from the origin, no rock under the rover.

        Args:
            again: Number of the way, where there are several over the stage.

        Raises:
            InputError: There is no room, or no way round the rocks.
        """
        verb, keys = self._verb, (self._number, again)[: 1 + bool(again)]
        random = rng(verb.seed, verb.split, "traverse", *keys)
        radius = 0.5 * verb.distance_m
        if radius + verb.clearance_m > self._half:
            allowed = f"at most {2.0 * (self._half - verb.clearance_m):.3g} m on this ground"
            raise InputError("distance_m", verb.distance_m, allowed)
        for _ in range(TRIES):
            angle = random.uniform(0.0, 2.0 * math.pi)
            start = radius * np.array([math.cos(angle), math.sin(angle)])
            if self._clearance.at(start[None])[0] < viper.REACH_OUT_M:
                continue
            if self._clearance.way(start, -start, verb.clearance_m) is not None:
                return np.array([start, -start])
        allowed = f"a stage of seed {verb.seed} with a way round its rocks (scene {self._number} has none)"
        raise InputError("clearance_m", verb.clearance_m, allowed)

    @contextlib.contextmanager
    def watched(self, places: np.ndarray, emit: Emit) -> Iterator[None]:
        """Draw the drives between places that are made meanwhile, where that is asked for."""
        verb = self._verb
        if verb.watch_m is None:
            yield
            return
        with contextlib.ExitStack() as stack:
            sight = None
            try:
                renderer = stack.enter_context(contextlib.closing(open_renderer(verb.params.render.backend)))
                sight = self.sight(renderer, SIZE)
            except InputError as error:
                emit({"event": "note", "message": f"a map, but nothing of what the rover sees: {error}"})
            self._watch = Watch(
                verb.out, Sketch(self._terrain, self._rocks, places), emit, every_m=verb.watch_m,
                sight=sight, view=verb.params.camera.view,
            )  # fmt: skip
            yield

    def drive(
        self,
        places: np.ndarray,
        how: Avoid,
        driver: Driver | None = None,
        *,
        route: np.ndarray | None = None,
        tell: Callable[[float], object] = lambda share: None,
    ) -> dict[str, Any]:
        """Drive from the first place by the others to the last, and say what came of it.

        Args:
            places: Start, places between and goal [m], shape [N, 2].
            how: Way of driving.
            driver: What drives by pictures, where that is asked for.
            route: What `route` gives, where it is at hand.
            tell: Takes the share that is driven, of a drive that is watched.

        Raises:
            InputError: Places beyond the ground, or no way round the rocks.
        """
        verb = self._verb
        route = self.route(places, how) if route is None else route
        name, pictures = f"{self._number:05d}_{how}", {}
        if self._watch is not None:
            self._watch.begin(name, route, tell)
            pictures = self._watch.pictures
        seen: dict[str, Any] = {}
        if how == "policy" and driver and driver.policy:
            drive = self.ride(places, self.sight(driver.renderer, driver.policy.size), driver.policy.decide)
        elif how == "model" and driver and driver.segment:
            pilot = DetectorPilot(
                self.sight(driver.renderer, verb.size), driver.segment, self._layout, places,
                half=self._half, clearance_m=verb.clearance_m, speed=verb.speed_m_s, mode=verb.steering,
            )  # fmt: skip
            drive = self._follow(places, self._actuation(), pilot)
            seen = {"seen_px": dict(zip(("tp", "fp", "fn"), pilot.counts.tolist(), strict=True))}
        else:
            drive = self._follow(route, self._actuation())
        file = verb.out / f"trajectory_{name}.npz"
        write_trajectory(file, drive)
        about = {"scene": self._number, "avoid": how, "trajectory": file.name, **pictures}
        return {**about, **describe(drive, places), **seen}

    def route(self, places: np.ndarray, how: Avoid) -> np.ndarray:
        """Corners of the way from place to place in a way of driving [m], shape [N, 2].

        Raises:
            InputError: Places beyond the ground, or no way round the rocks.
        """
        if (np.abs(places) > self._half).any():
            raise InputError("waypoints", self._verb.waypoints, f"places within {self._half:g} m of the origin")
        return self._around(places) if how == "labels" else places

    def sight(self, renderer: Renderer, size: PictureSize) -> Sight:
        """What the rover sees on this stage, by the light that shows, or as the frame of its number is lit."""
        verb, drawn = self._verb, lit_frame(self._verb.params, self._verb.seed, self._verb.split, self._number)
        params, frame = (frame_shown(self._stage) if verb.stage else None) or (verb.params, drawn)
        return Sight(renderer, self._stage, size, params=params, frame=frame)

    def guide(self, goal: np.ndarray, distance: float) -> Guide:
        """Ways to a goal from everywhere on this stage, a distance from its rocks where there is room [m]."""
        return Guide(self._clearance, goal, distance)

    def ride(self, places: np.ndarray, sight: Sight, decide: Decide, *, again: int = 0) -> Drive:
        """Drive from place to place by what is seen.

        Args:
            places: Start, places between and goal [m], shape [N, 2].
            sight: Pictures.
            decide: Takes the decisions.
            again: Number of the way, where there are several over the stage: each has noise of its own.
        """
        actuation = self._actuation(again)
        pilot = SeeingPilot(
            sight, self._layout, places, speed=self._verb.speed_m_s, decide=decide,
            period_s=PERIOD_S,
        )  # fmt: skip
        return self._follow(places, actuation, pilot)

    def _follow(self, route: np.ndarray, actuation: Actuation | None, pilot: Pilot | None = None) -> Drive:
        verb = self._verb
        heading = math.atan2(*(route[1] - route[0])[::-1])
        return drive_route(
            self._engine, self._layout, route, start=place_rover(self._terrain, self._layout, route[0], heading),
            speed=verb.speed_m_s, mode=verb.steering, time_max_s=verb.time_max_s, soil=self._soil,
            actuation=actuation, pilot=pilot, watch=None if self._watch is None else self._watch.see,
        )  # fmt: skip

    def _actuation(self, again: int = 0) -> Actuation | None:
        """What the stage says of delay, gain and noise; None where it says none. Every drive has the same noise."""
        if self._channel == Channel():
            return None
        verb, keys = self._verb, ("traverse", self._number, "noise", again)[: 3 + bool(again)]
        seed = int(rng(verb.seed, verb.split, *keys).integers(2**62))
        return command_channel(self._channel, self._layout, speed=verb.speed_m_s, seed=seed)

    def _around(self, places: np.ndarray) -> np.ndarray:
        """Join the ways round the rocks from place to place."""
        pieces = [places[:1]]
        for start, goal in itertools.pairwise(places):
            way = self._clearance.way(start, goal, self._verb.clearance_m)
            if way is None:
                told = f"({start[0]:g}, {start[1]:g}) to ({goal[0]:g}, {goal[1]:g}) m"
                raise InputError("waypoints", told, f"places with a way {self._verb.clearance_m:g} m clear of rocks")
            pieces.append(way[1:])
        return np.concatenate(pieces)


def _weight(world: World) -> float:
    """Weight of all bodies whose mass is authored [N]."""
    return float(np.linalg.norm(world.gravity)) * sum(body.mass or 0.0 for body in world.bodies)


def open_stage(path: Path) -> Usd.Stage:
    """Open a stage.

    Raises:
        InputError: It is none.
    """
    try:
        stage = Usd.Stage.Open(str(path)) if path.is_file() else None
    except (Tf.ErrorException, OSError):
        stage = None
    if not stage:
        raise InputError("stage", str(path), "a USD stage that can be opened")
    return stage


def author(params: Params, seed: int, split: str, number: int) -> Usd.Stage:
    """Author scene `number` of a split, with the rover on it, moving as it is drawn to."""
    from regolith.lunar.stage.author import author_stage, build_scene

    narrow = narrowed(params, split)
    if not narrow.has_rover:
        narrow = narrow.model_copy(update={"rover": narrow.rover.model_copy(update={"model": "viper"})})
    stage = author_stage(build_scene(narrow, draw_scene(params, seed, split, number)))
    apply_dynamics(stage, draw_dynamics(params, seed, split, number))
    return stage
