"""A sweep over the strength of randomization: what differs between levels, what is shared, what it says of figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from sweep_files import write_synth, write_training

from regolith.lunar import cli
from regolith.lunar.files import write_json
from regolith.lunar.params import InputError
from regolith.lunar.perception.metrics import rock_scores
from regolith.lunar.randomize import frame_intervals
from training.ablate.schedule import Schedule, Stamp
from training.ablate.steps import Generate, Real, Synth, Train, make_steps
from training.ablate.study import TEST
from training.sweep.strength import SHARED, StrengthStudy, SweepStrength


def sweep(*args: str) -> SweepStrength:
    verb = cli.parse_verb(SweepStrength, "sweep dr-strength", ["--init", "random", *args])
    assert isinstance(verb, SweepStrength)
    return verb


def test_levels_differ_in_the_width_of_every_range_and_in_nothing_else() -> None:
    study = sweep("--levels", "strong,none,0.25", "--preset", "v4").study()
    assert study.presets == ("none", "0.25", "strong"), "levels go by their strength"
    full = frame_intervals(study.params("strong"), "train_dr")
    for level, strength in (("none", 0.0), ("0.25", 0.25)):
        ranges = frame_intervals(study.params(level), "train_dr")
        assert ranges.keys() == full.keys()
        for name, interval in ranges.items():
            assert interval.hi - interval.lo == pytest.approx(strength * (full[name].hi - full[name].lo), abs=1e-9)
            assert interval.center == pytest.approx(full[name].center)


def test_all_levels_are_chosen_and_tested_on_the_same_frames_at_full_strength() -> None:
    study = sweep("--levels", "none,mild,strong", "--seeds", "0,1").study()
    steps = make_steps(study, shown=[])
    drawn = [(step.preset, step.split, step.frames) for step in steps if isinstance(step, Generate)]
    assert drawn == [("none", "train_dr", 100), ("mild", "train_dr", 100), ("strong", "train_dr", 100),
                     (SHARED, "val", 38), (SHARED, TEST, 75)]  # fmt: skip
    assert study.params(SHARED).randomize.strength == 1.0
    trainings = [step for step in steps if isinstance(step, Train)]
    assert len(trainings) == 6 and {step.params.val_split for step in trainings} == {study.split_folder(SHARED, "val")}
    assert {step.params.train_split for step in trainings} == {
        study.out / "data" / level / "train_dr" for level in study.presets
    }
    assert {(step.params.epochs, step.work) for step in trainings} == {(10, trainings[0].work)}, "one budget"
    tests = [step for step in steps if isinstance(step, Synth)]
    assert len(tests) == 6 and {step.split for step in tests} == {study.split_folder(SHARED, TEST)}
    names = [step.name for step in steps]
    assert all(need in names[:position] for position, step in enumerate(steps) for need in step.needs)


Figure = Callable[[str, int], float]


def finished(verb: SweepStrength, synth: Figure, recall: Figure | None = None) -> dict:
    """Write what the processes of a sweep leave, with figures by level and seed; report it."""
    study = verb.study()
    schedule = Schedule(make_steps(study, shown=[]))
    (study.out / "steps").mkdir(parents=True, exist_ok=True)
    for step in schedule.steps.values():
        schedule.done[step.name] = Stamp("", "", 1.0, step.work)
        words = step.name.split()
        if isinstance(step, Train):
            write_training(step)
        elif isinstance(step, Synth):
            write_synth(step, synth(words[1], int(words[4])))
        elif isinstance(step, Real):
            assert recall is not None
            tp = round(1000 * recall(words[1], int(words[4])))
            rows = [
                {"image": f"{name}.png", "flood": 0.1, "sky": 0.0, "width": 9, "height": 9, "baseline": None,
                 "rock": rock_scores(tp, 300, 1000 - tp)}
                for name in "abc"
            ]  # fmt: skip
            pooled = rock_scores(3 * tp, 900, 3000 - 3 * tp)
            flood = {"mean": 0.1, "median": 0.1, "worst": 0.1}
            write_json(step.result_file, {"per_image": rows, "rock": pooled, "flood": flood, "problems": []})
    return verb.report(study, schedule, [])


def test_the_conclusion_follows_from_paired_differences(tmp_path: Path) -> None:
    """Seeds differ far more than levels: only in pairs is the step to mild shown; the step to strong is noise."""
    base, noise = [0.3, 0.5, 0.7], [0.02, -0.03, 0.01]

    def iou(level: str, seed: int) -> float:
        return base[seed] + {"none": 0.0, "mild": 0.1 + 0.002 * seed, "strong": 0.1 + noise[seed]}[level]

    result = finished(sweep("--out", str(tmp_path)), iou)
    verdicts = {(each["from"], each["to"]): each["verdict"] for each in result["differences"]}
    assert verdicts == {("none", "mild"): "held", ("none", "strong"): "held", ("mild", "strong"): "not resolved"}
    difference = result["differences"][0]["difference"]
    assert difference["mean"] == pytest.approx(0.102) and difference["lo"] == pytest.approx(
        0.102 - 4.302653 * 0.002 / np.sqrt(3), abs=1e-6
    )  # Student's t of 2 degrees of freedom
    said, counted = result["conclusion"]
    assert "highest mean at mild, 0.602" in said
    assert "from none to mild +0.102 (95 % over 3 seeds" in said and "shown to rise;" in said
    assert "from mild to strong" in said and said.endswith("not shown, for an interval holds 0.")
    assert counted.startswith("Of 3 differences 2 are shown.")


def test_the_report_has_table_plot_and_conclusion(tmp_path: Path) -> None:
    for name in ("polar", "masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").touch()
    photographs = ["--polar", str(tmp_path / "polar"), "--masks", str(tmp_path / "masks")]
    verb = sweep("--out", str(tmp_path / "sweep"), *photographs)
    falls = {"none": 0.8, "mild": 0.6, "strong": 0.4}
    result = finished(verb, lambda level, seed: 0.5, lambda level, seed: falls[level] + 0.01 * seed)
    verdicts = {each["metric"]: each["verdict"] for each in result["differences"]}
    assert verdicts == {"synth_iou": "not resolved", "polar_iou": "did not hold", "polar_recall": "did not hold"}
    assert json.loads((verb.out / "results.json").read_text("utf-8")) == json.loads(json.dumps(result))
    text = (verb.out / "RESULTS.md").read_text("utf-8")
    for part in (
        "# Sweep: strength of domain randomization",
        "## Conclusion",
        "| level | run | frames |",
        "## Differences between levels",
        "](figures/strength.svg)",
        "shown to fall",
        "Levels none, mild, strong",
        "none = 0, mild = 0.5, strong = 1",
        "regolith sweep dr-strength --levels none,mild,strong --seeds 0,1,2",
    ):
        assert part in text, part
    assert str(tmp_path) not in text and "Unfinished" not in text
    for line in (line for line in text.splitlines() if line.startswith("|")):
        assert line.endswith("|") and "nan" not in line and "None" not in line
    assert (verb.out / "figures" / "strength.svg").read_text("utf-8").count("<svg") == 1


def test_one_seed_shows_nothing(tmp_path: Path) -> None:
    result = finished(sweep("--out", str(tmp_path), "--seeds", "0"), lambda level, seed: float(level == "strong"))
    assert {each["verdict"] for each in result["differences"]} == {"one seed"}
    assert result["conclusion"][-1].startswith("Of 3 differences 0 are shown.")


def test_a_sweep_may_grow_and_keeps_its_preset(tmp_path: Path) -> None:
    sweep("--out", str(tmp_path)).study().settle()
    sweep("--out", str(tmp_path), "--levels", "none,0.25,mild,strong", "--seeds", "0,1,2,3").study().settle()
    for args, field in (
        (["--preset", "v4"], "preset"),
        (["--frames", "80"], "train_frames"),
        (["--lr", "0.5"], "recipe.lr"),
    ):
        with pytest.raises(InputError, match=rf"^{field}: .* with which .* was begun; or another --out"):
            sweep("--out", str(tmp_path), *args).study().settle()


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--levels", "none,fierce"], "levels: 'fierce' is not allowed; "
         "allowed: none, mild, strong, or a number 0 … 1"),
        (["--levels", "none,1.5"], "levels: '1.5' is not allowed; allowed: none, mild, strong, or a number 0 … 1"),
        (["--levels", "none,nan"], "levels: 'nan' is not allowed; allowed: none, mild, strong, or a number 0 … 1"),
        (["--levels", "mild,0.5"], "levels: 'mild,0.5' is not allowed; "
         "allowed: two levels or more, each of another strength"),
        (["--levels", "mild"], "levels: 'mild' is not allowed; allowed: two levels or more, each of another strength"),
        (["--preset", "v9"], "preset: 'v9' is not allowed; allowed: boulders, v1, v2, v3, v4, v5, wide"),
        (["--frames", "0"], "frames: '0' is not allowed; allowed: a whole number 1 … 100000 frames"),
    ],
)  # fmt: skip
def test_wrong_values(args: list[str], line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "sweep"
    assert cli.main(["sweep", "dr-strength", "--init", "random", "--out", str(out), *args]) == 2
    assert capsys.readouterr().err.strip() == f"regolith: {line}"
    assert not out.exists()


def test_a_level_is_a_study_of_its_own_kind() -> None:
    assert isinstance(sweep().study(), StrengthStudy)
    assert sweep("--scale", "0.02").study().side == 64
