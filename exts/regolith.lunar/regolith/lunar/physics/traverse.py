"""`regolith traverse`: a rover drives over stages; what it touches, how far it comes and how it slips is counted."""

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

from regolith.lunar.dataset.splits import counted
from regolith.lunar.files import write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import InputError, Params, PictureSize, PresetVerb, quantity, sole_folder
from regolith.lunar.physics.actuation import Actuation, Channel
from regolith.lunar.physics.detector import DetectorPilot, Segment, open_detector
from regolith.lunar.physics.drive import PERIOD_S, Drive, Pilot, drive_route, place_rover
from regolith.lunar.physics.engines import TIMESTEP_S, EngineName, open_engine
from regolith.lunar.physics.outcome import describe, sum_up, write_trajectory
from regolith.lunar.physics.pictures import Pictures
from regolith.lunar.physics.plan import Clearance, Guide
from regolith.lunar.physics.policy import Decide, Policy, SeeingPilot
from regolith.lunar.physics.read import ROCK_MIN_M, read_terrain, read_world
from regolith.lunar.physics.sight import Sight, frame_shown
from regolith.lunar.physics.sketch import Sketch
from regolith.lunar.physics.soil import Soil
from regolith.lunar.physics.steering import Layout, Mode, read_layout
from regolith.lunar.physics.watch import SIZE, Watch
from regolith.lunar.physics.wheel_soil import WheelSoil
from regolith.lunar.physics.world import World
from regolith.lunar.randomize import Split, draw_dynamics, draw_scene, lit_frame, narrowed
from regolith.lunar.render import Renderer, open_renderer
from regolith.lunar.stage import schema
from regolith.lunar.stage.dynamics import apply_dynamics, read_actuation
from regolith.lunar.stage.spec import rng

RESULT = "traverse.json"
TRIES = 200
"""Ways that are drawn before a stage counts as one without room."""
LOAD_SHARE = 4.0
"""Largest load of a wheel that soil is tabulated for, over its share of the rover's weight."""

Avoid = Literal["none", "labels", "model", "policy"]

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


@dataclasses.dataclass(frozen=True)
class Driver:
    """What drives by pictures."""

    renderer: Renderer
    """Draws them."""
    policy: Policy | None = None
    segment: Segment | None = None


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
    timestep_s: float = quantity(TIMESTEP_S, "Step of the simulation.", unit="s", ge=0.0005, le=0.01, step=0.0005)
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

    def run(self) -> dict[str, Any]:
        """Drive, write trajectories and result, and return that.

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
        if self.avoid != "all" and (self.avoid == "policy") != (self.policy is not None):
            raise InputError("policy", self.policy and str(self.policy), "a policy with --avoid policy or all alone")
        policy = None if self.policy is None else Policy(self.policy)
        segment = open_detector(self.model) if "model" in self._ways else None
        with sole_folder("out", self.out):
            with show(self.events, "traverse", "drives") as emit:
                runs = list(self._runs(waypoints, policy, segment, emit))
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
        self, waypoints: np.ndarray | None, policy: Policy | None, segment: Segment | None, emit: Emit
    ) -> Iterator[dict[str, Any]]:
        total = self.stages * len(self._ways)
        with contextlib.ExitStack() as held:
            driver = None
            if policy is not None or segment is not None:
                renderer = held.enter_context(contextlib.closing(open_renderer(self.params.render.backend)))
                driver = Driver(renderer, policy, segment)
            for number in range(self.stages):
                stage = open_stage(self.stage) if self.stage else author(self.params, self.seed, self.split, number)
                course = Course(self, stage, number)
                try:
                    places = waypoints if waypoints is not None else course.draw()
                except InputError as error:
                    if not self.skip_crowded or error.field != "clearance_m":
                        raise
                    continue
                with course.watched(places, emit):
                    for done, how in enumerate(self._ways, number * len(self._ways)):

                        def tell(share: float, done: int = done) -> None:
                            emit({"event": "progress", "done": done + share, "total": total})

                        yield course.drive(places, how, driver, tell=tell)
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
                f"slip {row['slip']['mean']:.3f}, {row['real_time_factor']:.0f} × real time"
            )
        lines += [f"{each['split']}: {counted(each['frames'], 'frame')}" for each in result.get("frames", {}).values()]
        return "\n".join([*lines, str(self.out / RESULT)])


class Course:
    """One stage in an engine, to be driven over more than once."""

    def __init__(self, verb: Traverse, stage: Usd.Stage, number: int) -> None:
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
        """Draw start and goal [m], shape [2, 2], at equal distances from the origin and clear of rocks.

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
        tell: Callable[[float], object] = lambda share: None,
    ) -> dict[str, Any]:
        """Drive from the first place by the others to the last, and say what came of it.

        Args:
            places: Start, places between and goal [m], shape [N, 2].
            how: Way of driving.
            driver: What drives by pictures, where that is asked for.
            tell: Takes the share that is driven, of a drive that is watched.

        Raises:
            InputError: Places beyond the ground, or no way round the rocks.
        """
        verb = self._verb
        if (np.abs(places) > self._half).any():
            raise InputError("waypoints", verb.waypoints, f"places within {self._half:g} m of the origin")
        name, pictures = f"{self._number:05d}_{how}", {}
        route = self._around(places) if how == "labels" else places
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
        verb, layout = self._verb, self._layout
        rates = np.full(4, verb.speed_m_s / layout.radius)
        keys = ("traverse", self._number, "noise", again)[: 3 + bool(again)]
        seed = int(rng(verb.seed, verb.split, *keys).integers(2**62))
        speeds = np.repeat([False, True], 4)
        return Actuation(self._channel, actions=np.concatenate([layout.limit, rates]), speeds=speeds, seed=seed)

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
    return places


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
