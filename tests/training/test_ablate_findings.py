"""What the numbers of a study say: estimates, differences, the verdicts on the published findings, and the report."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from regolith.lunar import cli
from regolith.lunar.perception.metrics import rock_scores
from regolith.lunar.stage.spec import rng
from training.ablate.collect import Cell, Results, figures_of, read_scenes
from training.ablate.contrasts import Difference, Estimate, compare, effects, estimate, minus
from training.ablate.findings import FINDINGS, PUBLISHED, findings, judge, published, weigh
from training.ablate.parts import recipe_differences
from training.ablate.report import summarize, to_markdown
from training.ablate.schedule import Schedule
from training.ablate.steps import make_steps
from training.ablate.verb import Ablate

PHOTOS = 12
Figure = Callable[[Cell, int], float]


def make_results(
    tmp_path: Path, synth: Figure, flood: Figure, recall: Figure = lambda cell, seed: 0.5, *, args: tuple[str, ...] = ()
) -> Results:
    """Results whose figures are those given; photographs differ, and three of them show one scene."""
    verb = cli.parse_verb(Ablate, "ablate", ["--out", str(tmp_path), "--scale", "0.1", *args])
    assert isinstance(verb, Ablate)
    study = verb.study()
    rows = []
    for seed in study.seeds:
        for preset in study.presets:
            for run in study.runs:
                cell = (preset, run.name)
                spread = 1 + 0.2 * rng(0, "photo").uniform(-1, 1, PHOTOS)
                spread /= spread.mean()
                floods = flood(cell, seed) * spread
                tp = round(1000 * recall(cell, seed))
                rock = rock_scores(tp, 300, 1000 - tp)
                row: dict[str, Any] = {
                    "preset": preset, "run": run.name, "seed": seed, "scale": study.scale, "frames": 1,
                    "train": None, "synth": {other: rock | {"iou": synth(cell, seed)} for other in study.presets},
                    "real": {
                        "flood": {"mean": floods.mean(), "median": float(np.median(floods)), "worst": floods.max()},
                        "rock": {}, "problems": [],
                        "photographs": {f"p{i:02d}.jpg": {"flood": floods[i], "rock": None} for i in range(PHOTOS)},
                    },
                    "polar": {
                        "flood": {"mean": 0.1, "median": 0.1, "worst": 0.1}, "rock": rock, "problems": [],
                        "photographs": {f"q{i}.png": {"flood": 0.1, "rock": rock} for i in range(4)},
                    },
                }  # fmt: skip
                rows.append(row | {"metrics": figures_of(row, row["preset"])})
    return Results(study, rows, {f"p{i:02d}.jpg": f"scene {max(i, 3)}" for i in range(PHOTOS)})


def noise(cell: Cell, seed: int) -> float:
    return float(rng(0, "noise", *cell, seed).uniform(-1, 1))


def as_published(metric: str, *, jitter: float = 0.0) -> Figure:
    """The published figure of a cell, v1 and v2 alike for every run."""

    def value(cell: Cell, seed: int) -> float:
        known = PUBLISHED.get(cell) or PUBLISHED[cell[0], "dr_1500"]
        return known[metric] + jitter * noise(cell, seed)

    return value


def verdicts(results: Results) -> dict[str, str]:
    return {finding["title"]: finding["verdict"] for finding in findings(results)}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=6))
def test_estimate_is_the_t_interval(values: list[float]) -> None:
    found = estimate(values)
    assert found is not None and found.sd is not None and found.lo is not None and found.hi is not None
    assert found.mean == pytest.approx(np.mean(values)) and found.sd == pytest.approx(np.std(values, ddof=1), abs=1e-12)
    if found.sd > 1e-9:
        lo, hi = stats.t.interval(0.95, len(values) - 1, found.mean, stats.sem(values))
        assert (found.lo, found.hi) == pytest.approx((lo, hi))


def test_one_seed_has_no_spread_and_none_no_estimate() -> None:
    assert estimate([0.4]) == Estimate(0.4, 1) and estimate([]) is None


def test_differences_are_paired_by_seed(tmp_path: Path) -> None:
    """What two runs of one seed share cancels: a constant gain has no spread however far the seeds are apart."""
    results = make_results(tmp_path, lambda cell, seed: 0.3 + 0.1 * seed + (0.02 if cell[1] == "dr_750" else 0), noise)
    found = compare(results, "synth_iou", minus(("v1", "dr_750"), ("v1", "nodr_750")))
    assert found is not None and found.scenes is None
    assert found.estimate.mean == pytest.approx(0.02) and found.estimate.sd == pytest.approx(0, abs=1e-12)


def test_scenes_count_and_not_photographs(tmp_path: Path) -> None:
    """Four photographs of one scene are one observation: the interval is wider than if each were its own."""
    results = make_results(tmp_path, noise, as_published("flood_mean"))
    weights = minus(("v2", "dr_1500"), ("v1", "dr_1500"))
    grouped = compare(results, "flood_mean", weights)
    apart = compare(Results(results.study, results.rows, {}), "flood_mean", weights)
    one = compare(Results(results.study, results.rows, dict.fromkeys(results.scenes, "one")), "flood_mean", weights)
    assert grouped is not None and apart is not None and one is not None and one.scenes is None
    assert grouped.scenes is not None and apart.scenes is not None
    assert grouped.scenes[0] < grouped.estimate.mean < grouped.scenes[1]
    assert grouped.scenes != apart.scenes
    again = compare(results, "flood_mean", weights)
    assert again == grouped


def test_pooled_iou_over_scenes_is_that_of_the_pixels(tmp_path: Path) -> None:
    """Photographs that are all alike leave no doubt, and the bootstrap's figure is the pooled one."""
    recall = {"v1": 0.4, "v2": 0.6, "v3": 0.5}
    results = make_results(tmp_path, noise, noise, lambda cell, seed: recall[cell[0]])
    found = compare(results, "polar_iou", minus(("v2", "dr_750"), ("v1", "dr_750")))
    expected = 600 / 1300 - 400 / 1300
    assert found is not None and found.estimate.mean == pytest.approx(expected)
    assert found.scenes == pytest.approx((expected, expected))


def test_published_pattern_is_found_to_hold(tmp_path: Path) -> None:
    results = make_results(tmp_path, as_published("synth_iou"), as_published("flood_mean"))
    assert set(verdicts(results).values()) == {"held"}


def test_opposite_pattern_is_found_not_to_hold(tmp_path: Path) -> None:
    synth, flood = as_published("synth_iou"), as_published("flood_mean")
    results = make_results(tmp_path, lambda c, s: 1 - synth(c, s), lambda c, s: 1 - flood(c, s))
    assert set(verdicts(results).values()) == {"did not hold"}


def test_what_changes_sign_from_seed_to_seed_is_not_resolved(tmp_path: Path) -> None:
    def around(cell: Cell, seed: int) -> float:
        return 0.5 + 0.1 * float(np.cos(2 * np.pi * (seed / 3 + 0.13 * int(cell[0][1]) + len(cell[1]) / 7)))

    results = make_results(tmp_path, around, around)
    assert set(verdicts(results).values()) == {"not resolved"}
    assert all("What is not resolved points" in finding["text"] for finding in findings(results))


def test_one_seed_never_decides(tmp_path: Path) -> None:
    results = make_results(tmp_path, as_published("synth_iou"), as_published("flood_mean"), args=("--seeds", "4"))
    assert set(verdicts(results).values()) == {"one seed"}


def test_what_was_not_run_is_not_measured(tmp_path: Path) -> None:
    synth, flood = as_published("synth_iou"), as_published("flood_mean")
    found = verdicts(make_results(tmp_path, synth, flood, args=("--presets", "v1,v2")))
    assert found["Realism of the rocks alone makes transfer worse"] == "held"
    assert [title for title, verdict in found.items() if verdict == "not measured"] == [
        "Every generation scores better on its own synthetic test",
        "Realism of the ground makes transfer better",
        "Domain randomization helps at equal size",
        "Twice the frames help at equal randomization",
        "More frames mostly raise the synthetic score, randomization mostly lowers the flood",
    ]
    results = make_results(tmp_path, synth, flood)
    for row in results.rows:
        row["real"], row["polar"] = None, None
        row["metrics"] = figures_of(row, row["preset"])
    assert verdicts(results)["Realism of the ground makes transfer better"] == "not measured"


def test_recall_stands_beside_flood(tmp_path: Path) -> None:
    results = make_results(
        tmp_path, noise, as_published("flood_mean"), lambda cell, seed: 0.2 if cell[0] == "v3" else 0.6
    )
    (finding,) = (f for f in findings(results) if f["title"] == "Realism of the ground makes transfer better")
    assert finding["text"].count("POLAR recall: −0.400") == 2


@pytest.mark.parametrize(
    ("mean", "interval", "scenes", "verdict"),
    [
        (0.1, (0.05, 0.15), None, "held"),
        (0.1, (0.05, 0.15), (0.01, 0.2), "held"),
        (0.1, (0.05, 0.15), (-0.01, 0.2), "not resolved"),
        (0.1, (-0.05, 0.25), None, "not resolved"),
        (-0.1, (-0.15, -0.05), (-0.2, -0.01), "did not hold"),
        (-0.1, (-0.15, -0.05), (-0.2, 0.01), "not resolved"),
    ],
)
def test_every_interval_has_a_say(mean: float, interval: tuple, scenes: tuple | None, verdict: str) -> None:
    found = Difference("flood_mean", {}, Estimate(mean, 3, 0.1, *interval), scenes)
    assert judge(found, 1) == verdict
    mirrored = Difference(
        "flood_mean", {}, Estimate(-mean, 3, 0.1, -interval[1], -interval[0]), scenes and (-scenes[1], -scenes[0])
    )
    assert judge(mirrored, -1) == verdict


def test_ends_are_over_the_seeds_of_the_difference(tmp_path: Path) -> None:
    """A seed that only one side has yet changes neither the difference nor where it goes from and to."""
    results = make_results(tmp_path, as_published("synth_iou"), as_published("flood_mean"))
    row = results.row(("v1", "dr_1500"), 2)
    row["real"]["flood"]["mean"] = 0.99
    row["metrics"] = figures_of(row, row["preset"])
    other = results.row(("v2", "dr_1500"), 2)
    other["real"] = None
    other["metrics"] = figures_of(other, other["preset"])
    text = findings(results)[1]["text"]
    assert "here 44.0 % → 72.6 %, +28.6 points (95 % over 2 seeds +28.6 … +28.6 points;" in text


def test_finding_is_as_good_as_its_worst_part() -> None:
    assert weigh(["held", "not resolved", "held"]) == "not resolved"
    assert weigh(["did not hold", "not measured"]) == "not measured"


def test_signs_asserted_are_those_published() -> None:
    for finding in FINDINGS:
        for part in finding.parts:
            assert published(part) * part.sign > 0, (finding.title, part)


def test_effects_differ_in_one_thing(tmp_path: Path) -> None:
    found = effects(make_results(tmp_path, noise, noise, args=("--presets", "v1")))
    assert [(e["effect"], e["from"], e["to"]) for e in found] == [
        ("randomization", "nodr_750", "dr_750"),
        ("size", "dr_750", "dr_1500"),
    ]


def test_scenes_come_from_the_manifest_beside_the_photographs(tmp_path: Path) -> None:
    (tmp_path / "set" / "images").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png"):
        (tmp_path / "set" / "images" / name).touch()
    text = "file,scene\nset/images/a.png,one\nset/images/b.png,one\nother/z.png,two\n"
    (tmp_path / "MANIFEST.csv").write_text(text)
    assert read_scenes(tmp_path / "set" / "images") == {"a.png": "one", "b.png": "one", "c.png": "c.png"}


def test_report_has_every_figure_and_says_what_is_missing(tmp_path: Path) -> None:
    results = make_results(tmp_path, as_published("synth_iou", jitter=0.01), as_published("flood_mean", jitter=0.01))
    for row in results.rows:
        if row["preset"] == "v2":
            row["polar"] = None
            row["metrics"] = figures_of(row, row["preset"])
    schedule = Schedule(make_steps(results.study, shown=[]))
    result = summarize(results, schedule)
    json.dumps(result)
    assert all(training["scale"] == 0.1 for training in result["trainings"]) and result["study"]["scale"] == 0.1
    text = to_markdown(results, result, {"Bars": "bars.svg"})
    found = estimate(list(results.values(("v3", "dr_750"), "synth_iou").values()))
    assert found is not None and f"| {found.mean:.3f} ± {found.sd:.3f} |" in text
    assert "**Scale 0.1**" in text and "Unfinished: 0 of 150 steps" in text
    assert "| v2 | dr_750 | 75 |" in text and "| not measured | not measured | not measured |" in text
    assert (
        len(re.findall(r"^\| p\d\d\.jpg \| scene \d+ \|", text, re.M)) == PHOTOS and "![Bars](figures/bars.svg)" in text
    )
    for heading in ("Results", "Randomization at equal size", "Across versions", "What held", "Each photograph"):
        assert f"## {heading}" in text
    for line in (line for line in text.splitlines() if line.startswith("|")):
        assert line.endswith("|") and "nan" not in line and "None" not in line


def test_recipes_that_differ_are_named(tmp_path: Path) -> None:
    results = make_results(tmp_path, noise, noise, args=("--presets", "v1", "--seeds", "0"))
    for row, recipe in zip(results.rows, ({"lr": 1}, {"lr": 1}, {"lr": 1, "blur": 0}), strict=True):
        row["train"] = {"recipe": recipe}
    assert recipe_differences(results) == {"blur": [None, 0]}
