"""An app in which a check of the machine can run: a GPU's driver, a viewport that draws, scenes that are small."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from check_scene import small_params

if TYPE_CHECKING:
    from conftest import Kit


class Viewport:
    """The viewport of the double, which draws now and then, as a renderer does."""

    def __init__(self) -> None:
        import omni.kit.viewport.utility as viewport

        from regolith.lunar.render import rtx

        viewport.open_viewport(resolution=(160, 120))
        self.draws = True
        self._count = 0
        self._guard = rtx.observe_update(self._draw)

    def _draw(self, event: object) -> None:
        import omni.replicator.core as rep
        import omni.usd

        self._count += 1
        stage = omni.usd.get_context().get_stage()
        if self.draws and self._count % 40 == 0 and stage is not None and stage.GetPrimAtPath("/World/Camera"):
            rep.draw_viewports()

    def close(self) -> None:
        """Draw no more."""
        self._guard.reset()


@contextlib.contextmanager
def stand(lunar: Kit, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Viewport]:
    """The app; `nvidia-smi` lies in a folder of its own."""
    lunar.enable("omni.replicator.core")
    import omni.replicator.core as rep

    from regolith.lunar.kit import check

    rep.quirks.reset()
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "NVIDIA RTX 6000 Ada Generation, 580.65.06, 1024, 49140"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(check, "SIZE", 48)
    monkeypatch.setattr(check, "check_params", small_params)
    with contextlib.closing(Viewport()) as viewport:
        yield viewport
    rep.quirks.reset()
