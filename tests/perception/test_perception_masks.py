"""A label picture reads the same however it was saved without loss, or is refused in one line."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from regolith.lunar.params import InputError
from regolith.lunar.perception.masks import OWN_CLASSES, ClassMap, decode_mask

OWN = (0, 1, 2, 255)
ROOMY = ClassMap({0: 0, 1: 1, 2: 2, 3: 0, 17: 1, 34: 2, 85: 0, 128: 1, 170: 2, 255: 255, 257: 1, 65535: 255}, False)
"""Values a picture of few or many bits may turn into: each would be read if it were guessed."""
COLORS = ClassMap({0x000000: 0, 0xFF0000: 1, 0x0000FF: 2, 0x808080: 255}, True)
OPTIPNG = shutil.which("optipng")

Write = Callable[[np.ndarray, Path], Path]


def with_pillow(ending: str, mode: str = "L", **options: Any) -> Write:
    def write(mask: np.ndarray, stem: Path) -> Path:
        image = Image.fromarray(mask)
        if mode == "P":
            image = image.quantize(256, dither=Image.Dither.NONE) if mask.ndim == 3 else image.convert("P")
        elif mode == "1":
            image = image.convert("1", dither=Image.Dither.NONE)
        elif mask.ndim == 2:
            image = image.convert(mode)
        path = stem.with_suffix(ending)
        image.save(path, **options)
        return path

    return write


def with_opencv(ending: str, *options: int) -> Write:
    def write(mask: np.ndarray, stem: Path) -> Path:
        path = stem.with_suffix(ending)
        assert cv2.imwrite(str(path), mask if mask.ndim == 2 else mask[..., ::-1], options)
        return path

    return write


def with_tifffile(**options: Any) -> Write:
    def write(mask: np.ndarray, stem: Path) -> Path:
        path = stem.with_suffix(".tif")
        photometric = "rgb" if mask.ndim == 3 else "minisblack"
        tifffile.imwrite(path, mask, photometric=photometric, **options)
        return path

    return write


def with_optipng(write: Write, *options: str) -> Write:
    def optimise(mask: np.ndarray, stem: Path) -> Path:
        path = write(mask, stem)
        subprocess.run([str(OPTIPNG), "-quiet", "-force", *options, str(path)], check=True)
        return path

    return optimise


ENCODERS: dict[str, Write] = {
    "pillow_png": with_pillow(".png", optimize=True),
    "pillow_png_alpha": with_pillow(".png", "LA"),
    "pillow_png_rgb": with_pillow(".png", "RGB"),
    "pillow_png_rgba": with_pillow(".png", "RGBA"),
    "pillow_png_palette": with_pillow(".png", "P"),
    "pillow_png_1_bit": with_pillow(".png", "1"),
    "pillow_gif": with_pillow(".gif"),
    "pillow_gif_palette": with_pillow(".gif", "P"),
    "pillow_gif_1_bit": with_pillow(".gif", "1"),
    "pillow_bmp": with_pillow(".bmp"),
    "pillow_bmp_palette": with_pillow(".bmp", "P"),
    "pillow_bmp_1_bit": with_pillow(".bmp", "1"),
    "pillow_tiff": with_pillow(".tif"),
    "pillow_tiff_lzw": with_pillow(".tif", compression="tiff_lzw"),
    "pillow_tiff_palette": with_pillow(".tif", "P"),
    "pillow_tiff_1_bit": with_pillow(".tif", "1"),
    "pillow_tiff_fax": with_pillow(".tif", "1", compression="group4"),
    "pillow_webp": with_pillow(".webp", lossless=True),
    "pillow_pgm": with_pillow(".pgm"),
    "pillow_pbm": with_pillow(".pbm", "1"),
    "pillow_jp2": with_pillow(".jp2"),
    "opencv_png": with_opencv(".png"),
    "opencv_bmp": with_opencv(".bmp"),
    "opencv_tiff": with_opencv(".tif"),
    "opencv_pgm": with_opencv(".pgm"),
    "tifffile": with_tifffile(),
    "tifffile_deflate": with_tifffile(compression="zlib", predictor=True),
    "tifffile_tiles": with_tifffile(tile=(16, 16)),
}
ENCODERS |= {f"optipng_of_{name}": with_optipng(ENCODERS[name]) for name in ENCODERS if "_png" in name}
ENCODERS["optipng_interlaced"] = with_optipng(ENCODERS["pillow_png_rgb"], "-i1", "-nc", "-nb", "-np")


def encoders(*without: str) -> list:
    """The encoders whose names have none of the words; optipng alone may be missing."""
    missing = pytest.mark.skipif(OPTIPNG is None, reason="optipng is not installed")
    names = [name for name in ENCODERS if not any(word in name for word in without)]
    return [pytest.param(name, marks=[missing] if "optipng" in name else []) for name in names]


@st.composite
def masks(draw: st.DrawFn, values: tuple[int, ...] = OWN) -> np.ndarray:
    """A mask of some of the values, in blocks and dots."""
    height, width = draw(st.integers(2, 20)), draw(st.integers(2, 20))
    used = np.array(draw(st.lists(st.sampled_from(values), min_size=1, max_size=4, unique=True)), np.uint8)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    return used[rng.integers(0, len(used), (height, width))]


def reading(path: Path, classes: ClassMap) -> np.ndarray | None:
    """What is read, None where it is refused; the line names the file and is one line."""
    try:
        return decode_mask(path, classes)
    except InputError as error:
        assert str(error).startswith(f"{path.name}: ") and "\n" not in str(error)
        return None


@pytest.fixture
def stem(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "m"


STEADY = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize("encoder", encoders())
@STEADY
@given(mask=st.one_of(masks(), masks((0, 255)), masks((0, 85, 170, 255)), masks((0, 17, 34, 128))))
def test_grey_recoded_without_loss(encoder: str, mask: np.ndarray, stem: Path) -> None:
    """A mask means its grey values whatever it was saved as; what is read at all is never another class."""
    if encoder.endswith(("1_bit", "fax", "pbm")):
        mask = np.where(mask > 0, 255, 0).astype(np.uint8)
    path = ENCODERS[encoder](mask, stem)
    expected = np.vectorize(ROOMY.values.__getitem__, otypes=[np.uint8])(mask)
    found = reading(path, ROOMY)
    assert found is None or np.array_equal(found, expected)
    if set(np.unique(mask)) <= set(OWN):
        found = reading(path, OWN_CLASSES)
        assert found is None or np.array_equal(found, mask)
        if not any(word in encoder for word in ("webp", "jp2", "1_bit", "fax")):
            assert found is not None, "one of the plain ways to save a mask"


@pytest.mark.parametrize("encoder", encoders("1_bit", "_alpha", "fax", "pbm", "pgm"))
@STEADY
@given(mask=masks())
def test_colours_recoded_without_loss(encoder: str, mask: np.ndarray, stem: Path) -> None:
    table = np.zeros((256, 3), np.uint8)
    table[[1, 2, 255]] = (255, 0, 0), (0, 0, 255), (128, 128, 128)
    path = ENCODERS[encoder](table[mask], stem)
    found = reading(path, COLORS)
    assert found is None or np.array_equal(found, mask)
    assert found is not None or encoder.endswith(("webp", "jp2"))


def indexed(mask: np.ndarray, ground: int) -> Image.Image:
    """Indices into a palette of colours; regolith is black or white."""
    table = np.zeros((256, 3), np.uint8)
    table[[1, 2, 255]] = (200, 30, 30), (30, 30, 200), (224, 224, 192)
    table[0] = ground
    image = Image.fromarray(mask)
    image.putpalette(table.ravel().tolist())
    return image


@pytest.mark.parametrize("ending", [".png", ".tif", ".bmp"])
@STEADY
@given(mask=masks(), ground=st.sampled_from([0, 255]))
def test_indices_of_a_palette_of_colours(ending: str, mask: np.ndarray, ground: int, stem: Path) -> None:
    """An index stays; where white alone is used, which some encoders store as grey, nothing is guessed."""
    path = stem.with_suffix(ending)
    indexed(mask, ground).save(path)
    found = reading(path, OWN_CLASSES)
    assert (found is None) == (ground == 255 and bool((mask == 0).all()))
    assert found is None or np.array_equal(found, mask)


@STEADY
@given(mask=masks(), ground=st.sampled_from([0, 255]))
def test_indices_that_an_encoder_may_have_moved(mask: np.ndarray, ground: int, stem: Path) -> None:
    """A GIF's encoder drops colours nobody uses, and the others move up."""
    indexed(mask, ground).save(stem.with_suffix(".png"))
    indexed(mask, ground).save(stem.with_suffix(".gif"))
    before, found = (reading(stem.with_suffix(ending), OWN_CLASSES) for ending in (".png", ".gif"))
    assert before is None or found is None or np.array_equal(found, before)
    assert found is None or not np.isin(mask, (1, 2)).any()


@pytest.mark.skipif(OPTIPNG is None, reason="optipng is not installed")
@STEADY
@given(mask=masks(), ground=st.sampled_from([0, 255]))
def test_indices_survive_an_optimiser(mask: np.ndarray, ground: int, stem: Path) -> None:
    path = stem.with_suffix(".png")
    indexed(mask, ground).save(path)
    before = reading(path, OWN_CLASSES)
    subprocess.run([str(OPTIPNG), "-quiet", "-force", "-o2", str(path)], check=True)
    found = reading(path, OWN_CLASSES)
    assert before is None or found is None or np.array_equal(found, before)


def test_a_palette_of_greys_means_its_greys(tmp_path: Path) -> None:
    """What optimisers make of an 8-bit grey mask of 0 and 255: two entries, black and white."""
    mask = np.where(np.arange(400).reshape(20, 20) % 7, 0, 255).astype(np.uint8)
    image = Image.fromarray((mask > 0).astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "m.png", bits=1)
    assert np.array_equal(decode_mask(tmp_path / "m.png"), mask)
    image.putpalette([0, 0, 0, 0, 0, 0])  # the indices differ and the greys do not
    image.save(tmp_path / "m.png")
    with pytest.raises(InputError, match=r"^m\.png: 'a palette where 1 and a lower index are one grey"):
        decode_mask(tmp_path / "m.png")


def write_png(path: Path, samples: np.ndarray, kind: int, bits: int, *chunks: tuple[bytes, bytes]) -> None:
    """Write a PNG of any colour type and depth; samples are packed rows of bytes."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[kind]
    rows = b"".join(b"\0" + row.tobytes() for row in samples)
    width = samples.shape[1] * 8 * samples.dtype.itemsize // bits // (channels if samples.ndim == 2 else 1)
    head = struct.pack(">IIBBBBB", width, len(samples), bits, kind, 0, 0, 0)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts))


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_grey_of_few_bits_is_read_by_the_class_map(tmp_path: Path, bits: int) -> None:
    """Samples as they are stored, or the greys they stand for: whichever has classes; both is a guess."""
    samples = np.random.default_rng(bits).integers(0, min(2**bits, 3), (8, 16)).astype(np.uint8)
    packed = np.packbits(np.unpackbits(samples[..., None], axis=2)[..., -bits:].reshape(8, -1), axis=1)
    write_png(tmp_path / "m.png", packed, 0, bits)
    unit = 255 // (2**bits - 1)
    stored = {value: value for value in range(3)}
    assert np.array_equal(decode_mask(tmp_path / "m.png", ClassMap(stored, False)), samples)
    shown = {value * unit: value for value in range(3)}
    assert np.array_equal(decode_mask(tmp_path / "m.png", ClassMap(shown, False)), samples)
    with pytest.raises(InputError, match=r"^m\.png: 'grey of few bits, which may mean 0, .*8 bits"):
        decode_mask(tmp_path / "m.png", ClassMap({255: 2, **stored, **{k: 2 for k in shown if k}}, False))


def test_grey_of_16_bits_is_read_in_one_channel_and_in_three(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).choice(np.array(OWN, np.uint16), (12, 16))
    Image.fromarray(mask).save(tmp_path / "grey.png")
    cv2.imwrite(str(tmp_path / "rgb.png"), np.dstack([mask] * 3))
    cv2.imwrite(str(tmp_path / "rgba.png"), np.dstack([mask] * 3 + [np.full_like(mask, 65535)]))
    tifffile.imwrite(tmp_path / "grey.tif", mask, photometric="minisblack")
    tifffile.imwrite(tmp_path / "motorola.tif", mask, photometric="minisblack", byteorder=">")
    tifffile.imwrite(tmp_path / "planes.tif", np.stack([mask] * 3), photometric="rgb", planarconfig="separate")
    tifffile.imwrite(tmp_path / "int32.tif", mask.astype(np.int32), photometric="minisblack")
    cv2.imwrite(str(tmp_path / "grey.pgm"), mask)
    for path in sorted(tmp_path.iterdir()):
        assert np.array_equal(decode_mask(path), mask), path.name


def test_a_mask_is_read_as_it_is_shown(tmp_path: Path) -> None:
    mask = np.random.default_rng(0).choice(np.array(OWN, np.uint8), (12, 16))
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.T,
        6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90,
    }  # fmt: skip
    for orientation, turn in turns.items():
        exif = Image.Exif()
        exif[0x0112] = orientation
        for ending in (".png", ".tif"):
            path = tmp_path / f"m{orientation}{ending}"
            Image.fromarray(mask).save(path, exif=exif)
            assert np.array_equal(decode_mask(path), turn(mask)), path.name
        deep = tmp_path / f"deep{orientation}.png"
        Image.fromarray(mask.astype(np.uint16)).save(deep, exif=exif)
        assert np.array_equal(decode_mask(deep), turn(mask)), deep.name
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(
            tmp_path / "rgb.tif", np.dstack([mask.astype(np.uint16)] * 3), photometric="rgb", extratags=[tag]
        )
        assert np.array_equal(decode_mask(tmp_path / "rgb.tif"), turn(mask)), orientation


def refusals(folder: Path) -> dict[str, str]:
    """Files nobody can read for certain, and what the refusal says of each."""
    mask = np.random.default_rng(0).choice(np.array(OWN, np.uint8), (16, 16))
    mask[0, :4] = OWN
    grey = Image.fromarray(mask)
    grey.save(folder / "lossy.jpg", quality=100)
    grey.save(folder / "lossy.webp", lossless=False)
    grey.save(folder / "jpeg.tif", compression="jpeg")
    grey.save(folder / "pages.tif", save_all=True, append_images=[grey])
    grey.save(folder / "moving.gif", save_all=True, append_images=[Image.fromarray(255 - mask)])
    grey.save(folder / "moving.png", save_all=True, append_images=[Image.fromarray(255 - mask)])
    Image.fromarray(np.dstack([mask, mask])).save(folder / "alpha.png")
    Image.fromarray(np.dstack([mask] * 4)).save(folder / "rgba.png")
    grey.save(folder / "key.png", transparency=0)
    colours = grey.copy()
    colours.putpalette(np.random.default_rng(1).integers(0, 256, 768).tolist())
    colours.save(folder / "trns.png", transparency=b"\xff\0")
    colours.save(folder / "colours.gif")
    colours.convert("RGB").save(folder / "colour.png")
    Image.fromarray(mask.astype(np.float32)).save(folder / "float.tif")
    tifffile.imwrite(folder / "double.tif", mask.astype(np.float64))
    tifffile.imwrite(folder / "white.tif", mask, photometric="miniswhite")
    tifffile.imwrite(folder / "bits.tif", mask > 0)
    tifffile.imwrite(folder / "extra.tif", np.dstack([mask, mask]), photometric="minisblack", planarconfig="contig")
    tifffile.imwrite(folder / "signed.tif", mask.astype(np.int8))
    (folder / "white3.pgm").write_bytes(b"P5 16 16 3\n" + bytes(mask % 3))
    write_png(folder / "rgb16key.png", np.dstack([mask.astype(">u2")] * 3).astype(">u2"), 2, 16, (b"tRNS", b"\0\0" * 3))
    Image.fromarray(mask).convert("RGB").convert("CMYK").save(folder / "cmyk.tif")
    (folder / "text.png").write_text("no picture")
    return {
        "lossy.jpg": "a JPEG picture", "lossy.webp": "a WEBP picture", "jpeg.tif": "a TIFF compressed as jpeg",
        "pages.tif": "2 pictures in one file", "moving.gif": "2 pictures in one file",
        "moving.png": "2 pictures in one file", "alpha.png": "transparency", "rgba.png": "transparency",
        "key.png": "transparency", "trns.png": "transparency", "colours.gif": "a GIF with a palette of colours",
        "colour.png": "a picture in colour", "float.tif": "floating-point values",
        "double.tif": "a TIFF of a rare kind",
        "white.tif": "a TIFF whose white is 0", "bits.tif": "a TIFF whose white is 0",
        "extra.tif": "a TIFF with a channel of no stated meaning", "signed.tif": "signed values of 8 bits",
        "white3.pgm": "a picture whose white is 3", "rgb16key.png": "transparency",
        "cmyk.tif": "a picture of mode CMYK", "text.png": "no picture",
    }  # fmt: skip


def test_whatever_would_be_a_guess_is_refused(tmp_path: Path) -> None:
    for name, what in refusals(tmp_path).items():
        with pytest.raises(InputError) as caught:
            decode_mask(tmp_path / name)
        assert str(caught.value).startswith(f"{name}: '{what}") and "\n" not in str(caught.value), name


def test_only_a_regular_file_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(InputError, match=r"^pipe\.png: 'no regular file'"):
        decode_mask(tmp_path / "pipe.png")


def test_a_value_without_a_class_is_named(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 7, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"^a\.png: 'value 7' is not allowed; allowed: classes: 0, 1, 2, 255$"):
        decode_mask(tmp_path / "a.png")
