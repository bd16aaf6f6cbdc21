"""Double of omni.kit.window.popup_dialog: a message a test answers by `ok` and `cancel`."""

from __future__ import annotations

from collections.abc import Callable

shown: list[MessageDialog] = []


class MessageDialog:
    """A message with two buttons; its handlers do not close it."""

    __slots__ = ("__weakref__", "_cancel", "_ok", "cancel_label", "message", "ok_label", "title")

    def __init__(
        self,
        *,
        title: str = "",
        message: str = "",
        width: int = 400,
        ok_handler: Callable[[MessageDialog], None] | None = None,
        cancel_handler: Callable[[MessageDialog], None] | None = None,
        ok_label: str = "Ok",
        cancel_label: str = "Cancel",
        disable_cancel_button: bool = False,
    ) -> None:
        self.title, self.message, self._ok, self._cancel = title, message, ok_handler, cancel_handler
        self.ok_label, self.cancel_label = ok_label, cancel_label

    def show(self) -> None:
        shown.append(self)

    def hide(self) -> None:
        if self in shown:
            shown.remove(self)

    def destroy(self) -> None:
        self.hide()
        self._ok = self._cancel = None

    def ok(self) -> None:
        """Act as the user who agrees."""
        if self not in shown or self._ok is None:
            raise RuntimeError("the dialog is not shown")
        self._ok(self)

    def cancel(self) -> None:
        """Act as the user who does not."""
        if self not in shown or self._cancel is None:
            raise RuntimeError("the dialog is not shown")
        self._cancel(self)
