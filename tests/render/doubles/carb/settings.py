"""Double of carb.settings: plain values by path; like the real one it ignores values of other types."""

from __future__ import annotations

from typing import Any


class Settings:
    """Settings of the app."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def get(self, path: str) -> Any:
        return self.values.get(path)

    def set(self, path: str, value: Any) -> None:
        if type(value) in (bool, int, float, str, list):
            self.values[path] = value

    def destroy_item(self, path: str) -> None:
        self.values.pop(path, None)


_settings = Settings()


def get_settings() -> Settings:
    return _settings
