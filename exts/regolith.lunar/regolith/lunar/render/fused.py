"""Drawing with the fused kernel (`render.kernel`): samples in chunks, the picture whole or in bands, bounced light."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import drjit as dr  # noqa: TID253 — this module is about it and is itself imported late
import numpy as np

from regolith.lunar.render.compile import Geometry
from regolith.lunar.render.denoise import REDUCTION, denoise, enlarge
from regolith.lunar.render.kernel import BOUNCE_DIRECTIONS, Kernels
from regolith.lunar.render.scene import DrawOptions, Labels, check_wanted
from regolith.lunar.render.view import View

CHUNK = 16
"""Most samples traced in one launch."""

BAND = 1 << 18
"""Samples traced in one launch of a picture that may be given up: some 20 ms on two cores."""


class FusedScene:
    """A compiled stage on the device, by the rules of `scene.CompiledScene`."""

    def __init__(self, geometry: Geometry) -> None:
        """Upload a scene."""
        self.kernels = Kernels(geometry)

    def move(self, matrices: Mapping[int, np.ndarray]) -> None:
        """Place objects that move elsewhere (`scene.CompiledScene.move`)."""
        self.kernels.move(matrices)

    def classes(self, view: View, width: int, height: int) -> np.ndarray:
        """Class at each pixel centre, uint8, shape [H, W]: one traced ray a pixel and nothing else."""
        return self.kernels.classes(view, width, height)

    def blocked(self, starts: np.ndarray, way: np.ndarray) -> np.ndarray:
        """Tell whether rays meet anything (`scene.CompiledScene.blocked`)."""
        return self.kernels.blocked(starts, way)

    def heights(self, at: np.ndarray) -> np.ndarray:
        """Height of the topmost surface of what stays (`scene.CompiledScene.heights`)."""
        return self.kernels.heights(at)

    def draw(self, view: View, width: int, height: int, options: DrawOptions) -> tuple[np.ndarray, Labels | None]:
        """Draw a view (`scene.CompiledScene.draw`)."""
        kernels = self.kernels
        opaque = kernels.opaque(view, width, height)
        samples, stop = options.samples, options.stop
        chunk = min(samples, CHUNK)
        bounced = options.quality == "default"
        totals: list[Any] = []
        centres: list[dict[str, Any]] = []
        for start, pixels in _bands(width * height, chunk, whole=stop is None):
            if options.labels or bounced:
                centre = kernels.centre(opaque, pixels, albedo=bounced, start=start)
                centres.append(centre if options.labels else {"albedo": centre["albedo"]})
                dr.schedule(centres[-1])
            total: Any = None
            for first in range(0, samples, chunk):
                part = kernels.radiance(
                    opaque, pixels, samples=chunk, first=first, bounce=options.quality == "reference", start=start
                )
                total = part if total is None else total + part
                dr.eval(total)
                if stop is not None:
                    dr.sync_thread()
                    check_wanted(stop)
            totals.append(total)
        small = None
        w, h = math.ceil(width / REDUCTION), math.ceil(height / REDUCTION)
        if bounced:
            small = self._bounce(view, w, h, options)
        found = _labels(centres, width, height) if options.labels else None
        radiance = np.array(_joined(totals)).reshape(height, width) * np.float32(chunk / samples)
        if small is not None:
            light, hits, normal = small
            guide = np.stack([x.numpy() for x in normal], axis=-1).reshape(h, w, 3)
            albedo = _joined([c["albedo"] for c in centres]).reshape(height, width)
            check_wanted(stop)
            weight = hits.numpy().reshape(h, w)
            clean = denoise(light.numpy().reshape(h, w), guide, weight, threads=options.threads)
            radiance += albedo * enlarge(clean, weight, width=width, height=height)
        return radiance, found

    def _bounce(self, view: View, width: int, height: int, options: DrawOptions) -> tuple[Any, Any, Any]:
        """Bounced light of a reduced picture (`kernel.Kernels.bounce`), from as many directions as are asked for."""
        opaque, times = self.kernels.opaque(view, width, height), options.finer
        light, hits, normal = self.kernels.bounce(opaque, width * height)
        dr.eval(light, hits, normal)
        for number in range(1, times):
            light += self.kernels.bounce(opaque, width * height, first=number * BOUNCE_DIRECTIONS)[0]
            dr.eval(light)
            check_wanted(options.stop)
        return (light if times == 1 else light * (1.0 / times)), hits, normal


def _labels(centres: list[dict[str, Any]], width: int, height: int) -> Labels:
    axes = [_joined([c["normals"][axis] for c in centres]) for axis in range(3)]
    return Labels(
        mask=_joined([c["label"] for c in centres]).astype(np.uint8).reshape(height, width),
        instance=_joined([c["instance"] for c in centres]).astype(np.uint16).reshape(height, width),
        depth=_joined([c["depth"] for c in centres]).reshape(height, width),
        normals=np.stack(axes, axis=-1).reshape(height, width, 3),
    )


def _bands(pixels: int, samples: int, *, whole: bool) -> list[tuple[int, int]]:
    """First pixel and number of pixels of each launch: all at once, or bands of `BAND` samples."""
    size = pixels if whole else max(BAND // samples, 16)
    return [(start, min(size, pixels - start)) for start in range(0, pixels, size)]


def _joined(parts: list[Any]) -> np.ndarray:
    """Dr.Jit arrays, end to end."""
    return parts[0].numpy() if len(parts) == 1 else np.concatenate([part.numpy() for part in parts])
