"""Settings of the app that hold for a while."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar


def give_back(settings: Any, path: str, value: Any) -> None:
    """Set a setting to what it was; None for one that was not there."""
    if value is None:
        settings.destroy_item(path)
    else:
        settings.set(path, value)


class SettingsScope:
    """Settings of the app that hold for a while; closing it gives back what was there, also what was unset.

    Scopes may end in any order: what one gives back waits until those opened after it, and still open, have ended.
    """

    _open: ClassVar[list[SettingsScope]] = []

    def __init__(self, values: Mapping[str, Any] | None = None, *, keep: Iterable[str] = ()) -> None:
        """Set values.

        Args:
            values: Setting path to plain Python value; carb ignores numpy's.
            keep: Settings that somebody else will change meanwhile, to be given back as well.
        """
        import carb.settings  # type: ignore[import-not-found]

        self._settings = carb.settings.get_settings()
        self._before: dict[str, Any] = {path: self._settings.get(path) for path in keep}
        self._open.append(self)
        self.set(values or {})

    def set(self, values: Mapping[str, Any]) -> None:
        """Set more values, or again those that the app has changed."""
        for path, value in values.items():
            later = self._later(path)
            if later is not None:
                self._before.setdefault(path, later._before[path])
                later._before[path] = value
                continue
            present = self._settings.get(path)
            self._before.setdefault(path, present)
            if present != value:
                self._settings.set(path, value)

    def close(self) -> None:
        """Give back what was there, the last one set first; a second time nothing."""
        while self._before:
            path, value = self._before.popitem()
            later = self._later(path)
            if later is not None:
                later._before[path] = value
            else:
                give_back(self._settings, path, value)
        if self in self._open:
            self._open.remove(self)

    def _later(self, path: str) -> SettingsScope | None:
        """The next scope opened after this one that holds a setting."""
        after = self._open[self._open.index(self) + 1 :] if self in self._open else []
        return next((scope for scope in after if path in scope._before), None)

    def __enter__(self) -> SettingsScope:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()
