"""Only photographs are scored: what else lies in their folder is named, and masks pair by name on every machine."""

from __future__ import annotations

import json
import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from regolith.lunar import cli
from regolith.lunar.params import InputError
from regolith.lunar.perception.folders import overlay_name, pair, survey
from regolith.lunar.perception.importing import find_pairs
from regolith.lunar.perception.photos import find_photos


def draw(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """A photograph uint8 [64, 64, 3] with a bright rock, and its mask."""
    rgb = np.random.default_rng(seed).integers(60, 110, (64, 64, 3), np.uint8)
    mask = np.zeros((64, 64), np.uint8)
    mask[20:40, 10:30] = 1
    rgb[mask == 1] = 220
    mask[:4] = 255
    return rgb, mask


def photo(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(draw(seed)[0]).save(path, **({"format": "JPEG", "quality": 95} if path.suffix != ".png" else {}))
    return path


def mask(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(draw(seed)[1]).save(path)
    return path


def evaluate(model: Path, tmp_path: Path, *args: str) -> dict:
    """Result of a run that ends well."""
    result = tmp_path / "result.json"
    verb = ["evaluate", "real", "--model", str(model), "--size", "64", "--threads", "1", "--json", str(result)]
    assert cli.main([*verb, *args]) == 0
    return json.loads(result.read_text())


def test_a_folder_lists_photographs_and_names_the_rest(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.png", "c.jfif", "d.jpe", "e.jpeg"):
        photo(tmp_path / name)
    Image.fromarray(draw()[0]).save(tmp_path / "f.avif")
    mask(tmp_path / "labels.png")
    for name in ("notes.txt", ".hidden.png", "contact_sheet.png", "a.png.png"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "more.png").mkdir()
    (tmp_path / "gone.png").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe.png")
    found = survey(tmp_path)
    assert [p.name for p in found.photos] == ["a.png", "b.JPG", "c.jfif", "d.jpe", "e.jpeg", "f.avif"]
    assert {item.path.name: item.reason for item in found.left_out} == {
        ".hidden.png": "hidden", "a.png.png": "an overlay of a.png", "contact_sheet.png": "written by an evaluation",
        "gone.png": "a link to nothing", "labels.png": "a mask: its values are 0, 1, 255", "more.png": "a folder",
        "notes.txt": "no picture", "pipe.png": "no regular file",
    }  # fmt: skip
    assert find_photos(tmp_path / "a.png") == [tmp_path / "a.png"]


def test_folders_without_a_photograph_are_refused(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for bad in (tmp_path / "nowhere", tmp_path / "sub", tmp_path / "pipe"):
        with pytest.raises(InputError, match=r"^images: "):
            find_photos(bad)
    mask(tmp_path / "masks/a.png")
    for bad in (tmp_path / "masks", tmp_path / "masks/a.png"):
        with pytest.raises(InputError, match=r"^images: .*a\.png: a mask: its values are 0, 1, 255"):
            find_photos(bad)


def test_a_socket_among_the_pictures_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photo(tmp_path / "a.jpg")
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("s.png")
        assert [(item.path.name, item.reason) for item in survey(tmp_path).left_out] == [("s.png", "no regular file")]


@pytest.mark.parametrize("name", ["a_mask.png", "a.png", "A_Mask.PNG", "a-labels.bmp", "mask_a.png", "a_gt.tif"])
def test_masks_beside_photographs_are_masks(model: Path, tmp_path: Path, name: str) -> None:
    """One photograph is scored, against its mask, and not the mask against itself."""
    photo(tmp_path / "in/a.jpg")
    mask(tmp_path / "in" / name)
    args = ("--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"))
    alone = evaluate(model, tmp_path, *args)
    scored = evaluate(model, tmp_path, *args, "--masks", str(tmp_path / "in"))
    for result in (alone, scored):
        assert [row["image"] for row in result["per_image"]] == ["a.jpg"]
        assert [item["file"] for item in result["left_out"]] == [name]
        assert result["flood"]["mean"] == pytest.approx(400 / 4096, abs=0.01)
    assert scored["rock"]["iou"] > 0.95 and "rock" not in alone
    if name.endswith(".png"):
        assert find_pairs(tmp_path / "in", tmp_path / "in") == [(tmp_path / "in/a.jpg", tmp_path / "in" / name)]


def test_values_of_masks_may_be_any(tmp_path: Path) -> None:
    """A mask of other values than ours is told by its photograph's name, or by a name of its own."""
    photo(tmp_path / "a.jpg")
    photo(tmp_path / "b.jpg")
    photo(tmp_path / "b.png", 1)
    Image.fromarray(draw()[1] // 2).save(tmp_path / "a.png")
    Image.fromarray(draw()[1] // 2).save(tmp_path / "z_mask.png")
    found = survey(tmp_path)
    assert [p.name for p in found.photos] == ["a.jpg", "b.jpg", "b.png"]
    assert [item.reason for item in found.left_out] == ["the mask of a.jpg", "a mask by its name"]


def _soft(labels: np.ndarray) -> np.ndarray:
    return (255 * (labels == 1)).astype(np.uint8)


LABEL_KINDS: dict[str, Callable[[Path, np.ndarray], object]] = {
    "a.png": lambda path, labels: Image.fromarray(labels.astype(np.uint16)).save(path),
    "a.tif": lambda path, labels: tifffile.imwrite(path, labels.astype(np.float32)),
    "a.tiff": lambda path, labels: tifffile.imwrite(path, labels.astype(np.int64)),
    "a.webp": lambda path, labels: Image.fromarray(_soft(labels)).save(path, lossless=True),
    "a.jpeg": lambda path, labels: Image.fromarray(_soft(labels)).save(path, quality=90),
    "aMask.jpg": lambda path, labels: Image.fromarray(_soft(labels)).save(path, quality=90),
    "a-segmentation-mask.jpg": lambda path, labels: Image.fromarray(_soft(labels)).save(path, quality=90),
    "x_gtFine_color.png": lambda path, labels: Image.fromarray(COLORS[labels]).save(path),
    "a_L.png": lambda path, labels: Image.fromarray(COLORS[labels]).save(path),
    "zz.png": lambda path, labels: Image.fromarray(COLORS[labels]).save(path),
    "a1.png": lambda path, labels: Image.fromarray(_soft(labels) // 2).save(path),
}
"""Ways to write labels that are none of ours by their values, or that hide them."""
COLORS = np.zeros((256, 3), np.uint8)
COLORS[1], COLORS[255] = (128, 0, 0), (9, 200, 9)


@pytest.mark.parametrize("name", LABEL_KINDS)
def test_labels_of_any_kind_are_no_photographs(tmp_path: Path, name: str) -> None:
    photo(tmp_path / "a.jpg")
    labels = draw()[1]
    LABEL_KINDS[name](tmp_path / name, labels)
    found = survey(tmp_path, tmp_path)
    assert [p.name for p in found.photos] == ["a.jpg"]
    assert [item.path.name for item in found.left_out] == [name]
    assert [p.name for p in found.masks[tmp_path / "a.jpg"]] == ([] if name[0] in "xz" or name == "a1.png" else [name])


def test_photographs_stay_photographs(tmp_path: Path) -> None:
    """Smooth ones, half black ones, deep ones, one without any contrast, and pairs of one name."""
    y, x = np.mgrid[:64, :64]
    smooth = (60 + 2 * x + 0.5 * y).astype(np.uint8)
    half = draw()[0].copy()
    half[:40] = 0
    Image.fromarray(smooth).save(tmp_path / "smooth.png")
    Image.fromarray(half).save(tmp_path / "half.png")
    Image.fromarray(draw()[0][..., 0].astype(np.uint16) * 16).save(tmp_path / "deep.png")
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "even.png")
    for name in ("b.jpg", "b.png"):
        photo(tmp_path / name)
    assert not survey(tmp_path).left_out


def test_results_of_an_earlier_run_are_no_photographs(model: Path, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.jpg")
    photo(tmp_path / "in/b.png", 1)
    args = ("--images", str(tmp_path / "in"), "--out", str(tmp_path / "in"))
    first = evaluate(model, tmp_path, *args)
    for path in [*(tmp_path / "in/overlays").iterdir(), tmp_path / "in/contact_sheet.png"]:
        (tmp_path / "in" / f"copy_{path.name}").write_bytes(path.read_bytes())
    again = evaluate(model, tmp_path, *args)
    assert again["per_image"] == first["per_image"] and not first["left_out"]
    assert {item["file"]: item["reason"] for item in again["left_out"]} == {
        "contact_sheet.png": "written by an evaluation", "copy_a.jpg.png": "written by an evaluation",
        "copy_b.png.png": "written by an evaluation", "copy_contact_sheet.png": "written by an evaluation",
        "overlays": "a folder", "results.json": "no picture", "stratum_00.png": "written by an evaluation",
    }  # fmt: skip


def test_long_and_odd_names_lose_no_run(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["a.jpg", "月" * 83 + ".jpg", "x" * 251 + ".jpg", "line\nbreak.jpg", os.fsdecode(b"kr\xe4ter.jpg")]
    for seed, name in enumerate(names):
        photo(tmp_path / "in" / name, seed)
    result = evaluate(model, tmp_path, "--images", str(tmp_path / "in"), "--out", str(tmp_path / "out"))
    assert len(result["per_image"]) == 5 and not result["problems"]
    overlays = [Path(row["overlay"]) for row in result["per_image"]]
    assert len(set(overlays)) == 5 and all(path.is_file() for path in overlays)
    assert all(len(path.name.encode()) <= 143 for path in overlays)
    assert overlay_name(Path("a.jpg")) == "a.jpg.png" and tmp_path / "out/overlays/a.jpg.png" in overlays
    shown = {row["image"] for row in result["per_image"]}
    assert {"line\\nbreak.jpg", "kr\\xe4ter.jpg"} <= shown
    assert "kr\\xe4ter.jpg: flood" in capsys.readouterr().out


def test_names_pair_by_letters_not_by_bytes(tmp_path: Path) -> None:
    composed, apart = (unicodedata.normalize(form, "Tycho_é") for form in ("NFC", "NFD"))
    photo(tmp_path / "in" / f"{apart}.JPG")
    photo(tmp_path / "in/Rim.jpg")
    first = mask(tmp_path / "masks" / f"{composed.upper()}.png")
    second = mask(tmp_path / "masks/rim_MASK.png")
    found = survey(tmp_path / "in", tmp_path / "masks")
    assert {p.stem: labels for p, labels in found.masks.items()} == {apart: [first], "Rim": [second]}
    assert sorted(label for _, label in find_pairs(tmp_path / "in", tmp_path / "masks")) == sorted([first, second])


def test_the_nearest_name_wins() -> None:
    photos = [Path("A.jpg"), Path("a.jpg"), Path("b.jpg")]
    labels = [Path("A.png"), Path("a.png"), Path("a_mask.png"), Path("B.png"), Path("b.gif")]
    found = pair(photos, labels)
    assert [[label.name for label in found[photo]] for photo in photos] == [["A.png"], ["a.png"], ["b.gif"]]
    twice = pair([Path("c.jpg")], [Path("C.png"), Path("C.gif")])
    assert len(twice[Path("c.jpg")]) == 2


def test_two_masks_of_a_photograph_are_a_problem(model: Path, tmp_path: Path) -> None:
    photo(tmp_path / "in/a.jpg")
    mask(tmp_path / "masks/a.png")
    mask(tmp_path / "masks/a.gif")
    args = ["--images", str(tmp_path / "in"), "--masks", str(tmp_path / "masks"), "--out", str(tmp_path / "out")]
    assert cli.main(["evaluate", "real", "--model", str(model), *args]) == 1
    result = json.loads((tmp_path / "out/results.json").read_text())
    assert result["problems"] == ["mask of a.jpg: a.jpg: 'a.gif, a.png' is not allowed; allowed: one mask named a"]
    with pytest.raises(InputError, match=r"^a\.png: 'beside a\.gif'"):
        find_pairs(tmp_path / "in", tmp_path / "masks")


def test_turned_alike_scored_alike(model: Path, tmp_path: Path) -> None:
    """A square photograph and its mask that both carry an orientation give the figures of the pair turned upright."""
    rgb, truth = draw()
    exif = Image.Exif()
    exif[0x0112] = 6
    for folder, turn in (("tagged", 1), ("upright", 0)):
        (tmp_path / folder / "masks").mkdir(parents=True)
        for array, name in ((rgb, "a.png"), (truth, "masks/a.png")):
            Image.fromarray(np.rot90(array, turn)).save(tmp_path / folder / name, exif=exif if turn else None)
    results = [
        evaluate(model, tmp_path, "--images", str(path), "--masks", str(path / "masks"), "--out", str(tmp_path / "out"))
        for path in (tmp_path / "tagged", tmp_path / "upright")
    ]
    assert results[0]["rock"] == results[1]["rock"] and results[0]["rock"]["iou"] > 0.95
