"""Frames under the sun of a time: what it is drawn to be, noted as, and held to."""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from regolith.lunar.params import InputError, Params, change_params, dump_params, load_preset, validate
from regolith.lunar.randomize import draw_frame, draw_scene, draw_time, draw_values, lit_frame, narrowed, outside
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.ephemeris import sky_at
from regolith.lunar.stage.spec import FrameSpec

SUN = ("sun_elevation_deg", "sun_azimuth_deg")


def timed(time: str, **changes: object) -> Params:
    small = {"terrain.cell_m": 0.5, "relief.enabled": False, "rocks.shape_count": 2, "rocks.abundance": 0.001}
    at = {"ground.site": "0.67408,23.47297", "domain.time": time, **small}
    return change_params(load_preset("v3"), at | {name.replace("__", "."): value for name, value in changes.items()})


@pytest.mark.parametrize("sampling", ["independent", "sobol"])
@pytest.mark.parametrize("split", ["train_dr", "train_nodr", "val"])
def test_every_frame_of_a_split_has_the_sun_of_its_time(split: str, sampling: str) -> None:
    params, free = timed("1969-07-21T03:15", randomize__sampling=sampling), timed("", randomize__sampling=sampling)
    for index in range(6):
        values, others = draw_values(params, 0, split, index), draw_values(free, 0, split, index)
        assert values["sun_elevation_deg"] == pytest.approx(14.246, abs=0.002)
        assert values["sun_azimuth_deg"] == pytest.approx(90.0 - 88.836, abs=0.002)
        assert {name for name in values if values[name] != others[name]} <= set(SUN)
        assert outside(params, split, values) == []
        assert lit_frame(params, 0, split, index).utc == "1969-07-21T03:15:00Z"


def test_a_span_is_drawn_in_time_and_both_angles_are_of_it() -> None:
    params = timed("1969-07-20T12:00/1969-07-26")
    times = [draw_time(params, 0, "train_dr", index) for index in range(12)]
    assert len(set(times)) == 12 and params.ground.site is not None and params.domain.time is not None
    for index, time in enumerate(times):
        assert isinstance(time, datetime) and params.domain.time.start <= time <= params.domain.time.end
        sun, values = sky_at(params.ground.site, time).sun, draw_values(params, 0, "train_dr", index)
        assert [values[name] for name in SUN] == pytest.approx([sun.elevation_deg, sun.azimuth_deg], abs=2e-3)
        assert outside(params, "train_dr", values) == []
    moved = draw_values(params, 0, "train_dr", 0) | {"sun_elevation_deg": 89.0}
    assert [name for name, *_ in outside(params, "train_dr", moved)] == ["sun_elevation_deg"]


def test_what_freezes_the_light_freezes_the_time_at_the_middle() -> None:
    params = timed("1969-07-20T12:00/1969-07-26T12:00")
    middle = "1969-07-23T12:00:00Z"
    assert lit_frame(params, 0, "train_nodr", 3).utc == middle
    assert lit_frame(timed("1969-07-20T12:00/1969-07-26T12:00", randomize__light=False), 0, "val", 3).utc == middle
    half = narrowed(timed("1969-07-20T12:00/1969-07-26T12:00", randomize__strength=0.5), "val").domain.time
    assert str(half) == "1969-07-22T00:00:00Z/1969-07-25T00:00:00Z"


def test_each_domain_has_a_time_of_its_own_and_they_stay_apart() -> None:
    params = timed("1969-07-21T03:15", test_domain__time="1969-07-24T03:15")
    assert draw_values(params, 0, "test_photoreal", 0)["sun_elevation_deg"] > 40.0
    with pytest.raises(InputError, match=r"test_domain.sun_elevation_deg"):
        draw_values(timed("1969-07-23T03:15"), 0, "test_photoreal", 0)
    with pytest.raises(InputError, match=r"test_domain.time: .* above the horizon"):
        narrowed(timed("1969-07-21T03:15", test_domain__time="1969-08-05"), "test_photoreal")


def test_a_frame_and_its_stage_say_the_time_and_are_read_again() -> None:
    params = timed("1969-07-21T03:15")
    narrow = narrowed(params, "val")
    scene = build_scene(narrow, draw_scene(params, 0, "val", 0))
    spec = draw_frame(params, 0, "val", 0, scene)
    assert spec.to_dict()["utc"] == "1969-07-21T03:15:00Z" and FrameSpec.from_dict(spec.to_dict()) == spec
    assert "utc" not in draw_frame(timed(""), 0, "val", 0, scene).to_dict()
    stage = author_stage(scene)
    rotation = stage.GetAttributeAtPath("/World/Sun.xformOp:rotateXYZ").Get()
    assert list(rotation) == pytest.approx([0.0, 90.0 - 14.246, 90.0 - 88.836], abs=2e-3)
    assert validate(Params, json.loads(dump_params(narrow))) == narrow
