"""`import --coco`: what pycocotools reads from a file is what a split holds, and nothing else gets in."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import changed, examples, right_or_one_line
from hypothesis import given
from PIL import Image
from pycocotools import mask as coco_mask

from regolith.lunar.dataset.formats.coco import CATEGORIES, compressed_runs
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.labels import IGNORE, REGOLITH, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.perception.importing import import_split

POLYGON = [2.0, 2, 20, 3, 17, 15, 4, 14]


def square(top: int, left: int, side: int) -> np.ndarray:
    pixels = np.zeros((32, 40), np.uint8)
    pixels[top : top + side, left : left + side] = 1
    return pixels


def coco(folder: Path, *annotations: dict[str, Any], **changes: Any) -> Path:
    """Write one black picture and a file of annotations of it; black, as a window of the sky is."""
    (folder / "images").mkdir(exist_ok=True)
    Image.new("RGB", (40, 32)).save(folder / "images" / "a.png")
    data = {
        "images": [{"id": 7, "file_name": "default/a.png", "width": 40, "height": 32}],
        "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
        "annotations": [{"image_id": 7, "iscrowd": 0} | annotation for annotation in annotations],
    }
    (folder / "answers.json").write_text(json.dumps(data | changes))
    return folder / "answers.json"


def of(name: str, segmentation: Any) -> dict[str, Any]:
    return {"category_id": CATEGORIES[name], "segmentation": segmentation}


def mask(folder: Path, file: Path, **options: Any) -> np.ndarray:
    import_split(folder / "images", None, folder, split="real", coco=file, **options)
    return open_split(folder / "real")[0].mask


def test_polygons_and_run_lengths_are_drawn_as_pycocotools_does(tmp_path: Path) -> None:
    runs = np.diff(np.flatnonzero(np.diff(square(8, 12, 9).T.ravel(), prepend=2, append=2)))  # it begins with 0
    shapes = [
        of("rock", [POLYGON]),
        of("sky", {"size": [32, 40], "counts": runs.tolist()}),
        of("regolith", compressed_runs(np.ones((32, 40)))),
    ]
    found = mask(tmp_path, coco(tmp_path, *shapes))
    polygon: Any = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects([POLYGON], 32, 40)))  # pyright: ignore
    expected = np.full((32, 40), REGOLITH, np.uint8)
    expected[square(8, 12, 9) == 1] = SKY
    expected[polygon == 1] = ROCK  # over sky and ground, though it comes first
    assert np.array_equal(found, expected)


@pytest.mark.parametrize(("rest", "value"), [("ignore", IGNORE), ("regolith", REGOLITH)])
def test_what_nobody_labelled_is_ignored_unless_said_otherwise(tmp_path: Path, rest: Any, value: int) -> None:
    found = mask(tmp_path, coco(tmp_path, of("rock", compressed_runs(square(3, 3, 5)))), rest=rest)
    assert (found == np.where(square(3, 3, 5) == 1, ROCK, value)).all()


def test_categories_of_other_names_are_mapped_by_id(tmp_path: Path) -> None:
    file = coco(tmp_path, of("rock", compressed_runs(square(3, 3, 5))), categories=[{"id": 1, "name": "boulder"}])
    with pytest.raises(InputError, match=r"category 1.*--classes"):
        mask(tmp_path, file)
    assert (mask(tmp_path, file, classes="rock=1") == ROCK).sum() == 25


def test_pictures_without_answers_are_left_out(tmp_path: Path) -> None:
    image = {"id": 8, "file_name": "b.png", "width": 40, "height": 32}
    file = coco(tmp_path, of("rock", [POLYGON]))
    data = json.loads(file.read_text())
    file.write_text(json.dumps(data | {"images": [*data["images"], image]}))
    with pytest.raises(InputError, match=r"b\.png.*pictures in"):
        mask(tmp_path, file)
    Image.new("RGB", (40, 32)).save(tmp_path / "images" / "b.png")
    result = import_split(tmp_path / "images", None, tmp_path, split="real", coco=file)
    assert result["frames"] == 1 and result["notes"] == ["b.png: left out: nothing is labelled in it"]
    assert import_split(tmp_path / "images", None, tmp_path, split="all", coco=file, rest="regolith")["frames"] == 2


@pytest.mark.parametrize(
    ("segmentation", "said"),
    [
        ({"size": [32, 40], "counts": [5, 10**12]}, "do not fill"),
        ({"size": [32, 40], "counts": [1312, -32]}, "in it is not"),
        ({"size": [32, 40], "counts": [10**30]}, "in it is not"),
        ({"size": [32, 40], "counts": "oooooooooooo0"}, "digits"),
        ({"size": [32, 40], "counts": "PP"}, "no compressed"),
        ({"size": [32, 40], "counts": "é"}, "no compressed"),
        ({"size": [40, 32], "counts": [1280]}, "32×40 px"),
        ([[1e12, 0, 5, 5, 0, 5]], "outside"),
        ([[1, 2, 3, 4]], "three corners"),
        ("text", "in it is not"),
    ],
)  # fmt: skip
def test_what_is_no_shape_is_refused_and_leaves_nothing(tmp_path: Path, segmentation: Any, said: str) -> None:
    file = coco(tmp_path, of("rock", segmentation))
    with pytest.raises(InputError, match=said):
        mask(tmp_path, file)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["answers.json", "images"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"images": [{"id": 7, "file_name": "a.png", "width": 10**6, "height": 10**6}]}, "as the picture"),
        ({"images": [{"id": 7, "file_name": "c.png", "width": 40, "height": 32}]}, "a picture answers.json names"),
        ({"images": []}, "its images"),
        ({"categories": None}, "categories in it is not"),
    ],
)  # fmt: skip
def test_a_file_of_other_pictures_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    file = coco(tmp_path, of("rock", [POLYGON]), **changes)
    with pytest.raises(InputError, match=said):
        mask(tmp_path, file)


def test_masks_and_coco_are_one_or_the_other(tmp_path: Path) -> None:
    file = coco(tmp_path, of("rock", [POLYGON]))
    with pytest.raises(InputError, match="not both"):
        import_split(tmp_path / "images", tmp_path, tmp_path, split="real", coco=file)
    with pytest.raises(InputError, match="masks: missing"):
        import_split(tmp_path / "images", None, tmp_path, split="real")


WHOLE = {
    "images": [{"id": 7, "file_name": "a.png", "width": 40, "height": 32}],
    "categories": [{"id": number, "name": name} for name, number in CATEGORIES.items()],
    "annotations": [
        {"image_id": 7, **of("rock", [POLYGON])},
        {"image_id": 7, **of("sky", {"size": [32, 40], "counts": [100, 80, 1100]})},
        {"image_id": 7, **of("regolith", compressed_runs(np.ones((32, 40))))},
    ],
}


@examples(60)
@given(data=changed(WHOLE))
def test_hostile_file_is_read_or_refused_in_a_line(tmp_path: Path, data: Any) -> None:
    file = coco(tmp_path)
    file.write_text(json.dumps(data))

    def read() -> None:
        shutil.rmtree(tmp_path / "real", ignore_errors=True)
        mask(tmp_path, file)
        assert set(np.unique(open_split(tmp_path / "real")[0].mask)) <= {REGOLITH, ROCK, SKY, IGNORE}

    right_or_one_line(read)
