"""Ranges: which exist, how strength, switches and splits narrow them, and what lies outside."""

import dataclasses
import json
import math
from typing import Literal, get_type_hints

import pytest
from drawn_splits import DRAWN
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.params import (
    Domain,
    Group,
    InputError,
    Interval,
    LightParams,
    Params,
    RandomizeParams,
    drawn,
    field_extra,
    intervals,
    load_preset,
)
from regolith.lunar.randomize import (
    APART,
    SCENE_VALUES,
    SPLITS,
    draw_frame,
    draw_scene,
    draw_values,
    frame_intervals,
    narrowed,
    outside,
    scene_intervals,
)
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.spec import FrameSpec, SceneSpec

SWITCHES = tuple(name for name, field in RandomizeParams.model_fields.items() if field.annotation is bool)
V3 = load_preset("v3")


def declared(params: Params) -> dict[str, tuple[Interval, dict]]:
    """Every `Interval` of the parameters by its dotted path, with what its declaration says."""
    found = {}
    for group_name in Params.model_fields:
        group = getattr(params, group_name)
        if isinstance(group, Group):
            for name, field in type(group).model_fields.items():
                if field.annotation is Interval:
                    found[f"{group_name}.{name}"] = (getattr(group, name), field_extra(field))
    return found


def tuned(params: Params = V3, **update: object) -> Params:
    return params.model_copy(update={"randomize": params.randomize.model_copy(update=update)})


def wide() -> Params:
    """v3 with every range as wide as its limits, but for the domains, which have to stay apart."""
    update = {}
    for group_name in Params.model_fields:
        group = getattr(V3, group_name)
        if isinstance(group, Group) and group_name not in ("randomize", "domain", "test_domain"):
            ends = {
                name: Interval(extra["ge"], extra["le"])
                for name, extra in ((name, field_extra(field)) for name, field in type(group).model_fields.items())
                if extra["randomizer"]
            }
            update[group_name] = group.model_copy(update=ends)
    return V3.model_copy(update=update)


WIDE = wide()
DRAWN_PER_FRAME = frame_intervals(V3, "val")


def test_every_interval_belongs_to_a_randomizer() -> None:
    found = declared(V3)
    free = {path for path, (_, extra) in found.items() if not extra["randomizer"]}
    assert free == {"randomize.rock_share"}
    for path, (_, extra) in found.items():
        if path not in free:
            assert extra["randomizer"] in SWITCHES and extra["per"] in ("frame", "scene", "item", "traverse"), path
    assert {extra["randomizer"] for _, extra in found.values() if extra["randomizer"]} == set(SWITCHES)


@pytest.mark.parametrize("per", ["frame", "scene", "item", "traverse"])
def test_names_are_unique_across_groups(per: Literal["frame", "scene", "item", "traverse"]) -> None:
    """Values are known by their field's name alone: two groups must not share one."""
    paths = [p for p, (_, extra) in declared(V3).items() if extra["per"] == per and not p.startswith("test_domain.")]
    assert set(intervals(V3, per)) == {path.split(".")[1] for path in paths}
    assert len(intervals(V3, per)) == len(paths)


def test_names_of_frame_values_are_free_in_the_spec_and_in_its_streams() -> None:
    taken = {field.name for field in dataclasses.fields(FrameSpec)} | {"camera"} | set(dir(FrameSpec))
    assert not taken & set(intervals(V3, "frame"))
    assert "seed" not in SCENE_VALUES


def test_scene_values_are_all_there_in_the_order_of_fields() -> None:
    paths = [path for path, (_, extra) in declared(V3).items() if extra["per"] == "scene"]
    assert [".".join(place) for place in SCENE_VALUES.values()] == paths
    assert set(get_type_hints(SceneSpec)) == {"seed", *SCENE_VALUES}


@pytest.mark.parametrize(("preset", "split"), DRAWN)
def test_strength_scales_every_width_about_its_centre(preset: str, split: str) -> None:
    params = load_preset(preset)
    full = declared(narrowed(params, split))
    half, none = (declared(narrowed(tuned(params, strength=s), split)) for s in (0.5, 0.0))
    for path, (asked, extra) in declared(params).items():
        if not extra["randomizer"]:
            assert full[path][0] == half[path][0] == none[path][0] == asked
            continue
        frozen = split == "train_nodr" and extra["appearance"]
        assert full[path][0] == (Interval(asked.center) if frozen else asked), path
        assert none[path][0] == Interval(asked.center), path
        width = 0.0 if frozen else 0.5 * (asked.hi - asked.lo)
        assert half[path][0].hi - half[path][0].lo == pytest.approx(width, abs=1e-12), path
        assert half[path][0].center == pytest.approx(asked.center, abs=1e-12), path


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0, 1), st.floats(0, 1))
def test_weaker_ranges_lie_inside_stronger_ones(a: float, b: float, s: float, t: float) -> None:
    interval = Interval(min(a, b), max(a, b))
    weak, strong = (interval.scaled(factor) for factor in (min(s, t), max(s, t)))
    assert interval.lo <= strong.lo <= weak.lo <= weak.hi <= strong.hi <= interval.hi


@pytest.mark.parametrize("switch", SWITCHES)
@pytest.mark.parametrize("split", SPLITS)
def test_a_randomizer_that_is_off_gives_centres_and_changes_nothing_else(switch: str, split: str) -> None:
    on, off = declared(narrowed(WIDE, split)), declared(narrowed(tuned(WIDE, **{switch: False}), split))
    for path, (asked, extra) in on.items():
        assert off[path][0] == (Interval(asked.center) if extra["randomizer"] == switch else asked), path
    before, after = (draw_values(params, 4, split, 11) for params in (WIDE, tuned(WIDE, **{switch: False})))
    for path, (_, extra) in on.items():
        name = path.split(".")[1]
        if extra["per"] == "frame" and extra["randomizer"] == switch:
            assert after[name] == frame_intervals(WIDE, split)[name].center, name
        elif extra["per"] == "frame":
            assert after[name] == before[name], name


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(DRAWN),
    st.floats(0, 1),
    st.fixed_dictionaries(dict.fromkeys(SWITCHES, st.booleans())),
)
def test_narrowing_twice_is_narrowing_once(drawn: tuple[str, str], strength: float, switches: dict) -> None:
    preset, split = drawn
    params = tuned(load_preset(preset), strength=strength, **switches)
    once = narrowed(params, split)
    assert narrowed(once, split) == once
    assert draw_scene(once, 1, split, 2) == draw_scene(params, 1, split, 2)
    assert draw_values(once, 1, split, 2) == draw_values(params, 1, split, 2)


def test_nodr_draws_centres_of_appearance_and_the_layout_of_all() -> None:
    found = declared(WIDE)
    rows = [draw_values(WIDE, 0, "train_nodr", index) for index in range(8)]
    for path, (asked, extra) in found.items():
        name = path.split(".")[1]
        if extra["per"] == "frame" and not path.startswith("test_domain."):
            values = {row[name] for row in rows}
            assert values == {asked.center} if extra["appearance"] else len(values) == 8, path
    assert len({draw_scene(WIDE, 0, "train_nodr", number).rock_abundance for number in range(8)}) == 8


def test_values_per_item_are_narrowed_with_the_rest() -> None:
    """Without strength every rock is buried, and every crater worn, as the centre of its range says."""
    v1 = load_preset("v1")
    craters = v1.craters.model_copy(update={"density": Interval(0.4)})
    params = tuned(v1.model_copy(update={"craters": craters}), strength=0.0)
    scene = build_scene(narrowed(params, "val"), draw_scene(params, 0, "val", 0))
    assert len(scene.rocks) > 50 and set(scene.rocks.burial) == {params.rocks.burial.center}
    worn = scene.terrain.craters["freshness"]
    assert len(worn) > 50 and set(worn) == {params.craters.freshness.center}


class _GlowParams(LightParams):
    glow: Interval = drawn(1.0, 2.0, "A value of a test.", unit="W", ge=0, le=9, step=0.1, randomizer="light")


class _GlowingParams(Params):
    light: LightParams = _GlowParams()


def test_a_new_field_is_drawn_without_any_other_change() -> None:
    """One declared field appears in the ranges, obeys its switch, and is a value of every frame."""
    base = load_preset("v1")
    params = _GlowingParams(**{name: getattr(base, name) for name in Params.model_fields if name != "light"})
    assert frame_intervals(params, "val")["glow"] == Interval(1, 2)
    assert frame_intervals(tuned(params, light=False), "val")["glow"] == Interval(1.5)
    scene = build_scene(params, draw_scene(params, 0, "val", 0))
    frame, before = (draw_frame(p, 0, "val", 3, scene) for p in (params, base))
    assert 1 <= frame["glow"] <= 2 and frame.to_dict()["glow"] == frame["glow"]
    assert {**frame.values, "glow": None} == {**before.values, "glow": None}
    assert FrameSpec.from_dict(json.loads(json.dumps(frame.to_dict()))) == frame
    assert [name for name, _, _ in outside(base, "val", frame.to_dict())] == ["glow"]


def test_no_split_and_no_test_domain_inside_the_training_domain() -> None:
    for call in (narrowed, frame_intervals, scene_intervals):
        with pytest.raises(InputError, match="split: 'dev' is not allowed"):
            call(V3, "dev")
    for name in APART:
        domain = V3.test_domain.model_copy(update={name: getattr(V3.domain, name)})
        near = V3.model_copy(update={"test_domain": domain})
        with pytest.raises(InputError, match=rf"test_domain\.{name}"):
            draw_values(near, 0, "test_photoreal", 0)
        assert draw_values(near, 0, "val", 0) == draw_values(V3, 0, "val", 0)


def test_ranges_handed_out_are_copies() -> None:
    frame_intervals(V3, "val").clear()
    assert "albedo" in frame_intervals(V3, "val")


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SPLITS), st.integers(0, 2**31), st.integers(0, 10**6), st.sampled_from(["independent", "sobol"]))
def test_nothing_drawn_lies_outside(split: str, seed: int, index: int, sampling: str) -> None:
    params = tuned(WIDE, sampling=sampling)
    values = draw_values(params, seed, split, index)
    assert outside(params, split, values) == []
    assert outside(params, split, json.loads(json.dumps(values))) == []


def test_outside_names_what_a_split_does_not_draw() -> None:
    values = draw_values(V3, 0, "test_photoreal", 0)
    found = outside(V3, "train_dr", {"split": "test_photoreal", "index": 0, "camera_x_m": 1e9, **values})
    assert {name for name, _, _ in found} == set(APART)
    for name, value, interval in found:
        assert value == values[name] and interval == getattr(V3.domain, name)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([name for name in Domain.model_fields if name in DRAWN_PER_FRAME]),
    st.floats(1e-9, 1e9),
    st.booleans(),
)
def test_outside_finds_any_value_moved_out_of_its_range(name: str, by: float, below: bool) -> None:
    values = draw_values(V3, 0, "val", 5)
    interval = frame_intervals(V3, "val")[name]
    values[name] = interval.lo - by if below else interval.hi + by
    assert outside(V3, "val", values) == [(name, values[name], interval)]


@pytest.mark.parametrize("value", [None, "0.1", True, math.nan, [0.1]])
def test_outside_finds_what_is_missing_no_number_or_unknown(value: object) -> None:
    values = {**draw_values(V3, 0, "val", 5), "albedo": value, "albeod": 0.1}
    (name, found, interval), unknown = outside(V3, "val", values)
    assert name == "albedo" and math.isnan(found) and interval == V3.domain.albedo
    assert unknown == ("albeod", 0.1, None)
    del values["albedo"]
    assert [name for name, _, _ in outside(V3, "val", values)] == ["albedo", "albeod"]
