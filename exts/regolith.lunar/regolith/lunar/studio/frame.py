"""The frame on show in numbers: sun and camera where the 3D view or the keyboard put them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from regolith.lunar.panel.model import PanelModel
from regolith.lunar.params import InputError
from regolith.lunar.studio.parts import QUIET, assign, from_page, icon_of, marked, markup

if TYPE_CHECKING:
    from viser import GuiApi

    from regolith.lunar.stage.spec import FrameSpec
    from regolith.lunar.studio.loop import Loop

PAIRS: tuple[tuple[str, tuple[str, str], float], ...] = (
    ("Sun azimuth, elevation [deg]", ("sun_azimuth_deg", "sun_elevation_deg"), 1.0),
    ("Camera x, y [m]", ("camera_x_m", "camera_y_m"), 0.1),
    ("Heading, pitch [deg]", ("heading_deg", "pitch_deg"), 1.0),
    ("Height [m], FOV [deg]", ("height_m", "fov_deg"), 0.1),
)
"""Label, values of the frame and step of each row."""
NAMES: Mapping[str, str] = {
    "sun_azimuth_deg": "Sun azimuth", "sun_elevation_deg": "Sun elevation",
    "camera_x_m": "Camera x", "camera_y_m": "Camera y",
    "heading_deg": "Heading", "pitch_deg": "Pitch",
    "height_m": "Height", "fov_deg": "FOV",
}  # fmt: skip
"""What the values are called."""
DIGITS = 3
"""Decimals on show."""
HINT = "Of the frame on show only: what is aimed by hand is never exported. The arrow gives back what was drawn."


class FrameRow:
    """Two values side by side, the arrow that lets go of them, and below them why what was entered cannot be."""

    def __init__(
        self, gui: GuiApi, loop: Loop, model: PanelModel, label: str, names: tuple[str, str], step: float
    ) -> None:
        """Build it in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
            label: What both are called.
            names: Of the values, as the frame has them.
            step: Of a press on an arrow key.
        """
        self._model, self._names = model, names
        with gui.add_folder(None):
            self._pair = gui.add_vector2(label, (0.0, 0.0), step=step, hint=HINT)
            self._pair.precision = DIGITS
            self._pair.on_update(from_page(loop, self._aim, key=("aim", names)))
            self._reset = gui.add_button("", icon=icon_of("arrow-back-up"), color=QUIET, disabled=True)
            self._reset.on_click(from_page(loop, lambda value: self._release()))
            self._problem = marked(gui, "message", visible=False)

    def refresh(self) -> None:
        """Show the frame's values; what was refused is gone, and so is its message."""
        spec = self._model.spec
        if spec is not None:
            assign(self._pair, "value", tuple(self._shown(spec, name) for name in self._names))
        self._say("")

    def _shown(self, spec: FrameSpec, name: str) -> float:
        return round(float(spec[name]), DIGITS)

    def _aim(self, value: tuple[float, ...]) -> None:
        spec = self._model.spec
        if spec is None or len(value) != len(self._names):
            return
        wanted = dict(zip(self._names, value, strict=True))
        moved = {name: new for name, new in wanted.items() if new != self._shown(spec, name)}
        try:
            if moved:
                self._model.aim(moved)
        except InputError as error:  # what was typed stays to be corrected
            self._say(words_of(error))
        else:
            self._say("")

    def _release(self) -> None:
        self._model.release_aim(*self._names)
        self.refresh()

    def _say(self, text: str) -> None:
        assign(self._problem, "content", markup("message", text))
        assign(self._problem, "visible", bool(text))
        held = any(name in self._model.aimed for name in self._names)
        assign(self._reset, "disabled", not held and not text)


class FrameRows:
    """Values of the frame on show that can be held by hand; hidden while there is no frame."""

    def __init__(self, gui: GuiApi, loop: Loop, model: PanelModel) -> None:
        """Build them in the present container.

        Args:
            gui: Of the server.
            loop: Everything here happens on it.
            model: The panel's model.
        """
        self._model = model
        self._root = gui.add_folder(None, visible=False)
        with self._root:
            marked(gui, "group", "Aim by hand")
            self._rows = [FrameRow(gui, loop, model, *pair) for pair in PAIRS]
        self.refresh()

    def refresh(self) -> None:
        """Show the frame as it is now."""
        assign(self._root, "visible", self._model.spec is not None)
        for row in self._rows:
            row.refresh()


def words_of(error: InputError) -> str:
    """What an error says, with the value as the page calls it."""
    text = str(error)
    name = NAMES.get(error.field)
    return f"{name}{text.removeprefix(error.field)}" if name and text.startswith(f"{error.field}:") else text
