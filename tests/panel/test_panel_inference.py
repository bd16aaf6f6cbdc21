"""Live inference without a host: its rate, what it forgets, and when it takes another picture."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from regolith.lunar.panel.host import LiveSettings
from regolith.lunar.panel.inference import LiveInference

PATIENCE_S = 60.0
SETTINGS = LiveSettings("moon.onnx", 0.5, rock=True, outline=True, regolith=True, legend=True, rate_hz=10.0)


@dataclasses.dataclass(frozen=True)
class Result:
    """What was made of a numbered picture."""

    picture: int
    milliseconds: float = 20.0
    rock_share: float = 0.25
    at_rest: bool = False


class Model:
    """A model of no weights, held by the hand."""

    provider = "CPUExecutionProvider"

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.gate.set()
        self.begun: list[int] = []


class Made:
    """An inference of numbered pictures on a clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.model = Model()
        self.results: list[int] = []
        self.live: LiveInference[Model, int, Result] = LiveInference(
            self._segment, lambda result: self.results.append(result.picture), self._load, clock=lambda: self.now
        )

    def _load(self, name: str) -> Model:
        return self.model

    def _segment(self, model: Model, picture: int, settings: LiveSettings) -> Result:
        model.begun.append(picture)
        assert model.gate.wait(PATIENCE_S)
        return Result(picture)

    def pass_by(self) -> None:
        """Wait until the thread has had a turn."""
        self.live.run(lambda use: None).result(PATIENCE_S)


@pytest.fixture
def made() -> Iterator[Made]:
    value = Made()
    yield value
    value.model.gate.set()
    value.live.end()
    value.live.join()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.002)


def test_it_keeps_to_the_rate(made: Made) -> None:
    """Ten pictures a second: one that comes sooner waits, and is left out where a newer one comes."""
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.live.see(1)
    until(lambda: made.results == [1])
    made.now += 0.05
    made.live.see(2)
    made.pass_by()
    assert not made.live.ready and made.model.begun == [1]
    made.live.see(3)
    made.now += 0.06
    until(lambda: made.results == [1, 3])
    assert made.live.state is not None
    assert made.live.state.frames_per_s == pytest.approx(1 / 0.11) and made.live.state.milliseconds == 20.0


def test_a_pause_is_no_rate(made: Made) -> None:
    made.live.set(SETTINGS).result(PATIENCE_S)
    for picture in (1, 2):
        made.live.see(picture)
        until(lambda picture=picture: made.results[-1:] == [picture])
        made.now += 5.0
    assert made.live.state is not None and made.live.state.frames_per_s == 0.0


def test_what_is_forgotten_is_not_told(made: Made) -> None:
    """Neither the picture at work nor the one that waits; the next is segmented as ever."""
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.model.gate.clear()
    made.live.see(1)
    until(lambda: made.model.begun == [1])
    made.live.see(2)
    assert not made.live.ready
    made.live.forget()
    assert not made.live.ready, "the picture at work is still in use"
    made.model.gate.set()
    made.now += 1.0
    until(lambda: made.live.ready)
    assert not made.results and made.live.state is not None and made.live.state.milliseconds == 0.0
    made.live.see(3)
    until(lambda: made.results == [3])
    assert made.model.begun == [1, 3]


def test_ready_only_with_a_model_and_while_it_is_on(made: Made) -> None:
    assert not made.live.ready
    made.live.set(SETTINGS).result(PATIENCE_S)
    until(lambda: made.live.ready)
    made.live.tell("no viewport")
    assert made.live.state is not None and made.live.state.problem == "no viewport"
    made.live.see(1)
    until(lambda: made.results == [1])
    assert made.live.state.problem == ""
    made.live.set(None).result(PATIENCE_S)
    made.now += 1.0
    assert not made.live.ready and made.live.state is None


def test_the_end_waits_for_no_model(made: Made) -> None:
    made.live.set(SETTINGS).result(PATIENCE_S)
    made.model.gate.clear()
    made.live.see(1)
    until(lambda: made.model.begun == [1])
    waits = made.live.run(lambda use: None)
    made.live.end()
    assert waits.cancelled() and made.live.run(lambda use: None).cancelled()
    made.model.gate.set()
    made.live.join()
    assert not made.results
