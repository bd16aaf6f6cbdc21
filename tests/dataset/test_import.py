"""`regolith import`: labelled pictures become a split like any other, or are refused by name."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.verify import verify
from regolith.lunar.params import InputError
from regolith.lunar.perception.importing import import_split, read_class_map
from regolith.lunar.perception.masks import decode_mask

CLASSES = "rock=1,regolith=0,ignore=255"
HEIGHT, WIDTH = 40, 56


def pair(seed: int) -> tuple[np.ndarray, np.ndarray]:
    draw = np.random.default_rng(seed)
    mask = draw.choice(np.array([0, 1, 255], np.uint8), (HEIGHT, WIDTH))
    return draw.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), mask


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three pictures of three kinds of file, masks as PNG."""
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    for seed, name in enumerate(("b.png", "a.tif", "c.bmp")):
        rgb, mask = pair(seed)
        Image.fromarray(rgb).save(tmp_path / "images" / name)
        Image.fromarray(mask).save(tmp_path / "masks" / f"{Path(name).stem}.png")
    (tmp_path / "images/.DS_Store").write_text("hidden")
    return tmp_path


def run(root: Path, *args: str, classes: str = CLASSES) -> int:
    return cli.main(
        ["import", "--images", str(root / "images"), "--masks", str(root / "masks"), "--classes", classes,
         "--out", str(root / "out"), "--split", "real", *args]
    )  # fmt: skip


def refused(root: Path, capsys, *args: str, classes: str = CLASSES) -> str:
    """The line of an import that is refused; nothing was written."""
    before = sorted(path.name for path in root.iterdir())
    assert run(root, *args, classes=classes) == 2
    assert sorted(path.name for path in root.iterdir()) == before
    (line,) = capsys.readouterr().err.splitlines()  # and no bar
    return line.removeprefix("regolith: ")


def test_pictures_keep_their_pixels(root: Path, capsys) -> None:
    assert run(root, "--json", str(root / "result.json")) == 0
    assert "3 frames of 56x40" in capsys.readouterr().out
    frames = open_split(root / "out/real")
    assert [frame.spec["source"] for frame in frames] == ["a.tif", "b.png", "c.bmp"]
    for frame, seed in zip(frames, (1, 0, 2), strict=True):
        assert (frame.rgb == pair(seed)[0]).all() and (frame.mask == pair(seed)[1]).all()
        assert frame.counts["rock"] == (pair(seed)[1] == 1).sum()
    contract = Contract.read(root / "out/real")
    assert contract.renderer == {"name": "import"} and contract.parameters == {}
    assert (contract.width, contract.height, contract.frames) == (WIDTH, HEIGHT, 3)
    result = json.loads((root / "result.json").read_text())
    assert sum(result["counts"].values()) == 3 * WIDTH * HEIGHT


def test_verify_accepts_it(root: Path) -> None:
    run(root)
    assert verify(root / "out/real")["problems"] == []


def test_every_way_to_write_a_class_map(tmp_path: Path) -> None:
    inline = read_class_map("rock=1|3, regolith=0,ignore=255")
    assert dict(inline.values) == {1: 1, 3: 1, 0: 0, 255: 255} and not inline.colors
    (tmp_path / "classes.yaml").write_text("rock: [1, 3]\nregolith: 0\nignore: 255\n")
    assert read_class_map(str(tmp_path / "classes.yaml")) == inline
    colors = read_class_map("rock=#ff0000,sky=#87CEEB|#000001")
    assert dict(colors.values) == {0xFF0000: 1, 0x87CEEB: 2, 1: 2} and colors.colors
    (tmp_path / "classes.yml").write_text('rock: "#ff0000"\nsky: ["#87CEEB", "#000001"]\n')
    assert read_class_map(str(tmp_path / "classes.yml")) == colors


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("rock", "classes: 'rock'"),
        ("stone=1", "classes: 'stone' is not allowed; allowed: regolith, rock, sky, ignore"),
        ("rock=1,regolith=1", "one class only"),
        ("rock=1,regolith=#000000", "values alone or colours alone"),
        ("rock=-1", r"classes\.rock: '-1'"),
        ("rock=70000", "0 … 65535"),
        ("rock=#ff00", "#rrggbb"),
        ("rock=1,rock=2", "classes: 'rock=2'"),
        ("missing.yaml", r"missing\.yaml"),
    ],
)
def test_bad_class_maps(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        read_class_map(text)


@pytest.mark.parametrize("content", ["- 1", "rock: [1", "rock: true", "rock: {a: 1}", ""])
def test_bad_class_files(tmp_path: Path, content: str) -> None:
    (tmp_path / "classes.yaml").write_text(content)
    with pytest.raises(InputError, match="classes"):
        read_class_map(str(tmp_path / "classes.yaml"))


def test_colours_palettes_and_deep_masks_are_read(tmp_path: Path) -> None:
    _, mask = pair(5)
    table = np.zeros((256, 3), np.uint8)
    table[[0, 1, 255]] = (10, 20, 30), (255, 0, 0), (1, 2, 3)
    by_color = read_class_map("regolith=#0a141e,rock=#ff0000,ignore=#010203")
    by_value = read_class_map(CLASSES)
    palette = Image.fromarray(mask)
    palette.putpalette(table.ravel().tolist())
    pictures = {
        "rgb": (Image.fromarray(table[mask]), by_color),
        "rgba": (Image.fromarray(table[mask]).convert("RGBA"), by_color),
        "palette_by_color": (palette, by_color),
        "palette": (palette, by_value),
        "grey_as_rgb": (Image.fromarray(mask).convert("RGB"), by_value),
        "grey_alpha": (Image.fromarray(mask).convert("LA"), by_value),
        "deep": (Image.fromarray(mask.astype(np.uint16) * 256), read_class_map("regolith=0,rock=256,ignore=65280")),
        "bits": (Image.fromarray(mask == 1), read_class_map("regolith=0,rock=1")),
    }
    for name, (image, classes) in pictures.items():
        image.save(tmp_path / f"{name}.png")
        expected = (mask == 1).astype(np.uint8) if name == "bits" else mask
        assert (decode_mask(tmp_path / f"{name}.png", classes) == expected).all(), name


def test_turned_pictures_are_turned_upright(tmp_path: Path) -> None:
    """A camera held upright saves the picture lying, with a tag; its mask was drawn on what people see."""
    rgb, mask = pair(7)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    lying = Image.fromarray(rgb).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    lying.save(tmp_path / "images/p.png", exif=exif)
    Image.fromarray(mask).save(tmp_path / "masks/p.png")
    import_split(
        tmp_path / "images", tmp_path / "masks", tmp_path / "out", classes=read_class_map(CLASSES), split="real"
    )
    (frame,) = open_split(tmp_path / "out/real")
    assert (frame.rgb == rgb).all() and (frame.mask == mask).all()


def test_masks_with_a_tag_of_their_own_are_turned_by_it(tmp_path: Path) -> None:
    _, mask = pair(8)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(mask).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "m.png", exif=exif)
    assert (decode_mask(tmp_path / "m.png", read_class_map(CLASSES)) == mask).all()


def test_values_without_a_class_are_named(root: Path, capsys) -> None:
    mask = pair(0)[1]
    mask[3, 4] = 7
    Image.fromarray(mask).save(root / "masks/b.png")
    assert refused(root, capsys) == "b.png: 'value 7' is not allowed; allowed: what --classes names: 0, 1, 255"
    colors = "rock=#010101,regolith=#000000,ignore=#ffffff"
    assert "b.png: 'colour #070707' is not allowed" in refused(root, capsys, classes=colors)


def test_files_that_do_not_match_are_named(root: Path, capsys) -> None:
    (root / "masks/c.png").rename(root / "c.png")
    assert refused(root, capsys).startswith("c.bmp: 'no mask'")
    (root / "c.png").rename(root / "masks/c.png")
    shutil.copy(root / "masks/c.png", root / "masks/d.png")
    assert refused(root, capsys).startswith("d.png: 'no picture'")
    shutil.copy(root / "masks/c.png", root / "images/d.png")
    shutil.copy(root / "images/b.png", root / "images/a.png")
    assert refused(root, capsys).startswith("a.tif: 'beside a.png'")


@pytest.mark.parametrize(("folder", "name"), [("images", "notes.txt"), ("masks", "b.json"), ("images", "c")])
def test_files_that_are_no_pictures_are_named(root: Path, capsys, folder: str, name: str) -> None:
    (root / folder / name).write_text("not a picture")
    line = refused(root, capsys)
    assert line.startswith(f"{folder}/{name}: 'no picture'") and ".png" in line and ".jpg" in line


def test_folders_among_the_pictures_are_named(root: Path, capsys) -> None:
    (root / "masks/more.png").mkdir()
    assert refused(root, capsys).startswith("masks/more.png: 'a folder'")


def test_a_crop_too_small_is_named(root: Path, capsys) -> None:
    assert refused(root, capsys, "--crop", "2x2").startswith("crop: '2x2' is not allowed")


def test_a_full_disk_leaves_nothing(root: Path) -> None:
    """Files of more than 1 kB cannot be written: as on a full disk, the write fails half way."""
    args = ["import", "--images", "images", "--masks", "masks", "--classes", CLASSES, "--out", "out", "--split", "real"]

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))

    before = sorted(root.iterdir())
    done = subprocess.run(
        [sys.executable, "-m", "regolith.lunar.cli", *args], cwd=root, preexec_fn=limit, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2 and sorted(root.iterdir()) == before
    assert "regolith: out: 'out/real' is not allowed" in done.stderr and "File too large" in done.stderr


def test_an_import_into_a_link_to_an_empty_folder(root: Path) -> None:
    (root / "disk").mkdir()
    (root / "out").mkdir()
    (root / "out/real").symlink_to("../disk")
    assert run(root) == 0
    assert verify(root / "disk")["problems"] == []


def test_sizes_that_differ_are_named(root: Path, capsys) -> None:
    Image.fromarray(pair(0)[1][1:]).save(root / "masks/b.png")
    assert refused(root, capsys) == "b.png: '56×39 px' is not allowed; allowed: 56×40 px, the size of b.png"
    Image.fromarray(pair(0)[0][1:]).save(root / "images/b.png")
    assert "b.png: '56×39 px' is not allowed; allowed: 56×40 px, the size of a.tif" in refused(root, capsys)


def test_pictures_of_many_sizes_are_cut_to_one(root: Path, capsys) -> None:
    rgb, mask = pair(0)
    Image.fromarray(rgb[1:]).save(root / "images/b.png")
    Image.fromarray(mask[1:]).save(root / "masks/b.png")
    assert refused(root, capsys, "--crop", "57x39").startswith("a.tif: '56×40 px' is not allowed; allowed: at least")
    assert run(root, "--crop", "50x35") == 0
    frame = open_split(root / "out/real")[1]
    assert (frame.rgb == rgb[3:38, 3:53]).all() and (frame.mask == mask[3:38, 3:53]).all()


def test_files_that_cannot_be_read_are_named(root: Path, capsys) -> None:
    for broken in ("masks/b.png", "images/b.png"):
        data = (root / broken).read_bytes()
        (root / broken).write_bytes(data[: len(data) // 2])
        assert refused(root, capsys).startswith("b.png: 'damaged'")
        (root / broken).write_bytes(data)
    (root / "images/b.png").write_text("text")
    assert refused(root, capsys).startswith("b.png: 'no picture'")


def test_folders_and_names(root: Path, capsys) -> None:
    assert refused(root, capsys, "--split", "a/b").startswith("split: 'a/b'")
    shutil.rmtree(root / "masks")
    assert refused(root, capsys).startswith("masks:")


def test_a_split_that_is_there_stays(root: Path) -> None:
    assert run(root) == 0
    before = (root / "out/real/frames.jsonl").read_bytes()
    assert run(root) == 2
    assert (root / "out/real/frames.jsonl").read_bytes() == before


def test_names_no_reader_could_write_are_refused(root: Path, capsys) -> None:
    for folder in ("images", "masks"):
        shutil.copy(root / "masks/a.png", root / folder / os.fsdecode(b"kr\xe4ter.png"))
    Image.fromarray(pair(3)[0]).save(root / "images" / os.fsdecode(b"kr\xe4ter.png"))
    assert refused(root, capsys) == "kr\\xe4ter.png: 'a name that is no UTF-8' is not allowed; allowed: names in UTF-8"


def test_a_grey_mask_may_have_been_optimised(root: Path, capsys) -> None:
    """0 and 255 as a palette of black and white are no index 1."""
    for name in ("a", "b", "c"):
        image = Image.fromarray((pair(ord(name) % 3)[1] == 255).astype(np.uint8))
        image.putpalette([0, 0, 0, 255, 255, 255])
        image.save(root / f"masks/{name}.png", bits=1)
    assert run(root) == 0
    assert "rock 0.0 %" in capsys.readouterr().out


def test_what_cannot_be_told_of_a_picture_is_said(root: Path, capsys) -> None:
    Image.fromarray(pair(0)[0][..., 0].astype(np.uint16) * 15).save(root / "images/b.png")
    assert run(root, "--json", str(root / "result.json")) == 0
    notes = json.loads((root / "result.json").read_text())["notes"]
    assert notes == ["b.png: read as 12 bits by its values, up to 3825: the file does not say where white is"]
    assert notes[0] in capsys.readouterr().out


def test_class_map_reads_numbers_as_parameters_do(tmp_path: Path) -> None:
    """010 is ten and not octal, and a class that is there twice is refused."""
    path = tmp_path / "classes.yaml"
    path.write_text("\ufeffrock: 010\nregolith: 0\n", "utf-8")
    assert read_class_map(str(path)).values == {10: 1, 0: 0}
    path.write_text("rock: 1\nrock: 2\n")
    with pytest.raises(InputError, match=r"^classes: .*twice"):
        read_class_map(str(path))
