"""The Croissant description of a split, read by MLCommons' own reader."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from readers import run_reader
from small_split import write_split

from regolith.lunar.dataset.contract import CONTRACT, Contract
from regolith.lunar.dataset.croissant import CROISSANT, write_croissant
from regolith.lunar.dataset.layout import JOURNAL, read_journal
from regolith.lunar.dataset.subset import link_subset
from regolith.lunar.dataset.verify import verify
from regolith.lunar.files import file_digest
from regolith.lunar.perception.importing import import_split

READ = """
import json, math, sys
from pathlib import Path
import mlcroissant as mlc

split = Path(sys.argv[1])
dataset = mlc.Dataset(str(split / "croissant.json"))
assert not dataset.metadata.issues.errors, dataset.metadata.issues.report()
journal = [json.loads(line) for line in (split / "frames.jsonl").read_text().splitlines()]
frames = list(dataset.records("frames"))
assert len(frames) == len(journal)
for found, line in zip(frames, journal):
    values = {key.removeprefix("frames/"): value for key, value in found.items()}
    assert [values.pop(name) for name in ("index", "seed", "redraws")] == [line["index"], line["seed"], line["redraws"]]
    for part in ("counts", "spec"):
        told = {name: value for name, value in line[part].items() if isinstance(value, (int, float, str))}
        for name, value in told.items():
            read = values.pop(f"{part}_{name}")
            assert read.decode() == value if isinstance(value, str) else math.isclose(read, value, rel_tol=1e-12), name
    assert not values
for output in ("rgb", "mask", "instance"):
    files = list(dataset.records(output))
    assert sorted(row[f"{output}/index"] for row in files) == [line["index"] for line in journal]
    for row in files:
        name = row[f"{output}/filename"].decode()
        assert name.startswith(f"{output}_") and (split / output / name).is_file()
        assert row[f"{output}/image"].size == (32, 32)
"""


def test_its_own_reader_reads_every_frame(tmp_path: Path) -> None:
    split = write_split(tmp_path / "val", 3)
    write_croissant(split, Contract.read(split), read_journal(split)[0])
    run_reader(READ, split, home=tmp_path)
    assert verify(split)["problems"] == []


def test_every_split_that_is_made_has_one(undisturbed: Path, tmp_path: Path) -> None:
    """It names the very contract and journal, and is not written again where it does."""
    part = tmp_path / "val_2"
    link_subset(undisturbed, part, 2)
    pictures, masks = tmp_path / "pictures", tmp_path / "masks"
    for folder, picture in ((pictures, np.zeros((32, 48, 3), np.uint8)), (masks, np.ones((32, 48), np.uint8))):
        folder.mkdir()
        Image.fromarray(picture).save(folder / "a.png")
    import_split(pictures, masks, tmp_path / "data", classes="rock=1", split="train")
    for split in (undisturbed, part, tmp_path / "data/train"):
        described = json.loads((split / CROISSANT).read_text())
        assert described["name"] == split.name
        files = {file["@id"]: file["sha256"] for file in described["distribution"] if "sha256" in file}
        assert files == {name: file_digest(split / name) for name in (CONTRACT, JOURNAL)}
        before = (split / CROISSANT).stat().st_mtime_ns
        write_croissant(split, Contract.read(split), read_journal(split)[0])
        assert (split / CROISSANT).stat().st_mtime_ns == before


def test_a_full_disk_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = write_split(tmp_path / "val", 3)
    contract, record = Contract.read(split), read_journal(split)[0]
    write_croissant(split, contract, record)
    before = (split / CROISSANT).read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space"):
        patch.setattr("os.fsync", full)
        write_croissant(split, contract, record, name="other")
    assert (split / CROISSANT).read_bytes() == before
