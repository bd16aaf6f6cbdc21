"""Render a USD stage with Blender Cycles: `python cycles_oracle.py task.json`, in an interpreter with `bpy`.

Used by the benchmark as an independent oracle. Blender is GPL: this program talks to it alone and is not part of the
product.
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import bpy  # pyright: ignore[reportMissingImports]
import numpy as np

CREASE_DEG = 35.0


def prepare(task: dict[str, Any]) -> None:
    """Import the stage; diffuse materials, a normalized sun, smooth ground and creased rocks."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.usd_import(filepath=task["usd"], import_materials=True, set_frame_range=False)
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.device = "CPU"
    scene.render.threads_mode, scene.render.threads = "FIXED", task["threads"]
    scene.render.use_persistent_data = True
    scene.render.resolution_x = scene.render.resolution_y = task["size"]
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "OPEN_EXR"
    scene.render.image_settings.color_depth = "32"
    scene.cycles.use_denoising = False
    scene.cycles.use_adaptive_sampling = False
    scene.cycles.pixel_filter_type = "BOX"
    scene.cycles.sample_clamp_direct = scene.cycles.sample_clamp_indirect = 0.0
    scene.render.film_transparent = False
    scene.view_settings.view_transform = "Raw"
    if scene.world is not None:
        scene.world = None
    for material in bpy.data.materials:
        albedo = next((a for name, a in task["albedo"].items() if material.name.startswith(name)), 0.18)
        material.use_nodes = True
        tree = material.node_tree
        tree.nodes.clear()
        diffuse = tree.nodes.new("ShaderNodeBsdfDiffuse")
        diffuse.inputs["Color"].default_value = (albedo, albedo, albedo, 1.0)
        diffuse.inputs["Roughness"].default_value = 0.0
        output = tree.nodes.new("ShaderNodeOutputMaterial")
        tree.links.new(diffuse.outputs[0], output.inputs[0])
    for mesh in bpy.data.meshes:
        for name in ("custom_normal", "sharp_edge", "sharp_face"):  # the importer makes meshes without normals flat
            if name in mesh.attributes:
                mesh.attributes.remove(mesh.attributes[name])
        mesh.shade_smooth()
        if not mesh.name.startswith(("Terrain", "Far")):
            mesh.set_sharp_from_angle(angle=math.radians(CREASE_DEG))
    for thing in bpy.data.objects:
        if thing.type == "LIGHT":
            thing.data.energy, thing.data.angle = math.pi, math.radians(0.53)
        if thing.type == "CAMERA":
            scene.camera = thing


def main() -> None:
    """Run every job; write pictures as .npy and times as result.json."""
    task = json.loads(Path(sys.argv[1]).read_text())
    prepare(task)
    scene, folder = bpy.context.scene, task["folder"]
    sun = next(thing for thing in bpy.data.objects if thing.type == "LIGHT")
    start, times = sun.matrix_world.copy(), []
    from mathutils import Matrix  # pyright: ignore[reportMissingImports]

    for number, job in enumerate(task["jobs"]):
        scene.cycles.samples = job["samples"]
        scene.cycles.max_bounces = scene.cycles.diffuse_bounces = job["bounces"]
        spent = []
        for frame in range(job["frames"]):
            sun.matrix_world = Matrix.Rotation(math.radians(task["turn"] * frame), 4, "Z") @ start
            scene.cycles.seed = 100 * number + frame
            path = f"{folder}/{number}_{frame}.exr"
            scene.render.filepath = path
            begin = time.perf_counter()
            bpy.ops.render.render(write_still=True)
            spent.append(1e3 * (time.perf_counter() - begin))
            if frame == 0:
                image = bpy.data.images.load(path)
                image.colorspace_settings.name = "Non-Color"
                pixels = np.array(image.pixels[:], np.float32).reshape(task["size"], task["size"], 4)
                np.save(f"{folder}/{number}.npy", pixels[::-1, :, 0])
        times.append(float(np.median(spent[1:] or spent)))
    Path(folder, "result.json").write_text(json.dumps(times))


if __name__ == "__main__":
    main()
