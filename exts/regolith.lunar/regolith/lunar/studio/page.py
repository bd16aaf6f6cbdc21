"""The page: what the rover sees on the left, the stage in the middle, the parameters on the right.

Server-scoped: every tab shows the same, and a tab that comes later or again shows what the others show.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from regolith.lunar.panel.host import Host
from regolith.lunar.panel.model import PanelModel

if TYPE_CHECKING:
    from viser import ViserServer

    from regolith.lunar.studio.loop import Loop


class Page:
    """View of a `PanelModel`; everything on the loop's thread."""

    def __init__(
        self, server: ViserServer, loop: Loop, model: PanelModel, host: Host, picture: Callable[[], object]
    ) -> None:
        """Build it.

        Args:
            server: Of the pages.
            loop: Everything here happens on it.
            model: What is shown.
            host: Remembers what was dismissed.
            picture: Builds the widgets of the rover's picture in the container that is open when it is called.
        """

    def close(self) -> None:
        """Follow the model no more; the widgets end with the server."""


def build(server: ViserServer, loop: Loop, model: PanelModel, host: Host, picture: Callable[[], object]) -> Page:
    """Build the page; see `Page`."""
    return Page(server, loop, model, host, picture)
