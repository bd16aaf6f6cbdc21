"""Opening a picture file: what is no picture, damaged or lies turned, said and done once for photographs and masks."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageFile, UnidentifiedImageError

from regolith.lunar.files import shown_name
from regolith.lunar.params import InputError

ENDINGS = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".apng", ".tif", ".tiff", ".bmp", ".dib", ".webp", ".gif"}
    | {".ppm", ".pgm", ".pbm", ".pnm", ".jp2", ".j2k", ".avif"}
)
"""File endings taken for pictures."""
MEGAPIXELS_MAX = 100
"""Largest picture that is decoded: a file of a few kilobytes may hold any number of pixels."""
KINDS = "JPEG, PNG, TIFF, BMP, WebP, GIF, PPM, JPEG 2000 or AVIF"
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


@contextlib.contextmanager
def opened(path: Path, what: str) -> Iterator[ImageFile.ImageFile | None]:
    """Open a picture; None for a TIFF of a kind Pillow does not know.

    Args:
        path: The file. Only a regular file, or a link to one, is opened: a pipe would never end.
        what: What it should be, such as "photograph"; completes the errors, those of the block too.

    Raises:
        InputError: The file is missing, no picture, damaged or too large.
    """
    name = shown_name(path)
    if path.exists() and not path.is_file():
        raise InputError(name, "no regular file", f"a {what}")
    try:
        with (
            path.open("rb") as file,
            warnings.catch_warnings(),
        ):  # by its name Pillow maps a TIFF, and shears a turned one
            warnings.simplefilter("ignore")  # odd metadata, and large but bearable pictures
            try:
                image = Image.open(file)
            except UnidentifiedImageError:
                file.seek(0)
                if file.read(4) not in TIFF_STARTS:
                    raise InputError(name, "no picture", f"a {what}: {KINDS}") from None
                yield None
                return
            with image:
                check_pixels(name, *image.size)
                yield image
    except FileNotFoundError:
        raise InputError(name, "no file", f"a {what}") from None
    except Image.DecompressionBombError as error:
        raise InputError(name, "too large", f"at most {MEGAPIXELS_MAX} megapixels ({error})") from None
    except InputError:
        raise
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:  # Pillow's decoders raise all of these
        raise InputError(name, "damaged", f"a complete {what} ({' '.join(str(error).split())})") from None


def check_pixels(name: str, width: int, height: int) -> None:
    """Refuse a picture by the size its file states, before it is decoded.

    Raises:
        InputError: It has more than `MEGAPIXELS_MAX`.
    """
    if width * height > MEGAPIXELS_MAX * 1_000_000:
        raise InputError(name, f"{width}×{height} px", f"at most {MEGAPIXELS_MAX} megapixels")


def orientation(image: Image.Image) -> int:
    """Return how a picture lies, 1 … 8 as EXIF counts; of a PNG it is loaded for that, and Pillow turns a TIFF then."""
    value = image.getexif().get(ExifTags.Base.Orientation, 1)
    return value if value in range(1, 9) else 1


def turn_upright(array: np.ndarray, lies: int) -> np.ndarray:
    """Turn pixels [H, W, …] that lie as EXIF orientation `lies` says."""
    if lies >= 5:
        array = np.swapaxes(array, 0, 1)
    if lies in (2, 3, 6, 7):
        array = array[:, ::-1]
    if lies in (3, 4, 7, 8):
        array = array[::-1]
    return array


def raw_mode(image: ImageFile.ImageFile) -> str:
    """Return how Pillow will unpack a picture that is not loaded yet, such as `L;2`; empty where it does not say."""
    args = image.tile[0].args if image.tile else ""
    first = args[0] if isinstance(args, tuple) and args else args
    return first if isinstance(first, str) else ""


def ppm_white(image: ImageFile.ImageFile) -> int | None:
    """Return the value of white a PPM or PGM file states; None for other files. The picture is not loaded yet."""
    if image.format != "PPM" or not image.tile:
        return None
    args = image.tile[0].args
    if isinstance(args, tuple) and len(args) > 1 and image.tile[0].codec_name.startswith("ppm"):
        return int(args[1])
    return 65535 if image.mode.startswith("I") else 255
