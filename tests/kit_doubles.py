"""An app with Replicator, by doubles, on a host without Kit."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TESTS = Path(__file__).parent
PATHS = [
    str(TESTS / "render/doubles"),
    *(str(TESTS / "kit/doubles" / name) for name in ("omni.usd", "omni.timeline", "omni.replicator.core")),
]
"""Folders of the doubles, as an interpreter's path."""


@dataclasses.dataclass
class KitApp:
    """The app's parts."""

    app: Any
    settings: Any
    context: Any
    rep: Any


@contextlib.contextmanager
def running_app() -> Iterator[KitApp]:
    """An app with an empty stage, gone afterwards with all its modules; it must be left as it was found."""
    sys.path[:0] = PATHS
    try:
        import carb.settings  # type: ignore[import-not-found]
        import omni.kit.app  # type: ignore[import-not-found]
        import omni.replicator.core as rep  # type: ignore[import-not-found]
        import omni.usd  # type: ignore[import-not-found]

        context = omni.usd.get_context()
        context.new_stage()
        rep.quirks.reset()
        settings = carb.settings.get_settings()
        settings.values = {
            "/rtx/rendermode": "RaytracedLighting",
            "/rtx/post/dlss/execMode": 0,
            "/rtx/ecoMode/enabled": True,
        }
        yield KitApp(omni.kit.app.get_app(), settings, context, rep)
        assert rep.leftovers() == []
        assert settings.values == {
            "/rtx/rendermode": "RaytracedLighting",
            "/rtx/post/dlss/execMode": 0,
            "/rtx/ecoMode/enabled": True,
        }, settings.values
        context.close_stage()
    finally:
        del sys.path[: len(PATHS)]
        for name in [name for name in sys.modules if name.split(".")[0] in ("carb", "omni", "isaacsim")]:
            del sys.modules[name]


def environment() -> str:
    """Words that give a command the doubles: `env PYTHONPATH=…`."""
    extension = TESTS.parent / "exts" / "regolith.lunar"
    return f"env PYTHONPATH={os.pathsep.join([*PATHS, str(extension)])}"
