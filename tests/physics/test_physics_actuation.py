"""Between controller and drives: exact delays, gains of speeds, noise of the stated size and seed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regolith.lunar.physics.actuation import Actuation, Channel


@given(st.integers(0, 12), st.integers(1, 40), st.floats(0.2, 2.0))
def test_a_command_takes_effect_after_exactly_its_delay(delay: int, steps: int, gain: float) -> None:
    actuation = Actuation(Channel(gain, delay), actions=[1.0, 1.0], speeds=[True, False], rest=[0.5, -0.5])
    commands = np.arange(2.0 * steps).reshape(-1, 2) + 1.0
    applied = np.array([actuation.act(command) for command in commands])
    expected = np.vstack([np.tile([0.5, -0.5], (delay, 1)), commands])[:steps] * [gain, 1.0]
    assert np.array_equal(applied, expected)


def test_commands_are_taken_as_they_were() -> None:
    """A controller may reuse its array."""
    actuation, command = Actuation(Channel(action_delay_steps=1), actions=[1.0]), np.array([3.0])
    actuation.act(command)
    command[:] = 7.0
    assert actuation.act(command) == 3.0


def test_noise_has_its_standard_deviation_of_the_largest_value_and_no_memory() -> None:
    actuation = Actuation(Channel(action_noise=0.02, proprioception_noise=0.05), actions=[0.8, 50.0], readings=[10.0])
    acts = np.array([actuation.act([0.1, 5.0]) for _ in range(20_000)]) - [0.1, 5.0]
    reads = np.array([actuation.read([2.0]) for _ in range(20_000)]) - 2.0
    assert acts.std(axis=0) == pytest.approx([0.016, 1.0], rel=0.02)
    assert reads.std() == pytest.approx(0.5, rel=0.02)
    assert np.abs(acts.mean(axis=0) / acts.std(axis=0)).max() < 0.03
    assert abs(float(np.corrcoef(acts[:-1, 0], acts[1:, 0]).item(1))) < 0.03
    assert abs(float(np.corrcoef(acts[:, 0], acts[:, 1]).item(1))) < 0.03


def test_the_same_seed_gives_the_same_noise_whatever_is_read() -> None:
    def applied(seed: int, *, reading: bool, noise: float = 0.1) -> np.ndarray:
        actuation = Actuation(
            Channel(action_noise=noise, proprioception_noise=0.1), actions=[1.0], readings=[1.0], seed=seed
        )
        return np.array([actuation.act([0.0]) if not reading or actuation.read([0.0]).size else 0.0 for _ in range(9)])

    assert np.array_equal(applied(1, reading=False), applied(1, reading=True))
    assert np.array_equal(2.0 * applied(1, reading=False), applied(1, reading=False, noise=0.2))
    assert not np.isclose(applied(1, reading=False), applied(2, reading=False)).any()


def test_a_controller_sees_noise_and_acts_late() -> None:
    seen = []

    def controller(motion: np.ndarray) -> np.ndarray:
        seen.append(motion[0])
        return np.array([len(seen)])

    drive = Actuation(Channel(0.5, 2, proprioception_noise=0.1), actions=[1.0], readings=[1.0]).around(controller)
    assert [float(drive([4.0])[0]) for _ in range(4)] == [0.0, 0.0, 0.5, 1.0]
    assert 0.0 < np.std(seen) < 0.4 and np.mean(seen) == pytest.approx(4.0, abs=0.3)


def test_drawn_values_make_a_channel() -> None:
    assert Channel.of({"action_delay_steps": 2.6, "action_gain": 0.9, "friction_scale": 2.0}) == Channel(0.9, 3)
    assert Channel.of({}) == Channel()
