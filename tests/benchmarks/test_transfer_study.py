"""The parts of the transfer study that decide what it says: rank correlation, derived arms, probes, tables."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.stats

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import transfer_arms  # noqa: E402
import transfer_rank  # noqa: E402
import transfer_report  # noqa: E402
import transfer_scores  # noqa: E402
import transfer_text  # noqa: E402
import transfer_verdict  # noqa: E402

from regolith.lunar.dataset.split_reader import open_split  # noqa: E402
from regolith.lunar.dataset.verify import verify  # noqa: E402
from regolith.lunar.quality.features import Features  # noqa: E402

ARMS, SEEDS = 10, 3


@pytest.fixture(scope="module")
def random() -> np.random.Generator:
    return np.random.default_rng(3)


def test_correlations_are_scipys_with_ties(random) -> None:
    x, y = random.integers(0, 6, 12).astype(float), random.integers(0, 6, 12).astype(float)
    assert transfer_rank.spearman(x, y) == pytest.approx(scipy.stats.spearmanr(x, y)[0])
    assert transfer_rank.kendall(x, y) == pytest.approx(scipy.stats.kendalltau(x, y)[0])
    assert np.isnan(transfer_rank.spearman(np.ones(12), y))


def test_a_score_that_foretells_is_told_from_one_that_does_not(random) -> None:
    truth = np.arange(ARMS, dtype=float)
    outcomes = truth[:, None] + random.normal(0, 0.3, (ARMS, SEEDS))
    scores = np.stack([np.exp(truth), -truth, np.resize([4.0, 1, 3, 2, 5], ARMS), np.ones(ARMS)])
    good, bad, other, same = transfer_rank.correlate(scores, outcomes, rounds=300, permutations=499)
    assert good.spearman == pytest.approx(1, abs=0.03) and good.p == pytest.approx(1 / 500)
    assert good.spearman_interval is not None and good.spearman_interval[0] > 0.8
    assert bad.spearman is not None and bad.spearman < -0.97
    assert other.spearman_interval is not None and other.spearman_interval[0] < 0 < other.spearman_interval[1]
    assert other.p is not None and other.p_of_all is not None and other.p_of_all > other.p > 0.1
    assert same.spearman is None and same.p is None and same.kendall_interval is None


def test_seeds_that_differ_widen_the_interval(random) -> None:
    truth = np.arange(ARMS, dtype=float)
    near = truth[:, None] + np.array([[-0.1, 0, 0.1]])
    far = truth[:, None] + random.permuted(np.tile([-9.0, 0, 9.0], (ARMS, 1)), axis=1)
    widths = []
    for outcomes in (near, far):
        (row,) = transfer_rank.correlate(truth[None], outcomes, rounds=300, permutations=9)
        assert row.spearman_interval is not None
        widths.append(row.spearman_interval[1] - row.spearman_interval[0])
    assert widths[1] > widths[0] + 0.1


def test_chance_finds_the_best_of_many(random) -> None:
    """Of 60 random scores of 10 arms the best looks significant by itself, and not against the best of all."""
    outcomes = random.normal(size=(ARMS, SEEDS))
    rows = transfer_rank.correlate(random.normal(size=(60, ARMS)), outcomes, rounds=10, permutations=999)
    best = max(rows, key=lambda row: row.spearman or 0)
    assert best.p is not None and best.p_of_all is not None
    assert best.p < 0.05 < best.p_of_all


@pytest.fixture(scope="module")
def split(tmp_path_factory, random) -> Path:
    """A split of four scenes of ten frames: each frame and each mask has a number of its own."""
    folder = tmp_path_factory.mktemp("study") / transfer_arms.SPLIT
    frames = []
    for number in range(4 * transfer_arms.SCENE_FRAMES):
        rgb = random.integers(0, 256, (24, 32, 3), dtype=np.uint8)
        mask = np.zeros((24, 32), np.uint8)
        mask.flat[: number + 1] = 1
        frames.append((rgb, mask, {"scene": number // transfer_arms.SCENE_FRAMES}))
    transfer_arms.write_derived(folder, frames, transfer_arms.SPLIT)
    return folder


def test_a_derived_split_is_whole(split) -> None:
    assert verify(split)["problems"] == []
    assert len({frame.spec["scene"] for frame in open_split(split)}) == 4


def test_blurred_frames_keep_their_masks(split) -> None:
    frames = list(open_split(split))
    for frame, (rgb, mask, spec) in zip(frames, transfer_arms.derive([frames], "blurred", 40), strict=True):
        assert (mask == frame.mask).all() and spec == frame.spec
        assert np.diff(rgb.astype(float), axis=1).std() < 0.2 * np.diff(frame.rgb.astype(float), axis=1).std()


def test_shuffled_frames_have_the_mask_of_another_scene(split) -> None:
    frames = list(open_split(split))
    scene_of = {int(frame.mask.sum()): frame.spec["scene"] for frame in frames}
    found = transfer_arms.derive([frames], "shuffled", 40)
    for frame, (rgb, mask, _) in zip(frames, found, strict=True):
        assert (rgb == frame.rgb).all()
        assert scene_of[int(mask.sum())] != frame.spec["scene"]
    assert sorted(int(mask.sum()) for _, mask, _ in found) == sorted(scene_of)


def test_a_mixture_has_equal_shares_and_no_scene_twice(split) -> None:
    frames = list(open_split(split))
    found = transfer_arms.derive([frames, frames, frames], "mixed", 11)
    scenes = [spec["scene"] for _, _, spec in found]
    assert [sum(scene // 1000 == k for scene in scenes) for k in range(3)] == [4, 4, 3]
    assert {scene % 1000 for scene in scenes if scene < 1000} == {0, 1, 2, 3}


def test_every_arm_is_what_its_parameters_allow() -> None:
    for arm in transfer_arms.BY_NAME.values():
        assert arm.derived is None or all(name in transfer_arms.BY_NAME for name in arm.sources)
        if arm.derived is None:
            transfer_arms.parameters(arm)
    listed = (*transfer_arms.GENERATIONS, *transfer_arms.BROKEN, *transfer_arms.INGREDIENTS)
    assert listed == tuple(arm.name for arm in transfer_arms.ARMS)


def sample(random, mean: float, count: int = 400) -> Features:
    values = random.normal(size=(count, 5)).astype(np.float32)
    values[:, 2] += mean
    rows = np.arange(count)
    return Features(values, np.zeros(count, np.uint8), rows // 20, rows // 40)


def test_a_probe_tells_what_differs_and_not_what_is_alike(random) -> None:
    assert transfer_scores.held_out_auc(sample(random, 0), sample(random, 4)) > 0.98
    assert transfer_scores.held_out_auc(sample(random, 0), sample(random, 0)) == pytest.approx(0.5, abs=0.06)
    a, b = (sample(random, mean).values for mean in (0, 1))
    probe = transfer_scores.Probe.fit(a, b)
    pairs = scipy.stats.mannwhitneyu(b @ probe.direction, a @ probe.direction).statistic / 400**2
    assert probe.auc(a, b) == pytest.approx(pairs)


def test_agreement_is_the_iou_of_what_seeds_call_rock() -> None:
    first = np.zeros((4, 4), np.uint8)
    second, third = first.copy(), first.copy()
    first[0], second[:2], third[3] = 1, 1, 1
    runs = [{"polar/a": mask, "apollo/a": np.zeros_like(mask)} for mask in (first, second, third)]
    assert transfer_report.agreement(runs, "polar") == pytest.approx((0.5 + 0 + 0) / 3)
    assert transfer_report.agreement(runs, "apollo") == 0


def test_figures_pool_pixels_over_photographs() -> None:
    row = {"flood": 0.1, "entropy": 0.5}
    rows = {"a": row | {"counts": [6, 2, 2]}, "b": row | {"counts": [0, 8, 2]}, "c": row | {"counts": None}}
    found = transfer_report.figures({"polar": rows})
    assert found["polar_iou"] == pytest.approx(6 / 20) and found["polar_recall"] == pytest.approx(6 / 10)
    assert found["polar_flood"] == pytest.approx(0.1)


def test_tables_say_what_the_results_hold(tmp_path, random) -> None:
    """Scores are turned by what they call better, and the score is chosen on POLAR alone."""
    arms = {}
    for number in range(6):
        flat = dict.fromkeys(("polar_precision", "polar_recall", "apollo_recall"), 0.1 * number + 0.001)
        run = flat | dict.fromkeys(transfer_text.OUTCOMES, 0.1 * number)
        gaps = {"gap": [1 - 0.1 * number, -1], "noise": [float(random.normal()), 1]}
        gaps["default: ground neighbour"] = [0.5 + 0.01 * number, -1]
        scores = {"POLAR": gaps, "Apollo": gaps}
        arms[f"arm{number}"] = {"what": "x", "runs": {"0": run, "1": run}, "scores": scores, "train_seconds": [1.0]}
    groups = {"generations": [*arms][:4], "broken": [*arms][4:], "mixtures": []}
    summary = {"arms": arms, "groups": groups, "machine": {"cpu": "a CPU", "torch": "2"}, "recipe": {}}
    summary["correlations"] = {
        name: transfer_report.correlations(summary, kinds) for name, kinds in transfer_report.SETS.items()
    }
    rows = summary["correlations"]["main"]["rows"]
    assert rows["polar_iou"]["gap"]["spearman"] == 1 and rows["polar_flood"]["gap"]["spearman"] == -1
    assert rows["polar_iou"]["default: ground neighbour"]["spearman"] == -1
    assert transfer_text.chosen_on_polar(summary["correlations"]["main"]) == "gap"
    transfer_report.write_text(summary, tmp_path)
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "| arm5 | x | 0.500 ± 0.000 |" in text and "| gap | +1.00 (" in text
    assert "it stands" not in text and "the best on POLAR rock-IoU is *gap*: +1.00" in text
    assert (tmp_path / "figure.svg").read_text("utf-8").startswith("<")


def test_a_verdict_is_the_side_of_zero_of_the_interval() -> None:
    rows = [{"spearman": 0.5, "spearman_interval": ends} for ends in ((0.1, 0.9), (-0.9, -0.1), (-0.1, 0.9), None)]
    said = [transfer_verdict.verdict(row) for row in rows]
    assert said == ["**foretells**", "**misleads**", "not resolved", "not defined"]


@pytest.mark.parametrize(("flood", "word"), [(0.1, "kept"), (0.9, "both ways")])
def test_an_ingredient_is_kept_where_it_helps_and_does_not_hurt(flood, word) -> None:
    """Three seeds that all gain as much; less flood is better."""
    runs = {}
    for name, gain, flooded in (("wide", 0.0, 0.5), ("wide+v4", 0.2, flood)):
        of_seed = dict.fromkeys(transfer_text.OUTCOMES, 0.1 + gain) | {"apollo_flood": flooded}
        jitter = {seed: of_seed | {"polar_iou": of_seed["polar_iou"] + 0.01 * int(seed)} for seed in "012"}
        runs[name] = {"runs": jitter}
    table = transfer_verdict.ingredients({"groups": {"mixtures": [*runs]}, "arms": runs})
    assert "| v4 to wide | 0.110 ± 0.010 → 0.310 ± 0.010 (+0.200 … +0.200)" in table
    assert table.endswith(f"| {word} |")
