"""The frame on show in numbers: sun and camera where the 3D view or the keyboard put them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from regolith.lunar.panel.model import PanelModel
from regolith.lunar.params import InputError
from regolith.lunar.studio.parts import QUIET, assign, from_page, icon_of, marked, markup

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.studio.loop import Loop

PAIRS: tuple[tuple[str, tuple[str, str], float], ...] = (
    ("Sun azimuth, elevation [deg]", ("sun_azimuth_deg", "sun_elevation_deg"), 1.0),
    ("Camera x, y [m]", ("camera_x_m", "camera_y_m"), 0.1),
    ("Heading, pitch [deg]", ("heading_deg", "pitch_deg"), 1.0),
    ("Height [m], FOV [deg]", ("height_m", "fov_deg"), 0.1),
)
"""Label, values of the frame and step of each row."""
DIGITS = 3
"""Decimals on show."""
HINT = "Of the frame on show only: what is aimed by hand is never exported. The arrow gives back what was drawn."


class FrameRows:
    """Values of the frame on show that can be held by hand; hidden while there is no frame."""

    def __init__(self, gui: GuiApi, loop: Loop, model: PanelModel) -> None:
        """Build them in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
        """
        self._gui, self._model = gui, model
        self._root = gui.add_folder(None, visible=False)
        self._rows: list[tuple[tuple[str, str], Any, Any]] = []
        with self._root:
            marked(gui, "group", "Aim by hand")
            for label, names, step in PAIRS:
                pair = gui.add_vector2(label, (0.0, 0.0), step=step, hint=HINT)
                pair.precision = DIGITS
                pair.on_update(from_page(loop, lambda value, names=names: self._aim(names, value), key=("aim", names)))
                reset = gui.add_button("", icon=icon_of("arrow-back-up"), color=QUIET, disabled=True)
                reset.on_click(from_page(loop, lambda value, names=names: self._release(names)))
                self._rows.append((names, pair, reset))
            self._problem = marked(gui, "message", visible=False)
        self.refresh()

    def refresh(self) -> None:
        """Show the frame as it is now."""
        spec, aimed = self._model.spec, self._model.aimed
        assign(self._root, "visible", spec is not None)
        if spec is None:
            return
        for names, pair, reset in self._rows:
            shown = tuple(round(float(getattr(spec, name)), DIGITS) for name in names)
            assign(pair, "value", shown)
            assign(reset, "disabled", not any(name in aimed for name in names))

    def _aim(self, names: tuple[str, str], value: tuple[float, ...]) -> None:
        spec = self._model.spec
        if spec is None or len(value) != len(names):
            return
        wanted = dict(zip(names, value, strict=True))
        moved = {name: new for name, new in wanted.items() if new != round(float(getattr(spec, name)), DIGITS)}
        if not moved:
            return
        try:
            self._model.aim(moved)
        except InputError as error:  # what was typed stays to be corrected
            self._say(str(error))
        else:
            self._say("")

    def _release(self, names: tuple[str, str]) -> None:
        self._model.release_aim(*names)
        self._say("")
        self.refresh()

    def _say(self, text: str) -> None:
        assign(self._problem, "content", markup("message", text))
        assign(self._problem, "visible", bool(text))
