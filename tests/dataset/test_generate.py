"""Generation on the real renderer: the same bytes however a split was drawn, resume, refusals, signals."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.layout import JOURNAL, file_name, read_contract, read_journal, write_contract
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import InputError, Interval, Params, load_preset

FRAMES = 5
BASE = load_preset("v1")
PARAMS: Params = BASE.model_copy(
    update={"dataset": BASE.dataset.model_copy(update={"frames_per_scene": 2, "depth": True, "instance": True})}
)
ARGS: dict[str, Any] = {"split": "val", "frames": FRAMES, "width": 64, "height": 48, "seed": 5}


def draw(out: Path, params: Params = PARAMS, **changes: Any) -> dict[str, Any]:
    """Generate the test split, with changes."""
    return generate(params, out, **{**ARGS, **changes})


def digest(folder: Path) -> dict[str, str]:
    """Hash of every file that belongs to a split."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (".lock", "generate.log.jsonl")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A split drawn by one process without a break."""
    out = tmp_path_factory.mktemp("undisturbed")
    draw(out)
    return out / "val"


def test_split_is_whole(undisturbed) -> None:
    assert verify(undisturbed)["problems"] == []
    assert sorted(read_journal(undisturbed)) == list(range(FRAMES))
    rgb = np.asarray(Image.open(undisturbed / file_name("rgb", 0)))
    depth = np.load(undisturbed / file_name("depth", 0))
    mask = np.asarray(Image.open(undisturbed / file_name("mask", 0)))
    instance = np.asarray(Image.open(undisturbed / file_name("instance", 0)))
    assert rgb.shape == (48, 64, 3) and depth.dtype == np.float32 and instance.dtype == np.uint16
    assert ((instance > 0) == (mask == 1)).all()
    assert (np.isinf(depth) == (mask == 2)).all()
    assert read_contract(undisturbed)["parameters"] == PARAMS.model_dump(mode="json")


def test_two_workers_write_the_same_bytes(undisturbed, tmp_path) -> None:
    draw(tmp_path, workers=2)
    assert digest(tmp_path / "val") == digest(undisturbed)


def test_resume_redraws_only_what_is_missing(undisturbed, tmp_path) -> None:
    """A split cut short, with a lost file and a torn journal line, completes to the bytes of an undisturbed run."""
    split = tmp_path / "val"
    draw(tmp_path, frames=3)
    (split / file_name("mask", 1)).unlink()
    text = (split / JOURNAL).read_bytes()
    (split / JOURNAL).write_bytes(text[:-20])
    result = draw(tmp_path, extend=True)
    assert result["drawn"] == 4 and result["broken"] == [1]
    assert digest(split) == digest(undisturbed)
    assert draw(tmp_path)["drawn"] == 0


def test_other_parameters_are_refused_naming_the_first_difference(undisturbed) -> None:
    other = PARAMS.model_copy(update={"rocks": PARAMS.rocks.model_copy(update={"exponent": Interval(2.5)})})
    before = digest(undisturbed)
    with pytest.raises(InputError, match=r"rocks\.exponent: \[2\.5, 2\.5\] is not allowed; allowed: \[1\.6, 1\.6\]"):
        draw(undisturbed.parent, other)
    with pytest.raises(InputError, match="seed"):
        draw(undisturbed.parent, seed=6)
    assert digest(undisturbed) == before


def test_another_back_end_is_refused_unless_asked_for(undisturbed, tmp_path) -> None:
    import shutil

    shutil.copytree(undisturbed, tmp_path / "val")
    path = tmp_path / "val" / "dataset.json"
    contract = json.loads(path.read_text())
    contract["renderer"]["backend"] = "cuda"
    write_contract(tmp_path / "val", contract)
    with pytest.raises(InputError, match=r"renderer\.backend"):
        draw(tmp_path)
    assert draw(tmp_path, other_backend=True)["drawn"] == 0


def test_folder_in_use_is_refused(undisturbed) -> None:
    import fcntl

    with (undisturbed / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="no other run"):
            draw(undisturbed.parent)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_killed_run_resumes_to_the_same_bytes(undisturbed, tmp_path, number: int, code: int) -> None:
    params = tmp_path / "params.json"
    params.write_text(json.dumps(PARAMS.model_dump(mode="json")))
    command = [sys.executable, "-m", "regolith.lunar.cli", "generate", "--params", str(params), "--split", "val",
               "--frames", str(FRAMES), "--size", "64x48", "--seed", "5", "--out", str(tmp_path), "--events",
               "--workers", "2"]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if json.loads(line)["done"] >= 1:
            os.kill(process.pid, number)
            break
    rest = process.stdout.read()
    assert process.wait(60) == code, process.stderr and process.stderr.read()
    assert f'"done": {FRAMES}' not in rest
    deadline = time.monotonic() + 30
    while True:  # orphaned workers of a SIGKILLed parent may still hold the lock
        try:
            draw(tmp_path)
            break
        except InputError:
            assert time.monotonic() < deadline
            time.sleep(0.2)
    assert digest(tmp_path / "val") == digest(undisturbed)
