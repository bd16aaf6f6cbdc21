"""What lies between a controller and a rover: commands that come late and changed, and readings that are not exact."""

from __future__ import annotations

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike

from regolith.lunar.params.dynamics import CONTROL_S
from regolith.lunar.physics.engine import Engine
from regolith.lunar.physics.steering import LOOKAHEAD_M, Command, Layout
from regolith.lunar.stage.dynamics import NEUTRAL
from regolith.lunar.stage.schema import ACTUATION
from regolith.lunar.stage.spec import rng


@dataclasses.dataclass(frozen=True)
class Channel:
    """The values of one rover, by the fields of `DynamicsParams`."""

    action_gain: float = NEUTRAL["action_gain"]
    action_delay_steps: int = int(NEUTRAL["action_delay_steps"])
    action_noise: float = NEUTRAL["action_noise"]
    proprioception_noise: float = NEUTRAL["proprioception_noise"]

    @classmethod
    def of(cls, values: Mapping[str, float]) -> Channel:
        """That of drawn values (`randomize.draw_dynamics`) or of a stage (`stage.dynamics.read_actuation`)."""
        gain, delay, *noise = (values.get(name, NEUTRAL[name]) for name in ACTUATION)
        return cls(gain, round(delay), *noise)


class Actuation:
    """Passes commands on and readings back; the same seed gives the same noise.

    Commands go by steps of `params.dynamics.CONTROL_S`; a controller that decides more seldom repeats its last. In step
    k the rover gets what was commanded in step k − delay, before that `rest`: speeds times the gain, then every action
    with noise of its own. Readings have no delay.
    """

    def __init__(
        self,
        channel: Channel,
        *,
        actions: ArrayLike,
        readings: ArrayLike = (),
        speeds: ArrayLike | None = None,
        rest: ArrayLike = 0.0,
        seed: int = 0,
    ) -> None:
        """Begin before the first step.

        Args:
            channel: Gain, delay and noise.
            actions: Largest value of each action, in its own unit, shape [A].
            readings: Largest value of each reading, in its own unit, shape [R].
            speeds: Which actions the gain is of, bool, shape [A]; left out, all.
            rest: What is commanded before the first command arrives, shape [A] or a number.
            seed: Seed of the noise.
        """
        self.channel, self.seed = channel, seed
        self._actions, self._readings = np.asarray(actions, np.float64), np.asarray(readings, np.float64)
        self._gain = np.where(True if speeds is None else np.asarray(speeds), channel.action_gain, 1.0)
        start = np.broadcast_to(np.asarray(rest, np.float64), self._actions.shape).copy()
        self._under_way = deque([start] * channel.action_delay_steps)
        self._action_rng, self._reading_rng = rng(seed, "action_noise"), rng(seed, "proprioception_noise")

    def act(self, commanded: ArrayLike) -> np.ndarray:
        """Command a step, shape [A]; returns what the drives are given in it, shape [A]."""
        self._under_way.append(np.array(commanded, np.float64))
        noise = self._action_rng.standard_normal(self._actions.shape)  # drawn at any noise: the stream stays in step
        return self._gain * self._under_way.popleft() + self.channel.action_noise * self._actions * noise

    def read(self, values: ArrayLike) -> np.ndarray:
        """Read the true motion, shape [R]; returns what the controller gets, shape [R]."""
        noise = self._reading_rng.standard_normal(self._readings.shape)
        return np.asarray(values, np.float64) + self.channel.proprioception_noise * self._readings * noise

    def drive(
        self, engine: Engine, layout: Layout, command: Command, simulate: Callable[[int], None], period_s: float
    ) -> np.ndarray:
        """Simulate the rover while a command holds: four steering angles [rad], then four rates of wheels [rad/s].

        Args:
            engine: Engine that holds the rover.
            layout: Its joints.
            command: What the controller wants.
            simulate: Makes steps of the engine.
            period_s: How long it holds [s].

        Returns:
            What the drives were given at first, shape [8].
        """
        given = np.empty((round(period_s / CONTROL_S), 8))
        for row in given:
            row[:] = self.act(np.concatenate([command.steering, command.rates]))
            for path, angle in zip(layout.steering, row[:4].tolist(), strict=True):
                engine.drive(path, position=angle)
            for path, rate in zip(layout.drives, row[4:].tolist(), strict=True):
                engine.drive(path, velocity=rate)
            simulate(round(CONTROL_S / engine.timestep_s))
        return given[0]

    def around(self, controller: Callable[[np.ndarray], ArrayLike]) -> Callable[[ArrayLike], np.ndarray]:
        """The controller on this rover: true motion in, shape [R], what the drives are given out, shape [A]."""
        return lambda motion: self.act(controller(self.read(motion)))


def command_channel(channel: Channel, layout: Layout, *, speed: float, seed: int) -> Actuation:
    """What commands of four steering angles [rad] and four rates of wheels [rad/s] pass through; the gain is of rates.

    Args:
        channel: Gain, delay and noise.
        layout: Wheels.
        speed: Full speed of the rover's centre [m/s].
        seed: Seed of the noise.
    """
    rates = np.full(4, speed / layout.radius)
    speeds = np.repeat([False, True], 4)
    return Actuation(channel, actions=np.concatenate([layout.limit, rates]), speeds=speeds, seed=seed)


def reading_channel(channel: Channel, layout: Layout, *, speed: float, seed: int, columns: int = 13) -> Actuation:
    """What a controller reads through: the columns of `measured` of a trajectory (`physics.drive`), shape [13].

    Noise is a share of the largest value of each: of a place that is the lookahead of the controller, of a heading half
    a turn, of pitch and roll a quarter, of a wheel's rate that of the rover's speed. Arguments are those of
    `command_channel`, and how many of the readings there are, from the first.
    """
    rates, tilt = np.full(4, speed / layout.radius), np.full(2, 0.5 * math.pi)
    largest = ((LOOKAHEAD_M, LOOKAHEAD_M, math.pi), layout.limit, rates, tilt)
    measured = int(rng(seed, "measured").integers(2**62))
    return Actuation(channel, actions=(), readings=np.concatenate(largest)[:columns], seed=measured)
