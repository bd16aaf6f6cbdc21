"""Shadow, crater, slope and hazard, by a ray caster of the tests' own (`ray_caster`)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from kit_doubles import KitApp
from pxr import Gf, Usd, UsdGeom, Vt
from ray_caster import cast, normals, topmost, triangles
from render_stage import aim_camera, aim_sun, make_stage

from regolith.lunar.labels import IGNORE, SKY
from regolith.lunar.params import InputError, change_params, load_preset
from regolith.lunar.render.base import Frame
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.render.view import read_camera
from regolith.lunar.stage import schema
from regolith.lunar.stage.craters import CRATER_DTYPE
from regolith.lunar.stage.truth import TRUTHS, set_footprint, write_craters

WIDTH, HEIGHT = 64, 40
ALL: frozenset[str] = frozenset({*TRUTHS, "depth"})
PARAMS = change_params(
    load_preset("v1"), {"dataset.footprint_m": 0.6, "dataset.hazard_slope_deg": 9.0, "dataset.hazard_step_m": 0.1}
)
OLD, YOUNG, INNER = 1, 2, 3
CRATERS = np.array([(5.0, 1.0, 1.2, 0.5), (5.2, 1.0, 2.6, 0.5), (5.4, 1.0, 1.0, 0.5)], CRATER_DTYPE)
"""A crater, one that was laid over it later, and one inside that."""
ELEVATION, AZIMUTH = 14.0, 100.0


def stage_with_a_rover() -> Usd.Stage:
    """The small stage with craters, demands on the ground, and a box in the rover's place that stands in sight."""
    stage = make_stage()
    aim_sun(stage, elevation=ELEVATION, azimuth=AZIMUTH)
    aim_camera(stage, pitch=-14.0, heading=10.0)
    UsdGeom.Xform.Define(stage, schema.ROVER).AddTranslateOp().Set(Gf.Vec3d(4.0, 2.2, 0.0))
    box = UsdGeom.Mesh.Define(stage, f"{schema.ROVER}/box")
    corners = [(x, y, z) for x in (-0.4, 0.4) for y in (-0.4, 0.4) for z in (0.3, 1.1)]
    box.CreatePointsAttr(Vt.Vec3fArray([Gf.Vec3f(*corner) for corner in corners]))
    sides = [0, 1, 3, 2, 4, 6, 7, 5, 0, 4, 5, 1, 2, 3, 7, 6, 0, 2, 6, 4, 1, 5, 7, 3]
    box.CreateFaceVertexCountsAttr([4] * 6)
    box.CreateFaceVertexIndicesAttr(sides)
    box.CreateSubdivisionSchemeAttr("none")
    write_craters(stage.GetRootLayer().GetPrimAtPath(schema.GROUND), CRATERS)
    set_footprint(stage, PARAMS)
    return stage


def draw(renderer: MitsubaRenderer, stage: Usd.Stage, outputs: frozenset[str] = ALL) -> Frame:
    renderer.load(stage)
    return renderer.render(WIDTH, HEIGHT, quality="draft", samples=1, outputs=outputs)


def sight(stage: Usd.Stage) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What all pixels see: points (no numbers: sky), facets' normals on the camera's side, rays; shape [N, 3] each."""
    soup, camera = triangles(stage), read_camera(stage)
    x, y = (each.ravel() + 0.5 for each in np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    sx, sy = (2 * x / WIDTH - 1) * camera.tan_x, (1 - 2 * y / HEIGHT) * camera.tan_x * HEIGHT / WIDTH
    ways = sx[:, None] * camera.axes[0] + sy[:, None] * camera.axes[1] + camera.axes[2]
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    starts = np.broadcast_to(camera.origin, ways.shape)
    distance, number = cast(soup, starts, ways)
    facets = normals(soup)[number]
    facets *= -np.sign(np.einsum("ij,ij->i", facets, ways))[:, None]
    with np.errstate(invalid="ignore"):
        return starts + ways * distance[:, None], facets, ways


def sun_direction() -> np.ndarray:
    e, a = math.radians(ELEVATION), math.radians(AZIMUTH)
    return np.array([math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e)])


def test_shadows_are_those_of_rays_to_the_sun(renderer: MitsubaRenderer) -> None:
    """Pixel by pixel, but for a few at the edges of shadows; the rover's shadow counts, the rover does not."""
    stage = stage_with_a_rover()
    frame = draw(renderer, stage)
    assert frame.shadow is not None and frame.shadow.dtype == np.uint8
    points, facets, _ = sight(stage)
    sun, soup = sun_direction(), triangles(stage)
    seen = (frame.mask != SKY).ravel() & np.isfinite(points[:, 0])
    assert seen.sum() >= (frame.mask != SKY).sum() - 2
    starts = points[seen] + 1e-5 * facets[seen]
    blocked = np.isfinite(cast(soup, starts, np.tile(sun, (len(starts), 1)))[0])
    wanted = np.where(facets[seen] @ sun <= 0, 2, blocked)
    found, ground = frame.shadow.ravel()[seen], (frame.mask != IGNORE).ravel()[seen]
    assert (found[~ground] == 255).all() and (~ground).sum() > 20
    assert (frame.shadow[frame.mask == SKY] == 255).all()
    assert (found[ground] != wanted[ground]).mean() < 0.004
    assert all((wanted[ground] == value).mean() > 0.02 for value in range(3))
    alone = np.isfinite(cast(triangles(stage, without=schema.ROVER), starts, np.tile(sun, (len(starts), 1)))[0])
    cast_by_rover = ground & (wanted == 1) & ~alone
    assert cast_by_rover.sum() > 10 and (found[cast_by_rover] == 1).mean() > 0.9


def test_slope_and_step_are_of_the_plane_under_a_footprint(renderer: MitsubaRenderer) -> None:
    """Vertical rays and a least-squares plane, point by point; what the rover stands over is the ground below it."""
    stage = stage_with_a_rover()
    frame = draw(renderer, stage)
    assert frame.slope is not None and frame.hazard is not None
    points, _, _ = sight(stage)
    ground = (frame.mask != SKY) & (frame.mask != IGNORE)
    assert np.isnan(frame.slope[~ground]).all() and np.isfinite(frame.slope[ground]).all()
    assert (frame.hazard[~ground] == 255).all() and (frame.hazard[ground] <= 3).all()
    soup, radius = triangles(stage, without=schema.ROVER), PARAMS.dataset.footprint_m
    turn = [(k / 3, 2 * math.pi * i / n) for k, n in ((0, 1), (1, 6), (2, 12), (3, 18)) for i in range(n)]
    disc = radius * np.array([(r * math.cos(t), r * math.sin(t)) for r, t in turn])
    basis = np.column_stack([np.ones(37), disc])
    chosen = np.flatnonzero(ground.ravel() & np.isfinite(points[:, 0]))[::7]
    slopes, steps = [], []
    for point in points[chosen]:
        z = topmost(soup, point[:2] + disc)
        met = np.isfinite(z)
        plane = np.linalg.lstsq(basis[met], z[met], rcond=None)[0]
        slopes.append(math.degrees(math.atan(math.hypot(*plane[1:]))))
        steps.append(np.ptp(z[met] - basis[met] @ plane))
    slope, step = np.array(slopes), np.array(steps)
    off = np.abs(frame.slope.ravel()[chosen] - slope)
    assert np.quantile(off, 0.97) < 0.02 and len(chosen) > 150  # a ray past a rock's edge may fall to either side
    assert slope.max() > 30.0 and np.median(slope) < 5.0
    wanted = (slope > 9.0) + 2 * (step > 0.1)
    sure = (np.abs(slope - 9.0) > 0.1) & (np.abs(step - 0.1) > 0.002) & (off < 0.02)
    assert (frame.hazard.ravel()[chosen][sure] == wanted[sure]).all()
    assert len(set(wanted[sure])) >= 3


def test_a_crater_is_the_youngest_whose_rim_holds_the_point(renderer: MitsubaRenderer) -> None:
    """A rim departs from the circle by less than a tenth; what lies in a younger crater was wiped out by it."""
    stage = stage_with_a_rover()
    frame = draw(renderer, stage)
    assert frame.crater is not None and frame.crater.dtype == np.uint16
    points, _, _ = sight(stage)
    ground = ((frame.mask != SKY) & (frame.mask != IGNORE)).ravel() & np.isfinite(points[:, 0])
    at, found = points[ground, :2], frame.crater.ravel()[ground]
    share = [np.hypot(at[:, 0] - each["x"], at[:, 1] - each["y"]) / (0.5 * each["diameter"]) for each in CRATERS]
    for number, inside in ((INNER, share[2] < 0.9), (YOUNG, (share[1] < 0.9) & (share[2] > 1.1))):
        assert inside.sum() > 3 and (found[inside] == number).all()
    assert (found[(np.array(share) > 1.1).all(axis=0)] == 0).all()
    assert not (frame.crater.ravel()[~ground]).any() and OLD not in found


def test_back_ends_agree() -> None:
    frames = []
    for backend in ("llvm", "scalar"):
        renderer = MitsubaRenderer(backend)
        frames.append(draw(renderer, stage_with_a_rover()))
        renderer.close()
    one, two = frames
    for name in ("shadow", "crater", "hazard"):
        assert (one.extras[name] != two.extras[name]).mean() < 0.004
    same = np.isclose(one.extras["slope"], two.extras["slope"], atol=0.01, equal_nan=True)
    assert same.mean() > 0.99


def test_a_moved_rover_casts_its_shadow_elsewhere_and_leaves_the_ground_alone(renderer: MitsubaRenderer) -> None:
    stage = stage_with_a_rover()
    before = draw(renderer, stage)
    stage.GetAttributeAtPath(f"{schema.ROVER}.xformOp:translate").Set(Gf.Vec3d(40.0, 0.0, 0.0))
    after = renderer.render(WIDTH, HEIGHT, quality="draft", samples=1, outputs=ALL)
    both = np.isfinite(before.extras["slope"]) & np.isfinite(after.extras["slope"])
    assert (before.extras["slope"][both] == after.extras["slope"][both]).all()
    assert (before.extras["shadow"][both] != after.extras["shadow"][both]).sum() > 10


@pytest.mark.parametrize(
    ("output", "allowed"), [("crater", "dataset.crater true"), ("slope", "dataset.slope"), ("hazard", "dataset.slope")]
)
def test_a_stage_that_does_not_say_is_refused(fused: MitsubaRenderer, output: str, allowed: str) -> None:
    fused.load(make_stage())
    with pytest.raises(InputError, match=allowed):
        fused.render(8, 8, outputs=frozenset({output}))
    assert fused.render(8, 8, outputs=frozenset({"shadow"})).shadow is not None


def test_without_them_a_frame_is_as_it_was(fused: MitsubaRenderer) -> None:
    """The picture, its labels and its other outputs."""
    stage = stage_with_a_rover()
    plain, rich = draw(fused, stage, frozenset({"depth"})), draw(fused, stage)
    assert (plain.rgb == rich.rgb).all() and (plain.mask == rich.mask).all()
    assert (plain.extras["depth"] == rich.extras["depth"]).all() and plain.shadow is None


def test_a_sky_alone_has_neither(fused: MitsubaRenderer) -> None:
    stage = stage_with_a_rover()
    aim_camera(stage, pitch=50.0)
    frame = draw(fused, stage)
    assert (frame.mask == SKY).all() and np.isnan(frame.extras["slope"]).all()
    assert (frame.extras["shadow"] == 255).all() and not frame.extras["crater"].any()


@pytest.mark.parametrize("output", TRUTHS)
def test_rtx_refuses_them_before_it_draws(kit: KitApp, output: str) -> None:
    from regolith.lunar.render.replicator import ReplicatorRenderer

    renderer: Any = ReplicatorRenderer()
    renderer.load(make_stage())
    with pytest.raises(InputError, match=rf"dataset\.{output}: True .*draws no {output}, the embedded one does"):
        renderer.render(16, 12, outputs=frozenset({"depth", output}))
    renderer.close()
