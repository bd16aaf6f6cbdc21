"""A pilot that drives round what a model calls rock: it looks, maps what it sees, and plans anew.

Pictures come from the rover's own cameras, where the simulation has it. How far each pixel is comes from the renderer,
as a stereo pair would measure it without error: what is left of the way to the labels' own figures is the model's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from regolith.lunar.dataset.pointcloud import FrameCamera, unproject
from regolith.lunar.labels import ROCK
from regolith.lunar.perception.metrics import rock_counts
from regolith.lunar.perception.session import load_model
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.plan import CELL_M, Clearance, Guide
from regolith.lunar.physics.sight import HAZCAMS, Sight
from regolith.lunar.physics.stance import read_stance
from regolith.lunar.physics.steering import LOOKAHEAD_M, Command, Follower, Layout, Mode
from regolith.lunar.render import Frame

VIEWS = ("navcam_left", *HAZCAMS)
"""Cameras it looks with: one that sees far, and two that see what is before the wheels."""

LOOK_M = 1.0
"""Way between two looks [m]."""

LOOK_RAD = math.radians(40.0)
"""Turn between two looks [rad]: half of what the NavCam sees is new then."""

RANGE_M = 12.0
"""Farthest that is mapped [m]: beyond, a rock of 10 cm has three pixels of 256 in the NavCam."""

OWN_M = 1.2
"""What is nearer to the rover's middle [m] is its own wheels and body, or was mapped before."""

ROCK_SHARE = 0.5
"""Share of the pixels on a cell of the map that are rock where the cell counts as rock."""

TRUTH = "truth"
"""Name of the detector that sees the labels."""

Segment = Callable[[Frame], np.ndarray]
"""A picture to its classes (`regolith.lunar.labels`), uint8, shape [H, W]."""


def open_detector(model: str, *, threads: int | None = None) -> Segment:
    """What tells rock from ground in pictures.

    Args:
        model: A shipped model by name, an .onnx file, or `TRUTH`.
        threads: CPU threads of the model; None for one per core.

    Raises:
        InputError: There is no such model, or it cannot be used.
    """
    if model == TRUTH:
        return lambda frame: frame.mask
    session = load_model(model, threads=threads)
    return lambda frame: session.predict(frame.rgb, size=None).mask


class RockMap:
    """Where rock was seen, on a grid of `CELL_M`."""

    def __init__(self, half: float) -> None:
        """Begin with nothing seen, on a square about the origin with half a side [m]."""
        self._middle = math.ceil(half / CELL_M)
        side = 2 * self._middle + 1
        self._rock, self._all = np.zeros((side, side), np.int64), np.zeros((side, side), np.int64)

    def add(self, places: np.ndarray, rock: np.ndarray) -> None:
        """Take what pixels show.

        Args:
            places: Where in the world, shape [N, 2] [m].
            rock: Whether it is rock, bool, shape [N].
        """
        at = np.rint(places / CELL_M).astype(int) + self._middle
        there = ((at >= 0) & (at < len(self._all))).all(axis=1)
        rows, columns = at[there, 1], at[there, 0]
        np.add.at(self._all, (rows, columns), 1)
        np.add.at(self._rock, (rows, columns), rock[there])

    @property
    def taken(self) -> np.ndarray:
        """Cells that count as rock, bool, shape [side, side], rows along Y."""
        return (self._all > 0) & (self._rock >= ROCK_SHARE * self._all)


class DetectorPilot:
    """Drives from place to place round the rocks it sees (`physics.drive.Pilot`)."""

    def __init__(
        self,
        sight: Sight,
        segment: Segment,
        engine: Engine,
        layout: Layout,
        places: np.ndarray,
        *,
        half: float,
        clearance_m: float,
        speed: float,
        mode: Mode,
    ) -> None:
        """Take a way.

        Args:
            sight: Pictures.
            segment: Tells rock from ground in them.
            engine: Engine that holds the rover.
            layout: Wheels.
            places: Start, places between and goal [m], shape [N, 2]; one between counts as reached a metre away.
            half: Half side of the ground [m].
            clearance_m: From the middle of the rover to what is rock, where there is room.
            speed: Of the rover's centre [m/s].
            mode: How turns are made.
        """
        self._sight, self._segment, self._engine = sight, segment, engine
        self._goals, self._clearance = list(places[1:]), clearance_m
        self._map = RockMap(half)
        self._follower = Follower(layout, self, speed=speed, mode=mode)
        self._guide: Guide | None = None
        self._looked = np.full(3, np.inf)
        self.counts = np.zeros(3, np.int64)
        """Pixels of rock of all pictures so far: found, falsely found, missed (tp, fp, fn)."""

    def command(self, state: Mapping[str, np.ndarray]) -> Command:
        """What the joints are to do in a state, a row of a trajectory."""
        x, y, heading = state["measured"][:3].tolist()
        place = np.array([x, y])
        reached = len(self._goals) > 1 and float(np.linalg.norm(self._goals[0] - place)) < LOOKAHEAD_M
        if reached:
            self._goals.pop(0)
        moved = math.hypot(x - self._looked[0], y - self._looked[1])
        turned = abs(math.remainder(heading - self._looked[2], 2.0 * math.pi)) if self._guide else math.inf
        if self._guide is None or reached or moved >= LOOK_M or turned >= LOOK_RAD:
            self._look()
            self._looked = state["measured"][:3]
            self._guide = Guide(Clearance(self._map.taken), self._goals[0], self._clearance)
        return self._follower.command(place, heading)

    def ahead(self, place: np.ndarray, lookahead: float) -> np.ndarray:
        """The point [m] to steer for from a place [m], by what is known (`physics.steering.Way`)."""
        assert self._guide is not None
        return self._guide.ahead(place, lookahead)

    def _look(self) -> None:
        """Take a picture with each camera, and map it."""
        stance = read_stance(self._engine)
        for view in VIEWS:
            frame, spec = self._sight.take(stance, view, quality="default", outputs=frozenset({"depth"}))
            assert frame.depth is not None
            classes = self._segment(frame)
            self.counts += rock_counts(frame.mask, classes)
            height, width = classes.shape
            camera = FrameCamera.from_spec(spec.to_dict(), width, height)
            near = np.where(frame.depth <= RANGE_M, frame.depth, np.inf)
            points, pixels = unproject(near, camera.lens)
            places = camera.to_world(points)[:, :2]
            other = np.linalg.norm(places - (stance.x_m, stance.y_m), axis=1) > OWN_M
            rock = classes[pixels[:, 1], pixels[:, 0]] == ROCK
            self._map.add(places[other], rock[other])
