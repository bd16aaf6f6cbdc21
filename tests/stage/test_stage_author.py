"""The authored stage: names, labels, values, edits and files."""

from __future__ import annotations

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from pxr import (
    Gf,
    Sdf,
    Tf,
    Usd,
    UsdGeom,
    UsdLux,
    UsdSemantics,  # pyright: ignore[reportAttributeAccessIssue]
    UsdShade,
)

from regolith.lunar.labels import CLASSES, TAXONOMY
from regolith.lunar.params import InputError, Interval, SensorParams, dump_params, intervals, load_preset
from regolith.lunar.stage import edit, schema
from regolith.lunar.stage.author import author_stage, build_scene, grid_quads
from regolith.lunar.stage.colour import planck_xy
from regolith.lunar.stage.save import save_stage
from regolith.lunar.stage.sizes import crater_density, cumulative, plot_sizes
from regolith.lunar.stage.spec import FrameSpec, SceneSpec

FRAME = FrameSpec(
    split="train_dr", index=3, scene=0, seed=2**40 + 7, camera_x_m=1.0, camera_y_m=-2.0, camera_z_m=2.5,
    values={name: interval.center for name, interval in intervals(load_preset("v3"), "frame").items()} | {
        "sun_elevation_deg": 14.0, "sun_azimuth_deg": 200.0, "albedo": 0.12, "roughness": 0.95,
        "rock_albedo_ratio": 1.2, "exposure_ev": -0.4, "heading_deg": 30.0, "pitch_deg": -8.0, "roll_deg": 1.5,
        "fov_deg": 62.0, "height_m": 2.0,
    },
)  # fmt: skip


@pytest.fixture(name="stage")
def fixture_stage(scene) -> Usd.Stage:
    return author_stage(scene)


def vector(value: Gf.Vec3d) -> np.ndarray:
    return np.array([value[k] for k in range(3)])


def labels_of(prim: Usd.Prim) -> list[str]:
    api = UsdSemantics.LabelsAPI(prim, TAXONOMY)
    return list(api.GetLabelsAttr().Get()) if prim.HasAPI(UsdSemantics.LabelsAPI, TAXONOMY) else []


def test_layout_is_the_schema(stage, scene):
    """Prims and types of `stage.schema`, Z up, metres, default prim World."""
    types = {
        schema.WORLD: "Xform", schema.GROUND: "Xform", schema.TERRAIN: "Mesh", schema.FAR: "Mesh",
        schema.ROCKS: "Scope", schema.LOOKS: "Scope", schema.LOOK_GROUND: "Material", schema.LOOK_ROCK: "Material",
        schema.SUN: "DistantLight", schema.CAMERA: "Camera",
    }  # fmt: skip
    for path, name in types.items():
        assert stage.GetPrimAtPath(path).GetTypeName() == name, path
    assert str(stage.GetDefaultPrim().GetPath()) == schema.WORLD
    assert UsdGeom.GetStageUpAxis(stage) == UsdGeom.Tokens.z
    assert UsdGeom.GetStageMetersPerUnit(stage) == 1.0
    assert not stage.GetPrimAtPath(schema.STARS)
    assert not stage.GetPrimAtPath(schema.PEBBLES)
    assert stage.GetPrimAtPath(schema.PROTOTYPES).IsAbstract()
    rocks = stage.GetPrimAtPath(schema.ROCKS).GetChildren()
    assert [prim.GetName() for prim in rocks] == [f"rock_{k:05d}" for k in range(len(scene.rocks))]
    assert stage.Traverse() and all(not prim.IsInstance() for prim in rocks)


def shown(stage):
    """What a stage says it shows."""
    return stage.GetPrimAtPath(schema.WORLD).GetCustomDataByKey(schema.SHOWN)


def test_layer_data_is_the_contract(stage, scene):
    """Scene and seed travel in the layer, parameters and frame on the world."""
    data = stage.GetRootLayer().customLayerData[schema.LAYER_DATA]
    assert set(data) == {"schema", "version", "seed", "scene"}
    assert data["schema"] == schema.SCHEMA_VERSION
    assert SceneSpec(**json.loads(data["scene"])) == scene.spec
    assert data["seed"] == scene.spec.seed
    assert set(shown(stage)) == {"preset", "parameters", "frame"}
    assert shown(stage)["preset"] == "v3" and shown(stage)["parameters"] == dump_params(scene.params)
    frame = FrameSpec.from_dict(json.loads(shown(stage)["frame"]))
    assert frame.values.keys() == intervals(scene.params, "frame").keys()


def test_an_edited_stage_says_what_it_shows(stage, scene, tmp_path):
    """Parameters and frame are those of the last edit, also once saved; what others noted stays."""
    stage.GetPrimAtPath(schema.WORLD).SetCustomDataByKey("theirs", 1)
    params = scene.params.model_copy(
        update={"preset": "own", "sensor": scene.params.sensor.model_copy(update={"exposure_key": 0.5})}
    )
    edit.apply_frame(stage, params, FRAME, 64, 64)
    for ending in ("usda", "usdc"):
        save_stage(stage, tmp_path / f"stage.{ending}")
        saved = Usd.Stage.Open(str(tmp_path / f"stage.{ending}"))
        assert shown(saved)["preset"] == "own"
        assert shown(saved)["parameters"] == dump_params(params) != dump_params(scene.params)
        assert FrameSpec.from_dict(json.loads(shown(saved)["frame"])) == FRAME
        assert saved.GetPrimAtPath(schema.WORLD).GetCustomDataByKey("theirs") == 1


def test_what_a_stage_shows_is_noted_where_it_was_edited(stage, scene):
    """Edits of another layer leave the root layer's values, and what it says of them, as they are."""
    root, session = stage.GetRootLayer(), stage.GetSessionLayer()
    before = root.ExportToString()
    with Usd.EditContext(stage, session):
        edit.apply_frame(stage, scene.params, FRAME, 64, 64)
    assert root.ExportToString() == before
    assert FrameSpec.from_dict(json.loads(shown(stage)["frame"])) == FRAME


def test_labels_resolve_on_every_surface(stage):
    """Every drawn mesh has exactly one labelled prim among itself and its ancestors, and the label is a class."""
    for prim in stage.Traverse():
        if not prim.IsA(UsdGeom.Mesh):
            continue
        found, at = [], prim
        while at and not at.IsPseudoRoot():
            found += labels_of(at)
            at = at.GetParent()
        expected = "rock" if str(prim.GetPath()).startswith(schema.ROCKS) else "regolith"
        assert found == [expected] and expected in CLASSES


def test_rocks_are_references_with_their_own_transform(stage, scene):
    """A rock composes its prototype's mesh; its transform puts it where the field says."""
    rocks = scene.rocks
    for index in range(0, len(rocks), 37):
        prim = stage.GetPrimAtPath(f"{schema.ROCKS}/rock_{index:05d}")
        points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get(), np.float64)
        matrix = np.array(UsdGeom.Xformable(prim).ComputeLocalToWorldTransform(Usd.TimeCode.Default()))
        assert np.allclose(points @ matrix[:3, :3] + matrix[3, :3], rocks.mesh(index).points, atol=1e-5)
        assert prim.GetAttribute(schema.ROCK_DIAMETER).Get() == rocks.diameter[index]
        assert prim.GetAttribute(schema.ROCK_BURIAL).Get() == rocks.burial[index]
        look, _ = UsdShade.MaterialBindingAPI(prim).ComputeBoundMaterial()
        assert str(look.GetPath()) == schema.LOOK_ROCK


def test_terrain_is_the_grid(stage, scene):
    """Row-major vertices with +X along columns, faces upward, and the two grid attributes."""
    grid = scene.terrain.grid
    prim = stage.GetPrimAtPath(schema.TERRAIN)
    rows, columns = prim.GetAttribute(schema.GRID_SHAPE).Get()
    assert (rows, columns) == grid.z.shape
    assert prim.GetAttribute(schema.GRID_CELL).Get() == grid.cell
    points = np.array(UsdGeom.Mesh(prim).GetPointsAttr().Get()).reshape(rows, columns, 3)
    assert np.array_equal(points[..., 2], grid.z)
    assert points[0, 0, 0] == pytest.approx(-grid.half_x) and points[0, -1, 0] == pytest.approx(grid.half_x)
    assert points[-1, 0, 1] == pytest.approx(grid.half_y)
    assert (np.array(UsdGeom.Mesh(prim).GetNormalsAttr().Get())[:, 2] > 0.0).all()
    far = np.array(stage.GetPrimAtPath(schema.FAR).GetAttribute("points").Get())
    border = {tuple(p) for p in np.concatenate([points[0], points[-1], points[:, 0], points[:, -1]]).tolist()}
    assert border <= {tuple(p) for p in far.tolist()}
    assert grid_quads(grid)[1].max() == rows * columns - 1


def test_relief_recipe_is_on_the_ground(stage, scene, small_scene):
    """One attribute a field, and the flag that the mesh does not hold it yet; nothing without relief."""
    ground = stage.GetPrimAtPath(schema.GROUND)
    for field in dataclasses.fields(scene.terrain.recipe):
        attribute = ground.GetAttribute(schema.RELIEF + field.name)
        assert attribute.Get() == getattr(scene.terrain.recipe, field.name), field.name
    smooth = author_stage(small_scene("v1"))
    plain = smooth.GetPrimAtPath(schema.GROUND)
    names = [a.GetName() for a in plain.GetAttributes() if a.GetName().startswith(schema.RELIEF)]
    assert names == []


def test_baked_ground_needs_no_recipe(scene):
    """Baked: Terrain holds the fine ground, pebbles are regolith, there is neither grid nor Far."""
    stage = author_stage(scene, baked=True)
    assert stage.GetPrimAtPath(schema.GROUND).GetAttribute(f"{schema.RELIEF}baked").Get() is True
    terrain = stage.GetPrimAtPath(schema.TERRAIN)
    assert not terrain.GetAttribute(schema.GRID_SHAPE) and not stage.GetPrimAtPath(schema.FAR)
    assert len(terrain.GetAttribute("points").Get()) > scene.terrain.grid.z.size
    assert stage.GetPrimAtPath(schema.PEBBLES).GetTypeName() == "Mesh"


def test_photometry_is_documented(stage, scene):
    """Every photometry attribute has a value and a sentence."""
    for path in (schema.LOOK_GROUND, schema.LOOK_ROCK):
        prim = stage.GetPrimAtPath(path)
        for name in ("model", "albedo", "b", "c", "b0", "h", "mottling", "bump", "seed"):
            attribute = prim.GetAttribute(schema.PHOTOMETRY + name)
            assert attribute.Get() is not None and attribute.GetDocumentation(), name
    assert stage.GetPrimAtPath(schema.LOOK_GROUND).GetAttribute(f"{schema.PHOTOMETRY}b0").Get() == pytest.approx(1.8)


def file_bytes(folder: Path) -> dict[str, bytes]:
    """Content of every file of a folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def differences(one: Path, two: Path) -> list[str]:
    """What of one stage the other has otherwise: attributes, how many of their numbers, and by how much at most."""
    stages = [Usd.Stage.Open(str(path)) for path in (one, two)]
    values = [
        {str(a.GetPath()): a.Get() for prim in stage.TraverseAll() for a in prim.GetAttributes()} for stage in stages
    ]
    lines = []
    for name in sorted(values[0].keys() | values[1].keys()):
        a, b = (np.asarray(side.get(name)) for side in values)
        if a.shape != b.shape or a.dtype.kind not in "fiu" or a.dtype != b.dtype:
            lines += [f"{name}: {a.dtype} {a.shape}, {b.dtype} {b.shape}"] if not np.array_equal(a, b) else []
        elif a.tobytes() != b.tobytes():
            gap = np.abs(a.astype(np.float64) - b.astype(np.float64))
            lines.append(f"{name}: {np.count_nonzero(a != b)} of {a.size}, up to {gap.max():.3g}")
    return lines


def test_same_seed_same_bytes(scene, tmp_path):
    """Building and writing again gives the same text."""
    again = build_scene(scene.params, scene.spec)
    for name, built in (("one", scene), ("two", again)):
        (tmp_path / name).mkdir()
        save_stage(author_stage(built), tmp_path / name / "stage.usda")
    assert file_bytes(tmp_path / "one") == file_bytes(tmp_path / "two")


def test_another_process_writes_the_same_bytes(scene, tmp_path):
    """Nothing of this process leaks into the file."""
    for name in ("here", "there"):
        (tmp_path / name).mkdir()
    save_stage(author_stage(scene), tmp_path / "here" / "stage.usda")
    code = (
        "import sys, json; from pathlib import Path\n"
        "from regolith.lunar.params import Params\n"
        "from regolith.lunar.stage.author import author_stage, build_scene\n"
        "from regolith.lunar.stage.save import save_stage\n"
        "from regolith.lunar.stage.spec import SceneSpec\n"
        "params = Params.model_validate(json.loads(sys.argv[1])); spec = SceneSpec(**json.loads(sys.argv[2]))\n"
        "save_stage(author_stage(build_scene(params, spec)), Path(sys.argv[3]))\n"
    )
    arguments = [dump_params(scene.params), json.dumps(scene.spec.to_dict()), str(tmp_path / "there" / "stage.usda")]
    subprocess.run([sys.executable, "-c", code, *arguments], check=True)
    here, there = tmp_path / "here", tmp_path / "there"
    same = file_bytes(here) == file_bytes(there)
    assert same, differences(here / "stage.usda", there / "stage.usda") or "other bytes, the same values"


@pytest.mark.parametrize("suffix", [".usda", ".usdc", ".usd"])
def test_saved_stage_opens(stage, tmp_path, suffix):
    """Each ending opens again with its references, and no temporary file stays."""
    path = tmp_path / f"stage{suffix}"
    written = save_stage(stage, path)
    assert sorted(tmp_path.iterdir()) == sorted(written) and path in written
    opened = Usd.Stage.Open(str(path))
    rock = opened.GetPrimAtPath(f"{schema.ROCKS}/rock_00000")
    assert len(UsdGeom.Mesh(rock).GetPointsAttr().Get()) >= 162


def test_a_stage_written_over_an_older_one_shows_its_own_arrays(tmp_path):
    """The older one's go, but for what is still named: a stage may be written over the file it was opened from."""
    path = tmp_path / "stage.usda"

    def count():
        opened = Usd.Stage.Open(str(path))
        return len(UsdGeom.Mesh(opened.GetPrimAtPath("/World/Mesh")).GetPointsAttr().Get())

    for number in (100, 200):
        written = Usd.Stage.CreateInMemory()
        UsdGeom.Mesh.Define(written, "/World/Mesh").GetPointsAttr().Set([(0.0, 0.0, float(i)) for i in range(number)])
        files = save_stage(written, path)
        assert sorted(tmp_path.iterdir()) == sorted(files) and count() == number
    save_stage(Usd.Stage.Open(str(path)), path)
    assert count() == 200


ODD = (
    r"a\b",
    "a%5Cb",
    "a@b",
    "a@@@b",
    "<UDIM>",
    "a[b]",
    "a#b?c",
    "C:",
    " a ",
    "-a",
    "月",
    "tab\tline\n",
    "\x7f\x85",
    r"of\windows/a",
)


def test_a_text_stage_of_any_name_keeps_its_points(tmp_path):
    """Asset paths take backslashes for folders, also in the folders' own names, and no control characters."""
    (tmp_path / r"of\windows").mkdir()
    for number, name in enumerate(ODD):
        written = Usd.Stage.CreateInMemory()
        points = [(number, float(i), 0.0) for i in range(100)]
        UsdGeom.Mesh.Define(written, "/World/Mesh").GetPointsAttr().Set(points)
        save_stage(written, tmp_path / f"{name}.usda")
    for number, name in enumerate(ODD):
        opened = Usd.Stage.Open(str(tmp_path / f"{name}.usda"))
        points = UsdGeom.Mesh(opened.GetPrimAtPath("/World/Mesh")).GetPointsAttr().Get()
        assert len(points) == 100 and points[99] == (number, 99.0, 0.0)


@pytest.mark.parametrize("name", ["stage.obj", "stage", "none/stage.usda", "stage\udce4.usda"])
def test_wrong_file_names_are_refused(stage, tmp_path, name):
    """The line names the file and what is allowed."""
    with pytest.raises(InputError, match="stage"):
        save_stage(stage, tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_sun_points_where_it_should(stage):
    """Local +Z is the direction to the sun; normalized intensity is the irradiance."""
    for elevation, azimuth in ((14.0, 200.0), (0.5, 0.0), (90.0, 45.0), (40.0, 359.0)):
        edit.set_sun(stage, elevation, azimuth, angle_deg=0.53, irradiance=2.5)
        matrix = UsdGeom.XformCache().GetLocalToWorldTransform(stage.GetPrimAtPath(schema.SUN))
        e, a = math.radians(elevation), math.radians(azimuth)
        direction = (math.cos(e) * math.cos(a), math.cos(e) * math.sin(a), math.sin(e))
        assert np.allclose(np.array(matrix)[2, :3], direction, atol=1e-6)
    light = UsdLux.DistantLight(stage.GetPrimAtPath(schema.SUN))
    assert light.GetNormalizeAttr().Get() is True
    assert light.GetIntensityAttr().Get() == 2.5 and light.GetAngleAttr().Get() == pytest.approx(0.53)


def test_camera_pose_and_intrinsics(stage, scene):
    """Axis, roll and field of view come back out of the UsdGeom camera."""
    edit.apply_frame(stage, scene.params, FRAME, 640, 480)
    camera = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA)).GetCamera()
    frustum = camera.frustum
    h, p = math.radians(30.0), math.radians(-8.0)
    axis = (math.cos(p) * math.cos(h), math.cos(p) * math.sin(h), math.sin(p))
    assert np.allclose(vector(frustum.ComputeViewDirection()), axis, atol=1e-9)
    assert np.allclose(vector(frustum.GetPosition()), (1.0, -2.0, 2.5))
    up = vector(frustum.ComputeUpVector())
    right = np.cross(axis, up)
    assert right[2] == pytest.approx(-math.sin(math.radians(1.5)) * math.cos(p), abs=1e-9)
    assert up[2] > 0.0 and right @ (math.sin(h), -math.cos(h), 0.0) > 0.99
    assert camera.GetFieldOfView(Gf.Camera.FOVHorizontal) == pytest.approx(62.0, abs=1e-4)
    assert camera.horizontalAperture / camera.verticalAperture == pytest.approx(640 / 480)
    sensor = stage.GetPrimAtPath(schema.CAMERA)
    assert tuple(sensor.GetAttribute(f"{schema.SENSOR}resolution").Get()) == (640, 480)
    assert sensor.GetAttribute(f"{schema.SENSOR}noiseSeed").Get() == FRAME.seed


def test_exposure_puts_level_ground_at_the_key(stage, scene):
    """2^exposure × Lambert radiance of level ground = key × 2^offset, opened towards the sun."""
    edit.apply_frame(stage, scene.params, FRAME, 64, 64)
    exposure = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA)).GetExposureAttr().Get()
    radiance = 0.12 / math.pi * scene.params.light.irradiance.center * math.sin(math.radians(14.0))
    sensor = scene.params.sensor
    stops = FRAME["exposure_ev"] + sensor.sun_compensation_ev * math.cos(math.radians(30.0 - 200.0))
    assert 2.0**exposure * radiance == pytest.approx(sensor.exposure_key * 2.0**stops, rel=1e-5)


def test_exposure_is_metered_for_the_centre_of_the_irradiance(stage, scene):
    """A brighter sun than the middle of its range brightens the picture: its exposure stays."""
    light = scene.params.light.model_copy(update={"irradiance": Interval(2.0, 4.0)})
    params = scene.params.model_copy(update={"light": light})
    exposure = UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA)).GetExposureAttr()
    sun = UsdLux.DistantLight(stage.GetPrimAtPath(schema.SUN)).GetIntensityAttr()
    found = []
    for irradiance in (2.0, 3.0, 4.0):
        frame = dataclasses.replace(FRAME, values=FRAME.values | {"irradiance": irradiance})
        edit.apply_frame(stage, params, frame, 64, 64)
        assert sun.Get() == irradiance
        found.append(exposure.Get())
    assert found[0] == found[1] == found[2]
    edit.apply_frame(stage, scene.params, FRAME, 64, 64)  # metered for π
    assert found[1] - exposure.Get() == pytest.approx(math.log2(math.pi / 3.0), abs=1e-5)


def test_sensor_values_are_documented_and_set(stage, scene):
    """Every drawn sensor value of a frame lands in the attribute the schema names; a new stage holds the centres."""
    camera = stage.GetPrimAtPath(schema.CAMERA)
    drawn = {name for name in intervals(scene.params, "frame") if name in SensorParams.model_fields}
    assert drawn == set(schema.SENSOR_VALUES)
    for field, (name, doc) in schema.SENSOR_VALUES.items():
        attribute = camera.GetAttribute(schema.SENSOR + name)
        assert attribute.GetDocumentation() == doc
        assert attribute.Get() == getattr(scene.params.sensor, field).center, field
    values = {field: 0.01 * number for number, field in enumerate(schema.SENSOR_VALUES, start=1)}
    edit.apply_frame(stage, scene.params, dataclasses.replace(FRAME, values=FRAME.values | values), 64, 64)
    for field, (name, _) in schema.SENSOR_VALUES.items():
        assert camera.GetAttribute(schema.SENSOR + name).Get() == values[field], field


def test_the_sun_is_white_at_its_own_temperature(stage):
    """Exactly white at 5772 K; luminance stays, warm light is red, cool light blue."""
    color = UsdLux.DistantLight(stage.GetPrimAtPath(schema.SUN)).GetColorAttr()
    assert color.Get() == Gf.Vec3f(1.0, 1.0, 1.0)
    ratios = []
    for kelvin in (2500.0, 4000.0, 5000.0, 5772.0, 7000.0, 12000.0):
        edit.set_sun(stage, 10.0, 0.0, angle_deg=0.5, irradiance=1.0, temperature_k=kelvin)
        rgb = np.array(color.Get(), np.float64)
        assert rgb @ (0.2126, 0.7152, 0.0722) == pytest.approx(1.0, abs=1e-6)
        assert (rgb > 0.0).all()
        ratios.append(rgb[2] / rgb[0])
    assert (np.diff(ratios) > 0).all()
    assert ratios[3] == 1.0


@pytest.mark.parametrize(
    ("kelvin", "x", "y"),
    [(2500, 0.4770, 0.4137), (2856, 0.4476, 0.4074), (4000, 0.3805, 0.3768), (6500, 0.3135, 0.3237),
     (10000, 0.2807, 0.2884)],
)  # fmt: skip
def test_black_bodies_have_the_colours_of_the_tables(kelvin, x, y):
    """CIE 1931 chromaticities of Planckian radiators (Wyszecki & Stiles 1982, Color Science)."""
    assert planck_xy(kelvin) == pytest.approx((x, y), abs=1e-3)


def test_ground_colours(stage, scene):
    """Albedo on both materials; the preview colour keeps it as luminance."""
    edit.apply_frame(stage, scene.params, FRAME, 64, 64)
    for path, albedo in ((schema.LOOK_GROUND, 0.12), (schema.LOOK_ROCK, 0.144)):
        assert stage.GetPrimAtPath(path).GetAttribute(f"{schema.PHOTOMETRY}albedo").Get() == pytest.approx(albedo)
        surface = UsdShade.Material(stage.GetPrimAtPath(path)).ComputeSurfaceSource()[0]
        assert surface.GetIdAttr().Get() == "UsdPreviewSurface"
        color = np.array(surface.GetInput("diffuseColor").Get())
        assert color @ (0.2126, 0.7152, 0.0722) == pytest.approx(albedo, rel=2e-3)
        assert surface.GetInput("roughness").Get() == pytest.approx(0.95)
    assert stage.GetPrimAtPath(schema.LOOK_GROUND).GetAttribute(f"{schema.PHOTOMETRY}bump").Get() == 0.5 * 0.95


def test_edits_change_values_of_sun_looks_and_camera_alone(stage, scene):
    """A frame resyncs nothing and touches a few dozen attributes, none of geometry."""
    edit.apply_frame(stage, scene.params, FRAME, 64, 64)
    specs = sum(1 for _ in stage.TraverseAll())
    resynced, changed = [], []

    def edited(notice, _):
        resynced.extend(notice.GetResyncedPaths())
        changed.extend(notice.GetChangedInfoOnlyPaths())

    watch = Tf.Notice.Register(Usd.Notice.ObjectsChanged, edited, stage)
    moved = {"sun_elevation_deg": 31.0, "albedo": 0.2, "hapke_b": 0.3, "fov_deg": 50.0}
    edit.apply_frame(stage, scene.params, dataclasses.replace(FRAME, values=FRAME.values | moved), 64, 64)
    assert not resynced and 8 <= len(changed) <= 80
    parents = {path.GetPrimPath() for path in changed}
    looks = {look for look in parents if look.HasPrefix(schema.LOOKS)}
    assert looks and parents - looks == {Sdf.Path(path) for path in (schema.SUN, schema.CAMERA, schema.WORLD)}
    watch.Revoke()
    assert sum(1 for _ in stage.TraverseAll()) == specs


def test_edits_refuse_a_foreign_stage_and_bad_optics(stage):
    """The line names the attribute or the field."""
    with pytest.raises(InputError, match="/World/Sun"):
        edit.set_sun(Usd.Stage.CreateInMemory(), 10.0, 0.0, angle_deg=0.5, irradiance=1.0)
    pose = ((0.0, 0.0, 2.0), 0.0, 0.0, 0.0)
    with pytest.raises(InputError, match="fov_deg"):
        edit.set_camera(stage, *pose, 180.0, exposure_ev=0.0, width=4, height=4, aperture_mm=20.0)
    with pytest.raises(InputError, match="size"):
        edit.set_camera(stage, *pose, 60.0, exposure_ev=0.0, width=0, height=4, aperture_mm=20.0)


def test_stars_only_where_asked_for(scene):
    """Unlabelled points beyond the far relief."""
    params = scene.params.model_copy(update={"light": scene.params.light.model_copy(update={"stars": 200})})
    stage = author_stage(dataclasses.replace(scene, params=params))
    stars = UsdGeom.Points(stage.GetPrimAtPath(schema.STARS))
    points = np.array(stars.GetPointsAttr().Get())
    assert points.shape == (200, 3)
    assert np.linalg.norm(points, axis=1).min() > params.terrain.far_radius_m
    assert len(stars.GetWidthsAttr().Get()) == 200 and not labels_of(stars.GetPrim())


def test_sizes_plot(scene, tmp_path):
    """The plot is a picture of some substance; the curves behind it are the requested laws."""
    from PIL import Image

    plot_sizes(scene, tmp_path / "sizes.png")
    picture = np.asarray(Image.open(tmp_path / "sizes.png").convert("RGB"))
    assert picture.shape[0] > 400 and len(np.unique(picture.reshape(-1, 3), axis=0)) > 100
    sizes, count = cumulative(np.array([1.0, 3.0, 2.0]), 2.0)
    assert sizes.tolist() == [3.0, 2.0, 1.0] and count.tolist() == [0.25, 0.75, 1.25]
    law = scene.params.craters
    assert crater_density(scene, np.array([law.diameter_max_m]))[0] == 0.0
