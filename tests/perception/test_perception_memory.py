"""One photograph takes a bounded share of memory, and what is worked on in strips is what the whole would give."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageFile

from regolith.lunar.jobs.memory import return_memory
from regolith.lunar.labels import ROCK
from regolith.lunar.params import InputError
from regolith.lunar.perception import decode, overlay, session
from regolith.lunar.perception.masks import decode_mask
from regolith.lunar.perception.model_files import read_card, shipped_models
from regolith.lunar.perception.overlay import blend, class_layer, draw_overlay
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.perception.views import SIZE_PX
from regolith.lunar.stage.spec import rng

MEGABYTES = 1500
"""Most a run may hold; 24 megapixels at once as logits of three classes alone would be 290 MB a view."""
RUN = """
import sys
from pathlib import Path
from regolith.lunar import cli
status = cli.main(sys.argv[1:])
print(Path("/proc/self/status").read_text())
sys.exit(status)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what a process held")
@pytest.mark.parametrize("name", [name for name in shipped_models() if not name.endswith("-fp16")])
def test_memory_of_a_large_photograph_is_bounded(tmp_path: Path, name: str) -> None:
    """A shipped model at the largest of its views, on 24 megapixels: 3 GB where nothing is taken in parts."""
    size = round(1.5 * read_card(shipped_models()[name]).get("photo_px", SIZE_PX) / 32) * 32
    tile = rng(0, "photograph").integers(60, 140, (64, 64), dtype=np.uint8)
    Image.fromarray(np.tile(tile, (67, 89))[:4263, :5635]).save(tmp_path / "large.jpg", quality=90)
    args = [
        "evaluate",
        "real",
        "--model",
        name,
        "--images",
        str(tmp_path / "large.jpg"),
        "--out",
        str(tmp_path / "out"),
    ]
    views = ["--size", str(size), "--tta", "none", "--threads", "1"]
    done = subprocess.run([sys.executable, "-c", RUN, *args, *views], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert peak is not None and int(peak[1]) / 1024 <= MEGABYTES


READ = """
import sys
from pathlib import Path
from regolith.lunar.perception.photos import read_photo
rgb = read_photo(Path(sys.argv[1]), most_px=int(sys.argv[2]) or None)
print(rgb.shape, Path("/proc/self/status").read_text())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="this system does not say what a process held")
@pytest.mark.parametrize(("most", "megabytes"), [(0, 650), (24_000_000, 350)])
def test_a_hundred_megapixels_of_a_few_kilobytes_are_bounded(tmp_path: Path, most: int, megabytes: int) -> None:
    """In memory once as they are stored, and once in RGB: 1.4 GB where all are converted at once."""
    Image.new("1", (10_000, 10_000), 1).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size < 40_000
    command = [sys.executable, "-c", READ, str(tmp_path / "a.png"), str(most)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("(10000, 10000, 3)" if not most else "(3334, 3334, 3)")
    peak = re.search(r"VmHWM:\s+(\d+) kB", done.stdout)
    assert peak is not None and int(peak[1]) / 1024 <= megabytes


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.bmp", "a.gif", "a.webp", "a.jp2"])
def test_a_picture_beyond_the_limit_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Photographs and masks alike: nothing is decoded."""
    path = tmp_path / name
    Image.new("RGB", (1100, 1000), (90, 80, 70)).save(path)
    monkeypatch.setattr(decode, "MEGAPIXELS_MAX", 1)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda image: pytest.fail("it is decoded"))
    for read in (read_photo, decode_mask):
        with pytest.raises(InputError, match=rf"{name}: '1100×1000 px' is not allowed; allowed: at most 1 megapixels"):
            read(path)


@pytest.mark.parametrize("kind", [np.float16, np.uint16])
def test_a_deep_tiff_beyond_the_limit_is_refused_by_its_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: type
) -> None:
    """Also one of a kind that Pillow does not know."""
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((1000, 1100), kind), compression="zlib")
    assert read_photo(tmp_path / "a.tif").shape == (1000, 1100, 3)
    monkeypatch.setattr(decode, "MEGAPIXELS_MAX", 1)
    monkeypatch.setattr(tifffile.TiffPage, "asarray", lambda page: pytest.fail("it is decoded"))
    with pytest.raises(InputError, match=r"a\.tif: '1100×1000 px' is not allowed; allowed: at most 1 megapixels"):
        read_photo(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.tif"])
@pytest.mark.parametrize("lies", [1, 6])
def test_a_reduced_photograph_is_the_photograph(tmp_path: Path, name: str, lies: int) -> None:
    y, x = np.mgrid[:600, :900]
    rgb = np.dstack([x / 4, y / 3, (x + y) / 8]).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = lies
    Image.fromarray(rgb).save(tmp_path / name, exif=exif, quality=95)
    notes: list[str] = []
    whole, small = read_photo(tmp_path / name), read_photo(tmp_path / name, most_px=40_000, notes=notes)
    factor = whole.shape[0] // small.shape[0]
    assert small.shape[0] * small.shape[1] <= 40_000 and factor >= 4 and len(notes) == 1
    assert notes[0].startswith("its 900×600 px" if lies == 1 else "its 600×900 px")
    assert notes[0].endswith(f" reduced to {small.shape[1]}×{small.shape[0]}")
    mean = np.asarray(Image.fromarray(whole).reduce(factor)).astype(int)
    assert np.abs(mean - small[: mean.shape[0], : mean.shape[1]]).max() <= 3
    assert np.array_equal(whole, read_photo(tmp_path / name, most_px=900 * 600))


def test_released_memory_changes_no_answer(model: Path) -> None:
    rgb = rng(0, "release").integers(0, 256, (64, 96, 3), dtype=np.uint8)
    segmenter = Segmenter(model, threads=1)
    before = segmenter.segment(rgb)
    segmenter.release()
    return_memory()
    assert np.array_equal(segmenter.segment(rgb).mask, before.mask)


@pytest.mark.parametrize("tta", ["none", "flip-scale", "pyramid"])
def test_strips_decide_as_the_whole_does(model: Path, monkeypatch: pytest.MonkeyPatch, tta: session.Views) -> None:
    rgb = rng(0, "strips").integers(0, 256, (40, 60, 3), dtype=np.uint8).repeat(8, axis=0).repeat(8, axis=1)
    segmenter = Segmenter(model, threads=1)
    whole = segmenter.predict(rgb, size=128, tta=tta)
    monkeypatch.setattr(session, "STRIP_PX", 50 * rgb.shape[1])
    strips = segmenter.predict(rgb, size=128, tta=tta)
    assert np.abs(strips.confidence - whole.confidence).max() < 1e-3
    assert np.mean(strips.mask != whole.mask) < 1e-4


def test_strips_are_tinted_as_the_whole_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """An outline does not know where a strip ends."""
    draw = rng(0, "tint")
    mask = draw.integers(0, 3, (30, 150), dtype=np.uint8).repeat(10, axis=0).repeat(10, axis=1)
    mask[100:200] = ROCK
    rgb = draw.integers(0, 256, (*mask.shape, 3), dtype=np.uint8)
    expected = blend(rgb, class_layer(mask))
    for rows in (1, 7, 64, 1000):
        monkeypatch.setattr(overlay, "STRIP_PX", rows * mask.shape[1])
        assert np.array_equal(draw_overlay(rgb, mask), expected), rows
