"""Long work on show: bar with text, last lines, plots of loss and rock-IoU."""

# pyright: reportMissingImports=false
from __future__ import annotations

import math

import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.text import plain
from regolith.lunar.panel.work import Work

POINTS = 400
"""Most values a plot shows."""
LOG_LINES = 6
BAR_LETTERS = 56
"""Longest text that fits on a bar."""


class ProgressModel(ui.AbstractValueModel):
    """A bar's share done with a text of its own."""

    def __init__(self) -> None:
        super().__init__()
        self._share, self._text = 0.0, ""

    def get_value_as_float(self) -> float:
        """Share done in [0, 1]."""
        return self._share

    def get_value_as_string(self) -> str:
        """Text on the bar."""
        return self._text

    def put(self, share: float, text: str) -> None:
        """Show another state."""
        self._share, self._text = share, text
        self._value_changed()


class Bar:
    """Progress of one line of work; hidden while there is nothing to say."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._model = ProgressModel()
        with ui.VStack(height=0, spacing=2, visible=False) as self.root:
            self._title = ui.Label("", name="faint", height=16)
            self._bar = ui.ProgressBar(self._model, height=style.ROW, identifier=f"progress:{work.key}")
            self._note = ui.Label("", name="faint", word_wrap=True, identifier=f"note:{work.key}")
        self.refresh()

    def refresh(self) -> None:
        """Show the work's present state."""
        work = self._work
        self.root.visible = work.state != "idle" or bool(work.text)
        self._title.text = plain(f"{work.title}: {work.state}")
        self._bar.visible = work.total > 0
        on_bar = work.total > 0 and work.active and 0 < len(work.text) <= BAR_LETTERS
        self._model.put(work.fraction, plain(work.text) if on_bar else f"{100 * work.fraction:.0f} %")
        self._note.text = plain(work.text)
        self._note.visible = bool(work.text) and not on_bar
        self._note.name = "message" if work.state == "failed" else "faint"


class Log:
    """Last lines of a process."""

    def __init__(self, work: Work) -> None:
        self._work = work
        with ui.CollapsableFrame("Log", height=0, collapsed=True, visible=False) as self.root:
            self._text = ui.Label("", name="faint", word_wrap=True, identifier=f"log:{work.key}")
        self.refresh()

    def refresh(self) -> None:
        """Show the newest lines."""
        self.root.visible = bool(self._work.log)
        self._text.text = plain("\n".join(list(self._work.log)[-LOG_LINES:]))


class MetricPlot:
    """One curve over the steps of a run."""

    def __init__(self, work: Work, metric: str, title: str, name: str, *, best: str) -> None:
        """Build it.

        Args:
            work: Work whose metrics are plotted.
            metric: Name of the metric.
            title: What the plot is called.
            name: Name of its style.
            best: `min` or `max`: which value is quoted as the best.
        """
        self._work, self._metric, self._title = work, metric, title
        self._best = min if best == "min" else max
        self._seen = -1
        with ui.VStack(height=0, spacing=1, visible=False) as self.root:
            self._label = ui.Label(title, name=name, height=16, identifier=f"plot-label:{metric}")
            self._plot = ui.Plot(ui.Type.LINE, 0.0, 1.0, 0.0, name=name, height=72, identifier=f"plot:{metric}")
        self.refresh()

    def refresh(self) -> None:
        """Draw the values reported so far; nothing is done where none came."""
        history = self._work.metrics.get(self._metric, [])
        if len(history) == self._seen:
            return
        self._seen = len(history)
        values = [value for _, value in history if value is not None and math.isfinite(value)]
        self.root.visible = bool(values)
        if not values:
            return
        self._label.text = f"{self._title}: {values[-1]:.3f} (best {self._best(values):.3f}, {len(values)} values)"
        shown = thin(values, POINTS)
        low, high = min(shown), max(shown)
        margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
        self._plot.scale_min, self._plot.scale_max = low - margin, high + margin
        self._plot.set_data(*(shown if len(shown) > 1 else shown * 2))


def thin(values: list[float], count: int) -> list[float]:
    """At most `count` of the values, evenly picked, the last one always."""
    if len(values) <= count:
        return list(values)
    step = (len(values) - 1) / (count - 1)
    return [values[round(i * step)] for i in range(count)]
