"""Double of omni.kit.window.filepicker: a dialog a test answers by `choose` and `cancel`."""

from __future__ import annotations

from collections.abc import Callable

shown: list[FilePickerDialog] = []
alive: list[FilePickerDialog] = []
"""Dialogs that nobody has destroyed yet."""


class FilePickerDialog:
    """Dialog to pick a file or a folder; its handlers do not close it."""

    __slots__ = ("__weakref__", "_apply", "_cancel", "_inside", "directory", "item_filter_options", "title")

    def __init__(
        self,
        title: str,
        *,
        allow_multi_selection: bool = False,
        apply_button_label: str = "Open",
        click_apply_handler: Callable[[str, str], None] | None = None,
        click_cancel_handler: Callable[[str, str], None] | None = None,
        item_filter_options: list[str] | None = None,
        item_filter_fn: Callable[[object], bool] | None = None,
        file_extension_options: list[tuple[str, str]] | None = None,
        enable_file_bar: bool = True,
    ) -> None:
        self.title, self._apply, self._cancel = title, click_apply_handler, click_cancel_handler
        self.item_filter_options = item_filter_options
        self.directory: str | None = None
        self._inside = False
        alive.append(self)

    def show(self, path: str | None = None) -> None:
        self.directory = path
        shown.append(self)

    def hide(self) -> None:
        if self in shown:
            shown.remove(self)

    def destroy(self) -> None:
        if self._inside:
            raise RuntimeError("Container::destroy was called during an event")
        self.hide()
        if self in alive:
            alive.remove(self)
        self._apply = self._cancel = None

    def set_filename(self, filename: str) -> None:
        if not isinstance(filename, str):
            raise TypeError("filename")

    def choose(self, filename: str, dirname: str) -> None:
        """Act as the user who presses the apply button."""
        if self not in shown or self._apply is None:
            raise RuntimeError("the dialog is not shown")
        self._act(self._apply, filename, dirname)

    def cancel(self) -> None:
        """Act as the user who cancels."""
        if self not in shown or self._cancel is None:
            raise RuntimeError("the dialog is not shown")
        self._act(self._cancel, "", "")

    def _act(self, handler: Callable[[str, str], None], filename: str, dirname: str) -> None:
        self._inside = True
        try:
            handler(filename, dirname)
        finally:
            self._inside = False
