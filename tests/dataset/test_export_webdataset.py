"""Shards read back by WebDataset, and their bytes."""

import io
from typing import Any

import numpy as np
import pytest
from rocky_split import EXTRAS, write_rocky
from webdataset.compat import WebDataset

from regolith.lunar.dataset.export import export


def read(files: list[str], images: str) -> list[dict[str, Any]]:
    """Samples of shards as `webdataset.WebDataset` gives them."""
    samples: Any = WebDataset(files, shardshuffle=False).decode(images)
    return list(samples)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    root = tmp_path_factory.mktemp("webdataset")
    written = write_rocky(root / "train_dr", 5, seed=10)
    export(root / "train_dr", root / "out", to="webdataset", shard=2)
    return root, written


def test_samples_hold_the_frames(shards) -> None:
    root, written = shards
    files = sorted(str(path) for path in (root / "out").iterdir())
    assert [name.rsplit("/", 1)[1] for name in files] == [f"train_dr-{i:06d}.tar" for i in range(3)]
    samples = read(files, "rgb8")
    assert [sample["__key__"] for sample in samples] == [f"{i:05d}" for i in range(5)]
    for index, (sample, arrays) in enumerate(zip(samples, written, strict=True)):
        assert (sample["rgb.png"] == arrays["rgb"]).all()
        assert (sample["mask.png"] == arrays["mask"][..., None]).all()
        for output in EXTRAS:
            ending = "png" if output in ("right", "shadow", "hazard") else "npy"
            stored = sample[f"{output}.{ending}"]
            wanted = arrays[output][..., None] if output in ("shadow", "hazard") else arrays[output]
            same = np.broadcast_to(wanted.astype(stored.dtype), stored.shape)
            assert np.array_equal(stored, same, equal_nan=output == "slope")
        assert sample["instance.npy"].dtype == np.uint16
        assert sample["json"]["index"] == index and sample["json"]["classes"]["ignore"] == 255
        assert sample["json"]["counts"]["rock"] == (arrays["mask"] == 1).sum()
        assert sample["json"]["spec"]["fov_deg"] > 0


def test_masks_decode_as_grey(shards) -> None:
    root, written = shards
    files = sorted(str(path) for path in (root / "out").iterdir())
    for sample, arrays in zip(read(files, "l8"), written, strict=True):
        assert (sample["mask.png"] == arrays["mask"]).all()


def test_bytes_are_the_same_every_time(shards) -> None:
    root, _ = shards
    export(root / "train_dr", root / "again", to="webdataset", shard=2)
    for path in (root / "out").iterdir():
        assert path.read_bytes() == (root / "again" / path.name).read_bytes()


def test_instance_array_is_plain_npy(shards) -> None:
    root, written = shards
    file = str(root / "out" / "train_dr-000000.tar")
    raw = next(iter(WebDataset(file, shardshuffle=False)))
    assert (np.load(io.BytesIO(raw["instance.npy"])) == written[0]["instance"]).all()
