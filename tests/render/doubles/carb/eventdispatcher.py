"""Double of carb.eventdispatcher: dispatches to nobody."""

from __future__ import annotations


class _Dispatcher:
    def dispatch_event(self, event_name: str, payload: dict) -> int:
        return 0


def get_eventdispatcher() -> _Dispatcher:
    return _Dispatcher()
