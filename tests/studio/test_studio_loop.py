"""The loop's order, its coalescing, its temper; the workspace's memory."""

import itertools
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from studio_stand import PATIENCE_S, until

from regolith.lunar.params import InputError
from regolith.lunar.studio.loop import Loop
from regolith.lunar.studio.workspace import Workspace, content_type


@pytest.fixture
def loop() -> Iterator[Loop]:
    made = Loop()
    yield made
    made.stop()


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def start(loop: Loop) -> threading.Thread:
    thread = threading.Thread(target=loop.run, daemon=True)
    thread.start()
    return thread


def test_calls_run_in_order_on_one_thread(loop: Loop) -> None:
    seen: list[tuple[int, bool]] = []
    for number in range(100):
        loop.call(lambda number=number: seen.append((number, loop.here)))
    start(loop)
    until(lambda: len(seen) == 100)
    assert seen == [(number, True) for number in range(100)] and not loop.here


def test_a_newer_call_takes_the_place_of_a_queued_one_at_the_end(loop: Loop) -> None:
    seen: list[str] = []
    for text, key in (("a1", "a"), ("b1", "b"), ("plain", None), ("a2", "a"), ("last", None), ("b2", "b"), ("a3", "a")):
        loop.call(seen.append, text, key=key)
    start(loop)
    loop.result(lambda: None)
    assert seen == ["plain", "last", "b2", "a3"]
    loop.call(seen.append, "a4", key="a")  # a key can be used again once its call was made
    loop.result(lambda: None)
    assert seen[-1] == "a4"


def test_later_waits_for_rest() -> None:
    """Only the last call of a key counts, once nothing of that key came for the whole time; a call replaces it too."""
    clock = Clock()
    loop = Loop(clock=clock)
    start(loop)
    seen: list[str] = []
    for number in range(10):
        loop.later(1.5, seen.append, f"rest {number}", key="slider")
        clock.now += 1.0
        loop.result(lambda: None)
    loop.later(0.5, seen.append, "never", key="other")
    loop.call(seen.append, "now", key="other")
    loop.result(lambda: None)
    assert seen == ["now"]
    clock.now += 0.6
    until(lambda: len(seen) == 2)
    clock.now += 10.0
    for _ in range(2):
        loop.result(lambda: None)
    assert seen == ["now", "rest 9"]
    loop.stop()


def test_a_failure_is_told_and_ends_nothing(loop: Loop, caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    loop.tell = told.append
    ticks: list[int] = []
    loop.ticks += [lambda: 1 / 0, lambda: ticks.append(1)]
    start(loop)
    until(lambda: len(ticks) > 2)
    assert set(told) == {"ZeroDivisionError: division by zero"}
    assert len(told) == 1, "a tick that fails thirty times a second is told once"
    assert len([record for record in caplog.records if record.exc_info]) == 1
    with pytest.raises(InputError, match="frames: 3 is not allowed"):
        loop.result(refuse)
    loop.call(refuse)
    until(lambda: len(told) == 2)
    assert told[1] == "frames: 3 is not allowed; allowed: four"
    assert len(caplog.records) == 1, "a refusal is no failure"


def refuse() -> None:
    raise InputError("frames", 3, "four")


def test_ticks_go_on_beside_many_calls_and_keep_their_rate() -> None:
    """Each call takes a hundredth of a second, and calls never end; ticks come thirty times a second all the same."""
    clock = Clock()
    loop = Loop(clock=clock)
    ticks: list[float] = []
    loop.ticks.append(lambda: ticks.append(clock.now))

    def busy() -> None:
        clock.now += 0.01
        loop.call(busy)

    loop.call(busy)
    start(loop)
    until(lambda: len(ticks) > 10)
    loop.stop()
    spans = [b - a for a, b in itertools.pairwise(ticks)]
    assert all(0.02 < span < 0.06 for span in spans)


def test_a_call_waits_for_no_tick(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regolith.lunar.studio.loop.RATE_HZ", 1e-6)
    ticks: list[int] = []
    loop.ticks.append(lambda: ticks.append(1))
    start(loop)
    until(lambda: ticks)
    for _ in range(20):
        loop.result(lambda: None)
    assert len(ticks) == 1


def test_stop_comes_after_what_was_called_before(loop: Loop) -> None:
    seen: list[int] = []
    thread = start(loop)
    loop.call(seen.append, 1)
    loop.stop()
    assert loop.wait(PATIENCE_S)
    thread.join(PATIENCE_S)
    assert seen == [1]


# -- workspace ---------------------------------------------------------------------------------------------------------


def test_the_workspace_remembers(tmp_path: Path) -> None:
    space = Workspace(tmp_path / "w")
    assert space.remembered("welcome") == ""
    space.remember("welcome", "seen")
    space.remember("words", "größer\n")
    again = Workspace(tmp_path / "w")
    assert (again.remembered("welcome"), again.remembered("words")) == ("seen", "größer\n")


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", '{"a": 1}', "\x00"])
def test_a_broken_memory_is_forgotten(tmp_path: Path, text: str) -> None:
    space = Workspace(tmp_path)
    (space.own / "state.json").write_text(text)
    again = Workspace(tmp_path)
    again.remember("key", "value")
    assert json.loads((space.own / "state.json").read_text())["key"] == "value"


def test_a_workspace_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="workspace"):
        Workspace(tmp_path / "file")


def test_a_workspace_behind_a_link_is_one_place(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    space = Workspace(tmp_path / "link")
    assert space.root == tmp_path / "real"
    assert space.inside(tmp_path / "link" / "x") == tmp_path / "real" / "x"
    (tmp_path / "real" / "a b#?.html").touch()
    assert space.url("a b#?.html") == "/files/a%20b%23%3F.html"
    assert space.served(space.url("a b#?.html")) == tmp_path / "real" / "a b#?.html"


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.html", "text/html; charset=utf-8"), ("a.yaml", "text/plain; charset=utf-8"), ("a.png", "image/png"),
     ("a.jsonl", "text/plain; charset=utf-8"), ("a.onnx", "application/octet-stream"),
     ("a.json", "application/json; charset=utf-8"), ("a", "application/octet-stream")],
)  # fmt: skip
def test_content_types(name: str, kind: str) -> None:
    assert content_type(Path(name)) == kind
