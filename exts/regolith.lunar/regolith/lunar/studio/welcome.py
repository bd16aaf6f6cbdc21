"""The first thing a new user sees: the whole loop in five lines, beside the page and not in its way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regolith.lunar.panel.host import Host
from regolith.lunar.studio.parts import from_page, icon_of, marked

if TYPE_CHECKING:
    from viser import ViserServer

    from regolith.lunar.studio.loop import Loop

KEY = "welcome"
"""What the host remembers a dismissed welcome under."""
LINES = (
    ("Author", "a cratered stage from a preset; every parameter on the right has a range, a unit and a way back."),
    ("Aim", "drag the sun and the camera here in the middle; on the left is what the rover sees."),
    ("Preview", "a model on that picture, live, or on a photograph of your own."),
    ("Export", "a labelled dataset of as many frames as you want, then verify it and read its card."),
    ("Train", "on it, watch the curves, evaluate, and use the new model in the preview."),
)
WIDTH = 440.0


class Welcome:
    """A card over the 3D view until it is dismissed, for good."""

    def __init__(self, server: ViserServer, loop: Loop, host: Host) -> None:
        """Show it, unless it was dismissed before.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            host: Remembers that it was dismissed.
        """
        self._host = host
        self._panel = None
        if host.remembered(KEY):
            return
        gui = server.gui
        self._panel = gui.add_panel()
        with self._panel.add_tab("Welcome", icon_of("rocket")):
            lines = "".join(f"<li><b>{name}</b> {text}</li>" for name, text in LINES)
            gui.add_html(f'<ol class="rl-welcome">{lines}</ol>')
            marked(gui, "note", "Ctrl+K lists every command and its key.")
            done = gui.add_button("Got it")
            done.on_click(from_page(loop, lambda value: self.dismiss()))
        self._panel.float(x=20, y=20, width=WIDTH)

    def dismiss(self) -> None:
        """Take it away and never show it again.

        It is hidden and not removed: a page applies updates after the removals of the same batch of messages, and one
        that is told of the panel, its tab and its end at once would miss the panel it is to give the tab.
        """
        if self._panel is not None:
            panel, self._panel = self._panel, None
            panel.visible = False
            self._host.remember(KEY, "done")
