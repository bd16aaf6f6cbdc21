"""Training uses the pixels that the journal names, or none: flipped bits, swapped masks, at the start and later."""

import random
import re
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from toy_split import write_split

from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.params import InputError
from training.calibrate import calibrate
from training.data import Frames
from training.pack import Pack
from training.torch_split import TorchSplit
from training.train import train


def flip(path: Path, chance: random.Random) -> None:
    """Flip one bit somewhere in a file."""
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)


@pytest.fixture
def split(toy: SimpleNamespace, tmp_path: Path) -> Path:
    return Path(shutil.copytree(toy.val, tmp_path / "val"))


def refusal(field: str, output: str, index: int) -> str:
    """Pattern of the line that refuses a file: its name, and what puts it right."""
    name = re.escape(file_name(output, index))
    return rf"^{field}: '.*{name}' is not allowed; .*`regolith verify --repair .*` draws frame {index} again$"


@pytest.mark.parametrize("seed", range(12))
def test_a_flipped_bit_is_never_trained_on(toy: SimpleNamespace, split: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    field, output, index = chance.choice(("train_split", "val_split")), chance.choice(("mask", "rgb")), seed % 6
    flip(split / file_name(output, index), chance)
    with pytest.raises(InputError, match=refusal(field, output, index)):
        train(toy.params(tmp_path / "run", **{field: split}), lambda event: None)
    assert not (tmp_path / "run" / "summary.json").exists()


def test_swapped_masks_are_never_trained_on(toy: SimpleNamespace, split: Path, tmp_path: Path) -> None:
    """Each is a whole mask of the split, of another frame."""
    one, two = (split / file_name("mask", index) for index in (1, 4))
    other = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(other)
    with pytest.raises(InputError, match=refusal("train_split", "mask", 1)):
        train(toy.params(tmp_path / "run", train_split=split), lambda event: None)


def test_a_resumed_run_checks_again(
    toy: SimpleNamespace, split: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where frames are read from disk at every pass, by several threads."""
    stops = iter([False, False, True])
    params = toy.params(tmp_path / "run", val_split=split, workers=3)
    assert train(params, lambda event: None, lambda: next(stops, True))["status"] == "interrupted"
    flip(split / file_name("mask", 3), random.Random(1))
    with pytest.raises(InputError, match=refusal("val_split", "mask", 3)):
        train(params, lambda event: None)
    monkeypatch.setattr("training.data.MEMORY_SHARE", 0.0)
    with pytest.raises(InputError, match=refusal("val_split", "mask", 3)):
        train(params, lambda event: None)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_loader_with_workers_checks_what_it_reads(split: Path, workers: int) -> None:
    """What a worker process refuses ends the loop; PyTorch hands its line on in an error of its own."""
    from torch.utils.data import DataLoader

    flip(split / file_name("mask", 5), random.Random(2))
    with pytest.raises(RuntimeError if workers else InputError, match=r"mask_00005\.png: 'changed' is not allowed"):
        list(DataLoader(TorchSplit(open_split(split)), batch_size=2, num_workers=workers))


def test_calibration_and_packs_check_too(exported: SimpleNamespace, split: Path, tmp_path: Path) -> None:
    flip(split / file_name("mask", 0), random.Random(3))
    with pytest.raises(InputError, match=r"mask_00000\.png"):
        calibrate(exported.out, split, split)
    with pytest.raises(InputError, match=r"mask_00000\.png"):
        Pack(splits=split, out=tmp_path / "packs").run()
    assert not (tmp_path / "packs").exists()


def test_frames_of_a_generation_that_goes_on_are_those_of_one_moment(tmp_path: Path) -> None:
    """Frames and their fingerprint are those that were there at the start; a line being written does not count."""
    split = write_split(tmp_path / "val", 4)
    journal = split / "frames.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:2]) + lines[2][:-30])
    then = Frames(split, field="train_split", workers=1)
    before = open_split(split)
    journal.write_bytes(b"".join(lines))
    assert [then.record(i)[1].index for i in range(len(then))] == [frame.index for frame in before] == [0, 1]
    assert all(np.array_equal(then.frame(i)[1], before[i].mask) for i in range(2))
    now = Frames(split, field="train_split", workers=1)
    assert len(now) == 4 and now.fingerprint != then.fingerprint
