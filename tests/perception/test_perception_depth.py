"""A scene has one brightness, whatever depth and file it was saved in; what cannot be told is said."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from regolith.lunar.params import InputError
from regolith.lunar.perception.photos import read_photo

BITS = (10, 12, 14, 16)


def scene(height: int = 64, width: int = 80) -> np.ndarray:
    """Brightness of a scene in 0 … 1, float64 [H, W, 3]: ground, a bright rock, black sky."""
    rng = np.random.default_rng(0)
    value = np.clip(rng.normal(0.4, 0.08, (height, width, 1)) + np.array([0.03, 0, -0.03]), 0, 1)
    value[20:30, 20:40] = 0.85
    value[:12] = 0.01
    return value


def eight(value: np.ndarray) -> np.ndarray:
    return np.rint(value * 255)


def deep(value: np.ndarray, bits: int) -> np.ndarray:
    return np.rint(value * (2**bits - 1)).astype(np.uint16)


def check(path: Path, value: np.ndarray, notes: list[str] | None = None) -> None:
    """The picture is the scene in 8 bits: its mean within 2 levels, a pixel within 3."""
    rgb = read_photo(path, notes=notes).astype(float)
    expected = eight(np.broadcast_to(value, (*value.shape[:2], 3)))
    assert abs(rgb.mean() - expected.mean()) <= 2, path.name
    assert np.abs(rgb - expected).max() <= 3, path.name


def write_all(folder: Path, samples: np.ndarray) -> None:
    """Write samples uint16 [H, W, 3] by every writer of 16 bits at hand, in colour, with alpha and in grey."""
    white = int(2 ** np.ceil(np.log2(samples.max() + 1)) - 1)
    bgra = np.dstack([samples[..., ::-1], np.full(samples.shape[:2], white, np.uint16)])
    cv2.imwrite(str(folder / "colour.png"), samples[..., ::-1])
    cv2.imwrite(str(folder / "alpha.png"), bgra)
    bgra[..., 3] = 65535
    cv2.imwrite(str(folder / "alpha16.png"), bgra)
    cv2.imwrite(str(folder / "colour_lzw.tif"), samples[..., ::-1])
    cv2.imwrite(str(folder / "colour.ppm"), samples[..., ::-1])
    cv2.imwrite(str(folder / "colour.jp2"), samples[..., ::-1], [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])
    tifffile.imwrite(folder / "colour.tif", samples, photometric="rgb")
    tifffile.imwrite(folder / "motorola.tif", samples, photometric="rgb", byteorder=">", compression="zlib")
    tifffile.imwrite(folder / "planes.tif", np.moveaxis(samples, 2, 0), photometric="rgb", planarconfig="separate")


@pytest.mark.parametrize("bits", BITS)
def test_colour_of_any_depth_in_16_bits(tmp_path: Path, bits: int) -> None:
    write_all(tmp_path, deep(scene(), bits))
    for path in sorted(tmp_path.iterdir()):
        notes: list[str] = []
        check(path, scene(), notes)
        said = [f"read as {bits} bits by its values" in note and "does not say" in note for note in notes]
        assert said == [True] * (bits < 16), path.name


@pytest.mark.parametrize("bits", BITS)
def test_a_hot_pixel_does_not_decide(tmp_path: Path, bits: int) -> None:
    samples = deep(scene(), bits)
    samples[40, 40] = 65535
    Image.fromarray(samples[..., 0]).save(tmp_path / "grey.png")
    tifffile.imwrite(tmp_path / "grey.tif", samples[..., 0])
    cv2.imwrite(str(tmp_path / "colour.png"), samples[..., ::-1])
    value = scene()
    value[40, 40] = 1
    check(tmp_path / "grey.png", value[..., :1])
    check(tmp_path / "grey.tif", value[..., :1])
    notes: list[str] = []
    check(tmp_path / "colour.png", value, notes)
    assert bits == 16 or "; 3 brighter samples are white" in notes[0]


@pytest.mark.parametrize("scale", [256, 257])
def test_8_bits_scaled_to_16_stay_dark(tmp_path: Path, scale: int) -> None:
    """A night scene of 8 bits whose values times 257 would all fit into 12."""
    dark = (eight(scene()) / 20).astype(np.uint16)
    assert dark.max() * scale < 4096
    cv2.imwrite(str(tmp_path / "dark.png"), (dark * scale)[..., ::-1])
    notes: list[str] = []
    assert np.abs(read_photo(tmp_path / "dark.png", notes=notes).astype(int) - dark).max() <= 1 and not notes


def test_floating_point(tmp_path: Path) -> None:
    value = scene().astype(np.float32)
    above = value.copy()
    above[value > 0.8] *= 1.19  # 1.01: sharpening overshoots
    tifffile.imwrite(tmp_path / "above.tif", above, photometric="rgb")
    expected = scene()
    expected[value > 0.8] = 1
    check(tmp_path / "above.tif", expected)
    hot = value.copy()
    hot[3, 3] = 40.0
    tifffile.imwrite(tmp_path / "hot.tif", hot[..., 0])
    grey = scene()[..., :1]
    grey[3, 3] = 1
    check(tmp_path / "hot.tif", grey)
    tifffile.imwrite(tmp_path / "bytes.tif", value * 255, photometric="rgb")
    tifffile.imwrite(tmp_path / "numbers.tif", value * 4095, photometric="rgb")
    tifffile.imwrite(tmp_path / "half.tif", value.astype(np.float16), photometric="rgb")
    tifffile.imwrite(tmp_path / "double.tif", value.astype(np.float64), photometric="rgb")
    for name in ("bytes.tif", "numbers.tif", "half.tif", "double.tif"):
        check(tmp_path / name, scene())
    tifffile.imwrite(tmp_path / "either.tif", value * 5, photometric="rgb")
    with pytest.raises(InputError, match=r"^either\.tif: 'values up to 4\.\d+'.*which cannot be told$"):
        read_photo(tmp_path / "either.tif")
    tifffile.imwrite(tmp_path / "huge.tif", np.rint(value * 2**31).astype(np.uint32), photometric="rgb")
    with pytest.raises(InputError, match=r"^huge\.tif: 'values up to .*at most 16 bits$"):
        read_photo(tmp_path / "huge.tif")


def test_what_the_file_states_is_believed(tmp_path: Path) -> None:
    """An underexposed frame keeps its darkness where the file says what white is."""
    samples = deep(scene() / 8, 12)
    tifffile.imwrite(tmp_path / "tag.tif", samples, photometric="rgb", extratags=[(341, "H", 3, (4095,) * 3, True)])
    (tmp_path / "grey.pgm").write_bytes(b"P5 80 64 4095\n" + samples[..., 0].astype(">u2").tobytes())
    (tmp_path / "colour.ppm").write_bytes(b"P6 80 64 4095\n" + samples.astype(">u2").tobytes())
    write_sbit(tmp_path / "stored.png", samples, 12)
    write_sbit(tmp_path / "scaled.png", (samples << 4).astype(np.uint16), 12)
    for name in ("tag.tif", "grey.pgm", "colour.ppm", "stored.png", "scaled.png"):
        notes: list[str] = []
        check(tmp_path / name, (scene() / 8)[..., : 1 if name.startswith("grey") else 3], notes)
        assert not notes, name


def write_sbit(path: Path, samples: np.ndarray, bits: int) -> None:
    """Write a PNG of 16-bit colour that states its significant bits."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    cv2.imwrite(str(path), samples[..., ::-1])
    data = path.read_bytes()
    path.write_bytes(data[:33] + chunk(b"sBIT", bytes([bits] * 3)) + data[33:])


def test_white_stored_as_0(tmp_path: Path) -> None:
    samples = deep(scene(), 12)[..., 0]
    tifffile.imwrite(tmp_path / "deep.tif", 4095 - samples, photometric="miniswhite")
    tifffile.imwrite(tmp_path / "bytes.tif", (255 - eight(scene())[..., 0]).astype(np.uint8), photometric="miniswhite")
    check(tmp_path / "deep.tif", scene()[..., :1])
    check(tmp_path / "bytes.tif", scene()[..., :1])


def test_transparency_of_16_bits_lies_on_black(tmp_path: Path) -> None:
    samples = deep(scene(), 16)
    alpha = np.full(samples.shape[:2], 65535, np.uint16)
    alpha[:, :40] = 0
    alpha[:, 40:50] = 32768
    cv2.imwrite(str(tmp_path / "a.png"), np.dstack([samples[..., ::-1], alpha]))
    tifffile.imwrite(tmp_path / "a.tif", np.dstack([samples, alpha]), photometric="rgb", extrasamples=["unassalpha"])
    mixed = np.rint(samples * (alpha[..., None] / 65535)).astype(np.uint16)
    tifffile.imwrite(tmp_path / "b.tif", np.dstack([mixed, alpha]), photometric="rgb", extrasamples=["assocalpha"])
    for name in ("a.png", "a.tif", "b.tif"):
        check(tmp_path / name, scene() * (alpha[..., None] / 65535))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_colour_and_plain_tiffs_are_turned_upright(tmp_path: Path, orientation: int) -> None:
    turns: dict[int, Callable[[np.ndarray], np.ndarray]] = {
        1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).swapaxes(0, 1), 8: np.rot90,
    }  # fmt: skip
    turn = turns[orientation]
    tag = (274, "H", 1, orientation, True)
    tifffile.imwrite(tmp_path / "deep.tif", deep(scene(), 16), photometric="rgb", extratags=[tag])
    exif = Image.Exif()
    exif[0x0112] = orientation
    grey = Image.fromarray(eight(scene())[..., 0].astype(np.uint8))
    grey.save(tmp_path / "plain.tif", exif=exif)
    grey.save(tmp_path / "packed.tif", exif=exif, compression="tiff_lzw")
    check(tmp_path / "deep.tif", turn(scene()))
    check(tmp_path / "plain.tif", turn(scene()[..., :1]))
    check(tmp_path / "packed.tif", turn(scene()[..., :1]))


def test_damaged_deep_pictures_are_refused(tmp_path: Path) -> None:
    write_all(tmp_path, deep(scene(), 12))
    for path in sorted(tmp_path.iterdir()):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match=rf"^{path.name}: 'damaged'") as caught:
            read_photo(path)
        assert "\n" not in str(caught.value)
