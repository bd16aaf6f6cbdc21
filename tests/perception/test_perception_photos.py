"""Photographs of every kind read upright as uint8 RGB, or are refused in one line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from regolith.lunar.params import InputError
from regolith.lunar.perception.photos import read_mask, read_photo

RAMP = np.tile(np.arange(64, dtype=np.uint8) * 4, (48, 1))


def test_grey_palette_and_alpha_become_rgb(tmp_path: Path) -> None:
    grey = Image.fromarray(RAMP)
    for name, image in {
        "grey.png": grey,
        "grey.jpg": grey,
        "palette.png": grey.convert("RGB").quantize(64, dither=Image.Dither.NONE),
        "la.png": grey.convert("LA"),
        "cmyk.tif": grey.convert("RGB").convert("CMYK"),
        "bit.tif": grey.convert("1"),
    }.items():
        image.save(tmp_path / name)
        rgb = read_photo(tmp_path / name)
        assert rgb.dtype == np.uint8 and rgb.shape == (48, 64, 3), name
        if name != "bit.tif":
            assert np.abs(rgb.astype(int) - RAMP[..., None]).max() <= 6, name


def test_transparency_lies_on_black(tmp_path: Path) -> None:
    rgba = np.dstack([RAMP, RAMP, RAMP, np.where(RAMP < 100, 0, 255).astype(np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "a.png")
    rgb = read_photo(tmp_path / "a.png")
    assert (rgb[RAMP < 100] == 0).all() and np.array_equal(rgb[RAMP >= 100][:, 0], RAMP[RAMP >= 100])


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_grey_keeps_its_exposure(tmp_path: Path, name: str, bits: int) -> None:
    """A frame exposed to half of its camera's range comes out at half grey, whatever the camera's depth."""
    deep = np.linspace(0, 2 ** (bits - 1) + 2 ** (bits - 2), 48 * 64).reshape(48, 64).astype(np.uint16)
    Image.fromarray(deep).save(tmp_path / name)
    rgb = read_photo(tmp_path / name)
    assert np.abs(rgb[..., 0] - deep / (2**bits - 1) * 255).max() <= 0.51


def test_float_and_deep_color_tiff(tmp_path: Path) -> None:
    value = np.linspace(0, 1, 48 * 64 * 3, dtype=np.float32).reshape(48, 64, 3)
    tifffile.imwrite(tmp_path / "float.tif", value, photometric="rgb")
    assert np.abs(read_photo(tmp_path / "float.tif") - value * 255).max() <= 0.51
    tifffile.imwrite(tmp_path / "grey.tif", value[..., 0])
    assert np.abs(read_photo(tmp_path / "grey.tif")[..., 2] - value[..., 0] * 255).max() <= 0.51
    tifffile.imwrite(tmp_path / "deep.tif", (value * 65535).astype(np.uint16), photometric="rgb")
    assert np.abs(read_photo(tmp_path / "deep.tif") - value * 255).max() <= 1.01


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int) -> None:
    turns = {1: lambda a: a, 2: np.fliplr, 3: lambda a: np.rot90(a, 2), 4: np.flipud, 5: lambda a: a.T,
             6: lambda a: np.rot90(a, -1), 7: lambda a: np.rot90(a, 2).T, 8: np.rot90}  # fmt: skip
    stored = RAMP.copy()
    stored[:10, :10] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_photo(tmp_path / "a.png")[..., 0], turns[orientation](stored))


def test_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    picture = Image.fromarray(np.random.Generator(np.random.PCG64(0)).integers(0, 255, (200, 200, 3), dtype=np.uint8))
    for ending in ("jpg", "png", "tif", "webp", "bmp", "gif"):
        path = tmp_path / f"truncated.{ending}"
        picture.save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match=rf"^truncated\.{ending}: 'damaged'") as caught:
            read_photo(path)
        assert "\n" not in str(caught.value)
    for name, content in {"empty.jpg": b"", "text.png": b"hello world", "magic.tif": b"II*\0junk"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=rf"^{name}: "):
            read_photo(tmp_path / name)
    picture.resize((200, 31)).save(tmp_path / "flat.png")
    with pytest.raises(InputError, match=r"^flat\.png: '200×31 px'"):
        read_photo(tmp_path / "flat.png")
    with pytest.raises(InputError, match=r"^none\.png: "):
        read_photo(tmp_path / "none.png")
    tifffile.imwrite(tmp_path / "nan.tif", np.full((40, 40), np.nan, np.float32))
    with pytest.raises(InputError, match="finite"):
        read_photo(tmp_path / "nan.tif")


def test_huge_picture_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.fromarray(RAMP).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(InputError, match=r"^huge\.png: 'too large'"):
        read_photo(tmp_path / "huge.png")


def test_masks_must_fit(tmp_path: Path) -> None:
    mask = np.zeros((40, 50), np.uint8)
    mask[0, :4] = (0, 1, 2, 255)
    Image.fromarray(mask).save(tmp_path / "a.png")
    assert np.array_equal(read_mask(tmp_path / "a.png", (40, 50)), mask)
    with pytest.raises(InputError, match=r"^a\.png: '50×40 px'.*50×41 px"):
        read_mask(tmp_path / "a.png", (41, 50))
    mask[0, 0] = 7
    Image.fromarray(mask).save(tmp_path / "b.png")
    with pytest.raises(InputError, match=r"^b\.png: 'value 7'"):
        read_mask(tmp_path / "b.png", (40, 50))
    Image.fromarray(np.dstack([mask, mask, mask + 1])).save(tmp_path / "c.png")
    with pytest.raises(InputError, match="one channel"):
        read_mask(tmp_path / "c.png", (40, 50))
    with pytest.raises(InputError, match=r"^none\.png: 'no file'"):
        read_mask(tmp_path / "none.png", (40, 50))
