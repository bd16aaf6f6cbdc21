"""Take the pictures of the guide and the Extension Manager: `python tests/kit/pictures.py`, on the tests' kernel.

The panel is the real one on the real omni.ui. The viewport's picture is the embedded renderer's, in the double that
stands for Replicator: RTX would draw it otherwise. The picture of a training is the one `test_kit_training.py` leaves.
"""

from __future__ import annotations

import contextlib
import sys
import tempfile
import traceback
from pathlib import Path
from types import TracebackType

import conftest
import numpy as np
from panel import Panel
from PIL import Image

DOCS = conftest.ROOT / "exts" / "regolith.lunar" / "docs" / "pictures"
PREVIEW = conftest.ROOT / "exts" / "regolith.lunar" / "data" / "preview.png"
SIZE = (768, 576)
PANEL = (10, 10, 450, 830)
"""The panel's place on the screen [px]."""


def shot(panel: Panel, path: Path, box: tuple[int, int, int, int] | None = None) -> None:
    """Save the screen, or a part of it."""
    panel.capture(path)
    picture = Image.open(path).convert("RGB")
    if box:
        picture = picture.crop(box)
    picture.save(path, optimize=True)


def main() -> None:
    """Author, preview, export, and look at each."""
    folder = Path(tempfile.mkdtemp())
    kit = conftest.Kit(folder)
    for name in conftest.WINDOWED:
        kit.enable(name)
    with contextlib.ExitStack() as stack:
        stack.callback(kit.close)
        stack.push(print_failure)
        take(kit, folder)
        kit.disable("regolith.lunar")


def print_failure(kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
    """Print what ended the block: the harness keeps uncaught exceptions for its tests."""
    if error is not None:
        traceback.print_exception(kind, error, trace)


def take(kit: conftest.Kit, folder: Path) -> None:
    """Take all of them."""
    import carb.settings
    import omni.kit.viewport.utility as viewport

    carb.settings.get_settings().set("/exts/regolith.lunar/dataFolder", "regolith")
    carb.settings.get_settings().set("/exts/regolith.lunar/runsFolder", str(folder / "runs"))
    kit.enable("regolith.lunar")
    import omni.replicator.core as rep

    panel = Panel(kit)
    window = viewport.open_viewport(resolution=SIZE, width=812, height=640, x=460, y=10)
    panel.author("v4")
    panel.model.commit("domain.sun_elevation_deg", (14.0, 24.0))
    panel.until_work("stage", "finished")
    panel.press("preview")
    kit.until(lambda: rep._annotators.ATTACHED, 30)
    for _ in range(4):
        rep.draw_viewports()
    picture = np.array(rep._annotators.ATTACHED[0].get_data()).reshape(SIZE[1], SIZE[0], 4)[..., :3].copy()
    viewport.draw(picture)
    kit.until(lambda: panel.model.live is not None and panel.model.live.frames_per_s > 0, 60)
    panel.open("light", "camera")
    shot(panel, PREVIEW)
    for key, sight in {"rocks": "section:rocks", "dataset": "action:open_folder", "model": "action:evaluate"}.items():
        panel.open(key)
        panel.screen.show(panel.widget(sight))
        shot(panel, DOCS / f"section_{key}.png", PANEL)
    assert window is not None
    training = conftest.OUT / "training.png"
    if training.is_file():
        Image.open(training).convert("RGB").crop(PANEL).save(DOCS / "section_training.png", optimize=True)


if __name__ == "__main__":
    sys.exit(main())
