"""The layer over the viewport: what the model sees, aligned with the letterboxed picture, and a legend."""

# pyright: reportMissingImports=false
from __future__ import annotations

from typing import Any

import numpy as np
import omni.ui as ui

from regolith.lunar.kit import style
from regolith.lunar.kit.text import plain
from regolith.lunar.panel.host import LiveState

KEY = "regolith.lunar.overlay"
"""Key of the viewport window's frame."""


class ViewportOverlay:
    """One viewport window's overlay; mouse and camera navigation go through it."""

    def __init__(self, window: Any) -> None:
        """Build it over a viewport window (`omni.kit.viewport.window`)."""
        self.window = window
        self._provider = ui.ByteImageProvider()
        self._frame = window.get_frame(KEY)
        self._frame.clear()
        with self._frame, ui.ZStack():
            # The viewport letterboxes its picture; an image of the same aspect ratio, fitted the same way, covers it.
            self._image = ui.ImageWithProvider(
                self._provider,
                fill_policy=ui.IwpFillPolicy.IWP_PRESERVE_ASPECT_FIT,
                alignment=ui.Alignment.CENTER,
                visible=False,
                identifier="overlay:image",
            )
            self._legend = ui.VStack(visible=False, identifier="overlay:legend", style=style.LEGEND)
        with self._legend:
            ui.Spacer()
            with ui.HStack(height=0):
                ui.Spacer(width=10)
                with ui.ZStack(width=0, height=0):
                    ui.Rectangle(name="legend")
                    with ui.VStack(width=0, height=0, name="legend", spacing=2):
                        self._share = self._row("rock", "Rock")
                        self._row("regolith", "Regolith")
                        self._model = ui.Label("", name="legend", identifier="overlay:model")
                        self._speed = ui.Label("", name="legend", identifier="overlay:speed")
                ui.Spacer()
            ui.Spacer(height=10)

    @staticmethod
    def _row(name: str, text: str) -> ui.Label:
        with ui.HStack(height=18, spacing=6):
            with ui.VStack(width=12):
                ui.Spacer()
                ui.Rectangle(name=name, width=12, height=12)
                ui.Spacer()
            return ui.Label(text, name="legend", identifier=f"overlay:{name}")

    def show(self, layer: np.ndarray) -> None:
        """Show a layer of the picture's aspect ratio, RGBA uint8 [H, W, 4]."""
        height, width = layer.shape[:2]
        self._provider.set_data_array(layer, [width, height])
        self._image.visible = True

    def describe(self, state: LiveState, *, legend: bool) -> None:
        """Bring the legend up to date."""
        self._legend.visible = legend and bool(state.model)
        self._share.text = f"Rock {100 * state.rock_share:.1f} %"
        self._model.text = plain(f"{state.model} · {state.provider}")
        self._speed.text = f"{state.milliseconds:.0f} ms · {state.frames_per_s:.1f} frames/s"

    def hide(self) -> None:
        """Show nothing until the next layer."""
        self._image.visible = False
        self._legend.visible = False

    def destroy(self) -> None:
        """Take it off the viewport."""
        self._frame.clear()
