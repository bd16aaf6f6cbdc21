"""Observers of the panel's state."""

from __future__ import annotations

import dataclasses
import logging
import weakref
from collections.abc import Callable
from typing import Literal

ChangeKind = Literal["fields", "actions", "work", "live", "history", "shot", "path"]


@dataclasses.dataclass(frozen=True)
class Change:
    """Something a view shows is no longer as it was."""

    kind: ChangeKind
    """`fields`: values, defaults or messages; `actions`: label, enabled or reason; `work`: progress, metrics, log or
    state; `live`: the preview's state; `history`: undo, redo, dirty, file or preset; `shot`: the frame on show, or
    what of it is held by hand; `path`: where on the camera's path the view is, or what came of its keys."""
    keys: frozenset[str] = frozenset()
    """Paths of the fields, keys of the actions or of the work."""


Callback = Callable[[Change], None]


class Subscription:
    """A callback that is called while this object is held; drop it, or `close` it, to end that."""

    def __init__(self, callback: Callback) -> None:
        self._callback: Callback | None = callback

    def close(self) -> None:
        """End it."""
        self._callback = None

    def __call__(self, change: Change) -> None:
        """Call the function, unless this has ended."""
        if self._callback is not None:
            self._callback(change)


class Observers:
    """The subscriptions to one source of changes."""

    def __init__(self) -> None:
        self._subscriptions: list[weakref.ref[Subscription]] = []

    def subscribe(self, callback: Callback) -> Subscription:
        """Call a function at every change for as long as what is returned is held."""
        subscription = Subscription(callback)
        self._subscriptions.append(weakref.ref(subscription))
        return subscription

    def send(self, change: Change) -> None:
        """Tell everybody.

        Whatever an observer raises is logged and goes no further: an observer is code of a view, its failures can be of
        any kind, and neither the other views nor the edit that is being told may suffer from one.
        """
        held = [(reference, reference()) for reference in self._subscriptions]
        self._subscriptions = [reference for reference, subscription in held if subscription is not None]
        for _, subscription in held:
            if subscription is None:
                continue
            try:
                subscription(change)
            except Exception:
                logging.getLogger(__name__).exception("a view failed at a change of %s", change.kind)

    def clear(self) -> None:
        """Forget everybody."""
        self._subscriptions.clear()
