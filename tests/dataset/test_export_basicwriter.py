"""BasicWriter's files read as its own JSON says, knowing none of our constants."""

import ast
import json
import re

import numpy as np
import pytest
from PIL import Image
from rocky_split import rock_sets, write_rocky

from regolith.lunar.dataset.export import export
from regolith.lunar.dataset.formats.basicwriter import instance_colors

NAMES = {"BACKGROUND": 2, "UNLABELLED": 255, "regolith": 0, "rock": 1}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    root = tmp_path_factory.mktemp("basicwriter")
    written = write_rocky(root / "val", 2, seed=20)
    export(root / "val", root / "out", to="basicwriter")
    return root / "out/val", written


def by_color(folder, picture: str, mapping: str) -> list[tuple[object, np.ndarray]]:
    """(entry, pixels) of each colour in a mapping; every pixel has one."""
    rgba = np.asarray(Image.open(folder / picture))
    assert rgba.shape[2] == 4
    entries = json.loads((folder / mapping).read_text())
    assert all(re.fullmatch(r"\(\d+, \d+, \d+, \d+\)", key) for key in entries)
    found = [(value, np.all(rgba == ast.literal_eval(key), axis=-1)) for key, value in entries.items()]
    assert (np.sum([here for _, here in found], axis=0) == 1).all()
    return found


def test_semantics_are_the_mask(exported) -> None:
    folder, written = exported
    for i, arrays in enumerate(written):
        mask = np.full(arrays["mask"].shape, -1)
        files = f"semantic_segmentation_000{i}.png", f"semantic_segmentation_labels_000{i}.json"
        for entry, here in by_color(folder, *files):
            assert isinstance(entry, dict)
            mask[here] = NAMES[entry["class"]]
        assert (mask == arrays["mask"]).all()


def test_instances_are_the_rocks_by_prim(exported) -> None:
    folder, written = exported
    for i, arrays in enumerate(written):
        picture = f"instance_segmentation_000{i}.png"
        rocks = np.zeros(arrays["mask"].shape, int)
        for path, here in by_color(folder, picture, f"instance_segmentation_mapping_000{i}.json"):
            if str(path).startswith("/World/Rocks/rock_"):
                rocks[here] = int(str(path).rsplit("_", 1)[1]) + 1
            elif path == "/World/Ground":
                assert (here == (arrays["mask"] == 0)).all()
        assert (rocks == arrays["instance"]).all()
        semantics = by_color(folder, picture, f"instance_segmentation_semantics_mapping_000{i}.json")
        rock = sum(here.astype(int) for entry, here in semantics if entry == {"class": "rock"})
        assert (rock == (arrays["mask"] == 1)).all()
        assert len(rock_sets(rocks)) > 5


def test_pictures_depth_and_normals(exported) -> None:
    folder, written = exported
    for i, arrays in enumerate(written):
        rgba = np.asarray(Image.open(folder / f"rgb_000{i}.png"))
        assert (rgba[..., :3] == arrays["rgb"]).all() and (rgba[..., 3] == 255).all()
        depth = np.load(folder / f"distance_to_camera_000{i}.npy")
        assert depth.dtype == np.float32 and (depth == arrays["depth"]).all()
        normals = np.asarray(Image.open(folder / f"normals_000{i}.png"))[..., :3] / 255 * 2 - 1
        assert np.abs(normals - arrays["normals"]).max() < 2 / 255 + 1e-3


def test_every_instance_has_a_colour_of_its_own() -> None:
    colors = instance_colors(np.arange(1, 65537))
    assert len({tuple(color) for color in colors.tolist()}) == 65536
    assert (colors[:, 3] == 255).all() and colors[:, :3].any(1).all()
