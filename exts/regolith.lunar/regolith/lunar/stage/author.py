"""A scene, and the OpenUSD stage it is written as (layout: `stage.schema`)."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
from pxr import Gf, Kind, Sdf, Usd, Vt

from regolith.lunar import __version__
from regolith.lunar.labels import NAMES, REGOLITH, ROCK, TAXONOMY
from regolith.lunar.params import Params, intervals
from regolith.lunar.params.places import fresh_ratio
from regolith.lunar.stage import layer as write
from regolith.lunar.stage import relief, schema
from regolith.lunar.stage.camera import VIEW, seat_camera
from regolith.lunar.stage.dynamics import apply_dynamics
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.ephemeris import sky_at
from regolith.lunar.stage.fillets import bank_fillets
from regolith.lunar.stage.mesh import Heightfield
from regolith.lunar.stage.patches import rock_patches
from regolith.lunar.stage.rocks import RockField, place_rocks
from regolith.lunar.stage.rover import write_rover
from regolith.lunar.stage.rover_stance import park
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import FrameSpec, SceneSpec, rng
from regolith.lunar.stage.stereo import baseline_m
from regolith.lunar.stage.terrain import Terrain, build_terrain
from regolith.lunar.stage.truth import write_craters

_T = Sdf.ValueTypeNames
_LABELS = f"SemanticsLabelsAPI:{TAXONOMY}"
_RATIO_DOC = "Albedo over the rock's."
_ROCK_DOCS = ("Largest horizontal extent [m].", "Share of the height below the ground at the rock's foot.")
SMOOTH_FACES = 100_000
"""Faces of a rock above which its mesh is shaded smooth: its relief then is in its vertices."""

_SIZE = (640, 480)
"""Resolution of an authored camera until a frame sets its own [px]."""


def build_scene(params: Params, scene_spec: SceneSpec) -> Scene:
    """Build terrain and rocks; the same arguments always give the same scene."""
    terrain = build_terrain(params, scene_spec)
    rocks = place_rocks(params, scene_spec, terrain)
    rover = None
    if params.has_rover and params.camera.rig == "mast":
        rover = park(terrain, rocks, roam_m=params.camera.roam_m, random=rng(scene_spec.seed, "rover"))
    return Scene(params=params, spec=scene_spec, terrain=terrain, rocks=rocks, rover=rover)


def author_stage(scene: Scene, *, baked: bool = False) -> Usd.Stage:
    """Write a scene as a stage in memory, lit and seen at the centre of the training domain.

    Args:
        scene: Scene to write.
        baked: Write the fine ground and its pebbles as meshes, for renderers that do not know the relief recipe.

    Returns:
        The stage; its root layer is anonymous.

    Raises:
        InputError: The camera finds no room between the rocks, or there are more craters than the output has numbers.
    """
    layer = Sdf.Layer.CreateAnonymous("regolith.usda")
    with Sdf.ChangeBlock():
        _write_root(layer, scene)
        write_looks(layer, scene.params, scene.spec.seed)
        _write_ground(layer, scene.terrain, baked)
        if scene.params.dataset.crater:
            craters = np.concatenate([scene.terrain.distant, scene.terrain.craters])
            write_craters(layer.GetPrimAtPath(schema.GROUND), craters)
        banked = bank_fillets(scene.rocks, scene.terrain, scene.params.rocks, scene.spec.seed)
        if len(banked.faces):
            write.mesh(write.prim(layer, schema.FILLETS, "Mesh"), banked)
        _write_rocks(layer, scene.rocks)
        _write_patches(layer, scene)
        _write_prototypes(layer, scene.rocks)
        write_sun(layer)
        if scene.params.light.earthshine > 0.0:
            write_earth(layer)
        if scene.params.light.stars > 0:
            _write_stars(layer, scene)
        write_camera(layer)
        if baseline_m(scene.params) > 0.0:
            write_right_camera(layer)
        if scene.params.has_rover:
            write_rover(layer)
    stage = Usd.Stage.Open(layer)
    _set_domain_center(stage, scene)
    return stage


def _write_root(layer: Sdf.Layer, scene: Scene) -> None:
    root = layer.pseudoRoot
    root.SetInfo("metersPerUnit", 1.0)
    root.SetInfo("upAxis", "Z")
    layer.defaultPrim = "World"
    layer.documentation = "Lunar regolith stage. Frame: Z up, metres; azimuths anticlockwise from +X."
    if (site := scene.params.ground.site) is not None:
        layer.documentation += f" +X east, +Y north at {site.lat_deg!r}°, {site.lon_deg!r}°."
    layer.customLayerData = {
        schema.LAYER_DATA: {
            "schema": schema.SCHEMA_VERSION,
            "version": __version__,
            "seed": scene.spec.seed,
            "scene": json.dumps(scene.spec.to_dict(), sort_keys=True, separators=(",", ":")),
        }
    }
    world = write.prim(layer, schema.WORLD, "Xform")
    world.kind = Kind.Tokens.assembly


def write_looks(layer: Sdf.Layer, params: Params, seed: int) -> None:
    """Write the materials; `edit.set_ground` colours them."""
    write.prim(layer, schema.LOOKS, "Scope")
    rock_bump = params.rocks.bump * params.relief.bump if params.rocks.shape == "basalt" else 0.0
    _write_look(layer, schema.LOOK_GROUND, params, bump=0.0, seed=seed, doc="Regolith.")
    _write_look(layer, schema.LOOK_ROCK, params, bump=rock_bump, seed=seed + 1, doc="Rock.")
    if params.rocks.clasts > 0.0:
        contrast = params.rocks.clast_contrast
        for path, ratio in ((schema.LOOK_BRIGHT, contrast), (schema.LOOK_DARK, 1.0 / contrast)):
            look = _write_look(layer, path, params, bump=rock_bump, seed=seed + 1, doc="Inclusions in rocks.")
            write.attribute(look, schema.CLAST_RATIO, _T.Double, ratio, doc=_RATIO_DOC, custom=True)
    if params.rocks.maturity.lo < 1.0:
        for step, path in enumerate(schema.LOOKS_FRESH):
            look = _write_look(layer, path, params, bump=rock_bump, seed=seed + 1, doc="Rock that is less mature.")
            ratio = fresh_ratio() + (1.0 - fresh_ratio()) * step / len(schema.LOOKS_FRESH)
            write.attribute(look, schema.CLAST_RATIO, _T.Double, ratio, doc=_RATIO_DOC, custom=True)


def _write_look(layer: Sdf.Layer, path: str, params: Params, *, bump: float, seed: int, doc: str) -> Sdf.PrimSpec:
    look = write.prim(layer, path, "Material", doc=doc)
    photometry: list[tuple[str, Sdf.ValueTypeName, Any, str]] = [
        ("model", _T.Token, params.ground.photometry, "Reflectance law: lambert, or hapke (Hapke 2012, isotropic H)."),
        ("albedo", _T.Double, None, "Normal albedo: radiance over that of a white Lambert surface at zero phase."),
        *((value.name, _T.Double, None, value.doc) for value in schema.PHOTOMETRY_VALUES.values()),
        ("bump", _T.Double, bump, "Strength of the shading relief locked to the pixel footprint, 0 for none."),
        ("seed", _T.Int64, seed & 0x7FFF_FFFF_FFFF_FFFF, "Seed of mottling and shading relief."),
    ]
    for name, kind, value, text in photometry:
        write.attribute(look, schema.PHOTOMETRY + name, kind, value, doc=text, custom=True)
    output = write.attribute(look, "outputs:surface", _T.Token)
    output.connectionPathList.explicitItems = [Sdf.Path(f"{path}/Surface.outputs:surface")]
    shader = write.prim(layer, f"{path}/Surface", "Shader")
    write.attribute(shader, "info:id", _T.Token, "UsdPreviewSurface", uniform=True)
    write.attribute(shader, "inputs:diffuseColor", _T.Color3f)
    write.attribute(shader, "inputs:roughness", _T.Float)
    write.attribute(shader, "inputs:metallic", _T.Float, 0.0)
    write.attribute(shader, "inputs:useSpecularWorkflow", _T.Int, 0)
    write.attribute(shader, "inputs:ior", _T.Float, 1.05, doc="Close to 1: soil has no gloss.")
    write.attribute(shader, "outputs:surface", _T.Token)
    return look


def _write_ground(layer: Sdf.Layer, terrain: Terrain, baked: bool) -> None:
    ground = write.prim(layer, schema.GROUND, "Xform", schemas=[_LABELS, "MaterialBindingAPI"])
    ground.kind = Kind.Tokens.component
    write.label(ground, NAMES[REGOLITH])
    write.bind(ground, schema.LOOK_GROUND)
    recipe = terrain.recipe
    if recipe is not None or baked:
        doc = "Whether Terrain holds the fine ground as a mesh; otherwise a renderer adds it from this recipe."
        write.attribute(ground, f"{schema.RELIEF}baked", _T.Bool, baked, doc=doc, custom=True)
    docs = write.field_docs(relief.ReliefRecipe)
    for name, value in dataclasses.asdict(recipe).items() if recipe is not None else ():
        if name != "baked":
            kind = _scalar_type(value)
            write.attribute(ground, schema.RELIEF + name, kind, value, doc=docs[name], custom=True)
    mesh = write.prim(layer, schema.TERRAIN, "Mesh")
    if baked:
        write.mesh(mesh, relief.ground_mesh(terrain.grid, recipe, terrain.far))
        if recipe is not None and recipe.pebble_density > 0.0:
            write.mesh(write.prim(layer, schema.PEBBLES, "Mesh"), relief.pebbles(terrain.grid, recipe))
        return
    write.mesh(mesh, grid_quads(terrain.grid))
    rows, columns = terrain.grid.z.shape
    doc = "Vertices (rows along +Y, columns along +X); vertex k is row k // columns, column k % columns."
    write.attribute(mesh, schema.GRID_SHAPE, _T.Int2, Gf.Vec2i(rows, columns), doc=doc, custom=True)
    doc = "Spacing of the grid [m]; it is centred on the origin."
    write.attribute(mesh, schema.GRID_CELL, _T.Double, float(terrain.grid.cell), doc=doc, custom=True)
    write.mesh(write.prim(layer, schema.FAR, "Mesh"), terrain.far)


def grid_quads(grid: Heightfield) -> tuple[np.ndarray, np.ndarray]:
    """Points, float32, shape [R·C, 3], and quads, int32, shape [(R-1)(C-1), 4], of a heightfield, seen from above."""
    rows, columns = grid.z.shape
    x = np.arange(columns) * grid.cell - grid.half_x
    y = np.arange(rows) * grid.cell - grid.half_y
    points = np.empty((rows, columns, 3), np.float32)
    points[..., 0], points[..., 1], points[..., 2] = x[None, :], y[:, None], grid.z
    corner = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None, :]).ravel()
    faces = np.stack([corner, corner + 1, corner + columns + 1, corner + columns], axis=1)
    return points.reshape(-1, 3), faces.astype(np.int32)


def _scalar_type(value: Any) -> Sdf.ValueTypeName:
    kinds = {bool: _T.Bool, int: _T.Int64, float: _T.Double, str: _T.Token}
    return kinds[type(value)]


def _write_rocks(layer: Sdf.Layer, rocks: RockField) -> None:
    scope = write.prim(layer, schema.ROCKS, "Scope", schemas=["MaterialBindingAPI"])
    write.bind(scope, schema.LOOK_ROCK)
    order = Vt.TokenArray(["xformOp:translate", "xformOp:orient", "xformOp:scale"])
    digits = _digits(rocks)
    columns = (rocks.shape, rocks.lod, rocks.position, rocks.orientation, rocks.scale, rocks.diameter, rocks.burial)
    looks = (*schema.LOOKS_FRESH, schema.LOOK_ROCK)
    steps = np.round(rocks.maturity * len(schema.LOOKS_FRESH)).astype(int)
    for index, values in enumerate(zip(*(column.tolist() for column in columns), strict=True)):
        shape, lod, position, (w, x, y, z), scale, diameter, burial = values
        look = looks[steps[index]]
        schemas = [_LABELS] if look == schema.LOOK_ROCK else [_LABELS, "MaterialBindingAPI"]
        rock = write.child(scope, f"rock_{index:0{digits}d}", "Mesh", schemas=schemas)
        if look != schema.LOOK_ROCK:
            write.bind(rock, look)
        target = f"{schema.PROTOTYPES}/{prototype_name(shape, lod)}"
        rock.referenceList.prependedItems = [Sdf.Reference("", Sdf.Path(target))]
        write.label(rock, NAMES[ROCK])
        write.attribute(rock, "xformOp:translate", _T.Double3, Gf.Vec3d(*position))
        write.attribute(rock, "xformOp:orient", _T.Quatf, Gf.Quatf(w, x, y, z))
        write.attribute(rock, "xformOp:scale", _T.Float3, Gf.Vec3f(scale, scale, scale))
        write.attribute(rock, "xformOpOrder", _T.TokenArray, order, uniform=True)
        for name, doc, value in zip(
            (schema.ROCK_DIAMETER, schema.ROCK_BURIAL), _ROCK_DOCS, (diameter, burial), strict=True
        ):
            write.attribute(rock, name, _T.Double, value, doc=doc, custom=True)


def _digits(rocks: RockField) -> int:
    """Digits of a rock's number in its name."""
    return max(5, len(str(max(len(rocks) - 1, 0))))


def _write_patches(layer: Sdf.Layer, scene: Scene) -> None:
    """Bind other materials to faces of rocks: regolith where dust lies, those of inclusions where they crop out."""
    looks = {"Dust": schema.LOOK_GROUND, "Bright": schema.LOOK_BRIGHT, "Dark": schema.LOOK_DARK}
    digits = _digits(scene.rocks)
    for index, patches in rock_patches(scene.rocks, scene.params.rocks, scene.spec.seed):
        rock = layer.GetPrimAtPath(f"{schema.ROCKS}/rock_{index:0{digits}d}")
        family = "subsetFamily:materialBind:familyType"
        write.attribute(rock, family, _T.Token, "nonOverlapping", uniform=True)
        for (name, look), faces in zip(looks.items(), patches, strict=True):
            if len(faces):
                subset = write.child(rock, name, "GeomSubset", schemas=["MaterialBindingAPI"])
                write.attribute(subset, "elementType", _T.Token, "face", uniform=True)
                write.attribute(subset, "familyName", _T.Token, "materialBind", uniform=True)
                write.attribute(subset, "indices", _T.IntArray, Vt.IntArray.FromNumpy(faces))
                write.bind(subset, look)


def prototype_name(shape: int, lod: int) -> str:
    """Name of a prototype prim under `schema.PROTOTYPES`."""
    return f"shape_{shape:02d}_lod{lod}"


def _write_prototypes(layer: Sdf.Layer, rocks: RockField) -> None:
    write.prim(layer, schema.PROTOTYPES, "Scope", specifier=Sdf.SpecifierClass, doc="Unit rocks; never drawn.")
    for shape, lod in np.unique(np.stack([rocks.shape, rocks.lod], axis=1), axis=0).tolist():
        spec = write.prim(layer, f"{schema.PROTOTYPES}/{prototype_name(shape, lod)}", "Mesh")
        unit = rocks.prototypes[shape][lod]
        write.mesh(spec, unit, smooth=len(unit.faces) > SMOOTH_FACES)


def write_sun(layer: Sdf.Layer) -> None:
    """Write the sun; `edit.set_sun` points it."""
    _write_light(layer, schema.SUN, "The sun: shines along local -Z.")


def write_earth(layer: Sdf.Layer) -> None:
    """Write the Earth as a light; `edit.set_earth` points it."""
    _write_light(layer, schema.EARTH, "Earthshine: shines along local -Z.")


def _write_light(layer: Sdf.Layer, path: str, doc: str) -> None:
    light = write.prim(layer, path, "DistantLight", doc=doc)
    write.attribute(light, "inputs:angle", _T.Float)
    write.attribute(light, "inputs:intensity", _T.Float)
    write.attribute(light, "inputs:exposure", _T.Float, 0.0)
    doc = "Colour over its luminance, linear Rec. 709, to a camera balanced for the sun's own 5772 K."
    write.attribute(light, "inputs:color", _T.Color3f, doc=doc)
    write.attribute(light, "inputs:normalize", _T.Bool, True)
    write.attribute(light, "xformOp:rotateXYZ", _T.Float3, doc="(0, 90° − elevation, azimuth).")
    write.attribute(light, "xformOpOrder", _T.TokenArray, Vt.TokenArray(["xformOp:rotateXYZ"]), uniform=True)


def _write_stars(layer: Sdf.Layer, scene: Scene) -> None:
    """Stars as points beyond the far relief, evenly over the sphere; the area of a point is the star's flux.

    Of stars to a limiting magnitude m there are about 10^(0.48 m), so their fluxes follow N(> F) ∝ F^-1.2 (Allen's
    Astrophysical Quantities, star counts of the bright sky).
    """
    count = scene.params.light.stars
    random = rng(scene.spec.seed, "stars")
    direction = random.normal(size=(count, 3))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    radius = max(4000.0, 2.0 * scene.params.terrain.far_radius_m)
    points = (radius * direction).astype(np.float32)
    flux = (1.0 - random.random(count)) ** (-1.0 / 1.2)
    width = np.minimum(0.0004 * radius * np.sqrt(flux), 0.004 * radius).astype(np.float32)
    half = 0.5 * float(width.max())
    extent = np.stack([points.min(axis=0) - half, points.max(axis=0) + half])
    stars = write.prim(layer, schema.STARS, "Points", doc="Stars without label or light.")
    write.attribute(stars, "points", _T.Point3fArray, Vt.Vec3fArray.FromNumpy(points))
    write.attribute(stars, "widths", _T.FloatArray, Vt.FloatArray.FromNumpy(width))
    write.attribute(stars, "extent", _T.Float3Array, Vt.Vec3fArray.FromNumpy(extent))
    color = Vt.Vec3fArray([Gf.Vec3f(1.0)])
    write.attribute(stars, "primvars:displayColor", _T.Color3fArray, color).SetInfo("interpolation", "constant")


def write_camera(layer: Sdf.Layer) -> None:
    """Write the camera; `edit.set_camera` places it."""
    _write_camera(layer, schema.CAMERA, "Rover camera: looks along -Z, +X right.", "transform", _T.Matrix4d)


def write_right_camera(layer: Sdf.Layer) -> None:
    """Write the right camera of a stereo pair, whose left one is written; `edit.set_baseline` places it."""
    doc = "Right camera of the stereo pair: the left one's, displaced along its +X."
    right = _write_camera(layer, schema.CAMERA_RIGHT, doc, "translate", _T.Double3)
    for camera, role in ((layer.GetPrimAtPath(schema.CAMERA), "left"), (right, "right")):
        write.attribute(camera, "stereoRole", _T.Token, role, uniform=True)


def _write_camera(layer: Sdf.Layer, path: str, doc: str, op: str, kind: Sdf.ValueTypeName) -> Sdf.PrimSpec:
    """Write a camera whose pose is one `xformOp` of that name and type; returns its prim."""
    camera = write.prim(layer, path, "Camera", doc=doc)
    write.attribute(camera, "projection", _T.Token, "perspective")
    for name in ("focalLength", "horizontalAperture", "verticalAperture", "exposure"):
        write.attribute(camera, name, _T.Float)
    write.attribute(camera, "fStop", _T.Float, 0.0, doc="0: no depth of field.")
    write.attribute(camera, "clippingRange", _T.Float2)
    write.attribute(camera, f"xformOp:{op}", kind)
    write.attribute(camera, "xformOpOrder", _T.TokenArray, Vt.TokenArray([f"xformOp:{op}"]), uniform=True)
    sensor = (
        ("resolution", _T.Int2, "Picture (width, height) [px]."),
        ("fullWell", _T.Double, "Electrons at linear pixel value 1; sets the shot noise, 0 for none."),
        ("encoding", _T.Token, "Transfer curve to 8 bits: srgb or linear."),
        ("noiseSeed", _T.Int64, "Seed of the frame's noise."),
    )
    drawn = ((name, _T.Double, doc) for name, doc in schema.SENSOR_VALUES.values())
    for name, value_kind, value_doc in (*sensor, *drawn):
        write.attribute(camera, schema.SENSOR + name, value_kind, doc=value_doc, custom=True)
    return camera


def _set_domain_center(stage: Usd.Stage, scene: Scene) -> None:
    """Light and aim the stage at the centre of the training domain, looking across the sun; a rover moves as there."""
    values = {name: interval.center for name, interval in intervals(scene.params, "frame").items()}
    if (site := scene.params.ground.site) is not None and (time := scene.params.domain.time) is not None:
        sun = sky_at(site, time.center).sun
        values |= {"sun_elevation_deg": sun.elevation_deg, "sun_azimuth_deg": sun.azimuth_deg}
    values |= {"heading_deg": (values["sun_azimuth_deg"] + 110.0) % 360.0, "roll_deg": 0.0, "exposure_ev": 0.0}
    view = {name: values[name] for name in VIEW}
    (x, y, z), rover = seat_camera(scene, rng=rng(scene.spec.seed, "camera"), **view)
    frame = FrameSpec("", 0, 0, scene.spec.seed, x, y, z, values=values, rover=rover)
    apply_frame(stage, scene.params, frame, *_SIZE)
    if scene.params.has_rover:
        apply_dynamics(stage, {name: each.center for name, each in intervals(scene.params, "traverse").items()})
