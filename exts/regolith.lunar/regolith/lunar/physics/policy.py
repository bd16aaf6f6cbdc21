"""A policy that drives: what it is shown, what it may do, its ONNX file, and the pilot that drives by it.

Every `DECIDE_S` it is shown the pictures of both front hazard cameras, now and `LAG` decisions ago, and `READINGS`; it
gives a score to each of `ACTIONS`. The speed is held.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ValidationError

from regolith.lunar.params import InputError, PictureSize, one_line
from regolith.lunar.physics.sight import HAZCAMS, Sight
from regolith.lunar.physics.stance import stance_at
from regolith.lunar.physics.steering import (
    AIM_RAD,
    CURVATURE_MAX,
    LOOKAHEAD_M,
    Command,
    Layout,
    pursuit_curvature,
    seen_from,
    spot_rate,
    turn_about,
    turn_on_spot,
)
from regolith.lunar.reading import read_bytes, read_json

DECIDE_S = 1.0
"""Time between two decisions [s]: at 0.2 m/s two tenths of a metre."""

LAG = 5
"""Decisions that the older pictures are back: at 0.2 m/s a metre of way, for a camera sees nothing beside a wheel."""

CURVATURES = tuple(CURVATURE_MAX * share for share in (-1.0, -0.6, -0.35, -0.15, 0.0, 0.15, 0.35, 0.6, 1.0))
"""Curvatures among the actions [1/m], positive to the left."""

ACTIONS = ("turn right on the spot", *(f"{curvature:g} 1/m" for curvature in CURVATURES), "turn left on the spot")
"""What a policy chooses from; mirrored left to right, the order is reversed."""

GOAL_M = 10.0
"""Distance to the goal [m] that reads as 1; a longer one does too."""

TILT_RAD = 0.5
"""Tilt [rad] that reads as 1."""

CORNERS = ("fl", "fr", "rl", "rr")
READINGS = (
    "distance to the goal", "cosine of the bearing of the goal", "its sine",
    *(f"rate of wheel {corner}" for corner in CORNERS), *(f"angle of steering {corner}" for corner in CORNERS),
    "pitch", "roll",
)  # fmt: skip
"""Proprioception, each over its largest value: 10 m; 1; the rate at full speed; the largest angle; 0.5 rad."""

CARD_VERSION = 1
POLICY_BYTES = 64 << 20
"""Largest file of a policy: one of the largest pictures has 25 MB."""


@dataclasses.dataclass(frozen=True)
class Observation:
    """What a decision is taken by."""

    pictures: np.ndarray
    """Now and `LAG` decisions ago, each of the cameras of `HAZCAMS`, uint8, shape [2, 2, H, W]."""
    readings: np.ndarray
    """Proprioception by `READINGS`, float32, shape [13]."""


Decide = Callable[[Observation, Mapping[str, np.ndarray]], np.ndarray]
"""An observation, and the true state as a row of a trajectory has it, to the scores of `ACTIONS`, shape [11]."""


def read_readings(state: Mapping[str, np.ndarray], layout: Layout, goal: np.ndarray, speed: float) -> np.ndarray:
    """Proprioception as it is measured, float64, shape [13].

    Args:
        state: Row of a trajectory (`physics.drive`).
        layout: Wheels.
        goal: Place to go to [m], shape [2].
        speed: Full speed of the rover [m/s].
    """
    measured = state["measured"]
    ahead, aside = seen_from(goal, measured[:2], float(measured[2]))
    gap = max(math.hypot(ahead, aside), 1e-6)
    return np.array([
        min(gap / GOAL_M, 1.0), ahead / gap, aside / gap,
        *(measured[7:11] * layout.radius / speed), *(measured[3:7] / layout.limit), *(measured[11:] / TILT_RAD),
    ])  # fmt: skip


def mirrored(readings: np.ndarray) -> np.ndarray:
    """Readings as they are where left and right are exchanged, shape [..., 13] both ways."""
    order = [0, 1, 2, 4, 3, 6, 5, 8, 7, 10, 9, 11, 12]
    signs = np.array([1, 1, -1, 1, 1, 1, 1, -1, -1, -1, -1, 1, -1], readings.dtype)
    return readings[..., order] * signs


def encode_aim(ahead: float, aside: float) -> np.ndarray:
    """Shares of `ACTIONS` that steer for a point ahead and to the left [m], shape [11]: of two neighbours, or one."""
    shares = np.zeros(len(ACTIONS))
    bearing = math.atan2(aside, ahead)
    if abs(bearing) > AIM_RAD:
        shares[-1 if bearing > 0.0 else 0] = 1.0
        return shares
    place = float(np.interp(pursuit_curvature(ahead, aside), CURVATURES, np.arange(len(CURVATURES))))
    low = min(int(place), len(CURVATURES) - 2)
    shares[1 + low], shares[2 + low] = low + 1.0 - place, place - low
    return shares


def command_of(layout: Layout, scores: np.ndarray, speed: float) -> Command:
    """What the joints are asked for: the best action, a curvature being the mean over it and its two neighbours.

    Args:
        layout: Wheels.
        scores: Of `ACTIONS`, as logits, shape [11].
        speed: Of the rover's centre [m/s].
    """
    best = int(np.argmax(scores))
    if best in (0, len(ACTIONS) - 1):
        return turn_on_spot(layout, rate=math.copysign(spot_rate(layout, speed), best - 1))
    near = np.arange(max(best - 1, 1), min(best + 2, len(ACTIONS) - 1))
    weights = np.exp(scores[near] - scores[best])
    curvature = float(weights @ np.array(CURVATURES)[near - 1] / weights.sum())
    return turn_about(layout, speed=speed, curvature=curvature)


class SeeingPilot:
    """Drives from place to place by what it sees (`physics.drive.Pilot`)."""

    def __init__(
        self,
        sight: Sight,
        layout: Layout,
        places: np.ndarray,
        *,
        speed: float,
        decide: Decide,
        period_s: float,
    ) -> None:
        """Take a way.

        Args:
            sight: Pictures.
            layout: Wheels.
            places: Start, places between and goal [m], shape [N, 2]; one between counts as reached a metre away.
            speed: Of the rover's centre [m/s].
            decide: Takes the decisions.
            period_s: Time between commands [s].
        """
        self._sight, self._layout, self._speed = sight, layout, speed
        self._goals, self._decide = list(places[1:]), decide
        self._every = round(DECIDE_S / period_s)
        self._tick = 0
        self._seen: list[np.ndarray] = []
        self._command: Command | None = None

    def command(self, state: Mapping[str, np.ndarray]) -> Command:
        """What the joints are to do in a state, a row of a trajectory."""
        place = state["position_m"][:2]
        if len(self._goals) > 1 and float(np.linalg.norm(self._goals[0] - place)) < LOOKAHEAD_M:
            self._goals.pop(0)
        if self._command is None or self._tick % self._every == 0:
            self._seen = [*self._seen, self._sight.look(stance_at(state))][-1 - LAG :]
            readings = read_readings(state, self._layout, self._goals[0], self._speed)
            shown = Observation(np.stack([self._seen[-1], self._seen[0]]), readings.astype(np.float32))
            self._command = command_of(self._layout, self._decide(shown, state), self._speed)
        self._tick += 1
        return self._command


class _Card(BaseModel, strict=True):
    """What driving needs of a policy's card."""

    kind: str
    version: int
    size: str
    views: list[str]
    lag: int
    decide_s: float
    readings: list[str]
    actions: list[str]
    sha256: str


def describe_policy(size: PictureSize) -> dict[str, Any]:
    """What a policy's card says of what it takes and gives."""
    return {
        "kind": "policy",
        "version": CARD_VERSION,
        "size": f"{size.width}x{size.height}",
        "views": list(HAZCAMS),
        "lag": LAG,
        "decide_s": DECIDE_S,
        "readings": list(READINGS),
        "actions": list(ACTIONS),
    }


class Policy:
    """A policy that is ready to drive."""

    def __init__(self, path: Path, *, threads: int | None = None) -> None:
        """Load NAME.onnx, and NAME.json beside it.

        Args:
            path: The file.
            threads: CPU threads; left out, onnxruntime decides.

        Raises:
            InputError: The file or its card is missing, damaged or of something else, or onnxruntime is not installed.
        """
        self.path = path
        self.card = _read_card(path)
        self.size = PictureSize.model_validate(self.card["size"])
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise InputError("policy", str(path), "an installed onnxruntime: pip install onnxruntime") from None
        options = onnxruntime.SessionOptions()
        if threads:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
            self.scores(np.zeros((1, 2, 2, self.size.height, self.size.width), np.uint8), np.zeros((1, len(READINGS))))
        except InputError:
            raise
        except Exception as error:  # onnxruntime's exceptions share no base class of their own
            raise InputError("policy", str(path), f"a policy onnxruntime runs ({one_line(str(error), 100)})") from None

    def scores(self, pictures: np.ndarray, readings: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            pictures: uint8, shape [N, 2, 2, H, W].
            readings: Shape [N, 13].

        Returns:
            Logits of `ACTIONS`, float32, shape [N, 11].

        Raises:
            InputError: It gives something else.
        """
        fed = {"pictures": np.ascontiguousarray(pictures), "readings": np.asarray(readings, np.float32)}
        found = np.asarray(self._session.run(["logits"], fed)[0])
        if found.shape != (len(pictures), len(ACTIONS)) or not np.isfinite(found).all():
            raise InputError("policy", str(self.path), f"a policy that scores {len(ACTIONS)} actions")
        return found

    def decide(self, shown: Observation, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Score the actions by what is shown, whatever the true state (`Decide`)."""
        return self.scores(shown.pictures[None], shown.readings[None])[0]


def _read_card(path: Path) -> dict[str, Any]:
    """Card of a policy, held against what is written here and against the file.

    Raises:
        InputError: It is none, or not of this file.
    """
    beside = path.with_suffix(".json")
    allowed = "policy.onnx of `regolith train-policy` with its card policy.json beside it"
    try:
        data, card = read_bytes(path, POLICY_BYTES), read_json(beside)
        wanted = describe_policy(PictureSize.model_validate(_Card.model_validate(card).size))
    except OSError as error:
        raise InputError("policy", str(path), f"{allowed} ({error.strerror})") from None
    except (ValueError, ValidationError) as error:
        raise InputError("policy", str(path), f"{allowed} ({one_line(str(error), 100)})") from None
    unlike = [name for name, value in wanted.items() if card[name] != value]
    if unlike:
        raise InputError("policy", str(path), f"{allowed}, of this version ({unlike[0]} differs)")
    if card["sha256"] != hashlib.sha256(data).hexdigest():
        raise InputError("policy", str(path), f"{allowed}; the card is of another file")
    return card
