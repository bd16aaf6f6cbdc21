"""Drives over one stage, and at every decision what the planner would do from there."""

from __future__ import annotations

import dataclasses
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import write_bytes
from regolith.lunar.params import InputError
from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.course import Course, author
from regolith.lunar.physics.drive import heading_of
from regolith.lunar.physics.outcome import describe
from regolith.lunar.physics.plan import Guide
from regolith.lunar.physics.policy import ACTIONS, DECIDE_S, READINGS, Decide, Observation, Policy, encode_aim
from regolith.lunar.physics.steering import LOOKAHEAD_M, seen_from
from regolith.lunar.physics.success import succeeded
from regolith.lunar.physics.traverse import Traverse
from regolith.lunar.randomize import lit_frame
from regolith.lunar.render import Renderer
from regolith.lunar.stage.spec import rng

SPLIT = "train_dr"
STRAY_S = 3.0
"""How long the planner strays [s]."""
SLOWEST = 3.0
"""Time a drive may take, over that of the straight way."""


class Planner:
    """Decides as the labels would have it from wherever the rover is, and writes down what it was shown and decided."""

    def __init__(self, guide: Guide, *, driving: Decide | None, stray: float, random: np.random.Generator) -> None:
        """Begin a drive.

        Args:
            guide: Ways to the goal.
            driving: The policy that drives while the planner only says what it would do; None: it drives.
            stray: Probability that it begins to do as chance has it, where it drives.
            random: What chance is drawn from.
        """
        self._guide, self._driving, self._stray, self._random = guide, driving, stray, random
        self._straying = 0
        self._chance = 0
        self.pictures: list[np.ndarray] = []
        self.readings: list[np.ndarray] = []
        self.shares: list[np.ndarray] = []

    def decide(self, shown: Observation, state: Mapping[str, np.ndarray]) -> np.ndarray:
        """Scores of what is done next (`physics.policy.Decide`)."""
        place = state["position_m"][:2]
        point = self._guide.ahead(place, LOOKAHEAD_M)
        shares = encode_aim(*seen_from(point, place, heading_of(state)))
        self.pictures.append(shown.pictures[0])
        self.readings.append(shown.readings)
        self.shares.append(shares.astype(np.float32))
        if self._driving is not None:
            return self._driving(shown, state)
        if not self._straying and self._random.random() < self._stray:
            self._straying, self._chance = round(STRAY_S / DECIDE_S), int(self._random.integers(1, len(ACTIONS) - 1))
        if self._straying:
            self._straying -= 1
            return np.where(np.arange(len(ACTIONS)) == self._chance, 0.0, -20.0)
        return np.log(shares + 1e-9)


@dataclasses.dataclass(frozen=True)
class Drives:
    """What was seen and would have been done on some drives; T decisions, one drive after the other."""

    pictures: np.ndarray
    """Of the cameras of `physics.sight.HAZCAMS`, uint8, shape [T, 2, H, W]."""
    readings: np.ndarray
    """Proprioception (`physics.policy.READINGS`), float32, shape [T, 13]."""
    shares: np.ndarray
    """What the planner would do, as shares of `physics.policy.ACTIONS`, float32, shape [T, 11]."""
    ends: np.ndarray
    """Decision after the last of each drive, int64, shape [drives]."""
    success: np.ndarray
    """Whether each drive succeeded, bool, shape [drives]."""

    def save(self, path: Path) -> None:
        """Write whole or not at all."""
        data = io.BytesIO()
        np.savez_compressed(data, allow_pickle=False, **dataclasses.asdict(self))
        write_bytes(path, data.getvalue())

    @classmethod
    def load(cls, path: Path) -> Drives:
        """Read what `save` wrote.

        Raises:
            InputError: It cannot be read.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                return cls(**{field.name: file[field.name] for field in dataclasses.fields(cls)})
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise InputError("out", str(path), f"a file of drives; remove it to drive again ({error})") from None


def course_verb(params: PolicyParams, split: str, **fields: Any) -> Traverse:
    """The traverse over whose stages a policy learns or is measured; what it does not say is the verb's default."""
    verb = Traverse.model_validate({"seed": params.seed, "split": split, "distance_m": params.distance_m,
                                    "soil": params.soil, "out": params.out} | fields)  # fmt: skip
    verb = verb.model_copy(update={"time_max_s": SLOWEST * params.distance_m / verb.speed_m_s})
    return verb.with_params(params.params)


def collect_stage(params: PolicyParams, round_: int, index: int, policy: Policy | None, renderer: Renderer) -> Drives:
    """Drive over stage `index` of a round.

    A stage without room for a way is left out: no drives then.

    Args:
        params: What is asked for.
        round_: Number of the round.
        index: Number of the stage inside it.
        policy: What drives; None for the planner.
        renderer: Draws the pictures.
    """
    number = round_ * params.scaled(params.stages) + index
    verb = course_verb(params, SPLIT)
    course = Course(verb, author(params.params, params.seed, SPLIT, number), number)
    width, height = params.size.width, params.size.height
    pictures, readings, shares = [np.zeros((0, 2, height, width), np.uint8)], [], []
    ends, success = [], []
    sight = None
    for again in range(params.drives):
        try:
            places = course.draw(again)
        except InputError as error:
            if error.field != "clearance_m":
                raise
            break
        sight = sight or course.sight(renderer, params.size)
        sight.light(lit_frame(params.params, params.seed, SPLIT, number * params.drives + again))
        planner = Planner(
            course.guide(places[-1], params.clearance_m), driving=policy and policy.decide, stray=params.stray,
            random=rng(params.seed, "policy", "stray", number, again),
        )  # fmt: skip
        drive = course.ride(places, sight, planner.decide, again=again)
        pictures.append(np.array(planner.pictures))
        readings += planner.readings
        shares += planner.shares
        ends.append(len(readings))
        success.append(succeeded(describe(drive, places)))
    return Drives(
        pictures=np.concatenate(pictures),
        readings=np.array(readings, np.float32).reshape(len(readings), len(READINGS)),
        shares=np.array(shares, np.float32).reshape(len(shares), len(ACTIONS)),
        ends=np.array(ends, np.int64),
        success=np.array(success, bool),
    )
