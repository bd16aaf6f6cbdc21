"""YOLO labels read back by Ultralytics and supervision, rasterised by their own code, and compared with the rocks."""

import cv2
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as random_arrays
from readers import run_reader
from rocky_split import HEIGHT, WIDTH, write_rocky
from scipy import ndimage

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.outlines import outline
from regolith.lunar.labels import ROCK

TRAINED = 2.5
"""Scale of a picture of 256 px in training at 640, Ultralytics' default."""

READ = """
import sys
from pathlib import Path
import numpy as np
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset, polygons2masks

root, out = Path(sys.argv[1]), Path(sys.argv[2])
data = check_det_dataset(str(root / "data.yaml"), autodownload=False)
found = {}
for split in ("train", "val"):
    dataset = YOLODataset(img_path=data[split], data=data, task="segment", augment=False, imgsz=150)
    for i, label in enumerate(dataset.labels):
        stem = f"{split}/{Path(label['im_file']).stem}"
        h, w = label["shape"]
        found[f"{stem}/boxes"] = label["bboxes"] * (w, h, w, h)
        polygons = [(segment * np.array([w, h], np.float32)).astype(np.float32) for segment in label["segments"]]
        found[f"{stem}/plain"] = polygons2masks((h, w), [p.reshape(-1) for p in polygons], 1)
        instances = dataset.update_labels_info(dict(label))["instances"]  # as in training: resampled
        for name, scale in (("resampled", 1), ("trained", 2.5)):
            size = round(w * scale), round(h * scale)
            copy = type(instances)(instances.bboxes.copy(), instances.segments.copy(), None, "xywh", True)
            copy.denormalize(*size)
            found[f"{stem}/{name}"] = polygons2masks(size[::-1], [s.reshape(-1) for s in copy.segments], 1)
        found[f"{stem}/classes"] = label["cls"]

import supervision

places = [str(root / folder) for folder in ("images/train_dr", "labels/train_dr", "data.yaml")]
dataset = supervision.DetectionDataset.from_yolo(*places, force_masks=True)
assert dataset.classes == ["rock"]
for path, _, detections in dataset:
    found[f"supervision/{Path(path).stem}"] = detections.mask
np.savez(out, **found)
"""


def paint(points: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Fill a polygon as Ultralytics does: whole pixels by cutting down, border included."""
    canvas = np.zeros(shape, np.uint8)
    cv2.fillPoly(canvas, [points.astype(np.int32)], 1)
    return canvas == 1


def parts(region: np.ndarray) -> list[np.ndarray]:
    """Components of a region; pixels that touch at a corner belong together."""
    numbers = np.zeros(region.shape, np.int32)
    ndimage.label(region, np.ones((3, 3)), output=numbers)
    return [numbers == number for number in range(1, numbers.max(initial=0) + 1)]


def polygon_area(points: np.ndarray) -> float:
    x, y = points.T
    return float(0.5 * (x * np.roll(y, -1) - y * np.roll(x, -1)).sum())


@settings(max_examples=200, deadline=None)
@given(random_arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outlines_paint_the_very_pixels(region: np.ndarray) -> None:
    """Whatever the shape: holes, holes in a row, pixels that touch at a corner, and in both readings of positions."""
    for here in parts(region):
        points = outline(here)
        assert (paint(points, here.shape) == here).all()
        edges = 4 * here.sum()
        assert abs(polygon_area(points) - here.sum()) <= 0.011 * edges


def test_outline_of_one_pixel_is_its_square() -> None:
    region = np.zeros((3, 4), bool)
    region[1, 2] = True
    points = outline(region)
    assert np.abs(points - np.round(points)).max() < 0.02
    assert {tuple(p) for p in np.round(points).astype(int).tolist()} == {(2, 1), (3, 1), (3, 2), (2, 2)}


@pytest.fixture(scope="module")
def read(tmp_path_factory):
    """What Ultralytics makes of an exported dataset, and what was exported."""
    root = tmp_path_factory.mktemp("yolo")
    written = {
        "train": write_rocky(root / "in/train_dr", 3, seed=30),
        "val": write_rocky(root / "in/val", 2, seed=40, extras=()),
        "test": write_rocky(root / "in/test_photoreal", 1, seed=50),
    }
    export(root / "in", root / "out", to="yolo-seg")
    run_reader(READ, root / "out", root / "read.npz", home=root / "home")
    with np.load(root / "read.npz") as found:
        return root / "out", written, dict(found)


def pieces(arrays: dict[str, np.ndarray]) -> list[np.ndarray]:
    """Components of each rock, as the exporter is to see them."""
    rock = arrays["mask"] == ROCK
    numbers = np.where(rock, dict(arrays).get("instance", np.ones(rock.shape)), 0)
    return [part for number in np.unique(numbers[rock]) for part in parts(numbers == number)]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def test_every_rock_comes_back(read) -> None:
    """Pixel by pixel as written; IoU of at least 0.98 over 200 px after the resampling and scaling of training."""
    _, written, found = read
    large = 0
    for split in ("train", "val"):
        for i, arrays in enumerate(written[split]):
            stem = f"{split}/rgb_{i:05d}"
            masks = found[f"{stem}/plain"] == 1
            true = pieces(arrays)
            assert len(masks) == len(true) and (found[f"{stem}/classes"] == 0).all()
            order = {here.tobytes(): number for number, here in enumerate(masks)}
            for here in true:
                number = order[here.tobytes()]  # KeyError: some pixel differs
                rows, columns = np.nonzero(here)
                box = np.array([(columns.min() + columns.max() + 1) / 2, (rows.min() + rows.max() + 1) / 2,
                                np.ptp(columns) + 1, np.ptp(rows) + 1])  # fmt: skip
                assert np.abs(found[f"{stem}/boxes"][number] - box).max() < 0.03
                if here.sum() <= 200:
                    continue
                large += 1
                assert iou(found[f"{stem}/resampled"][number] == 1, here) >= 0.98
                size = round(WIDTH * TRAINED), round(HEIGHT * TRAINED)
                scaled = cv2.resize(here.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) == 1
                assert iou(found[f"{stem}/trained"][number] == 1, scaled) >= 0.95  # contours of pixel centres: 0.79
    assert large >= 20


def test_supervision_reads_every_rock(read) -> None:
    """It rounds positions where Ultralytics cuts them down: a rock gains the pixels right of it and below."""
    _, written, found = read
    for i, arrays in enumerate(written["train"]):
        masks, true = found[f"supervision/rgb_{i:05d}"], pieces(arrays)
        assert len(masks) == len(true)
        for here in true:
            mask = max(masks, key=lambda mask: iou(mask, here))
            assert mask[here].all() and not mask[ndimage.binary_dilation(here, np.ones((3, 3))) == 0].any()


def test_splits_have_the_names_trainers_know(read) -> None:
    out, written, _ = read
    data = yaml.safe_load((out / "data.yaml").read_text())
    assert data == {
        "train": "images/train_dr",
        "val": "images/val",
        "test": "images/test_photoreal",
        "names": {0: "rock"},
    }
    for key, frames in written.items():
        assert len(list((out / data[key]).iterdir())) == len(frames)


def test_a_dataset_without_validation_says_so(tmp_path) -> None:
    """Ultralytics refuses it; training frames are not called validation to please it."""
    write_rocky(tmp_path / "train_dr", 1, seed=0)
    export(tmp_path / "train_dr", tmp_path / "out", to="yolo-seg")
    text = (tmp_path / "out/data.yaml").read_text()
    assert text.startswith("# no val split was exported") and "val" not in yaml.safe_load(text)
