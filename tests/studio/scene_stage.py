"""A stage with craters, fine relief and rocks that is quick to build, for the tests of the 3D view."""

from __future__ import annotations

import dataclasses
import functools

from pxr import Usd

from regolith.lunar.params import Params, load_preset
from regolith.lunar.randomize import draw_frame
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import FrameSpec, SceneSpec

WIDTH, HEIGHT = 480, 360


@dataclasses.dataclass(frozen=True)
class Small:
    """A stage and what it was made from."""

    params: Params
    scene: Scene
    stage: Usd.Stage
    spec: FrameSpec

    def lit(self, **values: float) -> FrameSpec:
        """The frame with other values."""
        return dataclasses.replace(self.spec, values=self.spec.values | values)

    def edited(self, spec: FrameSpec) -> Usd.Stage:
        """The stage, turned into a frame."""
        apply_frame(self.stage, self.params, spec, WIDTH, HEIGHT)
        return self.stage


def small_stage(preset: str = "v3") -> Small:
    """The stage of a preset, made once."""
    return _small_stage(preset)


@functools.cache
def _small_stage(preset: str) -> Small:
    params = load_preset(preset)
    relief = {"near_cell_m": 0.05, "near_radius_m": 3.0, "mid_cell_m": 0.1, "mid_radius_m": 5.0, "pebble_density": 0.0}
    params = params.model_copy(
        update={
            "terrain": params.terrain.model_copy(update={"cell_m": 0.3, "far_radius_m": 1500.0}),
            "relief": params.relief.model_copy(update=relief),
            "rocks": params.rocks.model_copy(update={"diameter_min_m": 0.15, "far_radius_m": 40.0, "shape_count": 3}),
        }
    )
    scene = build_scene(
        params,
        SceneSpec(seed=3, crater_density=0.5, rock_abundance=0.02, rock_exponent=1.6, relief_strength=1.0),
    )
    return Small(params, scene, author_stage(scene), draw_frame(params, 0, "train_dr", 0, scene))
