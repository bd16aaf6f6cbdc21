"""Scenes the stage tests share: real terrain and rocks at a small size."""

from __future__ import annotations

import functools

import pytest

from regolith.lunar.params.io import load_preset
from regolith.lunar.params.models import Params
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import SceneSpec


def small_params(preset: str, **rocks: object) -> Params:
    """A preset on a coarse grid, micro-relief over a few metres, six shapes; keywords override rock parameters."""
    params = load_preset(preset)
    relief = {"near_cell_m": 0.05, "near_radius_m": 2.0, "mid_cell_m": 0.1, "mid_radius_m": 4.0, "pebble_density": 20.0}
    return params.model_copy(
        update={
            "terrain": params.terrain.model_copy(update={"cell_m": 0.4, "far_radius_m": 200.0}),
            "relief": params.relief.model_copy(update=relief),
            "rocks": params.rocks.model_copy(update={"shape_count": min(params.rocks.shape_count, 6), **rocks}),
        }
    )


@functools.lru_cache(maxsize=16)
def small_scene(preset: str = "v3", seed: int = 0, abundance: float = 0.004) -> Scene:
    """A scene with a few hundred rocks."""
    params = small_params(preset)
    density = 0.5 if params.craters.density.hi > 0.0 else 0.0
    return build_scene(
        params,
        SceneSpec(seed=seed, crater_density=density, rock_abundance=abundance, rock_exponent=1.6, relief_strength=1.0),
    )


@pytest.fixture(name="scene")
def fixture_scene() -> Scene:
    """The small v3 scene."""
    return small_scene()


@pytest.fixture(name="small_scene", scope="session")
def fixture_small_scene():
    """Builder of small scenes, by preset, seed and abundance; equal arguments share one scene."""
    return small_scene


@pytest.fixture(name="small_params", scope="session")
def fixture_small_params():
    """Builder of small parameters, by preset and overrides of rock parameters."""
    return small_params
