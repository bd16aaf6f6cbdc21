"""Draws: a value depends on seed, split, number and name alone, and stays inside its interval."""

import pytest
from drawn_splits import DRAWN, FOR_PHOTOGRAPHS
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.params import Domain, InputError, Interval, field_extra, load_preset
from regolith.lunar.randomize import SPLITS, draw_frame, draw_scene, draw_values, frame_intervals, scene_number
from regolith.lunar.stage.author import build_scene
from regolith.lunar.stage.spec import rng

PARAMS = load_preset("v1")


@pytest.fixture(scope="module")
def scene():
    return build_scene(PARAMS, draw_scene(PARAMS, 0, "val", 0))


def test_streams_of_one_seed_are_apart() -> None:
    keys = [("a",), ("b",), ("a", 1), ("a", "1"), (1, "a"), (-1,), ()]
    draws = [rng(7, *key).random(4).tobytes() for key in keys] + [rng(8, "a").random(4).tobytes()]
    assert len(set(draws)) == len(draws)
    assert rng(7, "a").random(4).tobytes() == draws[0]
    assert rng(7 + 2**40, "a").random(4).tobytes() != draws[0]


@pytest.mark.parametrize("split", SPLITS)
def test_frames_do_not_depend_on_what_was_drawn_before(scene, split: str) -> None:
    forward = [draw_frame(PARAMS, 3, split, i, scene) for i in range(4)]
    backward = [draw_frame(PARAMS, 3, split, i, scene) for i in reversed(range(4))]
    assert forward == backward[::-1]
    assert len({frame.seed for frame in forward}) == 4
    assert forward[0] != draw_frame(PARAMS, 4, split, 0, scene)


@pytest.mark.parametrize("preset", FOR_PHOTOGRAPHS)
def test_presets_for_photographs_have_no_test_split(preset: str) -> None:
    with pytest.raises(InputError, match=r"^test_domain\.sun_elevation_deg: .*no overlap"):
        frame_intervals(load_preset(preset), "test_photoreal")


@pytest.mark.parametrize(("preset", "split"), DRAWN)
def test_values_lie_in_the_domain_of_the_split(scene, preset: str, split: str) -> None:
    params = load_preset(preset)
    ranges = frame_intervals(params, split)
    for index in range(20):
        frame = draw_frame(params, 1, split, index, scene)
        for name, interval in ranges.items():
            assert interval.contains(frame[name]), name


def test_nodr_freezes_appearance_and_moves_the_camera(scene) -> None:
    frames = [draw_frame(PARAMS, 0, "train_nodr", index, scene) for index in range(12)]
    for name in Domain.model_fields.keys() & frame_intervals(PARAMS, "train_nodr").keys():
        field = Domain.model_fields[name]
        values = {frame[name] for frame in frames}
        assert len(values) == (1 if field_extra(field)["appearance"] else 12), name
    assert len({(frame.camera_x_m, frame.camera_y_m) for frame in frames}) == 12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**62), st.integers(0, 1000))
def test_splits_share_no_scene(seed: int, number: int) -> None:
    seeds = [draw_scene(PARAMS, seed, split, n).seed for split in SPLITS for n in (number, number + 1)]
    assert len(set(seeds)) == len(seeds)


def test_scene_values_fill_their_intervals() -> None:
    params = load_preset("v3")
    specs = [draw_scene(params, 0, "train_dr", n) for n in range(200)]
    for interval, values in (
        (params.rocks.abundance, [spec.rock_abundance for spec in specs]),
        (params.craters.density, [spec.crater_density for spec in specs]),
    ):
        assert isinstance(interval, Interval) and all(interval.contains(value) for value in values)
        assert max(values) - min(values) > 0.9 * (interval.hi - interval.lo)


@given(st.integers(0, 10**6), st.integers(1, 200))
def test_consecutive_frames_share_a_scene(index: int, length: int) -> None:
    params = PARAMS.model_copy(update={"dataset": PARAMS.dataset.model_copy(update={"frames_per_scene": length})})
    first = scene_number(params, index) * length
    assert first <= index < first + length


@pytest.mark.parametrize("sampling", ["independent", "sobol"])
def test_a_redraw_moves_and_turns_the_camera_and_nothing_else(scene, sampling: str) -> None:
    params = PARAMS.model_copy(update={"randomize": PARAMS.randomize.model_copy(update={"sampling": sampling})})
    first = draw_frame(params, 3, "val", 7, scene)
    assert first == draw_frame(params, 3, "val", 7, scene, attempt=0)
    assert first.values == draw_values(params, 3, "val", 7)
    redraws = [draw_frame(params, 3, "val", 7, scene, attempt=attempt) for attempt in range(1, 9)]
    assert redraws == [draw_frame(params, 3, "val", 7, scene, attempt=attempt) for attempt in range(1, 9)]
    frames = [first, *redraws]
    for key in ("camera_x_m", "camera_y_m", "heading_deg"):
        assert len({frame[key] for frame in frames}) == 9, key
    kept = [
        {k: v for k, v in f.to_dict().items() if k not in ("camera_x_m", "camera_y_m", "camera_z_m", "heading_deg")}
        for f in frames
    ]
    assert all(other == kept[0] for other in kept)
    assert all(params.domain.heading_deg.contains(frame["heading_deg"]) for frame in frames)


def test_a_redraw_keeps_a_heading_that_is_fixed(scene) -> None:
    domain = PARAMS.domain.model_copy(update={"heading_deg": Interval(30.0)})
    params = PARAMS.model_copy(update={"domain": domain})
    frames = [draw_frame(params, 3, "val", 7, scene, attempt=attempt) for attempt in range(4)]
    assert {frame["heading_deg"] for frame in frames} == {30.0}
    assert len({frame.camera_x_m for frame in frames}) == 4
