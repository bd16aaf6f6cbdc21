"""Double of omni.kit.notification_manager: keeps what was posted."""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence


class NotificationStatus(enum.Enum):
    """How a notification looks."""

    INFO = enum.auto()
    WARNING = enum.auto()


class NotificationButtonInfo:
    """A button of a notification."""

    __slots__ = ("on_complete", "text")

    def __init__(self, text: str, on_complete: Callable[[], None] | None = None) -> None:
        self.text, self.on_complete = text, on_complete


class Notification:
    """A notification that was posted."""

    __slots__ = ("button_infos", "dismissed", "status", "text")

    def __init__(self, text: str, status: NotificationStatus, button_infos: list[NotificationButtonInfo]) -> None:
        self.text, self.status, self.button_infos, self.dismissed = text, status, button_infos, False

    def dismiss(self) -> None:
        self.dismissed = True


posted: list[Notification] = []


def post_notification(
    text: str,
    hide_after_timeout: bool = True,
    duration: float = 3,
    status: NotificationStatus = NotificationStatus.INFO,
    button_infos: Sequence[NotificationButtonInfo] = (),
) -> Notification:
    if not isinstance(text, str) or not isinstance(status, NotificationStatus):
        raise TypeError(f"post_notification({text!r}, status={status!r})")
    posted.append(Notification(text, status, list(button_infos)))
    return posted[-1]
