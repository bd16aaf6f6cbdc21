"""Double of carb.eventdispatcher: an observer is told as long as what `observe_event` returned is kept."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any


class Observer:
    """What an observation lives by."""

    __slots__ = ("__weakref__", "event", "tell")

    def __init__(self, event: str, tell: Callable[[Any], None]) -> None:
        self.event, self.tell = event, tell


class _Dispatcher:
    def __init__(self) -> None:
        self._observers: weakref.WeakSet[Observer] = weakref.WeakSet()

    def observe_event(
        self, order: int = 0, event_name: str = "", on_event: Callable[[Any], None] = print, observer_name: str = ""
    ) -> Observer:
        observer = Observer(event_name, on_event)
        self._observers.add(observer)
        return observer

    def dispatch_event(self, event_name: str, payload: dict) -> int:
        told = [observer for observer in self._observers if observer.event == event_name]
        for observer in told:
            observer.tell(payload)
        return len(told)


_dispatcher = _Dispatcher()


def get_eventdispatcher() -> _Dispatcher:
    return _dispatcher
