"""Double of omni.timeline: what is asked for holds once it is committed, and is through with the app's next frame."""

from __future__ import annotations

from collections.abc import Callable

import omni.kit.app

FRAME_S = 1.0 / 60.0
SIMULATIONS: list[Callable[[str, float], None]] = []
"""Told `play`, `step` with the seconds of a frame, and `stop`: what physics does with the timeline."""


class Timeline:
    """The app's timeline: a frame of the app is `FRAME_S` of it while it plays."""

    __slots__ = ("_asked", "_end", "_frame", "_playing", "_settled", "_time")

    def __init__(self) -> None:
        self._asked = self._playing = False
        self._settled = self._frame = -1
        self._time, self._end = 0.0, 4.0

    def play(self) -> None:
        self._asked = True

    def stop(self) -> None:
        self._asked = False

    def commit(self) -> None:
        number = omni.kit.app.get_app().get_update_number()
        if self._playing != self._asked:
            self._settled = self._frame = number
            self._tell("play" if self._asked else "stop", 0.0)
            self._time = 0.0
        self._playing = self._asked

    def is_playing(self) -> bool:
        return self._playing

    def is_stopped(self) -> bool:
        return not self._playing

    def get_current_time(self) -> float:
        """Time of this frame [s]: those that have passed since it was asked last are played now."""
        number = omni.kit.app.get_app().get_update_number()
        while self._playing and self._frame < number:
            self._frame += 1
            self._tell("step", FRAME_S)
            self._time += FRAME_S
            assert self._time <= self._end, "it begins anew"
        return self._time

    def get_end_time(self) -> float:
        return self._end

    def set_end_time(self, end_time: float) -> None:
        self._end = end_time

    def _tell(self, event: str, seconds: float) -> None:
        for simulation in SIMULATIONS:
            simulation(event, seconds)

    def _busy(self) -> bool:
        """Whether extensions of the app still work on the stage."""
        return self._playing or self._settled == omni.kit.app.get_app().get_update_number()


_timeline = Timeline()


def get_timeline_interface() -> Timeline:
    return _timeline
