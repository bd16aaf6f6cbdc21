"""Photographs of any kind as uint8 RGB pictures."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from regolith.lunar.labels import IGNORE, NAMES
from regolith.lunar.params import InputError

ENDINGS = frozenset({".jpg", ".jpeg", ".png", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm", ".pgm", ".jp2"})
"""File endings taken for photographs; other files of a folder are left alone."""
SIDE_MIN_PX = 32
"""Shortest side a photograph must have: the stride of the network's last stage."""
BIT_DEPTHS = (8, 10, 12, 14, 16)


def find_photos(images: Path) -> list[Path]:
    """Return the photographs of a folder by name, or the one file given.

    Raises:
        InputError: There is none.
    """
    if images.is_file():
        return [images]
    try:
        found = sorted(p for p in images.iterdir() if p.suffix.lower() in ENDINGS and not p.name.startswith("."))
    except OSError:
        found = []
    if not found:
        raise InputError("images", str(images), f"a photograph, or a folder with some ({', '.join(sorted(ENDINGS))})")
    return found


def read_photo(path: Path) -> np.ndarray:
    """Read a photograph upright: EXIF orientation applied, transparency on black, first picture of several.

    Grey of more than 8 bits is brought to 8 by the smallest camera bit depth (10, 12, 14, 16) that holds the picture's
    largest value, so a 12-bit frame in a 16-bit file keeps its exposure and nothing is stretched; floating point is
    taken as 0 … 1, or by bit depth where it goes beyond. Color of 16 bits keeps its high byte.

    Returns:
        uint8 [H, W, 3].

    Raises:
        InputError: The file is missing, no picture, damaged, too small or too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata, and large but bearable pictures
            with Image.open(path) as image:
                rgb = _to_rgb(ImageOps.exif_transpose(image), path)
    except UnidentifiedImageError:
        rgb = _read_deep_tiff(path)
    except FileNotFoundError:
        raise InputError(path.name, "no file", "a photograph") from None
    except Image.DecompressionBombError as error:
        raise InputError(
            path.name, "too large", f"at most {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels ({error})"
        ) from None
    except (OSError, SyntaxError, ValueError, EOFError) as error:  # Pillow's decoders raise all of these
        if isinstance(error, InputError):
            raise
        raise InputError(path.name, "damaged", f"a complete photograph ({error})") from None
    height, width = rgb.shape[:2]
    if min(height, width) < SIDE_MIN_PX:
        raise InputError(path.name, f"{width}×{height} px", f"a photograph of at least {SIDE_MIN_PX} px on each side")
    return rgb


def _to_rgb(image: Image.Image, path: Path) -> np.ndarray:
    if image.mode.startswith("I") or image.mode == "F":
        return np.repeat(to_8_bit(np.asarray(image), path.name)[..., None], 3, axis=2)
    if image.mode == "PA" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (0, 0, 0, 255)), image)
    return np.asarray(image.convert("RGB"))


def _read_deep_tiff(path: Path) -> np.ndarray:
    """Read what Pillow does not know: TIFF with 16-bit or floating-point color, where tifffile is installed."""
    with path.open("rb") as file:
        magic = file.read(4)
    if magic not in (b"II*\0", b"MM\0*"):
        raise InputError(path.name, "no picture", "a photograph: JPEG, PNG, TIFF, BMP, WebP or GIF")
    try:
        import tifffile
    except ImportError:
        raise InputError(path.name, "a TIFF of a rare kind", "8 bits a channel, or pip install tifffile") from None
    try:
        data = tifffile.imread(path, key=0)
    except Exception as error:  # tifffile raises its own, struct, codec and index errors for damaged files
        raise InputError(path.name, "damaged", f"a complete photograph ({type(error).__name__})") from None
    if data.ndim == 3 and data.shape[0] in (3, 4) and data.shape[2] not in (3, 4):
        data = np.moveaxis(data, 0, 2)  # planar
    if data.ndim not in (2, 3) or (data.ndim == 3 and data.shape[2] not in (1, 3, 4)):
        raise InputError(path.name, f"an array of shape {data.shape}", "one or three channels")
    data = to_8_bit(data[..., :3] if data.ndim == 3 else data[..., None], path.name)
    return np.repeat(data, 3, axis=2) if data.shape[2] == 1 else data


def to_8_bit(data: np.ndarray, name: str) -> np.ndarray:
    """Bring pixel values to uint8 by the bit depth they fit in; see `read_photo`.

    Raises:
        InputError: A value is not finite, or larger than 16 bits hold.
    """
    if data.dtype == np.uint8:
        return data
    top = float(data.max()) if data.size else 0.0
    if not np.isfinite(data).all() or top > 65535:
        raise InputError(name, f"values up to {top:g}", "finite values of at most 16 bits")
    if np.issubdtype(data.dtype, np.floating) and top <= 1:
        full = 1.0
    else:
        full = float(next(2**bits - 1 for bits in BIT_DEPTHS if top <= 2**bits - 1))
    return np.rint(np.clip(data.astype(np.float64) / full, 0, 1) * 255).astype(np.uint8)


def read_mask(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read the true classes of a photograph.

    Args:
        path: Single-channel PNG of class values.
        shape: Height and width of the photograph.

    Returns:
        uint8 [H, W].

    Raises:
        InputError: The file is missing or damaged, has another size, or holds a value that is no class.
    """
    try:
        with Image.open(path) as image:
            mask = np.asarray(image)  # a palette keeps its indices
    except FileNotFoundError:
        raise InputError(path.name, "no file", "a mask with the name of its photograph") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise InputError(path.name, "damaged", f"a complete mask ({error})") from None
    if mask.ndim != 2 or mask.dtype != np.uint8:
        raise InputError(path.name, f"{mask.dtype} {mask.shape}", "one channel of 8 bits")
    if mask.shape != shape:
        size = f"{mask.shape[1]}×{mask.shape[0]} px"
        raise InputError(path.name, size, f"the photograph's size, {shape[1]}×{shape[0]} px")
    strange = set(np.unique(mask).tolist()) - set(range(len(NAMES))) - {IGNORE}
    if strange:
        raise InputError(path.name, f"value {min(strange)}", f"0 … {len(NAMES) - 1} and {IGNORE}")
    return mask
