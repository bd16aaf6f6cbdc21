"""Packed splits are whole, their pieces bounded, and one command trains on them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from toy_split import write_split

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.params import InputError
from training.pack import MIB, Pack

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_packed.sh"


def test_packed_splits_train_with_one_command(toy: SimpleNamespace, tmp_path: Path) -> None:
    splits = Path(f"{toy.train},{toy.val}")
    result = Pack(splits=splits, out=tmp_path / "packs").run()
    assert result["frames"] == 30
    command = [
        "sh", str(SCRIPT), str(tmp_path / "packs"), str(tmp_path / "run"), "--init", "random", "--epochs", "1",
        "--threads", "1",
    ]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHON": sys.executable})
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert {name: split["frames"] for name, split in summary["splits"].items()} == {"train_split": 24, "val_split": 6}
    name = f"{toy.root.name}_val"
    for frame, packed in zip(open_split(toy.val), open_split(tmp_path / "run.data" / name), strict=True):
        assert np.array_equal(frame.mask, packed.mask)
        difference = frame.rgb.astype(int) - packed.rgb
        assert np.abs(difference).mean() < 4  # noise of the toy, through JPEG


def test_splits_to_test_on_are_not_trained_on(toy: SimpleNamespace, tmp_path: Path) -> None:
    for split in ("test_photoreal", "train_test"):
        packs = tmp_path / split
        shutil.copytree(toy.val, tmp_path / "wide" / split)
        Pack(splits=Path(f"{tmp_path / 'wide' / split},{toy.val}"), out=packs).run()
        command = ["sh", str(SCRIPT), str(packs), str(tmp_path / "run"), "--init", "random"]
        done = subprocess.run(
            command, check=False, capture_output=True, text=True, env=os.environ | {"PYTHON": "false"}
        )
        assert done.returncode == 2 and done.stdout == ""
        assert (
            done.stderr.startswith(f"train_packed: packs: 'wide_{split}' is not allowed")
            and done.stderr.count("\n") == 1
        )
        assert not (tmp_path / "run.data").exists()


def test_pieces_stay_below_the_limit(tmp_path: Path) -> None:
    split = write_split(tmp_path / "a" / "train_dr", 24, size=(256, 256))
    result = Pack(splits=split, out=tmp_path / "packs", piece_mib=1, quality=100).run()
    assert len(result["pieces"]) > 1 and max(result["bytes"]) <= MIB
    names = []
    for piece in result["pieces"]:
        with tarfile.open(tmp_path / "packs" / piece) as tar:
            names += tar.getnames()
    assert len(names) == len(set(names)) == 48


def test_splits_of_one_name_and_folders_that_are_there_are_refused(toy: SimpleNamespace, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"^splits: .*named alike"):
        Pack(splits=Path(f"{toy.val},{toy.val}"), out=tmp_path / "packs").run()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "theirs").touch()
    with pytest.raises(InputError, match=r"^out: .*not there yet"):
        Pack(splits=toy.val, out=tmp_path / "full").run()
