"""What a training frame goes through before the network: crop and magnification, and what real cameras do to it.

Every function works on one frame, in numpy and Pillow, so that threads run beside the arithmetic of the step. A frame's
random numbers come from its own generator: which thread draws it, and when, changes nothing.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import scipy
from PIL import Image, ImageFilter

from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import Interval
from regolith.lunar.params.training import TrainParams

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""Weights of red, green and blue in brightness, ITU-R BT.601."""

IDENTITY = {
    "photo_gamma": 1.0, "photo_contrast": 1.0, "photo_brightness": 0.0, "photo_tint": 0.0, "photo_vignette": 0.0,
    "photo_blur_px": 0.0, "photo_noise": 0.0, "photo_jpeg": 100.0,
}  # fmt: skip
"""Field to the value that changes nothing."""

ENCODING_GAMMA = 2.2
"""Exponent from pixel values to light: that of sRGB, about."""


@dataclass(frozen=True)
class Augmentation:
    """The random changes of a run's training frames."""

    params: TrainParams

    @property
    def photometric(self) -> bool:
        """Whether pictures are changed beside being cut and mirrored."""
        p = self.params
        return p.photo_gray > 0 or p.photo_light_ev.hi > 0 or any(self._active(name) for name in IDENTITY)

    def shape(self, frame: tuple[int, int]) -> tuple[int, int]:
        """Height and width [px] of what becomes of a frame of this height and width."""
        return (self.params.crop_px, self.params.crop_px) if self.params.crop_px else frame

    def __call__(self, rgb: np.ndarray, mask: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Cut, magnify and change a frame.

        Args:
            rgb: Picture, uint8 [H, W, 3].
            mask: Its classes, uint8 [H, W].
            random: The frame's own generator.

        Returns:
            Picture uint8 [h, w, 3] and classes uint8 [h, w], h and w as `shape` says.
        """
        p = self.params
        if p.crop_px:
            box = crop_box(mask, p.crop_px, p.scale, p.rock_bias, random, pad=p.crop_pad)
            rgb, mask = cut(rgb, mask, box, p.crop_px)
        if p.rock_min_px:
            mask = without_small_rocks(mask, p.rock_min_px)
        return (self.photograph(rgb, random) if self.photometric else rgb), mask

    def photograph(self, rgb: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """Change a picture as optics, sensor, development and storage do, in that order; uint8 [H, W, 3] both ways."""
        p = self.params
        drawn = {name: self._draw(name, random) for name in IDENTITY}
        gray = random.random() < p.photo_gray
        gains = 1 + drawn["photo_tint"] * random.standard_normal(3)
        if gray:
            rgb = np.repeat(np.rint(rgb @ LUMA).astype(np.uint8)[..., None], 3, axis=2)
            gains[:] = 1
        if drawn["photo_blur_px"]:
            rgb = np.asarray(Image.fromarray(rgb).filter(ImageFilter.GaussianBlur(drawn["photo_blur_px"])))
        own = random.spawn(1)[0]  # a stream of its own: what other changes draw does not depend on it
        if p.photo_light_ev.hi > 0 and own.random() < p.photo_share:
            rgb = relight(rgb, p.photo_light_ev.at(own.random()), own)
        if drawn["photo_vignette"] or drawn["photo_noise"]:
            rgb = _expose(rgb, drawn["photo_vignette"], drawn["photo_noise"], gray, random)
        rgb = _develop(rgb, drawn["photo_gamma"], drawn["photo_contrast"], drawn["photo_brightness"], gains)
        return _store(rgb, round(drawn["photo_jpeg"])) if drawn["photo_jpeg"] < IDENTITY["photo_jpeg"] else rgb

    def _active(self, name: str) -> bool:
        interval: Interval = getattr(self.params, name)
        return interval != Interval(IDENTITY[name])

    def _draw(self, name: str, random: np.random.Generator) -> float:
        """Draw a photo_* value; every value takes the same two numbers, whatever the ranges are."""
        u, v = random.random(2).tolist()
        if not self._active(name) or v >= self.params.photo_share:
            return IDENTITY[name]
        interval: Interval = getattr(self.params, name)
        return log_uniform(interval, u) if IDENTITY[name] == 1 else interval.at(u)


def log_uniform(interval: Interval, u: float) -> float:
    """Value at fraction `u` in [0, 1] of a range of positive factors, equal ratios taking equal shares."""
    return interval.lo * (interval.hi / interval.lo) ** u


def crop_box(
    mask: np.ndarray, side: int, scale: Interval, rock_bias: float, random: np.random.Generator, *, pad: bool = False
) -> tuple[float, float, float]:
    """Draw the square of a frame that becomes a crop.

    Args:
        mask: Classes of the frame, uint8 [H, W].
        side: Side of the crop [px].
        scale: Magnification; what would leave the frame is the smallest that does not, or that shows all of it.
        rock_bias: Probability that the square holds a rock pixel for certain, where the frame has one.
        random: The frame's own generator.
        pad: Whether the square may be as large as the frame's longer side, and so leave it.

    Returns:
        Left and top edge and side of the square [px of the frame].
    """
    height, width = mask.shape
    u_scale, u_bias, u_rock, u_x, u_y = random.random(5).tolist()
    window = min(side / log_uniform(scale, u_scale), max(height, width) if pad else min(height, width))
    free_x, free_y = width - window, height - window
    left, top = u_x * free_x, u_y * free_y
    if u_bias < rock_bias:
        rocks = np.flatnonzero(mask == ROCK)
        if len(rocks):
            y, x = divmod(int(rocks[int(u_rock * len(rocks))]), width)
            left = min(max(x + 0.5 - u_x * window, min(free_x, 0.0)), max(free_x, 0.0))
            top = min(max(y + 0.5 - u_y * window, min(free_y, 0.0)), max(free_y, 0.0))
    if window == side:  # no magnification: whole pixels, so that nothing is resampled
        left, top = math.floor(left), math.floor(top)
    return left, top, window


def cut(rgb: np.ndarray, mask: np.ndarray, box: tuple[float, float, float], side: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a square out of a frame and bring it to `side` pixels: the picture filtered, classes by nearest pixel.

    What lies outside the frame is black and `IGNORE`.
    """
    left, top, window = box
    height, width = mask.shape
    if window > min(height, width):
        x, y = max(math.ceil(-left), 0), max(math.ceil(-top), 0)
        right, bottom = (max(math.ceil(a + window - b), 0) for a, b in ((left, width), (top, height)))
        rgb = np.pad(rgb, ((y, bottom), (x, right), (0, 0)))
        mask = np.pad(mask, ((y, bottom), (x, right)), constant_values=IGNORE)
        left, top = left + x, top + y
    if window == side:
        x, y = int(left), int(top)
        return rgb[y : y + side, x : x + side], mask[y : y + side, x : x + side]
    edges = (left, top, left + window, top + window)
    picture = Image.fromarray(rgb).resize((side, side), Image.Resampling.BILINEAR, box=edges)
    classes = Image.fromarray(mask).resize((side, side), Image.Resampling.NEAREST, box=edges)
    return np.asarray(picture), np.asarray(classes)


def without_small_rocks(mask: np.ndarray, smallest: float) -> np.ndarray:
    """Set rock regions (8-connected) whose equivalent diameter √(4·area/π) is below `smallest` px to `IGNORE`."""
    labelled = scipy.ndimage.label(mask == ROCK, structure=np.ones((3, 3), int))
    regions, count = cast(tuple[np.ndarray, int], labelled)
    if not count:
        return mask
    small = np.bincount(regions.ravel(), minlength=count + 1) < np.pi / 4 * smallest**2
    small[0] = False
    return np.where(small[regions], np.uint8(IGNORE), mask)


def relight(rgb: np.ndarray, ev: float, random: np.random.Generator) -> np.ndarray:
    """Light a picture unevenly, as lamps and large shadows do: one bright and one dark part, `ev` stops apart.

    Half of the pictures have a spot of light, half a soft edge. What leaves the range is clipped, as a sensor does.

    Args:
        rgb: Picture, uint8 [H, W, 3].
        ev: Stops between the brightest and the darkest light.
        random: The frame's own generator.

    Returns:
        uint8 [H, W, 3].
    """
    height, width = rgb.shape[:2]
    kind, u, v, angle = random.random(4).tolist()
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)
    if kind < 0.5:
        radius = 0.25 + 0.75 * angle
        light = np.exp(-((x - 2 * u + 1) ** 2 + (y - 2 * v + 1) ** 2) / (2 * radius**2))
    else:
        along = math.cos(math.tau * angle) * x + math.sin(math.tau * angle) * y
        softness = 0.03 * (0.5 / 0.03) ** u
        light = 1 / (1 + np.exp(np.clip((along - 1.6 * v + 0.8) / softness, -30, 30)))
    gain = np.exp2(ev * (light - 0.5) / ENCODING_GAMMA)  # [H, W], of encoded values
    return np.clip(np.rint(rgb * gain[..., None]), 0, 255).astype(np.uint8)


def _expose(rgb: np.ndarray, vignette: float, noise: float, gray: bool, random: np.random.Generator) -> np.ndarray:
    """Darken the corners by a share of the light and add noise, one for all channels where the film is grey."""
    height, width = rgb.shape[:2]
    light = rgb.astype(np.float32)
    if vignette:
        y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
        x = np.linspace(-1, 1, width, dtype=np.float32)
        light *= (1 - vignette * (x * x + y * y) / 2)[..., None]
    if noise:
        light += 255 * noise * random.standard_normal((height, width, 1 if gray else 3), np.float32)
    return np.clip(np.rint(light), 0, 255).astype(np.uint8)


def _develop(rgb: np.ndarray, gamma: float, contrast: float, brightness: float, gains: np.ndarray) -> np.ndarray:
    """Apply gains, tone curve, contrast about the mean and brightness: one table of 256 values per channel."""
    if gamma == contrast == 1 and brightness == 0 and (gains == 1).all():
        return rgb
    levels = (np.clip(np.arange(256) / 255 * gains[:, None], 0, None)) ** gamma  # (3, 256)
    used = np.stack([np.bincount(rgb[..., c].ravel(), minlength=256) for c in range(3)])
    mean = float((levels * used).sum() / used.sum())
    table = np.clip(np.rint(255 * ((levels - mean) * contrast + mean + brightness)), 0, 255).astype(np.uint8)
    return np.stack([table[c][rgb[..., c]] for c in range(3)], axis=-1)


def _store(rgb: np.ndarray, quality: int) -> np.ndarray:
    """Compress to JPEG and read back."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgb)).save(file, "JPEG", quality=quality)
    file.seek(0)
    return np.asarray(Image.open(file).convert("RGB"))
