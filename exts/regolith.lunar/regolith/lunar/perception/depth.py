"""Pictures of more than 8 bits a sample: read as they are stored, and brought to 8 bits by what white is in them.

White is what the file states. A file of 16 bits often holds a camera's 10, 12 or 14 and does not say so; then white is
that of the smallest of these depths that holds all but a thousandth of the samples: one hot pixel does not decide, and
whoever reads the picture is told.
"""

from __future__ import annotations

import importlib
import struct
from pathlib import Path
from typing import Any

import numpy as np
from PIL import ImageFile, TiffImagePlugin

from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError
from regolith.lunar.perception.decode import check_pixels, ppm_white, raw_mode

BIT_DEPTHS = (8, 10, 12, 14, 16)
"""Depths cameras have."""
OUTLIERS = 0.001
"""Share of samples that may lie beyond white: hot pixels."""
FLOAT_ABOVE_1 = 1.1
"""Largest robust maximum of a floating-point picture of 0 … 1: resampling and sharpening overshoot a little."""
FLOAT_LEAST = 16.0
"""Robust maximum from which floating point counts as a camera's numbers; between the two it could be either."""
ROWS = 256
"""Rows worked on at once."""


def is_deep(image: ImageFile.ImageFile) -> bool:
    """Return whether a picture that is not loaded yet has samples Pillow would cut to 8 bits, or leave as they lie."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return max(np.atleast_1d(image.tag_v2.get(258, 1))) > 8
    white = ppm_white(image)
    if white is not None:
        return white > 255 and image.tile[0].codec_name != "ppm_plain"
    if image.format == "JPEG2000":
        return _jpeg2000_bits(image) > 8
    return image.format == "PNG" and ";16" in raw_mode(image)


def _jpeg2000_bits(image: ImageFile.ImageFile) -> int:
    """Return the bits a sample of a JPEG 2000 file has, of the SIZ marker of its codestream."""
    start = image.tile[0].offset
    assert image.fp is not None
    image.fp.seek(start)
    head = image.fp.read(4096)
    at = head.find(b"\xff\x4f\xff\x51")
    return (head[at + 42] & 0x7F) + 1 if at >= 0 and at + 42 < len(head) else 8


def read_deep(path: Path, image: ImageFile.ImageFile | None) -> tuple[np.ndarray, float | None]:
    """Read the first picture of a file as it is stored, not turned.

    Args:
        path: The file.
        image: The file as Pillow opened it, not loaded yet; None for a TIFF Pillow does not know.

    Returns:
        Samples [H, W, C], C = 1 … 4, the last of 2 or 4 being straight alpha, and the value of white where the file
        states it.

    Raises:
        InputError: The file is damaged or of a kind that cannot be read.
    """
    if image is None or isinstance(image, TiffImagePlugin.TiffImageFile):
        return _read_tiff(path)
    if image.format == "PPM":
        channels = 3 if image.mode == "RGB" else 1
        count = image.width * image.height * channels
        samples = np.fromfile(path, ">u2", count, offset=image.tile[0].offset)
        if len(samples) < count:
            raise InputError(shown_name(path), "damaged", "a complete picture")
        white = ppm_white(image)
        samples = samples.astype(np.uint16).reshape(image.height, image.width, channels)
        return samples, None if white == 65535 else white
    imagecodecs = _package("imagecodecs", path)
    try:
        if image.format == "PNG":
            samples = imagecodecs.png_decode(path.read_bytes())
        else:
            samples = imagecodecs.jpeg2k_decode(path.read_bytes())
    except (RuntimeError, ValueError) as error:
        raise InputError(shown_name(path), "damaged", f"a complete picture ({error})") from None
    samples = np.asarray(samples)
    samples = samples[..., None] if samples.ndim == 2 else samples
    if image.format == "PNG":
        return samples, _significant(path, samples)
    bits = _jpeg2000_bits(image)
    return samples, 2.0**bits - 1 if bits < 16 else None


def _package(name: str, path: Path) -> Any:
    """Return a package that Kit's Python may lack."""
    try:
        return importlib.import_module(name)
    except ImportError:
        allowed = "8 bits a channel, or pip install tifffile imagecodecs"
        raise InputError(shown_name(path), "a picture of more than 8 bits a channel", allowed) from None


def _significant(path: Path, samples: np.ndarray) -> float | None:
    """Return white by a PNG's sBIT chunk; None where there is none.

    The standard scales samples of few significant bits up to the file's depth. Those that reach no further than their
    bits, and are not scaled, were stored as they came from the camera.
    """
    bits = _sbit(path)
    if bits is None or not 8 <= bits <= 16:
        return None
    scaled = robust_maximum(samples) > 2**bits - 1 or not (samples & (2 ** (16 - bits) - 1)).any()
    return 65535.0 if scaled else 2.0**bits - 1


def _sbit(path: Path) -> int | None:
    with path.open("rb") as file:
        file.seek(8)
        while True:
            head = file.read(8)
            if len(head) < 8 or head[4:] == b"IDAT":
                return None
            (length,) = struct.unpack(">I", head[:4])
            if head[4:] == b"sBIT" and length:
                return max(file.read(length)[:3])
            file.seek(length + 4, 1)


def _read_tiff(path: Path) -> tuple[np.ndarray, float | None]:
    name = shown_name(path)
    tifffile = _package("tifffile", path)
    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages[0]
            check_pixels(name, page.imagewidth, page.imagelength)
            samples, axes = page.asarray(), page.axes
            samples = samples.astype(samples.dtype.newbyteorder("="), copy=False)
            kind, extra = page.photometric.name, [int(value) for value in page.extrasamples]
            bits = int(np.max(page.bitspersample))
            stated = [page.tags.valueof(code) for code in (341, 281)]  # SMaxSampleValue, MaxSampleValue
    except InputError:
        raise
    except Exception as error:  # tifffile raises its own, struct, codec and index errors for damaged files
        raise InputError(name, "damaged", f"a complete picture ({type(error).__name__})") from None
    if samples.ndim != len(axes):
        raise InputError(name, "damaged", "a complete picture (its samples are not those it tells of)")
    if axes == "SYX":
        samples, axes = np.moveaxis(samples, 0, 2), "YXS"
    samples = samples[..., None] if axes == "YX" else samples
    colors = {"RGB": 3, "MINISBLACK": 1, "MINISWHITE": 1}.get(kind)
    if axes not in ("YX", "YXS") or colors is None or samples.shape[2] - colors not in (0, 1):
        raise InputError(
            name, f"a TIFF of {kind.lower()} with axes {axes}", "one or three channels, with alpha or none"
        )
    white = _stated_white(samples, bits, stated)
    if kind == "MINISWHITE":
        if not np.issubdtype(samples.dtype, np.unsignedinteger):
            raise InputError(name, f"a TIFF of {samples.dtype} whose white is 0", "a TIFF whose black is 0")
        white = white or full_scale(samples, name)[0]
        samples = (white - np.minimum(samples, white)).astype(samples.dtype)
    if extra[:1] == [1] and samples.shape[2] > colors:
        samples = samples[..., :colors]  # multiplied by its alpha already: what lies on black
    return samples, white


def _stated_white(samples: np.ndarray, bits: int, stated: list[Any]) -> float | None:
    """Return white by a TIFF's tags: a depth no computer would choose, or the largest value of a camera's depth."""
    if np.issubdtype(samples.dtype, np.integer) and bits in BIT_DEPTHS[:-1]:
        return 2.0**bits - 1
    for value in stated:
        largest = float(np.max(value)) if value is not None else 0.0
        if largest in (1.0, *(2.0**depth - 1 for depth in BIT_DEPTHS)) and robust_maximum(samples) <= largest:
            return largest
    return None


def histogram(samples: np.ndarray) -> np.ndarray:
    """Count the values of uint8 or uint16 samples, int64 [256 or 65536], without a copy of the picture."""
    size = 256**samples.dtype.itemsize
    counts = np.zeros(size, np.int64)
    for top in range(0, len(samples), ROWS):
        counts += np.bincount(samples[top : top + ROWS].ravel(), minlength=size)
    return counts


def robust_maximum(samples: np.ndarray) -> float:
    """Return the value all but a share of `OUTLIERS` of the samples do not exceed."""
    if samples.dtype in (np.uint8, np.uint16):
        below = np.cumsum(histogram(samples))
        return float(np.searchsorted(below, int((1 - OUTLIERS) * (below[-1] - 1)) + 1))
    step = max(1, samples.size // (1 << 22))
    return float(np.percentile(samples.reshape(-1)[::step], 100 * (1 - OUTLIERS), method="lower"))


def full_scale(samples: np.ndarray, name: str) -> tuple[float, str | None]:
    """Return white of samples whose file does not state it, and what has to be said of that.

    Raises:
        InputError: Values beyond 16 bits, or floating point that could be of 0 … 1 or a camera's numbers.
    """
    top = robust_maximum(samples)
    if top > 65535:
        raise InputError(name, f"values up to {top:g}", "finite values of at most 16 bits")
    if np.issubdtype(samples.dtype, np.floating):
        if top <= FLOAT_ABOVE_1:
            return 1.0, None
        if top < FLOAT_LEAST:
            allowed = f"floating point of 0 … 1, or of a camera's numbers from {FLOAT_LEAST:g} on: which cannot be told"
            raise InputError(name, f"values up to {top:g}", allowed)
    elif samples.dtype == np.uint16 and _scaled_from_8(samples):
        return 65535.0, None
    bits = next(bits for bits in BIT_DEPTHS if top <= 2**bits - 1)
    if samples.dtype == np.int16 and bits == 16:
        return 32767.0, None
    white = 2.0**bits - 1
    if bits == 16 or top <= 0:
        return white, None
    note = f"read as {bits} bits by its values, up to {top:g}: the file does not say where white is"
    beyond = int(np.count_nonzero(samples > white))
    return white, note + (f"; {beyond} brighter samples are white" if beyond else "")


def _scaled_from_8(samples: np.ndarray) -> bool:
    """Return whether 16-bit samples are 8-bit ones times 257 or 256, however dark."""
    values = np.flatnonzero(histogram(samples))
    return len(values) > 2 and bool((values % 257 == 0).all() or (values % 256 == 0).all())


def to_8_bit(samples: np.ndarray, white: float | None, name: str) -> tuple[np.ndarray, str | None]:
    """Bring samples [H, W, C] to an RGB picture, transparency on black.

    Args:
        samples: As `read_deep` returns them.
        white: Value of white; None where the file does not state it.
        name: File name for errors.

    Returns:
        uint8 [H, W, 3], and what has to be said of its brightness, if anything.

    Raises:
        InputError: A value is not finite, or white cannot be told.
    """
    channels = samples.shape[2]
    colors = samples[..., : channels - 1] if channels in (2, 4) else samples
    if np.issubdtype(samples.dtype, np.floating) and not np.isfinite(samples).all():
        raise InputError(name, "values that are not finite", "finite values of at most 16 bits")
    note = None
    if white is None:
        white, note = full_scale(colors, name)
    opaque = white
    if channels in (2, 4):
        largest = float(samples[..., -1].max())
        whole = 1.0 if np.issubdtype(samples.dtype, np.floating) else float(np.iinfo(samples.dtype).max)
        opaque = white if largest <= white else max(whole, largest)
    out = np.empty((*samples.shape[:2], 3), np.uint8)
    for top in range(0, len(samples), ROWS):
        rows = np.clip(colors[top : top + ROWS].astype(np.float64) / white, 0, 1)
        if channels in (2, 4):
            rows *= np.clip(samples[top : top + ROWS, :, -1:].astype(np.float64) / opaque, 0, 1)
        out[top : top + ROWS] = np.rint(rows * 255)  # one channel becomes three
    return out, note
