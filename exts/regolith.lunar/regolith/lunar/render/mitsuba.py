"""The embedded renderer: Mitsuba 3 on the CPU (LLVM, or scalar without it) or CUDA, reading the USD stage alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.machine import cores
from regolith.lunar.params import InputError
from regolith.lunar.render.backend import VARIANTS, Backend, choose_backend, find_llvm
from regolith.lunar.render.base import Frame, Output, Quality, StoppedError
from regolith.lunar.render.compile import read_geometry
from regolith.lunar.render.denoise import REDUCTION, denoise, enlarge
from regolith.lunar.render.sensor import develop
from regolith.lunar.render.view import View, read_view
from regolith.lunar.stage import schema

if TYPE_CHECKING:
    from pxr import Usd

SAMPLES: dict[Quality, int] = {"draft": 4, "default": 8, "reference": 256}
"""Samples per pixel of each quality."""

CHUNK = 16
"""Most samples traced in one launch."""

BAND = 1 << 18
"""Samples traced in one launch of a picture that may be given up: some 20 ms on two cores."""

STAR_RADIANCE = 0.6
"""Linear pixel value of the brightest star, before exposure scaling (stars saturate with the exposure they need)."""


class MitsubaRenderer:
    """Draws a stage by the rules of `render.base.Renderer`."""

    name = "mitsuba"
    baked = False

    def __init__(self, backend: str = "auto", *, threads: int | None = None) -> None:
        """Choose the back end.

        Args:
            backend: `auto`, or one by name.
            threads: Threads of this process; all cores by default. Counts before the first kernel.

        Raises:
            InputError: The back end asked for does not work here.
        """
        self.backend: Backend = choose_backend(backend)  # before Dr.Jit is imported: it loads its LLVM library then
        import drjit as dr
        import mitsuba as mi

        if threads is not None and threads < 1:
            raise InputError("threads", threads, "at least 1")
        self.threads = threads or cores()
        mi.set_variant(VARIANTS[self.backend])
        dr.set_thread_count(self.threads)
        self._stage: Usd.Stage | None = None
        self._materials: tuple[str, ...] = ()
        self._scene: Any = None
        self.triangles = 0
        """Triangles stored, of the stage loaded."""

    def describe(self) -> dict[str, Any]:
        """Name, versions, back end and CPU class: what decides the bytes of a frame."""
        import mitsuba as mi

        llvm = find_llvm() if self.backend == "llvm" else None
        return {
            "name": self.name,
            "mitsuba": mi.__version__,
            **{
                package: metadata.version(package)
                for package in ("drjit", "pyoidn", "numpy", "scipy", "pillow", "usd-core")
            },
            "llvm": _library_version(llvm) if llvm else "",
            "backend": self.backend,
            "cpu": cpu_class(),
        }

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Compile the stage's geometry and return the stage.

        Raises:
            InputError: The stage holds nothing to draw.
        """
        import mitsuba as mi

        mi.set_variant(VARIANTS[self.backend])
        self._scene = None
        geometry = read_geometry(stage)
        if self.backend == "scalar":
            from regolith.lunar.render.scalar import ScalarScene

            self._scene = ScalarScene(geometry.shaded())
        else:
            from regolith.lunar.render.kernel import FusedScene

            self._scene = FusedScene(geometry)
        self._stage, self._materials, self.triangles = stage, geometry.materials, geometry.triangles
        return stage

    def render(
        self,
        width: int,
        height: int,
        *,
        quality: Quality = "default",
        outputs: frozenset[Output] = frozenset(),
        samples: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Frame:
        """Render the stage's camera.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.
            quality: draft (4 samples, direct light), default (8 samples, reduced one-bounce pass) or reference (256
                samples, brute-force bounce).
            outputs: Which of depth, normals and instance to return.
            samples: Samples per pixel instead of the quality's; a power of two.
            stop: Asked every few milliseconds whether to give the picture up. It changes no pixel.

        Raises:
            InputError: A size or quality that is not allowed, or no stage was loaded.
            StoppedError: `stop` returned true.
        """
        view, count = self._view(width, height, quality, samples)
        options: dict[str, Any] = {"samples": count, "quality": quality, "threads": self.threads}
        if stop is not None:
            options["stop"] = stop
        if self.backend == "scalar":  # the same samples, traced by Mitsuba's scalar kernels and shaded in numpy
            radiance, centre = self._scene.draw(view, width, height, **options)
        else:
            radiance, centre = _draw_fused(self._scene, view, width, height, normals="normals" in outputs, **options)
        if len(view.stars):
            pixel, value = star_pixels(view, width, height)
            add_stars(radiance, pixel, value, centre["label"].ravel()[pixel] == SKY)
        check_wanted(stop)
        return Frame(
            rgb=develop_view(radiance, view),
            label=centre["label"],
            depth=centre["depth"] if "depth" in outputs else None,
            instance=centre["instance"] if "instance" in outputs else None,
            normals=centre["normals"] if "normals" in outputs else None,
        )

    def labels(self, width: int, height: int) -> np.ndarray:
        """Draw the classes the stage's camera sees, without any light: equal to `render`'s.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.

        Returns:
            Class at each pixel centre, uint8, shape [H, W].

        Raises:
            InputError: A size that is not allowed, or no stage was loaded.
        """
        view, _ = self._view(width, height, "draft", None)
        return self._scene.classes(view, width, height)

    def preview(
        self, width: int, height: int, *, samples: int = 1, stop: Callable[[], bool] | None = None
    ) -> np.ndarray:
        """Render the stage's camera in direct light, without labels: what a viewport shows while it moves.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.
            samples: Samples per pixel; a power of two.
            stop: Asked every few milliseconds whether to give the picture up. It changes no pixel.

        Returns:
            Picture as the sensor saves it, equal to `render`'s in quality draft, uint8, shape [H, W, 3].

        Raises:
            InputError: A size that is not allowed, or no stage was loaded.
            StoppedError: `stop` returned true.
        """
        radiance, view = self._light(width, height, "draft", samples, stop)
        check_wanted(stop)
        return develop_view(radiance, view)

    def radiance(
        self, width: int, height: int, *, quality: Quality = "default", samples: int | None = None
    ) -> np.ndarray:
        """Render the linear radiance the sensor would see, before exposure and noise.

        Args as `render`.

        Returns:
            float32, shape [H, W], in units of the sun's irradiance per steradian.
        """
        return self._light(width, height, quality, samples)[0]

    def _light(
        self, width: int, height: int, quality: Quality, samples: int | None, stop: Callable[[], bool] | None = None
    ) -> tuple[np.ndarray, View]:
        """Radiance, and the view it shows; labels are made only where light or back end need them."""
        view, count = self._view(width, height, quality, samples)
        options: dict[str, Any] = {"samples": count, "quality": quality, "threads": self.threads}
        if stop is not None:
            options["stop"] = stop
        pixel, value = star_pixels(view, width, height)
        if self.backend == "scalar":
            radiance, centre = self._scene.draw(view, width, height, **options)
            sky = centre["label"].ravel()[pixel] == SKY
        else:
            radiance, _ = _draw_fused(self._scene, view, width, height, labels=False, **options)
            sky = self._scene.sky(self._scene.opaque(view, width, height), pixel) if len(pixel) else pixel > 0
        add_stars(radiance, pixel, value, sky)
        return radiance, view

    def _view(self, width: int, height: int, quality: Quality, samples: int | None) -> tuple[View, int]:
        """Check what was asked for; read the view off the stage, and the samples per pixel."""
        import mitsuba as mi

        if quality not in SAMPLES:
            raise InputError("quality", quality, ", ".join(SAMPLES))
        for field, value in (("width", width), ("height", height)):
            if not 1 <= value <= 8192:
                raise InputError(field, value, "1 … 8192 pixels")
        count = SAMPLES[quality] if samples is None else samples
        if count < 1 or count & (count - 1):
            raise InputError("samples", count, "a power of two")
        if self._stage is None or self._scene is None:
            raise InputError("stage", None, "a stage given to load() first")
        mi.set_variant(VARIANTS[self.backend])
        view = read_view(self._stage, self._materials)
        if view.camera.distorted and view.camera.lens(width, height).folds:
            k1, k2 = view.camera.k1, view.camera.k2
            allowed = f"a lens that does not fold inside {width}x{height} pixels (stage.lens)"
            raise InputError(f"{schema.CAMERA}.{schema.SENSOR}k1, k2", f"{k1:g}, {k2:g}", allowed)
        return view, count

    def close(self) -> None:
        """Free what the renderer holds."""
        self._scene = self._stage = None


def develop_view(radiance: np.ndarray, view: View) -> np.ndarray:
    """Picture of a radiance, as the view's sensor saves it."""
    height, width = radiance.shape
    right, up, forward = view.camera.axes @ (view.sun.direction * view.sun.irradiance)
    return develop(radiance, view.sensor, lens=view.camera.lens(width, height), sun=np.array([right, -up, forward]))


def _draw_fused(
    scene: Any, view: View, width: int, height: int, *, samples: int, quality: Quality, threads: int,
    labels: bool = True, normals: bool = False, stop: Callable[[], bool] | None = None,
) -> tuple[np.ndarray, dict[str, np.ndarray]]:  # fmt: skip
    """Draw with the fused kernel: radiance [H, W] float32, and the pixel-centre arrays, none without `labels`."""
    import drjit as dr

    opaque = scene.opaque(view, width, height)
    chunk = min(samples, CHUNK)
    totals: list[Any] = []
    centres: list[dict[str, Any]] = []
    for start, pixels in _bands(width * height, chunk, whole=stop is None):
        if labels or quality == "default":
            centre = scene.centre(opaque, pixels, albedo=quality == "default", start=start)
            centres.append(centre if labels else {"albedo": centre["albedo"]})
            dr.schedule(centres[-1])
        total: Any = None
        for first in range(0, samples, chunk):
            part = scene.radiance(
                opaque, pixels, samples=chunk, first=first, bounce=quality == "reference", start=start
            )
            total = part if total is None else total + part
            dr.eval(total)
            if stop is not None:
                dr.sync_thread()
                check_wanted(stop)
        totals.append(total)
    small = None
    w, h = math.ceil(width / REDUCTION), math.ceil(height / REDUCTION)
    if quality == "default":
        small = scene.bounce(scene.opaque(view, w, h), w * h)
        dr.eval(small)
    arrays: dict[str, np.ndarray] = {}
    if labels:
        arrays["label"] = _joined([c["label"] for c in centres]).astype(np.uint8).reshape(height, width)
        arrays["instance"] = _joined([c["instance"] for c in centres]).astype(np.uint16).reshape(height, width)
        arrays["depth"] = _joined([c["depth"] for c in centres]).reshape(height, width)
    if normals:
        axes = [_joined([c["normals"][axis] for c in centres]) for axis in range(3)]
        arrays["normals"] = np.stack(axes, axis=-1).reshape(height, width, 3)
    radiance = np.array(_joined(totals)).reshape(height, width) * np.float32(chunk / samples)
    if small is not None:
        light, hits, normal = small
        guide = np.stack([x.numpy() for x in normal], axis=-1).reshape(h, w, 3)
        albedo = _joined([c["albedo"] for c in centres]).reshape(height, width)
        check_wanted(stop)
        radiance += albedo * _enlarged(light.numpy().reshape(h, w), hits.numpy().reshape(h, w), guide,
                                       width, height, threads)  # fmt: skip
    return radiance, arrays


def _bands(pixels: int, samples: int, *, whole: bool) -> list[tuple[int, int]]:
    """First pixel and number of pixels of each launch: all at once, or bands of `BAND` samples."""
    size = pixels if whole else max(BAND // samples, 16)
    return [(start, min(size, pixels - start)) for start in range(0, pixels, size)]


def _joined(parts: list[Any]) -> np.ndarray:
    """Dr.Jit arrays, end to end."""
    return parts[0].numpy() if len(parts) == 1 else np.concatenate([part.numpy() for part in parts])


def check_wanted(stop: Callable[[], bool] | None) -> None:
    """Give a picture up where nobody wants it any more.

    Raises:
        StoppedError: `stop` is there and returns true.
    """
    if stop is not None and stop():
        raise StoppedError


def _enlarged(
    light: np.ndarray, hits: np.ndarray, normal: np.ndarray, width: int, height: int, threads: int
) -> np.ndarray:
    return enlarge(denoise(light, normal, hits, threads=threads), hits, width=width, height=height)


def star_pixels(view: View, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that stars fall in, if nothing hides them: numbers, row by row, int64, and radiance, float32."""
    camera = view.camera
    local = view.stars[:, :3] @ (camera.axes * [[1.0], [-1.0], [1.0]]).T  # right, down, forward
    at = np.floor(camera.lens(width, height).project(local))
    inside = ((at >= 0) & (at < (width, height))).all(axis=1)  # never NaN: out of the lens's sight
    column, row = at[inside].astype(np.int64).T
    value = (view.stars[inside, 3] * STAR_RADIANCE * 2.0**-view.sensor.exposure_ev).astype(np.float32)
    return row * width + column, value


def add_stars(radiance: np.ndarray, pixel: np.ndarray, value: np.ndarray, sky: np.ndarray) -> None:
    """Add stars, in place, where the pixel's centre is `sky`; each lights the one pixel it falls in."""
    np.maximum.at(radiance.reshape(-1), pixel[sky], value[sky])


def _library_version(path: Path) -> str:
    import re

    match = re.search(r"(\d+(?:\.\d+)*)", path.resolve().name.replace("libLLVM", ""))
    return match[1] if match else path.name


def cpu_class() -> str:
    """Vector instruction set of this CPU: avx512, avx2, sse4 or the machine's name; frames are equal within one."""
    import platform

    try:
        flags = Path("/proc/cpuinfo").read_text("ascii", "ignore").split("flags", 1)[1].split("\n", 1)[0].split()
    except (OSError, IndexError):
        return platform.machine()
    for flag, name in (("avx512f", "avx512"), ("avx2", "avx2"), ("sse4_2", "sse4")):
        if flag in flags:
            return name
    return platform.machine()
