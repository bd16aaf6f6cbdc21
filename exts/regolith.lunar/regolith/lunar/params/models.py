"""The parameter models: scene, capture, renderer, dataset, and the whole.

Every field is declared once, by `quantity` or `drawn`: default, help, unit, limits and step. The command line, the
panels, parameter files, the dataset contract and the copy on a stage all come from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import (
    SerializerFunctionWrapHandler,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_serializer,
    model_validator,
)

from regolith.lunar.params.capture import CameraParams, Domain, LightParams, RandomizeParams, SensorParams
from regolith.lunar.params.dynamics import DynamicsParams
from regolith.lunar.params.fields import Group, GrownGroup, Interval, cross_field, field_extra, quantity
from regolith.lunar.params.plugins import plugin_names
from regolith.lunar.params.rover import RoverParams
from regolith.lunar.params.scene import CraterParams, GroundParams, ReliefParams, RockParams, TerrainParams

BACKENDS = ("auto", "llvm", "scalar", "cuda")
"""Back ends of the embedded renderer."""
SAMPLES = {"draft": 4, "default": 8, "reference": 256}
"""Samples per pixel of each quality, where `render.samples` asks for no other number."""
SAMPLES_MAX = 4096


if TYPE_CHECKING:
    BackendName = str
else:
    _PLUGINS = plugin_names("regolith.lunar.renderers", BACKENDS)
    BackendName = Literal[(*BACKENDS, *_PLUGINS)]


class RenderParams(GrownGroup):
    """The renderer's settings."""

    quality: Literal["draft", "default", "reference"] = quantity(
        "default",
        "draft: 4 samples, direct light; default: 8 samples and one bounce; reference: 256 and brute force.",
    )
    samples: int = quantity(
        0,
        "Samples a pixel, a power of two, with as much finer bounced light, on RTX by path tracing; 0 for the "
        "quality's own.",
        ge=0, le=SAMPLES_MAX, later=True,
    )  # fmt: skip
    backend: BackendName = quantity(
        "auto",
        "Back end of the embedded renderer, auto the fastest that works here; or a renderer that a plug-in adds.",
    )

    @field_validator("samples", mode="after")
    @classmethod
    def _power_of_two(cls, value: int) -> int:
        if value & (value - 1):
            raise cross_field("", value, f"0, or a power of two up to {SAMPLES_MAX}")
        return value

    @field_validator("backend", mode="wrap")  # in an `Annotated`, `typing` would keep the module alive in Kit
    @classmethod
    def _known_backend(cls, value: Any, check: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
        """Refuse a renderer that is not installed, unless a dataset names the one that drew it."""
        stored = info.context is not None and info.context.get("stored")
        return value if stored and isinstance(value, str) else check(value)


class DatasetParams(GrownGroup):
    """Layout of a generated split."""

    frames_per_scene: int = quantity(20, "Consecutive frames that share a scene.", ge=1, le=200)
    depth: bool = quantity(False, "Also write depth along the ray, float32 metres, as `.npy`.")
    normals: bool = quantity(False, "Also write geometric normals in the world frame, float16, as `.npy`.")
    instance: bool = quantity(False, "Also write rock instance ids as 16-bit PNG.")
    right: bool = quantity(
        False, "Also write the picture of the right camera (`camera.baseline_m`), as PNG.", later=True
    )
    disparity: bool = quantity(
        False, "Also write the disparity of the rectified stereo pair, float32 pixels, as `.npy`.", later=True
    )
    shadow: bool = quantity(
        False,
        "Also write shadows as 8-bit PNG: 0 lit by the sun's centre, 1 cast shadow, 2 turned away, 255 sky and rover.",
        later=True,
    )
    crater: bool = quantity(
        False,
        "Also write crater interiors as 16-bit PNG: 1 + the number of the youngest crater around a point, 0 for none.",
        later=True,
    )
    slope: bool = quantity(
        False, "Also write the slope under a rover's footprint, float32 degrees, as `.npy`; NaN on sky and rover.",
        later=True,
    )  # fmt: skip
    hazard: bool = quantity(
        False,
        "Also write hazards to a rover as 8-bit PNG: 1 slope, 2 step, 3 both, 0 neither, 255 sky and rover.",
        later=True,
    )
    footprint_m: float = quantity(
        0.5,
        "Radius of the disc over which slope and step are taken: half the wheel base of the rover.",
        unit="m", ge=0.05, le=5, step=0.05, later=True,
    )  # fmt: skip
    hazard_slope_deg: float = quantity(
        15.0, "Slope above which ground is a hazard.", unit="deg", ge=1, le=60, step=0.5, later=True
    )
    hazard_step_m: float = quantity(
        0.17,
        "Step above which ground is a hazard: highest minus lowest surface, off the plane of the disc; the ground "
        "clearance of the rover.",
        unit="m", ge=0.01, le=2, step=0.01, later=True,
    )  # fmt: skip


class Params(Group):
    """All parameters of a scene generation and the datasets drawn from it."""

    preset: str = quantity("v3", "Name of the preset these parameters started from.")
    terrain: TerrainParams = TerrainParams()
    craters: CraterParams = CraterParams()
    relief: ReliefParams = ReliefParams()
    rocks: RockParams = RockParams()
    ground: GroundParams = GroundParams()
    light: LightParams = LightParams()
    camera: CameraParams = CameraParams()
    rover: RoverParams = RoverParams()
    dynamics: DynamicsParams = DynamicsParams()
    sensor: SensorParams = SensorParams()
    domain: Domain = Domain()
    test_domain: Domain = Domain(
        sun_elevation_deg=Interval(28, 46),
        albedo=Interval(0.175, 0.26),
        roughness=Interval(0.78, 0.89),
        height_m=Interval(2.85, 3.6),
        pitch_deg=Interval(-18, -12.5),
        fov_deg=Interval(70.5, 84),
    )
    randomize: RandomizeParams = RandomizeParams()
    render: RenderParams = RenderParams()
    dataset: DatasetParams = DatasetParams()

    @model_validator(mode="after")
    def _placed(self) -> Params:
        for name in ("domain", "test_domain"):
            if (time := getattr(self, name).time) is not None and self.ground.site is None:
                raise cross_field(f"{name}.time", str(time), "a time with ground.site, the place the sun is seen from")
        return self

    @property
    def has_rover(self) -> bool:
        """Whether a rover stands on the stage: asked for, or because the camera is on its rig."""
        return self.rover.model != "none" or self.camera.rig != "mast"

    @model_serializer(mode="wrap")
    def _without_rover(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Say nothing of a rover that is not there: stages and contracts keep the bytes from before there was one."""
        data = write(self)
        if not self.has_rover:
            data.pop("rover", None)
            for name in ("rig", "view"):
                data.get("camera", {}).pop(name, None)
            if self.dynamics == DynamicsParams():
                data.pop("dynamics", None)
                if self.randomize.dynamics:
                    data.get("randomize", {}).pop("dynamics", None)
        return data


def intervals(params: Params, per: Literal["frame", "scene", "item", "traverse"]) -> dict[str, Interval]:
    """Field name to range of every `Interval` drawn that often, of the training domain and all other groups."""
    found: dict[str, Interval] = {}
    for group_name in Params.model_fields:
        group = getattr(params, group_name)
        if isinstance(group, Group) and group_name != "test_domain":
            fields = type(group).model_fields
            found |= {name: getattr(group, name) for name, field in fields.items() if field_extra(field)["per"] == per}
    return found
