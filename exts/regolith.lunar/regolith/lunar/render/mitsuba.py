"""The embedded renderer: Mitsuba 3 on the CPU (LLVM, or scalar without it) or CUDA, reading the USD stage alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.machine import cores
from regolith.lunar.params import InputError
from regolith.lunar.params.models import SAMPLES
from regolith.lunar.render.backend import NAME, VARIANTS, Backend, choose_backend, describe_backend
from regolith.lunar.render.base import Frame, Quality
from regolith.lunar.render.compile import Geometry, read_geometry, read_placements
from regolith.lunar.render.develop import add_stars, develop_view
from regolith.lunar.render.scene import CompiledScene, DrawOptions, Labels, check_wanted
from regolith.lunar.render.stereo import read_right
from regolith.lunar.render.truth import draw_truths, read_wanted
from regolith.lunar.render.view import View, read_view
from regolith.lunar.stage import schema
from regolith.lunar.stage.stereo import PAIR, disparity
from regolith.lunar.stage.truth import TRUTHS

if TYPE_CHECKING:
    from pxr import Usd


def _fused(geometry: Geometry) -> CompiledScene:
    from regolith.lunar.render.fused import FusedScene

    return FusedScene(geometry)


def _scalar(geometry: Geometry) -> CompiledScene:
    from regolith.lunar.render.scalar import ScalarScene

    return ScalarScene(geometry.shaded())


COMPILE: dict[Backend, Callable[[Geometry], CompiledScene]] = {"llvm": _fused, "cuda": _fused, "scalar": _scalar}
"""How each back end compiles a stage's geometry; its Mitsuba variant is set."""


class MitsubaRenderer:
    """Draws a stage by the rules of `render.base.Renderer`."""

    name = NAME
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
        self._scene: CompiledScene | None = None
        self._moving: dict[int, str] = {}
        """Number to path of the objects that move."""
        self._places = np.zeros((0, 4, 4))
        """Where they are in the scene."""
        self.triangles = 0
        """Triangles stored, of the stage loaded."""

    def describe(self) -> dict[str, Any]:
        """Name, versions, back end and CPU class: what decides the bytes of a frame."""
        return describe_backend(self.backend)

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Compile the stage's geometry and return the stage.

        Raises:
            InputError: The stage holds nothing to draw.
        """
        import mitsuba as mi

        mi.set_variant(VARIANTS[self.backend])
        self._scene = None
        geometry = read_geometry(stage)
        self._scene = COMPILE[self.backend](geometry)
        self._stage, self._materials, self.triangles = stage, geometry.materials, geometry.triangles
        self._moving = {number: placed.path for number, placed in enumerate(geometry.objects) if placed.moves}
        self._places = read_placements(stage, self._moving.values())
        return stage

    def _follow(self, scene: CompiledScene, stage: Usd.Stage) -> None:
        """Move the rover in the compiled scene to where it is on the stage."""
        places = read_placements(stage, self._moving.values())
        if not np.array_equal(places, self._places):
            scene.move(dict(zip(self._moving, places, strict=True)))
            self._places = places

    def render(
        self,
        width: int,
        height: int,
        *,
        quality: Quality = "default",
        outputs: frozenset[str] = frozenset(),
        samples: int | None = None,
        stop: Callable[[], bool] | None = None,
    ) -> Frame:
        """Render the stage's camera.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.
            quality: draft (4 samples, direct light), default (8 samples, reduced one-bounce pass) or reference (256
                samples, brute-force bounce).
            outputs: Which of depth, normals, instance, right, disparity, shadow, crater, slope and hazard to return.
            samples: Samples per pixel instead of the quality's, and bounced light as much finer; a power of two.
            stop: Asked every few milliseconds whether to give the picture up. It changes no pixel.

        Raises:
            InputError: A size or quality that is not allowed, no stage was loaded, or it has no right camera for
                outputs of a stereo pair, no craters or no footprint for those that need them.
            StoppedError: `stop` returned true.
        """
        scene, view, count = self._view(width, height, quality, samples)
        assert self._stage is not None
        right = read_right(self._stage, view) if outputs & {*PAIR} else None
        wanted = read_wanted(self._stage, outputs & {*TRUTHS})
        options = DrawOptions(count, quality, self.threads, labels=True, stop=stop)
        radiance, found = _light(scene, view, width, height, options)
        assert found is not None
        extras = {name: getattr(found, name) for name in outputs - {*PAIR, *TRUTHS}}
        extras |= draw_truths(scene, view, found, wanted, stop=stop)
        if right is not None and "right" in outputs:
            extras["right"] = develop_view(_light(scene, right.view, width, height, options)[0], right.view)
        if right is not None and "disparity" in outputs:
            extras["disparity"] = disparity(found.depth, view.camera.lens(width, height), right.baseline_m)
        return Frame(rgb=develop_view(radiance, view), mask=found.mask, extras=extras)

    def mask(self, width: int, height: int) -> np.ndarray:
        """Draw the classes the stage's camera sees, without any light: equal to `render`'s.

        Args:
            width: Picture width in pixels.
            height: Picture height in pixels.

        Returns:
            Class at each pixel centre, uint8, shape [H, W].

        Raises:
            InputError: A size that is not allowed, or no stage was loaded.
        """
        scene, view, _ = self._view(width, height, "draft", None)
        return scene.classes(view, width, height)

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
        radiance, view = self._draw(width, height, "draft", samples, stop)
        return develop_view(radiance, view)

    def radiance(
        self, width: int, height: int, *, quality: Quality = "default", samples: int | None = None
    ) -> np.ndarray:
        """Render the linear radiance the sensor would see, before exposure and noise.

        Args as `render`.

        Returns:
            float32, shape [H, W], in units of the sun's irradiance per steradian.
        """
        return self._draw(width, height, quality, samples)[0]

    def _draw(
        self, width: int, height: int, quality: Quality, samples: int | None, stop: Callable[[], bool] | None = None
    ) -> tuple[np.ndarray, View]:
        """Radiance with stars, and the view it shows."""
        scene, view, count = self._view(width, height, quality, samples)
        options = DrawOptions(count, quality, self.threads, labels=False, stop=stop)
        return _light(scene, view, width, height, options)[0], view

    def _view(self, width: int, height: int, quality: Quality, samples: int | None) -> tuple[CompiledScene, View, int]:
        """Check what was asked for: the scene, the view on the stage, the samples per pixel."""
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
        self._follow(self._scene, self._stage)
        view = read_view(self._stage, self._materials)
        if view.camera.distorted and view.camera.lens(width, height).folds:
            k1, k2 = view.camera.k1, view.camera.k2
            allowed = f"a lens that does not fold inside {width}x{height} pixels (stage.lens)"
            raise InputError(f"{schema.CAMERA}.{schema.SENSOR}k1, k2", f"{k1:g}, {k2:g}", allowed)
        return self._scene, view, count

    def close(self) -> None:
        """Free what the renderer holds."""
        self._scene = self._stage = None


def _light(
    scene: CompiledScene, view: View, width: int, height: int, options: DrawOptions
) -> tuple[np.ndarray, Labels | None]:
    """Radiance with stars, and the labels where asked for or where stars need them."""
    starry = len(view.stars) > 0
    radiance, found = scene.draw(view, width, height, dataclasses.replace(options, labels=options.labels or starry))
    if starry and found is not None:
        add_stars(radiance, view, found.mask == SKY)
    check_wanted(options.stop)
    return radiance, found
