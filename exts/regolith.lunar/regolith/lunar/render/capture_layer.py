"""The layer of opinions that a frame needs on the open stage besides: lens, neutral exposure, nothing of the app's.

It lies below the session layer and goes without a trace; the stage's own layers are never touched.
"""

from __future__ import annotations

from typing import Any

from pxr import Gf, Sdf, Usd, UsdGeom, UsdLux

from regolith.lunar.params import InputError
from regolith.lunar.render import rtx
from regolith.lunar.stage import schema
from regolith.lunar.stage.lens import Lens

NEUTRAL: dict[str, float] = {
    "exposure": 0.0,
    "exposure:time": 1.0,
    "exposure:iso": 100.0,
    "exposure:fStop": 1.0,
    "exposure:responsivity": 1.0,
}
"""Camera attributes that make OpenUSD's exposure scale, 2^exposure · time · iso / 100 · responsivity / fStop², one."""

EXPOSURE_SCHEMAS = ("OmniRtxCameraAutoExposureAPI_1", "OmniRtxCameraExposureAPI_1")
"""Applied, they make RTX of Kit 110 read a camera's exposure; what it takes instead darkens HdrColor."""

RTX_NEUTRAL: dict[str, float | bool] = NEUTRAL | {"exposure:iso": 0.0, "omni:rtx:autoExposure:enabled": False}
"""Camera attributes that switch RTX's exposure off in Kit 110, where an ISO of 100 would leave 13 % more light than
OpenUSD's scale does. As NVIDIA holds it at one: isaacsim.replicator.nurec_utils 6.2 (`ensure_identity_exposure`),
isaacsim.replicator.experimental.mobility_gen 6.2 (`nurec_viewport`), IsaacLab (`apply_rtx_exposure_overrides`)."""

LENS = "omni:lensdistortion:opencvPinhole:"
"""Prefix of `rtx.LENS_SCHEMA`'s attributes (public reference: omni.usd.schema.omni_lens_distortion 1.0.0; ovrtx, Lens
Distortion Schemas): imageSize int2; fx, fy, cx, cy [px], k1 … k6, p1, p2, s1 … s4 float."""


class CaptureLayer:
    """Our layer on a stage."""

    def __init__(self, stage: Usd.Stage) -> None:
        """Add it; stars are hidden in it, for RTX would take them for unlabelled things."""
        self._stage, self._layer = stage, Sdf.Layer.CreateAnonymous("regolith-capture.usda")
        stage.GetSessionLayer().subLayerPaths.insert(0, self._layer.identifier)
        stars = stage.GetPrimAtPath(schema.STARS)
        if stars:
            self._hide(stars)

    def remove(self) -> None:
        """Take it away; a stage that the app closed has expired, and the layer with it."""
        if self._stage:
            paths = self._stage.GetSessionLayer().subLayerPaths
            if self._layer.identifier in paths:
                paths.remove(self._layer.identifier)

    def put_out_lamps(self) -> None:
        """Hide lights that only the session has: a rig that the app adds to stages it takes for dark."""
        lasting = set(self._stage.GetLayerStack(includeSessionLayers=False))
        for prim in self._stage.Traverse():
            if UsdLux.LightAPI(prim) and not any(spec.layer in lasting for spec in prim.GetPrimStack()):
                self._hide(prim)

    def own_exposure(self, camera: Usd.Prim) -> float:
        """Exposure of a camera [EV] as if this layer were not there."""
        for spec in camera.GetAttribute("exposure").GetPropertyStack(Usd.TimeCode.Default()):
            if spec.layer != self._layer and spec.HasDefaultValue():
                return float(spec.default)
        return 0.0

    def expose_neutrally(self, camera: Usd.Prim) -> None:
        """Hold a camera's exposure scale at one."""
        values: dict[str, float | bool] = {**NEUTRAL}
        if rtx.kit_version() >= rtx.LEGACY:
            values = RTX_NEUTRAL
            self._apply(camera, EXPOSURE_SCHEMAS)
        for name, value in values.items():
            kind = Sdf.ValueTypeNames.Bool if isinstance(value, bool) else Sdf.ValueTypeNames.Float
            self._set(camera, name, kind, value)

    def bend(self, camera: Usd.Prim, lens: Lens) -> None:
        """Give RTX the lens; its schema then takes the place of focal length and aperture.

        Raises:
            InputError: The lens folds inside the picture, or this Kit does not know the schema and would draw another.
        """
        if not lens.distorted:
            self._apply(camera, (rtx.LENS_SCHEMA,), apply=False)
            return
        field, value = f"{schema.CAMERA}.{schema.SENSOR}k1, k2", f"{lens.k1:g}, {lens.k2:g}"
        if lens.folds:
            raise InputError(field, value, f"a lens that does not fold inside {lens.width}x{lens.height} pixels")
        if not rtx.knows_schema(rtx.LENS_SCHEMA):
            text = f"0, 0: this Kit has no {rtx.LENS_SCHEMA}, and would draw a straight lens"
            raise InputError(field, value, text)
        self._apply(camera, (rtx.LENS_SCHEMA,))
        types = Sdf.ValueTypeNames
        self._set(camera, "omni:lensdistortion:model", types.Token, "opencvPinhole")
        self._set(camera, LENS + "imageSize", types.Int2, Gf.Vec2i(lens.width, lens.height))
        values = {"fx": lens.focal_px, "fy": lens.focal_px, "cx": 0.5 * lens.width, "cy": 0.5 * lens.height}
        zero = ("k3", "k4", "k5", "k6", "p1", "p2", "s1", "s2", "s3", "s4")
        for name, number in (values | {"k1": lens.k1, "k2": lens.k2} | dict.fromkeys(zero, 0.0)).items():
            self._set(camera, LENS + name, types.Float, number)

    def _apply(self, prim: Usd.Prim, schemas: tuple[str, ...], *, apply: bool = True) -> None:
        """Apply schemas in this layer, or no longer; only a change is written, for it makes RTX take the prim anew."""
        spec = self._layer.GetPrimAtPath(prim.GetPath())
        before = spec.GetInfo("apiSchemas").prependedItems if spec is not None else []
        after = [name for name in before if name not in schemas] + list(schemas if apply else ())
        if sorted(after) != sorted(before):
            spec = Sdf.CreatePrimInLayer(self._layer, prim.GetPath())
            spec.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=after))

    def _set(self, prim: Usd.Prim, name: str, kind: Sdf.ValueTypeName, value: Any) -> None:
        with Usd.EditContext(self._stage, self._layer):
            prim.CreateAttribute(name, kind, custom=False).Set(value)

    def _hide(self, prim: Usd.Prim) -> None:
        with Usd.EditContext(self._stage, self._layer):
            UsdGeom.Imageable(prim).MakeInvisible()
