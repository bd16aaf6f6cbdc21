"""Long work on the page: progress with the time left, buttons, curves that grow, last lines."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.model import PanelModel
from regolith.lunar.panel.presentation import CURVES, Curve, curve_words, plot_scale, thin
from regolith.lunar.panel.verb_rows import ROWS
from regolith.lunar.panel.work import Picture, Table, Work
from regolith.lunar.studio.parts import QUIET, ActionButton, add_image, assign, markup, set_image
from regolith.lunar.studio.style import CURVE_COLORS

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop

BUTTONS: dict[str, tuple[str, ...]] = {
    "generate": ("pause", "cancel", "report"),
    "training": ("train", "use_model", "open_run"),
    "evaluate": ("evaluate",),
    **{row.key: row.buttons[1:] for row in ROWS if row.buttons[1:]},
}
"""Buttons beside a work's progress, by the keys of the model's actions."""

POINTS = 400
"""Most values a plot shows."""
LOG_LINES = 12
PLOT_HEIGHT = 120


class WorkView:
    """One line of work; there only once there is something to say."""

    def __init__(
        self, gui: GuiApi, loop: Loop, model: PanelModel, work: Work, press: Callable[[Action], object]
    ) -> None:
        """Make it in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
            work: What is shown.
            press: Runs an action.
        """
        self._gui, self._loop, self._model, self._work, self._press = gui, loop, model, work, press
        self._root = gui.add_folder(None, visible=False)
        self._title: Any = None
        self._bar: Any = None
        self._text: Any = None
        self._log: Any = None
        self._lines: Any = None
        self._plots: list[CurvePlot] = []
        self._album: Any = None
        self._table: Any = None
        self._buttons: list[ActionButton] = []
        self.refresh()

    @property
    def shown(self) -> bool:
        """Whether there is something to say."""
        return self._work.state != "idle" or bool(self._work.text)

    def refresh(self) -> None:
        """Show the work's present state."""
        if self.shown and self._title is None:
            self._build()
        assign(self._root, "visible", self.shown)
        if self._title is None:
            return
        work = self._work
        assign(self._title, "content", title_of(work))
        assign(self._bar, "visible", work.total > 0 or work.active)
        busy = work.active and work.total <= 0  # nobody knows how far it is
        assign(self._bar, "value", 100.0 if busy else round(100.0 * work.fraction, 1))
        assign(self._bar, "animated", work.active)
        assign(self._bar, "color", {"failed": "red", "paused": "yellow", "interrupted": "yellow"}.get(work.state))
        assign(self._text, "content", markup("message" if work.state == "failed" else "note", work.text))
        for plot in self._plots:
            plot.refresh()
        self._album.refresh(work.pictures)
        assign(self._table, "content", table_of(work.table))
        assign(self._table, "visible", bool(work.table))
        lines = "\n".join(list(work.log)[-LOG_LINES:])
        assign(self._log, "visible", bool(lines))
        assign(self._lines, "content", markup("log", lines))

    def refresh_actions(self) -> None:
        """Show the buttons anew."""
        for button in self._buttons:
            button.refresh()

    def _build(self) -> None:
        work, gui = self._work, self._gui
        with self._root:
            self._title = gui.add_html(title_of(work))
            self._bar = gui.add_progress_bar(0.0)
            self._text = gui.add_html("")
            for key in BUTTONS.get(work.key, ()):
                action = self._model.actions[key]
                self._buttons.append(ActionButton(gui, self._loop, action, self._press, color=QUIET))
            if work.key == "training":
                self._plots = [CurvePlot(gui, work, curve) for curve in CURVES]
            self._album = Album(gui)
            self._table = gui.add_html("", visible=False)
            self._log = gui.add_folder("Log", expand_by_default=False, visible=False)
            with self._log:
                self._lines = gui.add_html("")


def title_of(work: Work) -> str:
    """HTML of a work's name and state."""
    return (
        f'<div class="rl-work" data-work="{work.key}" data-state="{work.state}">{html.escape(work.title)}'
        f"<span>{work.state if work.state != 'idle' else ''}</span></div>"
    )


def table_of(table: Table) -> str:
    """HTML of a table."""
    if not table:
        return ""
    head, *lines = [[html.escape(text) for text in line] for line in table]
    rows = ["".join(f"<th>{text}</th>" for text in head)]
    rows += ["".join(f"<td>{text}</td>" for text in line) for line in lines]
    return f'<table class="rl-table">{"".join(f"<tr>{row}</tr>" for row in rows)}</table>'


class Album:
    """Pictures of work under way beside each other, what they are called above them."""

    def __init__(self, gui: GuiApi) -> None:
        """Make it in the present container, with nothing to see.

        Args:
            gui: Of the server.
        """
        self._gui = gui
        self._root = gui.add_folder(None, visible=False)
        self._titles: list[Any] = []
        self._images: dict[str, Any] = {}
        self._shown: dict[str, Picture] = {}

    def refresh(self, pictures: Mapping[str, Picture]) -> None:
        """Show the newest of each kind; those that are on show already are not sent again."""
        if pictures.keys() != self._images.keys():
            self._build(pictures)
        for kind, picture in pictures.items():
            if picture is not self._shown.get(kind):
                set_image(self._images[kind], "png", picture.data)
        self._shown = dict(pictures)
        assign(self._root, "visible", bool(pictures))

    def _build(self, pictures: Mapping[str, Picture]) -> None:
        for part in (*self._titles, *self._images.values()):
            part.remove()
        self._shown.clear()
        with self._root:
            self._titles = [self._gui.add_html(_title(kind, picture)) for kind, picture in pictures.items()]
            self._images = {kind: add_image(self._gui) for kind in pictures}


def _title(kind: str, picture: Picture) -> str:
    return f'<div class="rl-picture" data-picture="{kind}">{html.escape(picture.title)}</div>'


class CurvePlot:
    """One curve over the epochs of a run."""

    def __init__(self, gui: GuiApi, work: Work, curve: Curve) -> None:
        """Make it in the present container.

        Args:
            gui: Of the server.
            work: Work whose metrics are plotted.
            curve: Which of them.
        """
        self._gui, self._work, self._curve = gui, work, curve
        self._seen: list[tuple[float, float]] = []
        self._root = gui.add_folder(None, visible=False)
        self._words: Any = None
        self._plot: Any = None
        self.refresh()

    def refresh(self) -> None:
        """Draw the values reported so far; nothing is done where they are those on show."""
        history = self._work.metrics.get(self._curve.metric, [])
        if history == self._seen:
            return
        self._seen = list(history)  # a resumed run says an epoch again: as many values, but others
        points = [(step, value) for step, value in history if math.isfinite(value)]
        assign(self._root, "visible", bool(points))
        if not points:
            return
        values = [value for _, value in points]
        steps, shown = (np.array(thin(part, POINTS)) for part in ([step for step, _ in points], values))
        low, high = plot_scale(values, share=self._curve.kind == "iou")
        scales: Any = {"x": {"time": False}, "y": {"range": (low, high)}}
        words = markup(f"curve {self._curve.kind}", curve_words(self._curve, values))
        if self._plot is None:
            with self._root:
                self._words = self._gui.add_html(words)
                self._plot = self._gui.add_uplot(
                    (steps, shown), self._series(), scales=scales, legend={"show": False}, height=PLOT_HEIGHT,
                    axes=({"size": 26}, {"size": 48}), padding=(8, 12, 0, 0),
                )  # fmt: skip
            return
        assign(self._words, "content", words)
        self._plot.data = (steps, shown)
        assign(self._plot, "scales", scales)

    def _series(self) -> tuple[Any, ...]:
        color = CURVE_COLORS[self._curve.kind]
        return {"label": "epoch"}, {"label": self._curve.title, "stroke": color, "width": 2, "points": {"show": True}}
