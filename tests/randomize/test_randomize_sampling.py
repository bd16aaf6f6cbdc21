"""Sobol sampling: even, the same in any order and any process, and free of state."""

import itertools
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import qmc

from regolith.lunar.params import Interval, Params, load_preset
from regolith.lunar.randomize import (
    SPLITS,
    draw_scene,
    draw_values,
    frame_intervals,
    sampling,
    scene_intervals,
)
from regolith.lunar.randomize.sampling import (
    BLOCK,
    centred_discrepancy,
    expected_discrepancy,
    pair_discrepancy,
    sobol_point,
)
from regolith.lunar.stage.spec import rng


def sampled(how: str) -> Params:
    params = load_preset("v3")
    return params.model_copy(update={"randomize": params.randomize.model_copy(update={"sampling": how})})


SOBOL, INDEPENDENT = sampled("sobol"), sampled("independent")


def fractions(params: Params, seed: int, split: str, frames: range) -> np.ndarray:
    """Draws of the values that vary as fractions of their ranges, shape [N, D]."""
    ranges = {name: r for name, r in frame_intervals(params, split).items() if r.lo < r.hi}
    rows = [draw_values(params, seed, split, index) for index in frames]
    return np.array([[(row[name] - r.lo) / (r.hi - r.lo) for name, r in ranges.items()] for row in rows])


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**62), st.permutations([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 1000, 1023]))
def test_any_order_gives_the_points_of_one_straight_run(seed: int, order: list[int]) -> None:
    sampling._sobol_block.cache_clear()
    straight = qmc.Sobol(5, scramble=True, rng=rng(seed, "val", "sobol", "frame")).random(1024)
    for number in order:
        assert np.array_equal(sobol_point(seed, "val", "frame", number, 5), straight[number])


def test_threads_and_other_processes_draw_the_same() -> None:
    numbers = [(7 * i) % 900 for i in range(900)]
    sampling._sobol_block.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda number: draw_values(SOBOL, 3, "val", number), numbers))
    assert threaded == [draw_values(SOBOL, 3, "val", number) for number in numbers]
    code = (
        "from regolith.lunar.params import load_preset; from regolith.lunar.randomize import draw_values;"
        "p = load_preset('v3');"
        "p = p.model_copy(update={'randomize': p.randomize.model_copy(update={'sampling': 'sobol'})});"
        "print(repr(draw_values(p, 3, 'val', 777)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr(draw_values(SOBOL, 3, "val", 777))


def test_points_stay_what_datasets_were_drawn_from() -> None:
    """The scrambling of another scipy would change every Sobol dataset: it has to be noticed."""
    expected = {
        0: (0.2064707623794675, 0.6080106059089303, 0.7428350420668721, 0.686732716858387),
        1000: (0.06386334169656038, 0.5523032359778881, 0.445994540117681, 0.3022542791441083),
    }
    for number, point in expected.items():
        assert tuple(sobol_point(0, "val", "frame", number, 4).tolist()) == point


@pytest.mark.parametrize("power", [1, 4, 8, 10])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_aligned_run_of_frames_is_stratified(seed: int, power: int) -> None:
    """Each of 2^k slices of every range holds one of any 2^k frames that start at a multiple of 2^k."""
    count = 2**power
    for start in (0, 3 * count):
        slices = np.floor(fractions(SOBOL, seed, "train_dr", range(start, start + count)) * count * (1 - 1e-12))
        assert np.array_equal(np.sort(slices, axis=0), np.arange(count)[:, None].repeat(slices.shape[1], axis=1))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("method", ["CD", "WD", "MD"])
def test_300_frames_cover_the_domain_more_evenly_than_independent_draws(
    seed: int, method: Literal["CD", "WD", "MD"]
) -> None:
    even, chance = (fractions(params, seed, "train_dr", range(300)) for params in (SOBOL, INDEPENDENT))
    assert qmc.discrepancy(even, method=method) < 0.9 * qmc.discrepancy(chance, method=method)
    for axis in range(even.shape[1]):
        one = [qmc.discrepancy(points[:, [axis]], method=method) for points in (even, chance)]
        assert one[0] < 0.2 * one[1], axis
    pairs = list(itertools.combinations(range(even.shape[1]), 2))
    two = [[qmc.discrepancy(points[:, pair], method=method) for pair in pairs] for points in (even, chance)]
    assert np.mean(two[0]) < 0.2 * np.mean(two[1])
    assert np.max(two[0]) < np.mean(two[1])


def test_scenes_are_covered_evenly_too() -> None:
    ranges = {name: r for name, r in scene_intervals(SOBOL, "train_dr").items() if r.lo < r.hi}
    assert len(ranges) >= 2

    def points(params: Params) -> np.ndarray:
        specs = [draw_scene(params, 5, "train_dr", number).to_dict() for number in range(64)]
        return np.array([[(spec[name] - r.lo) / (r.hi - r.lo) for name, r in ranges.items()] for spec in specs])

    assert centred_discrepancy(points(SOBOL)) < 0.3 * centred_discrepancy(points(INDEPENDENT))
    assert len({draw_scene(SOBOL, 5, "train_dr", number).seed for number in range(64)}) == 64


def test_seeds_splits_and_kinds_have_sequences_of_their_own() -> None:
    kinds: tuple[Literal["frame", "scene"], ...] = ("frame", "scene")
    found = [sobol_point(seed, split, kind, 0, 6) for seed in (0, 1) for split in SPLITS for kind in kinds]
    assert len({point.tobytes() for point in found}) == 16


@pytest.mark.parametrize("params", [SOBOL, INDEPENDENT], ids=["sobol", "independent"])
def test_values_do_not_depend_on_the_ranges_of_others(params: Params) -> None:
    """A frozen or narrowed range leaves every other value as it was, in both samplings."""
    domain = params.domain.model_copy(update={"albedo": Interval(0.1), "fov_deg": Interval(60, 61)})
    other = params.model_copy(update={"domain": domain})
    for index in range(20):
        before, after = (draw_values(p, 2, "train_dr", index) for p in (params, other))
        assert {name for name in before if before[name] != after[name]} == {"albedo", "fov_deg"}
        assert after["albedo"] == 0.1 and 60 <= after["fov_deg"] <= 61


@pytest.mark.parametrize("split", SPLITS)
def test_independent_values_come_from_streams_by_name(split: str) -> None:
    assert rng(0, "val").random() == 0.15554117737773898
    for number in (0, 41):
        values = draw_values(INDEPENDENT, 9, split, number)
        for name, interval in frame_intervals(INDEPENDENT, split).items():
            assert values[name] == interval.at(float(rng(9, split, "frame", number, name).random())), name
        scene = draw_scene(INDEPENDENT, 9, split, number)
        assert scene.seed == int(rng(9, split, "scene", number, "seed").integers(2**62))
        for name, interval in scene_intervals(INDEPENDENT, split).items():
            assert getattr(scene, name) == interval.at(float(rng(9, split, "scene", number, name).random())), name


@pytest.mark.parametrize("dimensions", [1, 2, 5])
def test_mean_discrepancy_of_independent_draws_is_the_closed_form(dimensions: int) -> None:
    stream = rng(0, "discrepancy", dimensions)
    found = [centred_discrepancy(stream.random((20, dimensions))) for _ in range(1500)]
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - expected_discrepancy(20, dimensions)) < 4 * error


def test_pair_discrepancy_is_the_mean_over_projections() -> None:
    points = rng(1, "pairs").random((30, 3))
    each = [centred_discrepancy(points[:, pair]) for pair in ([0, 1], [0, 2], [1, 2])]
    assert pair_discrepancy(points) == pytest.approx(np.mean(each))


def test_a_sobol_sequence_is_made_once_a_block() -> None:
    sampling._sobol_block.cache_clear()
    for index in range(2 * BLOCK):
        draw_values(SOBOL, 3, "train_dr", index)
    assert sampling._sobol_block.cache_info().misses == 2


def test_an_independent_draw_makes_a_stream_for_each_range_that_varies(monkeypatch: pytest.MonkeyPatch) -> None:
    streams: list[tuple[object, ...]] = []

    def counted(seed: int, *keys: str | int) -> np.random.Generator:
        streams.append(keys)
        return rng(seed, *keys)

    monkeypatch.setattr("regolith.lunar.randomize.draw.rng", counted)
    draw_values(INDEPENDENT, 3, "train_dr", 7)
    varying = [name for name, r in frame_intervals(INDEPENDENT, "train_dr").items() if r.lo < r.hi]
    assert streams == [("train_dr", "frame", 7, name) for name in varying]
