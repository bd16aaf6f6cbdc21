"""Judging data from the panel: a real companion, its verdict in the panel, and columns where they were asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import OUT, Kit
from panel import Panel
from test_kit_training import PYTHON, no_torch

FRAMES = 6


@pytest.fixture
def split(lunar: Kit, tmp_path: Path) -> Path:
    """A split of frames that show one rock each, the last of them three; Kit has the library on its path by then."""
    from regolith.lunar.dataset.contract import Contract
    from regolith.lunar.dataset.layout import append_records
    from regolith.lunar.dataset.write import write_frame
    from regolith.lunar.labels import ROCK
    from regolith.lunar.params import Params

    folder = tmp_path / "val"
    for i in range(FRAMES):
        mask = np.zeros((32, 32), np.uint8)
        for left in (2, 12, 22)[: 3 if i == FRAMES - 1 else 1]:
            mask[10:18, left : left + 8] = ROCK
        rgb = np.repeat((80 + 90 * (mask == ROCK)).astype(np.uint8)[..., None], 3, axis=2)
        append_records(folder, [write_frame(folder, i, {"rgb": rgb, "mask": mask}, seed=i, spec={"scene": i})])
    Contract.of(Params(), split="val", frames=FRAMES, seed=0, width=32, height=32, renderer={}).write(folder)
    return folder


@pytest.fixture
def panel(lunar: Kit, split: Path) -> Iterator[Panel]:
    if why := no_torch():
        pytest.skip(why)
    panel = Panel(lunar)
    panel.open("training")
    panel.enter("companion.python", str(PYTHON))
    yield panel


def test_judged_by_a_click_and_its_columns_written(panel: Panel, split: Path, tmp_path: Path) -> None:
    from regolith.lunar import open_split

    panel.open("quality")
    assert not panel.model.actions["tail"].enabled and panel.model.actions["tail"].reason.startswith("split: ")
    panel.enter("tail.split", str(split))
    panel.enter("tail.out", str(tmp_path / "tail"))
    panel.model.commit("tail.columns", True)
    assert panel.model.actions["tail"].enabled, panel.model.actions["tail"].reason
    panel.press("tail")
    work = panel.until_work("tail", "finished", "failed")
    assert work.state == "finished" and "rocks of the tail, 200 wanted" in work.text, (work.text, work.log)
    assert any(line.startswith("stratum") for line in work.log), "the command line's own table"
    panel.screen.show(panel.widget("action:tail_report"))
    panel.capture(OUT / "quality.png")
    assert panel.model.actions["tail_report"].enabled and (tmp_path / "tail" / "tail.html").is_file()
    assert open_split(split).column("tail.rocks").tolist() == [1] * (FRAMES - 1) + [3]
