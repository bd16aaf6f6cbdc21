"""The rover driven in an app of doubles, on a host without Kit: the timeline played and stopped, all given back."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from drive_stand import RollingRover
from kit_doubles import KitApp
from pxr import Usd

from regolith.lunar.kit.drive import AppDrive, Asked
from regolith.lunar.panel.observe import Change
from regolith.lunar.params import InputError, change_params, load_preset
from regolith.lunar.physics.course import author
from regolith.lunar.physics.traverse import Traverse
from regolith.lunar.stage import schema

DRIVE = {"speed_m_s": 2.0, "avoid": "none", "distance_m": 3.0}
NAMES = ("/physics/updateToUsd", "/physics/fabricEnabled")


class Host:
    """What a drive needs of `kit.host.KitHost`."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, str]] = []
        self.held = False
        self.ours = True

    def stage_state(self) -> Any:
        return SimpleNamespace(ours=self.ours)

    def notify(self, text: str, level: str = "info") -> None:
        self.notes.append((level, text))

    @contextlib.contextmanager
    def holding_edits(self) -> Iterator[None]:
        self.held = True
        yield
        self.held = False


class Bench:
    """A drive on a stage with a rover that rolls while the timeline plays."""

    def __init__(self, kit: KitApp, path: Path, **entered: Any) -> None:
        kit.context.open_stage(str(path))
        self.stage: Usd.Stage = kit.context.get_stage()
        self.host = Host()
        self.changes: list[Change] = []
        self.entered = Traverse.model_validate(DRIVE | entered)
        self.busy = ""
        self.drive = AppDrive(self.host, self._asked, lambda: self.busy)  # type: ignore[arg-type]
        self._subscription = self.drive.subscribe(self._take)
        self.rover = RollingRover(self.stage)

    def _asked(self) -> Asked:
        return Asked(self.entered, 20.0)

    def _take(self, change: Change) -> None:
        self.changes.append(change)

    def run(self, *when: tuple[Callable[[], object], Callable[[], object]]) -> Any:
        """Press the button, do what is to be done when something holds, and wait for the end."""
        import omni.timeline  # type: ignore[import-not-found]

        async def go() -> None:
            self.drive.action.run()
            for condition, act in when:
                while self.drive.work.active and not condition():
                    await asyncio.sleep(0.001)
                act()
            while self.drive.work.active:
                self.drive.tick()
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.01)

        omni.timeline.SIMULATIONS.append(self.rover)
        try:
            asyncio.run(asyncio.wait_for(go(), 300))
        finally:
            omni.timeline.SIMULATIONS.remove(self.rover)
        return self.drive.work


@pytest.fixture(scope="module", name="path")
def fixture_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    changes = {"terrain.cell_m": 0.4, "terrain.far_radius_m": 200.0, "rocks.diameter_min_m": 0.1}
    stage = author(change_params(load_preset("v1"), changes), 0, "train_dr", 0)
    path = tmp_path_factory.mktemp("stage") / "stage.usdc"
    stage.Export(str(path))
    return path


def test_it_drives_to_a_goal_and_all_is_as_it_was(kit: KitApp, path: Path) -> None:
    import omni.timeline  # type: ignore[import-not-found]

    timeline = omni.timeline.get_timeline_interface()
    ends, bench = timeline.get_end_time(), Bench(kit, path)
    before = bench.stage.GetRootLayer().ExportToString()
    seen: list[tuple[Any, ...]] = []
    omni.timeline.SIMULATIONS.append(
        lambda event, seconds: seen.append((event, bench.host.held, *map(kit.settings.get, NAMES)))
    )
    work = bench.run()
    assert work.state == "finished" and work.text.startswith("the goal is reached after 2."), work.text
    assert work.total == pytest.approx(3.0) and 2.0 < work.done <= work.total
    assert bench.rover.events == ["play", "step", "stop"]
    assert {row[1:] for row in seen} == {(True, True, False)}
    assert timeline.is_stopped() and timeline.get_end_time() == ends and not bench.host.held
    assert bench.stage.GetRootLayer().ExportToString() == before
    assert not bench.stage.GetSessionLayer().GetPrimAtPath(schema.rover_joint("drive", "fl")).properties
    assert bench.host.notes == [("info", f"Drive in the app: {work.text}")]
    assert {"app_drive"} == set().union(*(change.keys for change in bench.changes))
    bench.drive.tick()
    assert bench.drive.action.label == "Drive in the app"


def test_it_ends_by_its_button(kit: KitApp, path: Path) -> None:
    bench = Bench(kit, path)
    bench.rover.asleep = True
    work = bench.run((lambda: "step" in bench.rover.events, bench.drive.action.run))
    assert work.state == "interrupted" and work.text.startswith("stopped after 0.0 m")
    assert bench.rover.events[-1] == "stop"


def test_it_ends_with_the_timeline(kit: KitApp, path: Path) -> None:
    import omni.timeline  # type: ignore[import-not-found]

    bench, timeline = Bench(kit, path), omni.timeline.get_timeline_interface()

    def stop() -> None:
        timeline.stop()
        timeline.commit()

    bench.rover.asleep = True
    work = bench.run((lambda: "step" in bench.rover.events, stop))
    assert work.state == "interrupted" and timeline.is_stopped()


def test_a_rover_that_does_not_move_is_stuck(kit: KitApp, path: Path) -> None:
    bench = Bench(kit, path)
    bench.rover.asleep = True
    work = bench.run()
    assert work.state == "finished" and work.text.startswith("the rover is stuck after 0.0 m"), work.text


def test_where_there_is_no_way_that_is_said(kit: KitApp, path: Path) -> None:
    bench = Bench(kit, path, waypoints="0,0;1000,0")
    work = bench.run()
    assert work.state == "failed" and work.text.startswith("waypoints: ") and bench.rover.events == []
    assert bench.host.notes == [("error", work.text)]


def test_its_button_says_what_it_lacks(kit: KitApp, path: Path) -> None:
    bench = Bench(kit, path)
    action = bench.drive.action

    def reason() -> str:
        bench.drive.tick()
        return action.reason

    assert reason() == ""
    bench.busy = "Export is under way"
    assert reason() == "Export is under way"
    bench._asked = lambda: (_ for _ in ()).throw(InputError("speed_m_s", 99, "at most 2"))  # type: ignore[method-assign]
    bench.drive._asked = bench._asked
    assert reason().startswith("speed_m_s: ")
    bench.stage.RemovePrim(schema.ROVER)
    assert reason().startswith("no rover on the stage")
    bench.host.ours = False
    assert reason() == "author a stage first"
    action.run()
    assert bench.host.notes == [("warning", "Drive in the app: author a stage first")]
