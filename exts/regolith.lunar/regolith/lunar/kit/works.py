"""Long work on show: a line while it runs, bar, pictures, table, last lines, plots of loss and rock-IoU."""

# pyright: reportMissingImports=false
from __future__ import annotations

import io
import math

import numpy as np
import omni.ui as ui
from PIL import Image

from regolith.lunar.kit import style
from regolith.lunar.kit.text import plain
from regolith.lunar.panel.presentation import Curve, curve_words, plot_scale, thin, under_way, work_words
from regolith.lunar.panel.work import Picture, Table, Work

POINTS = 400
"""Most values a plot shows."""
LOG_LINES = 6
PICTURE_PX = 2048
"""Longest side of a picture that is shown [px]."""
WIDE = 400
"""Width of a picture on show [px]."""


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


class Line:
    """What a line of work is doing, in sight whatever is collapsed; there only while it is under way or held."""

    def __init__(self, work: Work) -> None:
        self._work = work
        with ui.VStack(height=0, spacing=1, visible=False, identifier=f"line:{work.key}") as self.root:
            with ui.HStack(height=16):
                ui.Spacer(width=4)
                self._text = ui.Label("", name="faint", elided_text=True, identifier=f"line-text:{work.key}")
                ui.Spacer(width=4)
            with ui.HStack(height=4, visible=False) as self._bar:
                ui.Spacer(width=4)
                self._done = ui.Rectangle(name="span", width=ui.Fraction(0))
                self._left = ui.Rectangle(name="range", width=ui.Fraction(1))
                ui.Spacer(width=4)
        self.refresh()

    def refresh(self) -> None:
        """Show the work's present state."""
        work = self._work
        self.root.visible = under_way(work)
        if not self.root.visible:
            return
        text = plain(work_words(work))
        if text != self._text.text:
            self._text.text = text
            self._text.set_tooltip(text)
        self._bar.visible = work.total > 0
        self._done.width, self._left.width = ui.Fraction(work.fraction), ui.Fraction(1.0 - work.fraction)


class Bar:
    """Share done of one line of work, and what came of it; what it is doing stands in its `Line`."""

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
        self._model.put(work.fraction, f"{100 * work.fraction:.0f} %")
        self._note.text = plain(work.text)
        self._note.visible = bool(work.text) and not under_way(work)
        self._note.name = "message" if work.state == "failed" else "faint"


class Pictures:
    """Pictures of what is being done, each below what it is called."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._seen: dict[str, Picture] = {}
        self.root = ui.VStack(height=0, spacing=2, visible=False, identifier=f"pictures:{work.key}")
        self._providers: dict[str, ui.ByteImageProvider] = {}
        self.refresh()

    def refresh(self) -> None:
        """Show those that are newer; where the kinds have changed, all anew."""
        pictures = self._work.pictures
        self.root.visible = bool(pictures)
        if pictures.keys() != self._providers.keys():
            self._build(pictures)
        for kind, picture in pictures.items():
            pixels = None if self._seen.get(kind) is picture else read_pixels(picture.data)
            if pixels is not None:
                self._providers[kind].set_data_array(pixels, [pixels.shape[1], pixels.shape[0]])
            self._seen[kind] = picture

    def _build(self, pictures: dict[str, Picture]) -> None:
        self.root.clear()
        self._seen.clear()
        self._providers = {kind: ui.ByteImageProvider() for kind in pictures}
        with self.root:
            for kind, picture in pictures.items():
                pixels = read_pixels(picture.data)
                height, width = (3, 4) if pixels is None else pixels.shape[:2]
                ui.Label(plain(picture.title), name="faint", height=16)
                ui.ImageWithProvider(
                    self._providers[kind],
                    fill_policy=ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT,
                    alignment=ui.Alignment.CENTER,
                    height=WIDE * height // width,
                    identifier=f"picture:{self._work.key}:{kind}",
                )


def read_pixels(data: bytes) -> np.ndarray | None:
    """Decode a picture: RGBA uint8, shape [H, W, 4]; None for what is none, or too large."""
    try:
        with Image.open(io.BytesIO(data), formats=("PNG",)) as picture:
            return np.array(picture.convert("RGBA")) if max(picture.size) <= PICTURE_PX else None
    except (OSError, ValueError, SyntaxError):
        return None


class Lines:
    """What came of work, as a table."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._seen: Table = ()
        self.root = ui.HStack(height=0, spacing=style.GAP, visible=False, identifier=f"table:{work.key}")
        self.refresh()

    def refresh(self) -> None:
        """Show the table; nothing is done where it is that on show."""
        table = self._work.table
        if table is self._seen:
            return
        self._seen = table
        self.root.visible = bool(table)
        self.root.clear()
        with self.root:
            for column in zip(*table, strict=True):
                with ui.VStack(height=0):
                    for row, text in enumerate(column):
                        ui.Label(plain(text), name="faint" if row == 0 else "", height=18, elided_text=True)


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

    def __init__(self, work: Work, curve: Curve) -> None:
        """Build it.

        Args:
            work: Work whose metrics are plotted.
            curve: Which of them.
        """
        self._work, self._curve = work, curve
        name, metric = curve.kind, curve.metric
        self._seen: list[tuple[float, float]] = []
        with ui.VStack(height=0, spacing=1, visible=False) as self.root:
            self._label = ui.Label(curve.title, name=name, height=16, identifier=f"plot-label:{metric}")
            with ui.HStack(height=72, spacing=style.GAP):
                with ui.VStack(width=style.SCALE_WIDTH):
                    self._high = ui.Label("", name="scale", height=14, identifier=f"plot-high:{metric}")
                    ui.Spacer()
                    self._low = ui.Label("", name="scale", height=14, identifier=f"plot-low:{metric}")
                self._plot = ui.Plot(ui.Type.LINE, 0.0, 1.0, 0.0, name=name, height=72, identifier=f"plot:{metric}")
            with ui.HStack(height=14):
                ui.Spacer(width=style.SCALE_WIDTH + style.GAP)
                self._first = ui.Label("", name="scale", width=0, identifier=f"plot-first:{metric}")
                ui.Spacer()
                self._last = ui.Label("", name="scale", width=0, identifier=f"plot-last:{metric}")
        self.refresh()

    def refresh(self) -> None:
        """Draw the values reported so far; nothing is done where they are those on show."""
        history = self._work.metrics.get(self._curve.metric, [])
        if history == self._seen:
            return
        self._seen = list(history)  # a resumed run says an epoch again: as many values, but others
        points = [(step, value) for step, value in history if value is not None and math.isfinite(value)]
        values = [value for _, value in points]
        self.root.visible = bool(values)
        if not values:
            return
        self._label.text = curve_words(self._curve, values)
        shown = thin(values, POINTS)
        low, high = plot_scale(shown, share=self._curve.kind == "iou")
        self._plot.scale_min, self._plot.scale_max = low, high
        self._plot.set_data(*(shown if len(shown) > 1 else shown * 2))
        self._low.text, self._high.text = f"{low:.3g}", f"{high:.3g}"
        self._first.text, self._last.text = f"epoch {points[0][0]:,.0f}", f"epoch {points[-1][0]:,.0f}"
