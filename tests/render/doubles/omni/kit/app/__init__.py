"""Double of omni.kit.app for hosts without the Kit kernel: an app whose frames pass when somebody waits for them."""

from __future__ import annotations

import asyncio
import os

from omni.kit import async_engine  # type: ignore[import-not-found]


class _Extensions:
    def get_enabled_extension_id(self, name: str) -> str:
        return {"omni.replicator.core": "omni.replicator.core-1.13.27"}.get(name, "")


class App:
    """The app."""

    def __init__(self) -> None:
        self.frames = 0
        self.version = os.environ.get("DOUBLE_KIT_VERSION", "110.4")

    def update(self) -> None:
        self.frames += 1
        async_engine.turn()

    async def next_update_async(self) -> float:
        await asyncio.sleep(0.001)
        self.frames += 1
        return 0.001

    def get_app_version(self) -> str:
        return "6.2.0"

    def get_update_number(self) -> int:
        return self.frames

    def get_kit_version_short(self) -> str:
        return self.version

    def get_kit_version(self) -> str:
        return f"{self.version}.0+double"

    def get_extension_manager(self) -> _Extensions:
        return _Extensions()


_app = App()


def get_app() -> App:
    return _app
