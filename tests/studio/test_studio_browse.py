"""The dialog for paths of the workspace and what it may not touch, without a browser."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from page_stand import Still
from studio_stand import Stand

from regolith.lunar.panel.host import Finished, Pick, Question
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.tasks import Answer
from regolith.lunar.params import InputError, Interval
from regolith.lunar.render.base import run_through
from regolith.lunar.studio.browse import Browser
from regolith.lunar.studio.host import StudioHost
from regolith.lunar.studio.rows import Row

SAVE = Pick("Save parameters", "save", None, (".yaml", ".json"))


def taken(stand: Stand, pick: Pick, name: str) -> tuple[list[Path | None], str]:
    """What is handed on for a name that is typed, and what is said instead."""
    chosen: list[Path | None] = []

    def take() -> str:
        browser = Browser(stand.server, stand.loop, stand.workspace, pick, chosen.append)
        browser._name.value = name
        browser._take()
        text = browser._problem.content if browser._problem.visible else ""
        browser.close()
        return text

    return chosen, stand.on(take)


@pytest.mark.parametrize("kind", ["save", "folder", "file"])
@pytest.mark.parametrize("name", [".studio/state.json", ".studio", "way/state.json", ".studio/runs/x.json"])
def test_what_is_the_studios_own_cannot_be_chosen(stand: Stand, kind: Any, name: str) -> None:
    way = stand.workspace.root / "way"
    if not way.is_symlink():
        way.symlink_to(stand.workspace.own)
    chosen, said = taken(stand, Pick("Which", kind, None, (".json",) if kind == "save" else ()), name)
    assert not chosen and "keeps for itself" in said


def test_what_is_the_studios_own_is_not_shown(stand: Stand) -> None:
    own, root = stand.workspace.own, stand.workspace.root
    way = root / "way"
    if not way.is_symlink():
        way.symlink_to(own)

    def look() -> None:
        for start in (own, own / "state.json", way):
            browser = Browser(stand.server, stand.loop, stand.workspace, Pick("Which", "save", start), print)
            assert browser._folder == root and browser._name.value == ""
            assert way not in browser._read()[0]
            browser.close()
        with pytest.raises(InputError, match="keeps for itself"):
            Browser(stand.server, stand.loop, stand.workspace, own, print)

    stand.on(look)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("save", "folder", "file") for name in ("n" * 300, "p/" * 2500)] + [("save", "n" * 252)],
)
def test_names_no_system_takes_are_refused_in_a_line(stand: Stand, kind: Any, name: str) -> None:
    chosen, said = taken(stand, Pick("Which", kind, None, SAVE.endings if kind == "save" else ()), name)
    assert not chosen and "allowed: a" in said and "Errno" not in said and len(said) < 500
    start = Pick("Which", "save", stand.workspace.root / name)
    stand.on(lambda: Browser(stand.server, stand.loop, stand.workspace, start, print).close())


def test_a_name_gets_its_ending(stand: Stand) -> None:
    assert taken(stand, SAVE, "moon")[0] == [stand.workspace.root / "moon.yaml"]
    assert taken(stand, SAVE, "moon.JSON")[0] == [stand.workspace.root / "moon.JSON"]


class Script:
    """Dialogs that answer at once."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.asked: list[Question] = []
        self.answer = Answer()

    def pick_path(self, pick: Pick) -> Finished:
        return Finished(self.path)

    def ask(self, question: Question) -> Answer:
        self.asked.append(question)
        return self.answer

    def notify(self, *message: Any) -> None:
        pass


def host_of(stand: Stand, script: Any) -> StudioHost:
    still: Any = Still()
    return StudioHost(stand.workspace, camera=still, scene=still, live=still, dialogs=script)


@pytest.mark.parametrize("answer", ["Replace", "Cancel"])
def test_a_file_is_replaced_only_where_the_user_says_so(stand: Stand, answer: str) -> None:
    place = stand.workspace.root / "kept.yaml"
    place.write_text("kept")
    script = Script(place)
    model = PanelModel(host_of(stand, script), preset="v1")
    model.actions["save"].run()
    for _ in range(3):
        model.tick()
    assert len(script.asked) == 1 and script.asked[0].answers[-1] == "Cancel" and place.read_text() == "kept"
    script.answer.settle(answer)
    model.tick()
    assert (place.read_text() != "kept") == (answer == "Replace") == (model.file == place)
    model.close()


def test_nothing_is_asked_where_nothing_is_replaced(stand: Stand) -> None:
    for place in (None, stand.workspace.root / "fresh.yaml", stand.workspace.root / ("n" * 300)):
        script = Script(place)
        task = host_of(stand, script).pick_path(SAVE)
        assert task.done() and task.result() == place and not script.asked
    assert host_of(stand, Script(stand.workspace.root)).pick_path(Pick("Which", "folder")).done()


def test_an_output_is_not_written_among_the_studios_own(stand: Stand) -> None:
    model = PanelModel(host_of(stand, Script(None)), preset="v1")
    for place in (".studio/x", ".studio/runs/x", stand.workspace.own):
        model.commit("generate.out", place)
        assert "keeps for itself" in model.field("generate.out").message
    model.close()


@pytest.mark.parametrize("value", [(math.nan, 1.0), (0.0, math.inf), (math.nan, math.nan)])
def test_a_slider_enters_only_numbers(stand: Stand, value: tuple[float, float]) -> None:
    model = PanelModel(host_of(stand, Script(None)), preset="v1")
    entered: list[Any] = []
    edits: Any = type("Recorded", (), {"move": lambda self, path, value: entered.append(value)})()
    field = next(field for section in model.sections for field in section.fields if field.kind == "interval")

    class Event:
        client = object()

        def __init__(self, value: Any) -> None:
            self.target = type("Target", (), {"value": value})()

    row = stand.on(
        lambda: Row(stand.server.gui, stand.loop, edits, field, "Range", home=stand.workspace.root, pick=print)
    )
    stand.on(row.show, True)

    def turn(value: tuple[float, ...]) -> None:
        for widget, _ in row._faces:
            for callback in widget._impl.update_cb:
                run_through(callback(Event(value)))
        stand.on(lambda: None)

    turn(value)
    assert not entered and not stand.told
    low, high = field.ge, field.le
    assert low is not None and high is not None
    turn((low, high))
    assert entered == [Interval(low, high), (low, high)]
    model.close()
