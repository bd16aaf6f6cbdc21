"""What the stage says of fresh and mature rocks, of places, and of the Earth."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from pxr import Usd, UsdLux, UsdShade

from regolith.lunar.params import InputError, Interval, Params, change_params, intervals
from regolith.lunar.params.places import PLACES, fresh_ratio
from regolith.lunar.reflectance import normal_albedo
from regolith.lunar.render.compile import compile_stage
from regolith.lunar.render.view import read_earth, read_material, read_sun
from regolith.lunar.stage import schema
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.scene import Scene
from regolith.lunar.stage.spec import FrameSpec


def with_params(scene: Scene, params: Params) -> Scene:
    """The scene built anew with other parameters."""
    return build_scene(params, scene.spec)


def lit(stage: Usd.Stage, params: Params) -> None:
    """Apply a frame at the centres of all ranges."""
    values = {name: interval.center for name, interval in intervals(params, "frame").items()}
    apply_frame(stage, params, FrameSpec("val", 0, 0, 1, 0.0, 0.0, 3.0, values=values), 64, 48)


def look_of(stage: Usd.Stage, rock: Usd.Prim) -> str:
    """Path of the material a rock is drawn with."""
    return str(UsdShade.MaterialBindingAPI(rock).ComputeBoundMaterial()[0].GetPath())


def albedo_of(stage: Usd.Stage, look: str) -> float:
    return stage.GetAttributeAtPath(f"{look}.{schema.PHOTOMETRY}albedo").Get()


def test_mature_rocks_are_all_of_one_material(scene):
    """The default: no rock binds one of its own, and no other is written."""
    stage = author_stage(scene)
    rocks = stage.GetPrimAtPath(schema.ROCKS).GetChildren()
    assert {look_of(stage, rock) for rock in rocks} == {schema.LOOK_ROCK}
    assert not any(rock.GetRelationship("material:binding") for rock in rocks)
    assert not stage.GetPrimAtPath(schema.LOOKS_FRESH[0])
    assert (scene.rocks.maturity == 1.0).all()


def test_fresh_rocks_are_brighter_by_their_maturity(scene):
    """Between the albedo of mature rock and `fresh_ratio` times that, in steps no one sees; dust and shape stay."""
    params = change_params(scene.params, {"rocks.maturity": (0.0, 1.0)})
    young = with_params(scene, params)
    stage = author_stage(young)
    lit(stage, params)
    mature = albedo_of(stage, schema.LOOK_ROCK)
    rocks = stage.GetPrimAtPath(schema.ROCKS).GetChildren()
    found = np.array([albedo_of(stage, look_of(stage, rock)) for rock in rocks]) / mature
    wanted = fresh_ratio() + (1.0 - fresh_ratio()) * young.rocks.maturity
    assert np.abs(found - wanted).max() <= 0.5 * (fresh_ratio() - 1.0) / len(schema.LOOKS_FRESH) + 1e-9
    assert len(np.unique(found)) == len(schema.LOOKS_FRESH) + 1
    assert np.array_equal(young.rocks.position, scene.rocks.position)
    assert np.array_equal(young.rocks.dust, scene.rocks.dust)
    drawn = {number for placed in compile_stage(stage).objects for number in [placed.material] if placed.instance}
    assert len(drawn) == len(schema.LOOKS_FRESH) + 1


def test_maturity_is_frozen_with_the_randomizer_of_rocks(scene):
    """A single value gives every rock one step."""
    params = change_params(scene.params, {"rocks.maturity": 0.5})
    stage = author_stage(with_params(scene, params))
    assert {look_of(stage, rock) for rock in stage.GetPrimAtPath(schema.ROCKS).GetChildren()} == {
        schema.LOOKS_FRESH[len(schema.LOOKS_FRESH) // 2]
    }


@pytest.mark.parametrize("place", PLACES)
def test_a_place_is_what_the_renderer_reads(scene, place: str):
    """The single-scattering albedo that was published comes back out of the normal albedo on the stage."""
    params = change_params(scene.params, {"ground.place": place})
    stage = author_stage(dataclasses.replace(scene, params=params))
    lit(stage, params)
    material = read_material(stage, schema.LOOK_GROUND)
    w, b, c, b0, h = PLACES[place]
    assert material.model == "hapke"
    assert material.row["w"] == pytest.approx(w, abs=2e-4)
    assert [material.values[name] for name in ("b", "c", "b0", "h")] == [b, c, b0, h]
    assert material.albedo == pytest.approx(normal_albedo(w, b, c, b0), abs=1e-4)


def test_the_earth_is_a_second_light_of_its_share(scene):
    params = change_params(scene.params, {"light.earthshine": 1e-4, "light.earth_elevation_deg": 30.0})
    stage = author_stage(dataclasses.replace(scene, params=params))
    lit(stage, params)
    earth, sun = read_earth(stage), read_sun(stage)
    assert earth is not None
    assert earth.irradiance / sun.irradiance == pytest.approx(1e-4, rel=1e-5)
    assert earth.direction == pytest.approx([0.0, np.cos(np.pi / 6), 0.5], abs=1e-6)
    assert UsdLux.DistantLight(stage.GetPrimAtPath(schema.EARTH)).GetAngleAttr().Get() == pytest.approx(1.9, abs=0.01)


def test_without_earthshine_there_is_no_earth(scene):
    stage = author_stage(scene)
    assert read_earth(stage) is None
    assert not stage.GetPrimAtPath(schema.EARTH)
    params = change_params(scene.params, {"light.earthshine": 1e-4})
    with pytest.raises(InputError, match="/World/Earth"):
        lit(stage, params)


def test_an_interval_of_maturity_goes_up_to_one():
    with pytest.raises(InputError, match=r"rocks\.maturity"):
        change_params(Params(), {"rocks.maturity": (0.0, 1.5)})
    assert Params().rocks.maturity == Interval(1)
