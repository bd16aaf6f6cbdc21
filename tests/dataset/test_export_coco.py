"""COCO read back by pycocotools, supervision, and by panopticapi's arithmetic, pixel by pixel."""

import json

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO
from readers import run_reader
from rocky_split import HEIGHT, WIDTH, rock_sets, write_rocky
from scipy import ndimage

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.coco import CATEGORIES
from regolith.lunar.labels import CLASSES, IGNORE, ROCK

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools and numpy 2

READ = """
import sys
from pathlib import Path
import numpy as np
import supervision

places = [str(Path(sys.argv[1]) / name) for name in ("train_dr", "annotations/instances_train_dr.json")]
dataset = supervision.DetectionDataset.from_coco(*places, force_masks=True)
assert dataset.classes == ["rock"]
found = {}
for path, image, detections in dataset:
    found[f"{Path(path).stem}/image"], found[f"{Path(path).stem}/masks"] = image[..., ::-1], detections.mask
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module", params=["instances", "masks alone"])
def exported(request, tmp_path_factory):
    root = tmp_path_factory.mktemp("coco")
    extras = ("instance",) if request.param == "instances" else ()
    written = {
        name: write_rocky(root / "in" / name, n, seed=n, extras=extras) for name, n in (("train_dr", 3), ("val", 1))
    }
    export(root / "in", root / "out", to="coco")
    return root / "out", written


def true_rocks(arrays: dict[str, np.ndarray]) -> set[bytes]:
    rock = arrays["mask"] == ROCK
    numbers = np.zeros(rock.shape, np.int32)
    ndimage.label(rock, np.ones((3, 3)), output=numbers)
    numbers = arrays.get("instance", numbers)
    return rock_sets(np.where(rock, numbers, 0))


@pytest.mark.parametrize("split", ["train_dr", "val"])
def test_instances_are_the_rocks_pixel_by_pixel(exported, split: str) -> None:
    out, written = exported
    coco = COCO(out / f"annotations/instances_{split}.json")
    assert coco.getImgIds() == list(range(len(written[split])))
    assert [category["name"] for category in coco.loadCats(coco.getCatIds())] == ["rock"]
    assert 0 not in coco.getAnnIds()
    for image in coco.loadImgs(coco.getImgIds()):
        arrays = written[split][image["id"]]
        assert (np.asarray(Image.open(out / split / image["file_name"])) == arrays["rgb"]).all()
        assert (image["width"], image["height"]) == (WIDTH, HEIGHT)
        numbers = np.zeros((HEIGHT, WIDTH), int)
        for number, annotation in enumerate(coco.loadAnns(coco.getAnnIds(image["id"])), start=1):
            region = coco.annToMask(annotation) == 1
            assert not numbers[region].any(), "two rocks share a pixel"
            numbers[region] = number
            rows, columns = np.nonzero(region)
            left, top = columns.min(), rows.min()
            assert annotation["bbox"] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
            assert annotation["area"] == region.sum() and annotation["iscrowd"] == 0
        assert ((numbers > 0) == (arrays["mask"] == ROCK)).all()
        assert rock_sets(numbers) == true_rocks(arrays)


@pytest.mark.parametrize("split", ["train_dr", "val"])
def test_panoptic_pictures_are_the_mask_and_the_rocks(exported, split: str) -> None:
    """Decoded as panopticapi's `rgb2id` does: R + 256 G + 65536 B."""
    out, written = exported
    data = json.loads((out / f"annotations/panoptic_{split}.json").read_text())
    category = {entry["id"]: entry for entry in data["categories"]}
    assert {entry["name"]: entry["isthing"] for entry in category.values()} == {"regolith": 0, "sky": 0, "rock": 1}
    assert len(data["annotations"]) == len(written[split])
    for annotation in data["annotations"]:
        arrays = written[split][annotation["image_id"]]
        rgb = np.asarray(Image.open(out / f"panoptic_{split}" / annotation["file_name"])).astype(np.uint32)
        ids = rgb[..., 0] + 256 * rgb[..., 1] + 65536 * rgb[..., 2]
        segments = {segment["id"]: segment for segment in annotation["segments_info"]}
        assert len(segments) == len(annotation["segments_info"])
        assert set(np.unique(ids)) - {0} == set(segments)
        mask = np.full(ids.shape, IGNORE)
        rocks = np.zeros(ids.shape, int)
        for number, segment in segments.items():
            here = ids == number
            rows, columns = np.nonzero(here)
            left, top = columns.min(), rows.min()
            assert segment["area"] == here.sum()
            assert segment["bbox"] == [left, top, columns.max() - left + 1, rows.max() - top + 1]
            name = category[segment["category_id"]]["name"]
            assert CATEGORIES[name] == segment["category_id"]
            mask[here] = CLASSES[name]
            if name == "rock":
                rocks[here] = number
        assert (mask == arrays["mask"]).all()
        assert rock_sets(rocks) == true_rocks(arrays)


def test_the_file_says_what_a_rock_is(exported) -> None:
    out, written = exported
    info = json.loads((out / "annotations/instances_val.json").read_text())["info"]["rocks"]
    assert ("instance ids" in info) == ("instance" in written["val"][0])


def test_supervision_reads_it(exported, tmp_path) -> None:
    out, written = exported
    run_reader(READ, out, tmp_path / "read.npz", home=tmp_path)
    with np.load(tmp_path / "read.npz") as found:
        for i, arrays in enumerate(written["train_dr"]):
            assert (found[f"rgb_{i:05d}/image"] == arrays["rgb"]).all()
            assert {np.packbits(mask).tobytes() for mask in found[f"rgb_{i:05d}/masks"]} == true_rocks(arrays)
