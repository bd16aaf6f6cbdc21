"""Training from the panel: a real companion with torch, its curves, its end; found again after a restart."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import OUT, ROOT, Kit
from panel import Panel

PYTHON = Path(os.environ.get("REGOLITH_TRAIN_PYTHON", ROOT / ".venv" / "bin" / "python"))


def no_torch() -> str:
    """Why training cannot run here; empty where it can."""
    if not PYTHON.is_file():
        return f"no Python with torch at {PYTHON.name} (make setup, or REGOLITH_TRAIN_PYTHON)"
    code = "import importlib.util as u; raise SystemExit(not all(map(u.find_spec, ('torch', 'training'))))"
    done = subprocess.run([PYTHON, "-c", code], cwd="/", check=False)
    return "" if done.returncode == 0 else "the Python of `make setup` has no torch or no training package"


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of two tiny splits."""
    if why := no_torch():
        pytest.skip(why)
    out = tmp_path_factory.mktemp("splits")
    for split, frames in (("train_dr", 6), ("val", 2)):
        command = [PYTHON, "-m", "regolith.lunar.cli", "generate", "--preset", "v1", "--split", split, "--size", "64"]
        done = subprocess.run(
            [*command, f"--frames={frames}", f"--out={out}", "--workers=1"], capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr[-500:]
    return out


@pytest.fixture
def panel(splits: Path, lunar: Kit, tmp_path: Path) -> Iterator[Panel]:
    panel = Panel(lunar)
    for path, value in {
        "training.train_split": splits / "train_dr", "training.val_split": splits / "val",
        "training.out": tmp_path / "run", "training.init": "random", "training.batch": 2, "training.epochs": 500,
        "training.patience": 500, "training.workers": 1, "training.threads": 1,
    }.items():  # fmt: skip
        panel.model.commit(path, value)
    panel.open("training")
    panel.enter("companion.python", str(PYTHON))
    assert panel.model.actions["train"].enabled, panel.model.actions["train"].reason
    yield panel
    for child in psutil.Process().children():  # a test that fails leaves no training behind
        if child.status() != psutil.STATUS_ZOMBIE and "training.train" in child.cmdline():
            child.kill()


def test_started_watched_and_stopped(panel: Panel, tmp_path: Path) -> None:
    panel.press("train")
    work = panel.until_work("training", "running")
    assert panel.text("action:train") == "Stop training"
    assert panel.kit.until(lambda: len(work.metrics.get("rock_iou", [])) >= 2, 120), (work.text, list(work.log))
    panel.screen.frames(2)
    assert panel.widget("plot:rock_iou").visible and panel.widget("plot:train_loss").visible
    before = panel.text("plot-label:rock_iou")
    assert panel.kit.until(lambda: panel.text("plot-label:rock_iou") != before, 60)
    panel.screen.show(panel.widget("plot-last:rock_iou"))  # the section's end: buttons, bar and plots
    panel.capture(OUT / "training.png")
    panel.press("train")
    panel.until_work("training", "interrupted", "finished", seconds=90)
    assert panel.text("action:train") == "Start training"
    assert list((tmp_path / "run").glob("*.pt")), "nothing to resume from"


def test_a_training_outlives_the_extension_and_is_found_again(panel: Panel, data: Path, tmp_path: Path) -> None:
    kit = panel.kit
    panel.press("train")
    work = panel.until_work("training", "running")
    assert kit.until(lambda: work.metrics.get("rock_iou"), 120), (work.text, list(work.log))
    kit.disable("regolith.lunar")
    kit.screen.frames(3)
    kit.enable("regolith.lunar")
    kit.screen.frames(3)
    again = Panel(kit)
    found = again.model.works["training"]
    assert found is not work and found.state == "running"
    seen = len(found.metrics["rock_iou"])
    assert kit.until(lambda: len(found.metrics["rock_iou"]) > seen, 60)
    assert again.model.field("companion.python").value == PYTHON  # remembered
    again.press("train")
    again.until_work("training", "interrupted", "finished", seconds=90)
