"""What the stage keeps for crater, slope and hazard: only where it is asked for, and as it was laid."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from regolith.lunar.params import InputError, change_params
from regolith.lunar.params.models import DatasetParams
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage import schema
from regolith.lunar.stage import truth as kept
from regolith.lunar.stage.author import author_stage
from regolith.lunar.stage.craters import CRATER_DTYPE, interiors
from regolith.lunar.stage.scene import Scene


def asking(scene: Scene, **changes: object) -> Scene:
    """The scene with changes to the group dataset."""
    params = change_params(scene.params, {f"dataset.{name}": value for name, value in changes.items()})
    return dataclasses.replace(scene, params=params)


def test_craters_are_those_of_grid_and_far_relief_in_the_order_they_were_laid(small_scene) -> None:
    scene: Scene = small_scene()
    craters = kept.read_craters(author_stage(asking(scene, crater=True)))
    terrain = scene.terrain
    assert len(terrain.craters) > 10 and len(terrain.distant) > 10 and craters.dtype == CRATER_DTYPE
    assert (craters == np.concatenate([terrain.distant, terrain.craters])).all()
    half = terrain.grid.half_x
    assert (np.maximum(np.abs(terrain.distant["x"]), np.abs(terrain.distant["y"])) > half).all()


def test_the_ground_inside_a_rim_lies_below_it(small_scene) -> None:
    """Physics, whatever the numbers say: the middle of the fresh craters that nothing younger cuts is lower."""
    terrain = small_scene().terrain
    numbers = interiors(np.stack([terrain.craters["x"], terrain.craters["y"]], axis=1), terrain.craters)
    alone = numbers == np.arange(len(numbers)) + 1
    within = np.maximum(np.abs(terrain.craters["x"]), np.abs(terrain.craters["y"])) < 0.8 * terrain.grid.half_x
    fresh = terrain.craters[alone & within & (terrain.craters["freshness"] > 0.5)]
    assert len(fresh) > 3
    turn = 2.0 * np.pi * np.arange(24) / 24
    depth = []
    for crater in fresh:
        rim = 0.5 * crater["diameter"] * np.stack([np.cos(turn), np.sin(turn)])
        around = terrain.grid.height(crater["x"] + rim[0], crater["y"] + rim[1])
        depth.append(around.mean() - float(terrain.grid.height(np.array(crater["x"]), np.array(crater["y"]))))
    assert np.mean(np.array(depth) / fresh["diameter"] > 0.03) > 0.8


def test_of_several_craters_it_is_the_youngest() -> None:
    craters = np.array([(0, 0, 10, 1), (2, 0, 2, 1), (2.5, 0, 6, 1), (3, 0, 1, 1)], CRATER_DTYPE)
    at = np.array([(-3.0, 0.0), (2.0, 0.0), (3.0, 0.0), (4.9, 0.0), (20.0, 0.0)])
    assert interiors(at, craters).tolist() == [1, 3, 4, 3, 0]
    assert interiors(at[::-1], craters).tolist() == [0, 3, 4, 3, 1]
    assert interiors(at, craters[:0]).tolist() == [0] * 5 and interiors(at[:0], craters).shape == (0,)


def test_stages_that_are_not_asked_keep_nothing(small_scene) -> None:
    scene: Scene = small_scene()
    stage = author_stage(scene)
    ground = stage.GetPrimAtPath(schema.GROUND)
    assert not [name for name in ground.GetPropertyNames() if name.startswith((schema.CRATERS, schema.FOOTPRINT))]
    for name in ("shadow", "slope", "hazard"):
        stage = author_stage(asking(scene, **{name: True}))
        ground = stage.GetPrimAtPath(schema.GROUND)
        assert not ground.GetAttribute(schema.CRATERS)
        assert bool(ground.GetAttribute(f"{schema.FOOTPRINT}radius")) == (name != "shadow")


def test_demands_are_those_of_the_parameters_and_by_default_of_the_rover(small_scene) -> None:
    stage = author_stage(asking(small_scene(), slope=True, footprint_m=0.8, hazard_slope_deg=20, hazard_step_m=0.3))
    assert kept.read_footprint(stage) == (0.8, 20.0, 0.3)
    chosen = DatasetParams()
    assert (chosen.footprint_m, chosen.hazard_step_m) == (viper.AXLE_X_M, viper.DRILL_M[2])


def test_more_craters_than_numbers_are_refused(small_scene, monkeypatch) -> None:
    monkeypatch.setattr(kept, "CRATERS_MAX", 5)
    with pytest.raises(InputError, match=r"dataset\.crater: \d+ .*at most 5 craters"):
        author_stage(asking(small_scene(), crater=True))
