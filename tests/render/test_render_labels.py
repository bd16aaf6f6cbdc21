"""Labels against an independent ray caster, on scenes of all presets: Embree called on the composed, baked stage."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pxr import Usd, UsdGeom
from render_stage import aim_camera, aim_sun

from regolith.lunar.labels import CLASSES, IGNORE, SKY, count_classes
from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.spec import SceneSpec

WIDTH, HEIGHT = 192, 128
HEADINGS = (10.0, 130.0, 250.0)
Eye = tuple[float, float, float]


def _params(name: str) -> Params:
    """A preset with smaller fine rings, coarser ground and fewer pebbles, so that the oracle's meshes stay small."""
    return change_params(
        load_preset(name),
        {
            "terrain.cell_m": 0.3, "terrain.far_radius_m": 400.0, "rocks.diameter_min_m": 0.1, "rocks.shape_count": 6,
            "relief.near_radius_m": 2.0, "relief.mid_radius_m": 4.0, "relief.pebble_density": 40.0,
        },
    )  # fmt: skip


class Oracle:
    """Casts rays through embreex on the meshes `pxr` composes; shares no code with the compiler or the kernel."""

    def __init__(self, stage: Usd.Stage) -> None:
        from embreex.mesh_construction import TriangleMesh
        from embreex.rtcore_scene import EmbreeScene

        cache = UsdGeom.XformCache()
        triangles, labels, rocks = [], [], []
        number = 0
        for prim in stage.Traverse():
            if prim.GetTypeName() != "Mesh":
                continue
            mesh = UsdGeom.Mesh(prim)
            indices = np.array(mesh.GetFaceVertexIndicesAttr().Get())
            counts = np.array(mesh.GetFaceVertexCountsAttr().Get())
            corners = indices.reshape(-1, counts[0])
            faces = np.concatenate([corners[:, [0, k, k + 1]] for k in range(1, counts[0] - 1)])
            matrix = np.array(cache.GetLocalToWorldTransform(prim))
            points = np.array(mesh.GetPointsAttr().Get()) @ matrix[:3, :3] + matrix[3, :3]
            label = self._label(prim)
            number += int(label == CLASSES["rock"])
            rocks.append(np.full(len(faces), number if label == CLASSES["rock"] else 0))
            triangles.append(points[faces].astype(np.float32))
            labels.append(np.full(len(faces), label, np.uint8))
        self.rock = np.concatenate(rocks)
        self.label = np.concatenate(labels)
        self.scene = EmbreeScene(robust=True)
        TriangleMesh(self.scene, np.concatenate(triangles))

    @staticmethod
    def _label(prim: Usd.Prim) -> int:
        while prim:
            names = prim.GetAttribute("semantics:labels:class")
            if names and names.Get():
                return CLASSES[str(names.Get()[0])]
            prim = prim.GetParent()
        return IGNORE

    def look(self, stage: Usd.Stage, *, k1: float = 0.0, k2: float = 0.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Label, rock number and distance at the pixel centres of the stage's camera, its lens bent by k1 and k2."""
        camera = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA)).GetCamera(Usd.TimeCode.Default())
        half = math.tan(math.radians(camera.GetFieldOfView(camera.FOVHorizontal)) / 2)
        x = ((np.arange(WIDTH) + 0.5) / WIDTH * 2 - 1) * half
        y = (1 - (np.arange(HEIGHT) + 0.5) / HEIGHT * 2) * half * HEIGHT / WIDTH
        plane = np.stack(np.meshgrid(x, y), axis=-1)
        seen, radius = np.hypot(*np.moveaxis(plane, -1, 0)), np.linspace(0.0, 2.0, 400001)
        true = np.interp(seen, radius * (1 + k1 * radius**2 + k2 * radius**4), radius)  # of lenses that never fold
        plane *= (true / seen)[..., None]
        local = np.concatenate([plane, -np.ones((HEIGHT, WIDTH, 1))], axis=-1).reshape(-1, 3)
        matrix = np.array(camera.transform)
        rays = local @ matrix[:3, :3]
        rays /= np.linalg.norm(rays, axis=1, keepdims=True)
        eye = np.repeat(matrix[3:, :3], len(rays), axis=0)
        found = self.scene.run(eye.astype(np.float32), rays.astype(np.float32), query="INTERSECT", output=True)
        prim, depth = np.asarray(found["primID"]), np.asarray(found["tfar"])
        hit = prim >= 0
        label = np.where(hit, self.label[prim], SKY).reshape(HEIGHT, WIDTH)
        rock = np.where(hit, self.rock[prim], 0).reshape(HEIGHT, WIDTH)
        return label, rock, np.where(hit, depth, np.inf).reshape(HEIGHT, WIDTH)


@pytest.fixture(scope="module", params=["v1", "v2", "v3"])
def pair(request: pytest.FixtureRequest) -> tuple[Usd.Stage, Oracle, Eye]:
    """The stage of a preset as the renderer gets it, the oracle on the same scene with its relief baked, and an eye."""
    params = _params(request.param)
    scene = build_scene(
        params, SceneSpec(seed=11, crater_density=0.5, rock_abundance=0.012, rock_exponent=1.6, relief_strength=1.0)
    )
    x, y = 0.4, -0.3
    eye = x, y, float(scene.terrain.height(np.array([x]), np.array([y]))[0]) + 1.8
    return author_stage(scene), Oracle(author_stage(scene, baked=True)), eye


def test_labels_agree_with_the_oracle(pair: tuple[Usd.Stage, Oracle, Eye], renderer: MitsubaRenderer) -> None:
    """At least 99.9 % of pixels equal over several headings; instances and depth agree where labels do."""
    stage, oracle, eye = pair
    renderer.load(stage)
    equal, same_rock, rock_pixels, depth_off = 0, 0, 0, []
    for heading in HEADINGS:
        aim_camera(stage, heading=heading, pitch=-10.0, position=eye, fov=62.0)
        label, rock, depth = oracle.look(stage)
        frame = renderer.render(WIDTH, HEIGHT, quality="draft", samples=1, outputs=frozenset(["depth", "instance"]))
        assert frame.depth is not None
        assert frame.instance is not None
        equal += int((frame.mask == label).sum())
        on_rock = (label == CLASSES["rock"]) & (frame.mask == label)
        same_rock += int((frame.instance == rock)[on_rock].sum())
        rock_pixels += int(on_rock.sum())
        near = (depth < 100) & (frame.mask == label)
        depth_off.append(np.abs(frame.depth[near] - depth[near]) / depth[near])
        assert not np.isfinite(frame.depth[frame.mask == SKY]).any()
    assert equal >= 0.999 * WIDTH * HEIGHT * len(HEADINGS)
    assert rock_pixels > 100
    assert same_rock >= 0.999 * rock_pixels
    assert np.quantile(np.concatenate(depth_off), 0.99) < 1e-3


@pytest.mark.parametrize(("k1", "k2"), [(-0.18, 0.04), (0.2, 0.05)])
def test_labels_through_a_bent_lens_agree_too(
    pair: tuple[Usd.Stage, Oracle, Eye], fused: MitsubaRenderer, k1: float, k2: float
) -> None:
    """Barrel and cushion: labels, depth and the label pass are those of the bent rays, by an inversion of its own."""
    stage, oracle, eye = pair
    fused.load(stage)
    aim_camera(stage, heading=130.0, pitch=-10.0, position=eye, fov=62.0, k1=k1, k2=k2)
    label, _, depth = oracle.look(stage, k1=k1, k2=k2)
    straight, _, _ = oracle.look(stage)
    frame = fused.render(WIDTH, HEIGHT, quality="draft", samples=1, outputs=frozenset(["depth"]))
    aim_camera(stage, fov=62.0)
    assert frame.depth is not None
    assert (frame.mask == label).mean() >= 0.999
    assert (label == straight).mean() < 0.995
    near = (depth < 100) & (frame.mask == label)
    assert np.quantile(np.abs(frame.depth[near] - depth[near]) / depth[near], 0.99) < 1e-3


def test_every_pixel_is_labelled_over_a_full_turn(pair: tuple[Usd.Stage, Oracle, Eye], fused: MitsubaRenderer) -> None:
    """Turn camera and sun once around: never an unlabelled pixel, and no sky below the horizon's far side."""
    stage, _, eye = pair
    fused.load(stage)
    for step in range(12):
        aim_sun(stage, elevation=12.0, azimuth=30.0 * step)
        aim_camera(stage, heading=30.0 * step + 7.0, pitch=-10.0, position=eye, fov=62.0)
        frame = fused.render(96, 64, quality="draft", samples=1)
        assert count_classes(frame.mask)["ignore"] == 0
        assert not (frame.mask[-20:] == SKY).any()
        assert set(np.unique(frame.mask)) <= {0, 1, 2}
