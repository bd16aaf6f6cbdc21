"""Labels by Mitsuba's stock integrator, camera and sampler: an oracle for the fused kernel's pixel-centre pass."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.render.compile import SceneTables
from regolith.lunar.render.tables import SCENE, flatten, pack_scene
from regolith.lunar.render.view import Pinhole

NEAR_M = 1e-3


class StockPass:
    """The `aov` integrator on one flat mesh of all objects, without instances, in the variant set by the caller."""

    def __init__(self, tables: SceneTables) -> None:
        import mitsuba as mi

        packed = pack_scene(tables)
        points, faces, self.first = flatten(tables, packed)
        if len(faces) > 1 << 24:
            raise ValueError(f"{len(faces)} triangles: the aov integrator returns their numbers as float32")
        self.labels = packed.labels
        mesh: Any = mi.Mesh("scene", len(points), len(faces))
        values = mi.traverse(mesh)
        values["vertex_positions"] = mi.Float(points.ravel())
        values["faces"] = mi.UInt32(faces.ravel())
        values.update()
        self.scene: Any = mi.load_dict({**SCENE, "mesh": mesh})
        self.integrator: Any = mi.load_dict({"type": "aov", "aovs": "prim:prim_index,t:depth"})

    def draw(self, camera: Pinhole, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
        """Class and instance number at the pixel centres, uint32, shape [H, W].

        A pixel's ray goes exactly through its centre: box filter, and a stratified sampler of one sample that does
        not jitter.
        """
        import mitsuba as mi

        frame = np.eye(4)
        frame[:3] = np.stack([-camera.axes[0], camera.axes[1], camera.axes[2], camera.origin], axis=1)
        sensor = mi.load_dict({
            "type": "perspective",
            "fov": math.degrees(2.0 * math.atan(camera.tan_x)),
            "fov_axis": "x",
            "near_clip": NEAR_M,
            "far_clip": 1e5,
            "to_world": mi.ScalarTransform4f(frame.tolist()),
            "film": {"type": "hdrfilm", "width": width, "height": height, "rfilter": {"type": "box"},
                     "pixel_format": "luminance", "component_format": "float32"},
            "sampler": {"type": "stratified", "sample_count": 1, "jitter": False},
        })  # fmt: skip
        image = np.array(self.integrator.render(self.scene, sensor, 0, 1))
        prim, depth = image[..., -2], image[..., -1]
        number = np.searchsorted(self.first, prim.astype(np.int64), side="right") - 1
        hit = depth > 0.0
        return np.where(hit, self.labels[number, 0], SKY), np.where(hit, self.labels[number, 1], 0)
