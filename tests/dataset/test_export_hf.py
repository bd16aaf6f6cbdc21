"""The Hugging Face folder read back by `datasets.load_dataset`."""

import json
from typing import Any

import datasets
import numpy as np
import pytest
from pyarrow import parquet
from rocky_split import EXTRAS, HEIGHT, WIDTH, write_rocky

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats import huggingface
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.dataset.outputs import ALWAYS, OUTPUTS
from regolith.lunar.params import InputError


@pytest.fixture(scope="module")
def loaded(tmp_path_factory):
    root = tmp_path_factory.mktemp("hf")
    sizes = {"train_dr": 34, "val": 1, "test-photoreal": 2}  # more frames than a row group holds
    written = {name: write_rocky(root / "in" / name, n, seed=n, extras=("instance",)) for name, n in sizes.items()}
    export(root / "in", root / "out", to="hf")
    return root, written, datasets.load_dataset(str(root / "out"), cache_dir=str(root / "cache"))


def test_image_and_mask_columns_are_the_frames(loaded) -> None:
    root, written, data = loaded
    assert set(data) == {"train_dr", "val", "test_photoreal"}
    assert isinstance(data["val"].features["image"], datasets.Image)
    for name, frames in written.items():
        rows = data[name.replace("-", "_")]
        assert len(rows) == len(frames)
        records = read_journal(root / "in" / name)
        for row, arrays in zip(rows, frames, strict=True):
            assert (np.asarray(row["image"]) == arrays["rgb"]).all()
            assert row["mask"].mode == "L" and (np.asarray(row["mask"]) == arrays["mask"]).all()
            assert (np.asarray(row["instance"]) == arrays["instance"]).all()
            record = records[row["index"]]
            assert int(row["seed"]) == record.seed
            assert row["sun_elevation_deg"] == record.spec["sun_elevation_deg"]
            assert {key: row[f"pixels_{key}"] for key in record.counts} == record.counts


def test_class_names_lie_beside(loaded) -> None:
    root, _, _ = loaded
    assert json.loads((root / "out/id2label.json").read_text()) == {"0": "regolith", "1": "rock", "2": "sky"}
    assert "| 1 | rock |" in (root / "out/README.md").read_text()


def test_depth_and_normals_are_arrays(tmp_path) -> None:
    written = write_rocky(tmp_path / "val", 2, seed=3)
    export(tmp_path / "val", tmp_path / "out", to="hf")
    rows = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"), split="val")
    assert isinstance(rows, datasets.Dataset)
    rows = rows.with_format("numpy")
    for index, arrays in enumerate(written):
        row: dict[str, Any] = rows[index]
        assert row["depth"].shape == (HEIGHT, WIDTH) and (row["depth"] == arrays["depth"]).all()
        assert (row["normals"] == arrays["normals"].astype(np.float16)).all()
        assert (row["right"] == arrays["right"]).all() and (row["disparity"] == arrays["disparity"]).all()
        assert all((row[name] == arrays[name]).all() for name in ("shadow", "crater", "hazard"))
        assert np.array_equal(row["slope"], arrays["slope"], equal_nan=True)


def test_large_frames_lie_fewer_to_a_row_group(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(huggingface, "HELD_BYTES", 2 * WIDTH * HEIGHT * 37)
    write_rocky(tmp_path / "val", 3, seed=4)
    export(tmp_path / "val", tmp_path / "out", to="hf")
    file = parquet.ParquetFile(tmp_path / "out/data/val-00000-of-00001.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1]


@pytest.mark.parametrize("name", ["all", "All"])
def test_a_split_that_would_stand_for_all_is_refused(tmp_path, name) -> None:
    """`datasets` writes the export of such a split, and refuses to read it."""
    write_rocky(tmp_path / "in" / name, 1, seed=1, extras=())
    with pytest.raises(InputError, match=f"folder: '{name}' is not allowed.*none of them all"):
        export(tmp_path / "in", tmp_path / "out", to="hf")
    assert not (tmp_path / "out").exists()


def test_splits_of_other_columns_are_refused(tmp_path) -> None:
    write_rocky(tmp_path / "in/train_dr", 1, seed=0)
    write_rocky(tmp_path / "in/val", 1, seed=1, extras=())
    with pytest.raises(InputError, match="val: 'rgb and mask alone' is not allowed; allowed: outputs as train_dr"):
        export(tmp_path / "in", tmp_path / "out", to="hf")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in"]
    assert set(EXTRAS) == set(OUTPUTS) - set(ALWAYS)
