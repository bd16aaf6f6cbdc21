"""Double of omni.timeline: what is asked for holds once it is committed, and is through with the app's next frame."""

from __future__ import annotations

import omni.kit.app


class Timeline:
    """The app's timeline."""

    __slots__ = ("_asked", "_playing", "_settled")

    def __init__(self) -> None:
        self._asked = self._playing = False
        self._settled = -1

    def play(self) -> None:
        self._asked = True

    def stop(self) -> None:
        self._asked = False

    def commit(self) -> None:
        if self._playing != self._asked:
            self._settled = omni.kit.app.get_app().get_update_number()
        self._playing = self._asked

    def is_playing(self) -> bool:
        return self._playing

    def is_stopped(self) -> bool:
        return not self._playing

    def _busy(self) -> bool:
        """Whether extensions of the app still work on the stage."""
        return self._playing or self._settled == omni.kit.app.get_app().get_update_number()


_timeline = Timeline()


def get_timeline_interface() -> Timeline:
    return _timeline
