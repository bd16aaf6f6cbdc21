"""What the double sees of the open stage: the embedded renderer's pixels, and which mesh each of them shows."""

from __future__ import annotations

import dataclasses

import numpy as np
import omni.kit.app
import omni.usd
from pxr import Sdf, Usd, UsdGeom, UsdLux, UsdSemantics, Vt

GROUND, TERRAIN = "/World/Ground", "/World/Ground/Terrain"
STARS, SUN, CAMERA = "/World/Stars", "/World/Sun", "/World/Camera"
GRID_SHAPE, SENSOR = "regolith:grid:shape", "regolith:sensor:"
LENS = "omni:lensdistortion:opencvPinhole:"


@dataclasses.dataclass
class Picture:
    """A frame; arrays of height H and width W."""

    ldr: np.ndarray
    hdr: np.ndarray
    depth: np.ndarray
    normals: np.ndarray
    mesh: np.ndarray
    """Which of the meshes in sight is at each pixel's centre, in the order in which rows meet them; -1 for none."""
    labels: list[str]
    """Labels of each mesh in sight, inherited ones with them, joined by commas."""
    prims: list[str]
    """Nearest labelled prim of each mesh in sight; empty for none."""


class _Eye:
    """Two views of one stage: as it is lit, and with every mesh a rock, whose instance ids then tell meshes apart."""

    def __init__(self, stage: Usd.Stage) -> None:
        from regolith.lunar.render.compile import read_geometry  # comes and goes with the extension
        from regolith.lunar.render.mitsuba import MitsubaRenderer

        layers = [stage.GetSessionLayer().identifier, stage.GetRootLayer().identifier]
        self.tops, self.stages, self.renderers = [], [], []
        for every_rock in (False, True):
            top = Sdf.Layer.CreateAnonymous(".usda")
            top.subLayerPaths = layers
            copy = Usd.Stage.Open(top)
            terrain = copy.GetPrimAtPath(TERRAIN)
            if terrain and terrain.GetAttribute(GRID_SHAPE):
                terrain.GetAttribute(GRID_SHAPE).Block()  # RTX knows meshes, not our recipe
            if every_rock:
                for prim in copy.Traverse():
                    if prim.IsA(UsdGeom.Mesh):
                        self._smooth(prim)
                        UsdSemantics.LabelsAPI.Apply(prim, "class").CreateLabelsAttr(["rock"])
                objects = read_geometry(copy).objects
                self.paths = [placed.path for placed in objects]
                assert [placed.instance for placed in objects] == list(range(1, len(objects) + 1))
            renderer = MitsubaRenderer(threads=1)
            renderer.load(copy)
            self.tops.append(top)
            self.stages.append(copy)
            self.renderers.append(renderer)

    def look(self, stage: Usd.Stage, camera: str, width: int, height: int) -> Picture:
        from regolith.lunar.render.develop import star_pixels
        from regolith.lunar.render.view import read_tint, read_view

        prim = stage.GetPrimAtPath(camera)
        for copy in self.stages:
            self._aim(copy, prim)
            self._bend(copy, prim)
        lit, told = self.renderers
        stars = self.stages[0].GetPrimAtPath(STARS)
        specks = np.zeros(0, np.int64)
        if stars:
            stars.SetActive(True)
            if UsdGeom.Imageable(stage.GetPrimAtPath(STARS)).ComputeVisibility() != "invisible":
                specks, _ = star_pixels(read_view(self.stages[0], ()), width, height)
            stars.SetActive(bool(len(specks)))
        radiance = lit.radiance(width, height, quality="draft") + _lamps(stage)
        light = radiance[..., None] * np.array(read_tint(self.stages[0]), np.float32) * _exposure(prim)
        hdr = np.concatenate([light, np.ones_like(light[..., :1])], axis=-1).astype(np.float16)
        frame = told.render(width, height, quality="draft", outputs=frozenset({"depth", "normals", "instance"}))
        ldr = np.full((height, width, 4), 255, np.uint8)
        ldr[..., :3] = lit.preview(width, height)
        met = [number for number in dict.fromkeys(frame.instance.ravel().tolist()) if number]
        place = np.full(len(self.paths) + 1, -1, np.int32)
        place[met] = np.arange(len(met))
        named = [_labels(stage, self.paths[number - 1]) for number in met] + [("", "")]
        mesh = place[frame.instance]
        specks = specks[mesh.ravel()[specks] < 0]
        mesh.ravel()[specks] = len(met)  # stars are things to RTX, without label
        return Picture(ldr, hdr, frame.depth, frame.normals, mesh,
                       [label for label, _ in named], [prim for _, prim in named])  # fmt: skip

    @staticmethod
    def _smooth(prim: Usd.Prim) -> None:
        """Give a mesh of the ground, whatever its label, the normals of ground."""
        from regolith.lunar.stage.mesh import vertex_normals
        from regolith.lunar.stage.reading import read_mesh

        if not prim.GetPath().HasPrefix(GROUND) or prim.GetAttribute("normals").HasValue():
            return
        mesh, ground = UsdGeom.Mesh(prim), read_mesh(prim)
        mesh.CreateNormalsAttr(Vt.Vec3fArray.FromNumpy(vertex_normals(ground.points, ground.faces)))
        mesh.SetNormalsInterpolation(UsdGeom.Tokens.vertex)

    @staticmethod
    def _aim(copy: Usd.Stage, camera: Usd.Prim) -> None:
        """Let the camera that is drawn stand where the one looked through does, and sample as that one's noise."""
        there = copy.GetPrimAtPath(CAMERA)
        pose = UsdGeom.Xformable(camera).ComputeLocalToWorldTransform(Usd.TimeCode.Default())
        there.GetAttribute("xformOp:transform").Set(pose)
        seed, drawn = camera.GetAttribute(SENSOR + "noiseSeed"), there.GetAttribute(SENSOR + "noiseSeed")
        if seed and seed.HasValue() and drawn:
            drawn.Set(seed.Get())

    @staticmethod
    def _bend(copy: Usd.Stage, camera: Usd.Prim) -> None:
        """Let the lens be the one of Omniverse's schema where that is applied, else a straight one."""
        applied = "OmniLensDistortionOpenCvPinholeAPI" in camera.GetPrimTypeInfo().GetAppliedAPISchemas()
        values = {"k1": 0.0, "k2": 0.0}
        if applied:
            assert camera.GetAttribute("omni:lensdistortion:model").Get() == "opencvPinhole"
            values = {name: camera.GetAttribute(LENS + name).Get() for name in values}
            size, fx = camera.GetAttribute(LENS + "imageSize").Get(), camera.GetAttribute(LENS + "fx").Get()
            assert camera.GetAttribute(LENS + "cx").Get() == 0.5 * size[0]
            assert camera.GetAttribute(LENS + "cy").Get() == 0.5 * size[1]
            there = copy.GetPrimAtPath(CAMERA)
            UsdGeom.Camera(there).GetFocalLengthAttr().Set(
                fx * UsdGeom.Camera(there).GetHorizontalApertureAttr().Get() / size[0]
            )
        for name, value in values.items():
            attribute = copy.GetPrimAtPath(CAMERA).GetAttribute(SENSOR + name)
            if attribute:
                attribute.Set(float(value))


def _exposure(camera: Usd.Prim) -> float:
    """What RTX makes of a camera's exposure: OpenUSD's linear scale, the worst a mode may do to HdrColor.

    From Kit 110 on an exposure that is not applied as schemas is not read, and an ISO of 0 switches it off: IsaacLab
    (isaaclab_ppisp) and isaacsim.replicator.experimental.mobility_gen 6.2 (`nurec_viewport`) hold it so at one. The
    schema's text has it that RTX needs a responsivity of 0.8821367311933349 to match OpenUSD.
    """

    def value(name: str, default: float) -> float:
        attribute = camera.GetAttribute(name)
        found = attribute.Get() if attribute else None
        return default if found is None else float(found)

    stops = 2.0 ** value("exposure", 0.0)
    time, stop, match = 1.0, 1.0, 1.0
    if int(omni.kit.app.get_app().get_kit_version_short().split(".")[0]) >= 110:
        applied = camera.GetPrimTypeInfo().GetAppliedAPISchemas()
        auto = camera.GetAttribute("omni:rtx:autoExposure:enabled")
        if "OmniRtxCameraAutoExposureAPI_1" not in applied or not auto or auto.Get():
            return 3.0
        if "OmniRtxCameraExposureAPI_1" not in applied:
            return 0.02 / 5.0**2
        if value("exposure:iso", 100.0) == 0.0:
            return stops
        time, stop, match = 0.02, 5.0, 0.8821367311933349
    scale = value("exposure:time", time) * value("exposure:iso", 100.0) / 100.0
    return scale * value("exposure:responsivity", 1.0) / value("exposure:fStop", stop) ** 2 / match * stops


def _lamps(stage: Usd.Stage) -> float:
    """Light of lamps other than the sun: a haze over everything."""
    lamps = [prim for prim in stage.Traverse() if prim.HasAPI(UsdLux.LightAPI) and prim.GetPath() != SUN]
    return float(sum(UsdGeom.Imageable(prim).ComputeVisibility() != "invisible" for prim in lamps))


def _labels(stage: Usd.Stage, path: str) -> tuple[str, str]:
    prim = stage.GetPrimAtPath(path)
    query = UsdSemantics.LabelsQuery("class", Usd.TimeCode.Default())
    labels = ",".join(str(label) for label in query.ComputeUniqueInheritedLabels(prim))
    while prim and not query.ComputeUniqueDirectLabels(prim):
        prim = prim.GetParent()
    return labels, str(prim.GetPath()) if labels else ""


_eyes: dict[str, _Eye] = {}


def look(camera: str, width: int, height: int) -> Picture:
    """See the open stage."""
    stage = omni.usd.get_context().get_stage()
    key = stage.GetRootLayer().identifier
    if key not in _eyes:
        forget()
        _eyes[key] = _Eye(stage)
    return _eyes[key].look(stage, camera, width, height)


def forget() -> None:
    """Let go of the renderers."""
    for eye in _eyes.values():
        for renderer in eye.renderers:
            renderer.close()
    _eyes.clear()
