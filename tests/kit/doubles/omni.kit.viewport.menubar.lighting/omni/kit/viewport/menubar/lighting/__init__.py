"""Double of omni.kit.viewport.menubar.lighting: the command that chooses what lights a viewport."""

from __future__ import annotations

import omni.ext
import omni.kit.commands

MODES = ("stage", "camera", "off")
chosen: list[tuple[str, str]] = []
"""Modes with the contexts they were chosen for."""


class SetLightingMenuModeCommand(omni.kit.commands.Command):
    """Choose the light of a context's viewports."""

    def __init__(self, lighting_mode: str, usd_context_name: str = "") -> None:
        if lighting_mode not in MODES:
            raise ValueError(f"no lighting mode {lighting_mode}")
        self._choice = (lighting_mode, usd_context_name)

    def do(self) -> None:
        chosen.append(self._choice)

    def undo(self) -> None:
        chosen.pop()


class LightingMenu(omni.ext.IExt):
    """Registers the command while it is enabled."""

    def on_startup(self, ext_id: str) -> None:
        omni.kit.commands.register(SetLightingMenuModeCommand)

    def on_shutdown(self) -> None:
        omni.kit.commands.unregister(SetLightingMenuModeCommand)
