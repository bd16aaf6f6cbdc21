"""What a machine with an RTX GPU is asked first: whether its light is what the formula says, and when it has settled.

Each function takes a renderer, loads a stage into it and returns what it measured; the caller closes the renderer.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pxr import Gf, Sdf, Usd

from regolith.lunar.labels import NAMES, REGOLITH, TAXONOMY
from regolith.lunar.params import load_preset
from regolith.lunar.stage import layer as write
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import write_camera, write_looks, write_sun
from regolith.lunar.stage.edit import set_camera, set_ground, set_sun

if TYPE_CHECKING:
    from regolith.lunar.render.replicator import ReplicatorRenderer

ALBEDO = 0.18
"""Of the grey plane."""
SUNS = ((math.pi, 90.0), (math.pi, 30.0), (4.0 * math.pi, 30.0))
"""(irradiance facing the sun, elevation [deg]): a renderer that exposes by itself has one of the ratios wrong."""
GREY_SIZE = (64, 64)
"""(width, height) of the pictures of the grey plane [px]."""
GREY_TOLERANCE = 0.03
"""Largest deviation of a ratio from one that passes: half floats, and the last gloss of the preview material."""
SUBFRAMES = (8, 32, 128, 256)
"""Frames gathered for one that are compared."""
SETTLED_DB = 30.0
"""PSNR [dB] from which a picture counts as settled: an error of 3 % of its peak."""
SIZE = (512, 512)
"""(width, height) of the pictures that are compared [px]."""


@dataclasses.dataclass(frozen=True)
class Grey:
    """A grey plane under one sun."""

    irradiance: float
    """Of a surface facing the sun."""
    elevation_deg: float
    """Of the sun above the plane [deg]."""
    expected: float
    """Radiance of a Lambert plane, albedo / π · irradiance · sin(elevation)."""
    measured: float
    """Median radiance of the picture."""

    @property
    def ratio(self) -> float:
        """Measured over expected; its inverse is the `gain` (`ReplicatorRenderer`) that would make it one."""
        return self.measured / self.expected


def grey_stage() -> Usd.Stage:
    """A level Lambert plane seen from straight above, after `stage.schema`, in memory."""
    preset = load_preset("v1")
    params = preset.model_copy(update={"ground": preset.ground.model_copy(update={"photometry": "lambert"})})
    layer = Sdf.Layer.CreateAnonymous("grey.usda")
    layer.pseudoRoot.SetInfo("metersPerUnit", 1.0)
    layer.pseudoRoot.SetInfo("upAxis", "Z")
    layer.defaultPrim = Sdf.Path(schema.WORLD).name
    write.prim(layer, schema.WORLD, "Xform")
    write_looks(layer, params, 0)
    schemas = [f"SemanticsLabelsAPI:{TAXONOMY}", "MaterialBindingAPI"]
    ground = write.prim(layer, schema.GROUND, "Xform", schemas=schemas)
    write.label(ground, NAMES[REGOLITH])
    write.bind(ground, schema.LOOK_GROUND)
    corners = np.array([[-20, -20, 0], [20, -20, 0], [20, 20, 0], [-20, 20, 0]], np.float32)
    write.mesh(write.prim(layer, schema.TERRAIN, "Mesh"), (corners, np.array([[0, 1, 2, 3]], np.int32)))
    write_sun(layer)
    write_camera(layer)
    stage = Usd.Stage.Open(layer)
    set_ground(stage, ALBEDO, 1.0, 1.0)
    width, height = GREY_SIZE
    at = (0.0, 0.0, 3.0)
    set_camera(stage, at, 0.0, -90.0, 0.0, 40.0, exposure_ev=0.0, width=width, height=height, aperture_mm=20.0)
    return stage


async def measure_grey(renderer: ReplicatorRenderer) -> list[Grey]:
    """Measure a grey plane under each of `SUNS`.

    Raises:
        RuntimeError: The renderer returned no frame.
    """
    stage = await renderer.load_async(grey_stage())
    found = []
    for irradiance, elevation in SUNS:
        set_sun(stage, elevation, 0.0, angle_deg=0.53, irradiance=irradiance)
        radiance = await renderer.radiance_async(*GREY_SIZE)
        expected = ALBEDO / math.pi * irradiance * math.sin(math.radians(elevation))
        found.append(Grey(irradiance, elevation, expected, float(np.median(radiance))))
    return found


async def measure_subframes(
    renderer: ReplicatorRenderer, stage: Usd.Stage, *, counts: Sequence[int] = SUBFRAMES, size: tuple[int, int] = SIZE
) -> dict[int, float]:
    """Measure how far pictures have settled that RTX gathered over so many frames.

    Before each the sun stands on the other side, as it does between frames of a dataset: what RTX has gathered by then
    is of another light.

    Args:
        renderer: Draws it.
        stage: Stage of the `stage.schema` layout.
        counts: Frames to gather.
        size: (width, height) [px].

    Returns:
        Count to the PSNR [dB] of the radiance over another picture of the largest count, its peak that picture's
        99.9th percentile; inf where they are equal.

    Raises:
        RuntimeError: The renderer returned no frame.
    """
    opened = await renderer.load_async(stage)
    sun = opened.GetAttributeAtPath(f"{schema.SUN}.xformOp:rotateXYZ")
    here = Gf.Vec3f(sun.Get())

    async def draw(count: int) -> np.ndarray:
        sun.Set(here + Gf.Vec3f(0.0, 0.0, 180.0))
        await renderer.radiance_async(*size, subframes=1)
        sun.Set(here)
        return await renderer.radiance_async(*size, subframes=count)

    settled = await draw(max(counts))
    peak = float(np.percentile(settled, 99.9))
    found = {}
    for count in counts:
        error = float(np.mean(np.square(await draw(count) - settled)))
        found[count] = 10.0 * math.log10(peak**2 / error) if error else math.inf
    return found
