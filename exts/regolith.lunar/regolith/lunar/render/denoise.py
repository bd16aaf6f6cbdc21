"""Denoising and enlarging the reduced one-bounce pass."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.abc import MetaPathFinder
from typing import Any

import numpy as np

REDUCTION = 4
"""Pixels of the picture, along each axis, per pixel of the bounce pass."""


class _Absent(MetaPathFinder):
    """Makes one package look as if it were not installed, to one thread."""

    def __init__(self, package: str) -> None:
        self.package, self.thread = package, threading.get_ident()

    def find_spec(self, fullname: str, path: Any = None, target: Any = None) -> None:
        """Refuse the package; leave everything else, and other threads, to the finders behind."""
        del path, target
        if fullname == self.package and threading.get_ident() == self.thread:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


@contextmanager
def without_package(package: str) -> Iterator[None]:
    """Hide a package that is not imported yet from this thread's imports."""
    finder = _Absent(package)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


@cache
def _oidn() -> Any:
    """`pyoidn`, which imports torch where it is installed, without it: a second and 200 MB for nothing used here."""
    with without_package("torch"):
        import pyoidn
    return pyoidn


@cache
def open_device(threads: int) -> Any:
    """Open an OIDN device once a process; 0 threads for all."""
    device = _oidn().Device()
    if threads:
        device.set_int("numThreads", threads)
    device.set_bool("setAffinity", False)
    device.commit()
    return device


def denoise(light: np.ndarray, normal: np.ndarray, hits: np.ndarray, *, threads: int = 0) -> np.ndarray:
    """Denoise light with OIDN's fast filter, guided by normals.

    Args:
        light: float32, shape [H, W].
        normal: Unit normals or 0, float32, shape [H, W, 3].
        hits: 1 where there is a surface, 0 elsewhere, float32, shape [H, W]; stands for the albedo that OIDN demands
            beside normals.
        threads: Threads of the filter, 0 for all.

    Returns:
        float32, shape [H, W].

    Raises:
        RuntimeError: OIDN reports an error.
    """
    pyoidn, device = _oidn(), open_device(threads)
    colour = np.repeat(light[..., None], 3, axis=2).astype(np.float32)
    guide = np.ascontiguousarray(normal, np.float32)
    albedo = np.repeat(hits[..., None], 3, axis=2).astype(np.float32)
    result = np.zeros_like(colour)
    with pyoidn.Filter(device, pyoidn.OIDN_FILTER_TYPE_RT) as fast:
        fast.set_image(pyoidn.OIDN_IMAGE_COLOR, colour, pyoidn.OIDN_FORMAT_FLOAT3)
        fast.set_image(pyoidn.OIDN_IMAGE_ALBEDO, albedo, pyoidn.OIDN_FORMAT_FLOAT3)
        fast.set_image(pyoidn.OIDN_IMAGE_NORMAL, guide, pyoidn.OIDN_FORMAT_FLOAT3)
        fast.set_image(pyoidn.OIDN_IMAGE_OUTPUT, result, pyoidn.OIDN_FORMAT_FLOAT3)
        fast.set_bool("hdr", True)
        fast.set_int("quality", pyoidn.OIDN_QUALITY_FAST)
        fast.commit()
        fast.execute()
    if (error := device.get_error()) is not None:
        raise RuntimeError(f"OIDN: {error}")
    return result[..., 0]


def enlarge(small: np.ndarray, weight: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """Enlarge bilinearly, by pixel centres, from the pixels of weight 1 alone.

    Args:
        small: float32, shape [h, w]; pixel k covers `REDUCTION` pixels of the result.
        weight: 1 where `small` holds a value, 0 elsewhere (sky), shape [h, w].
        width: Width of the result.
        height: Height of the result.
    """
    value = _bilinear(small * weight, width, height)
    return value / np.maximum(_bilinear(weight, width, height), np.float32(1e-3))


def _bilinear(small: np.ndarray, width: int, height: int) -> np.ndarray:
    def taps(count: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        x = np.clip((np.arange(count) + 0.5) / REDUCTION - 0.5, 0, size - 1).astype(np.float32)
        lo = np.minimum(x.astype(np.int64), max(size - 2, 0))
        return lo, np.minimum(lo + 1, size - 1), x - lo

    lo, hi, t = taps(height, small.shape[0])
    rows = small[lo] * (1 - t)[:, None] + small[hi] * t[:, None]
    lo, hi, t = taps(width, small.shape[1])
    return rows[:, lo] * (1 - t) + rows[:, hi] * t
