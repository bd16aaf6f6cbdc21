"""PASCAL VOC read back by Pillow's palette indices, by torchvision's VOC reader, and by datumaro with our names."""

import numpy as np
import pytest
from PIL import Image
from readers import run_reader
from rocky_split import HEIGHT, WIDTH, write_rocky

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.voc import palette
from regolith.lunar.labels import CLASSES, IGNORE

READ = """
import sys, types
sys.modules["torchvision._meta_registrations"] = types.ModuleType("unused")  # wants the compiled operators
import numpy as np
from torchvision.datasets import VOCSegmentation

found = {}
for name in ("train", "val"):  # its reader knows no test set
    for i, (image, mask) in enumerate(VOCSegmentation(sys.argv[1], year="2012", image_set=name)):
        found[f"{name}/{i}/image"], found[f"{name}/{i}/mask"] = np.asarray(image), np.asarray(mask)
np.savez(sys.argv[2], **found)
"""

READ_NAMES = """
import sys
from pathlib import Path
import numpy as np
from datumaro.components.annotation import AnnotationType
from datumaro.components.dataset import Dataset

dataset = Dataset.import_from(str(Path(sys.argv[1]) / "VOCdevkit/VOC2012"), "voc_segmentation")
names = [category.name for category in dataset.categories()[AnnotationType.label].items]
found = {"names": np.array(names)}
for item in dataset:
    for annotation in item.annotations:
        found[f"{item.subset}/{item.id}/{names[annotation.label]}"] = annotation.image
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("voc")
    names = {"train": "train_dr", "val": "val", "test": "test_photoreal"}
    written = {role: write_rocky(root / "in" / name, 2, seed=60 + i) for i, (role, name) in enumerate(names.items())}
    export(root / "in", root / "out", to="voc")
    return root / "out", names, written


def test_masks_are_palette_indices(exported) -> None:
    out, names, written = exported
    voc = out / "VOCdevkit/VOC2012"
    for role, frames in written.items():
        stems = (voc / f"ImageSets/Segmentation/{role}.txt").read_text().split()
        assert stems == (voc / f"ImageSets/Segmentation/{names[role]}.txt").read_text().split()
        assert len(stems) == len(frames)
        for stem, arrays in zip(stems, frames, strict=True):
            with Image.open(voc / f"SegmentationClass/{stem}.png") as mask:
                assert mask.mode == "P"
                assert (np.asarray(mask) == arrays["mask"]).all()
                colors = np.asarray(mask.convert("RGB"))
            assert (colors == palette()[arrays["mask"]]).all()


def test_palette_is_vocs() -> None:
    """Background, aeroplane, bicycle, bird, potted plant and void, as the challenge's pictures show them."""
    known = {0: (0, 0, 0), 1: (128, 0, 0), 2: (0, 128, 0), 3: (128, 128, 0), 16: (0, 64, 0), 255: (224, 224, 192)}
    assert {index: tuple(palette()[index].tolist()) for index in known} == known


def test_label_map_names_the_classes(exported) -> None:
    lines = (exported[0] / "VOCdevkit/VOC2012/labelmap.txt").read_text().splitlines()
    assert lines[1:] == ["regolith:0,0,0::", "rock:128,0,0::", "sky:0,128,0::", "ignore:224,224,192::"]


def test_torchvision_reads_it(exported, tmp_path) -> None:
    out, _, written = exported
    run_reader(READ, out, tmp_path / "read.npz", home=tmp_path)
    with np.load(tmp_path / "read.npz") as found:
        for role in ("train", "val"):
            for i, arrays in enumerate(written[role]):
                assert (found[f"{role}/{i}/mask"] == arrays["mask"]).all()
                assert found[f"{role}/{i}/image"].shape == (HEIGHT, WIDTH, 3)
                off = np.abs(found[f"{role}/{i}/image"].astype(int) - arrays["rgb"])
                assert off.mean() < 1 and off.max() <= 6  # white noise: the worst a picture can be


def test_datumaro_reads_our_classes(exported, tmp_path) -> None:
    """By name, not as the aeroplanes and bicycles of the challenge; each class is its pixels."""
    out, names, written = exported
    run_reader(READ_NAMES, out, tmp_path / "read.npz", home=tmp_path)
    with np.load(tmp_path / "read.npz") as found:
        assert found["names"].tolist() == [*CLASSES, "ignore"]
        for role, frames in written.items():
            for i, arrays in enumerate(frames):
                for name, value in {**CLASSES, "ignore": IGNORE}.items():
                    region = found[f"{role}/{names[role]}_{i:05d}/{name}"] != 0
                    assert (region == (arrays["mask"] == value)).all()
