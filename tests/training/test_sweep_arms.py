"""Sweeps that compare arms in worlds: what arms and worlds are, what waits for what, what is said of figures."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sweep_files import write_synth, write_training

from regolith.lunar import cli
from regolith.lunar.files import write_json
from regolith.lunar.params import DynamicsParams, Interval, Params, load_params, load_preset, save_params
from regolith.lunar.params.policy import DYNAMICS
from regolith.lunar.quality.calibrate_camera import FULL_SCALE, READ_SHARE
from regolith.lunar.randomize import draw_dynamics, lit_frame
from training.ablate.schedule import Schedule, Stamp
from training.ablate.steps import Generate, Synth, Train
from training.sweep.arms import ArmVerb
from training.sweep.gap import GapStudy, SweepGap
from training.sweep.policy_steps import DrivePolicy, MeasureCamera, MeasureDynamics, TeachPolicy
from training.sweep.strength import StrengthStudy, SweepStrength
from training.sweep.visual_dynamics import SweepVisualDynamics
from training.sweep.worlds import (
    DIFFERENCES,
    FRICTION,
    MASS,
    NOISE,
    WORLDS,
    found_intervals,
    randomized,
    world_params,
)

V1 = load_preset("v1")


def gap(*args: str) -> SweepGap:
    verb = cli.parse_verb(SweepGap, "sweep gap", ["--init", "random", *args])
    assert isinstance(verb, SweepGap)
    return verb


def two_by_two(*args: str) -> SweepVisualDynamics:
    verb = cli.parse_verb(SweepVisualDynamics, "sweep visual-vs-dynamics", ["--init", "random", *args])
    assert isinstance(verb, SweepVisualDynamics)
    return verb


def test_worlds_differ_by_what_they_are_named_after() -> None:
    sim, real = world_params(V1, "sim"), world_params(V1, "real")
    assert sim.dynamics == V1.dynamics and sim.sensor.read_noise_e == Interval(0.0)
    assert real.dynamics.friction_scale == Interval(0.8) and real.dynamics.mass_scale == Interval(1.1)
    assert real.sensor.read_noise_e == Interval(0.03 * V1.sensor.full_well_e)
    friction = world_params(V1, "friction")
    assert friction.dynamics.friction_scale == Interval(0.8)
    assert friction.model_copy(update={"dynamics": sim.dynamics}) == sim
    assert set(WORLDS) == {"sim", "friction", "mass", "noise", "real"}


def test_arms_know_what_they_are_said_to_know(tmp_path: Path) -> None:
    study = gap("--out", str(tmp_path)).study()
    assert study.params("nominal") == world_params(study.params("nominal"), "sim")
    randomized = study.params("randomized")
    assert randomized.dynamics == DYNAMICS and randomized.sensor.read_noise_e.contains(360.0)
    assert study.params("identified") == study.params("nominal"), "nothing is measured yet"
    (tmp_path / "steps").mkdir()
    write_json(tmp_path / "steps/calibrate-dynamics-real.result.json", {"parameters": {
        "friction_scale": {"value": 0.8, "lo": 0.78, "hi": 0.83, "told": True},
        "mass_scale": {"value": 1.0, "lo": 0.3, "hi": 3.0, "told": False},
    }})  # fmt: skip
    write_json(tmp_path / "steps/calibrate-camera-real.result.json", {"found": {
        NOISE: {"estimate": 100.0, "interval": [62.0, 231.0], "status": "identified"},
        READ_SHARE: {"estimate": 0.03, "interval": [0.0275, 0.0325], "status": "identified"},
    }})  # fmt: skip
    found, both = study.params("identified"), study.params("both")
    assert found.dynamics.friction_scale == both.dynamics.friction_scale == Interval(0.78, 0.83)
    assert found.sensor.read_noise_e == both.sensor.read_noise_e == Interval(330.0, 390.0)
    assert found.dynamics.mass_scale == Interval(1.0) and both.dynamics.mass_scale == DYNAMICS.mass_scale
    assert found_intervals(V1, None, None) == {}
    bound = {"found": {READ_SHARE: {"estimate": None, "interval": [None, 0.01], "status": "bound"}}}
    assert found_intervals(V1, bound, None) == {}


def test_what_was_not_identified_is_said_with_its_reason(tmp_path: Path) -> None:
    verb = gap("--out", str(tmp_path))
    study = verb.study()
    assert isinstance(study, GapStudy) and verb.notes(study) == ()
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for number in range(3):
        Image.fromarray(np.full((64, 64), 90 + number, np.uint8)).save(pictures / f"{number}.png")
    step = MeasureCamera(study, "generate real val", tmp_path, study.preset)
    step.folder.mkdir()
    command = [str(pictures) if word == str(tmp_path / "rgb") else word for word in step.command(1)]
    assert cli.main(command) == 0
    found, left, why = verb.notes(study)
    assert found == "Identified: nothing."
    assert left == f"Not identified, and nominal in `identified`: {FRICTION}, {MASS}, {NOISE}."
    assert why.startswith("Why not the camera's noise: fewer than 200 blocks")


@pytest.mark.parametrize("preset", ["v1", "v4"])
def test_no_range_has_the_real_simulation_at_its_centre(preset: str) -> None:
    real = world_params(load_preset(preset), "real")
    ranges = randomized(load_preset(preset))
    assert real.sensor.gain_db == ranges.sensor.gain_db == Interval(0.0), "else noise is no one share of full scale"
    for name, _ in DIFFERENCES.values():
        group, field = name.split(".")
        truth, drawn = (getattr(getattr(params, group), field) for params in (real, ranges))
        assert drawn.contains(truth.center), name
        assert abs(drawn.center - truth.center) > 0.1 * (drawn.hi - drawn.lo), name


def test_everything_waits_for_what_it_needs() -> None:
    verb = gap("--seeds", "0,1")
    study = verb.study()
    steps = verb.steps(study, [])
    names = [step.name for step in steps]
    assert len(set(names)) == len(names)
    assert all(need in names[:position] for position, step in enumerate(steps) for need in step.needs)
    measuring = [step for step in steps if isinstance(step, Generate | TeachPolicy) and step.needs]
    assert {step.name for step in measuring} == {
        "generate identified train_dr", "generate both train_dr",
        *(f"train-policy {arm} seed {seed}" for arm in ("identified", "both") for seed in (0, 1)),
    }  # fmt: skip
    drives = [(step.arm, step.world) for step in steps if isinstance(step, DrivePolicy) and step.seed == 0]
    others = [(arm, world) for arm in ("randomized", "identified", "both") for world in ("sim", "real")]
    assert drives == [*(("nominal", world) for world in WORLDS), *others]
    tests = {(step.name.split()[1], step.split.parent.name) for step in steps if isinstance(step, Synth)}
    assert tests == {(arm, world) for arm in study.presets for world in ("sim", "real")}
    detectors = gap("--no-policy")
    assert not any(isinstance(step, TeachPolicy) for step in detectors.steps(detectors.study(), []))


def test_two_by_two_switches_one_thing_each() -> None:
    study = two_by_two().study()
    neither, visual, dynamics, both = (study.params(arm) for arm in study.presets)
    assert not neither.randomize.light and not neither.randomize.sensor and visual.randomize.light
    assert neither.dynamics == visual.dynamics != dynamics.dynamics == both.dynamics == DYNAMICS
    assert dynamics.randomize == neither.randomize and visual.sensor == both.sensor != neither.sensor


Figure = Callable[[str, str, int], float]


def finished(verb: ArmVerb, iou: Figure, success: Figure) -> dict:
    """Write what the processes of a sweep leave, with figures by arm, world and seed; report it."""
    study = verb.study()
    schedule = Schedule(verb.steps(study, []))
    (study.out / "steps").mkdir(parents=True, exist_ok=True)
    for step in schedule.steps.values():
        schedule.done[step.name] = Stamp("", "", 1.0, step.work)
        words = step.name.split()
        if isinstance(step, Train):
            write_training(step)
        elif isinstance(step, Synth):
            write_synth(step, iou(words[1], step.split.parent.name, int(words[4])))
        elif isinstance(step, DrivePolicy):
            share = success(step.arm, step.world, step.seed)
            found = {"count": round(10 * share), "runs": 10, "share": share, "lo": 0.0, "hi": 1.0}
            write_json(step.result_file, {"totals": {"policy": {"success": found}}})
    return verb.report(study, schedule, [])


def test_the_gap_is_told_from_the_numbers(tmp_path: Path) -> None:
    """Friction costs 0.2, mass nothing, noise 0.1; randomization wins half of the drop back, identification all."""
    cost = {"sim": 0.0, "friction": 0.2, "mass": 0.0, "noise": 0.1, "real": 0.3}
    back = {"nominal": 0.0, "randomized": 0.5, "identified": 1.0, "both": 1.0}

    def success(arm: str, world: str, seed: int) -> float:
        return 0.8 + 0.02 * seed - cost[world] * (1.0 - back[arm]) + 0.001 * seed * (world == "real")

    result = finished(gap("--out", str(tmp_path)), lambda arm, world, seed: 0.5 + 0.01 * seed, success)
    verdicts = {each["words"]: each["verdict"] for each in result["contrasts"] if each["figure"] == "policy_success"}
    assert verdicts["nominal, from the simulation to the real one"] == "did not hold"
    for remedy in ("randomization", "identification"):
        assert verdicts[f"by {remedy}, in the real simulation"] == "held"
    said = " ".join(result["conclusion"])
    assert "nominal, from the simulation to the real one −29.9 points (95 % over 3 seeds" in said
    assert "Of single differences friction costs most by its mean, 20.0 points." in said
    assert (
        "Of the drop of 29.9 points, by the means, is won back by randomization 50 %, by identification 100 %, "
        "by both 100 %." in said
    )
    assert "There is no drop to recover from by the means of synthetic rock-IoU." in said
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert "| arm | sim | friction | mass | noise | real |" in text and "figures/arms.svg" in text
    assert "regolith sweep gap --preset v1" in text and str(tmp_path) not in text
    for line in (line for line in text.splitlines() if line.startswith("|")):
        assert line.endswith("|") and "nan" not in line and "None" not in line
    assert json.loads((tmp_path / "results.json").read_text("utf-8")) == json.loads(json.dumps(result))


def test_a_rise_is_called_neither_a_drop_nor_a_cost(tmp_path: Path) -> None:
    """The detector is better in the real simulation; of the policy's drop randomization takes more."""
    worse = {"randomized": 0.1}

    def success(arm: str, world: str, seed: int) -> float:
        return 0.8 + 0.01 * seed - (0.2 + worse.get(arm, 0.0)) * (world == "real") + 0.1 * (world in DIFFERENCES)

    result = finished(
        gap("--out", str(tmp_path)), lambda arm, world, seed: 0.5 + (0.003 + 0.001 * seed) * (world == "real"), success
    )
    said = result["conclusion"]
    assert said[0].startswith("Synthetic rock-IoU: nominal, from the simulation to the real one +0.004 (95 % over")
    assert said[1] == "There is no drop to recover from by the means of synthetic rock-IoU."
    assert said[3] == "No single difference costs anything by its mean."
    assert said[4] == (
        "Of the drop of 20.0 points, by the means, is won back by randomization nothing, being 10.0 points lower "
        "still, by identification 0 %, by both 0 %."
    )
    text = (tmp_path / "RESULTS.md").read_text("utf-8")
    assert not any(f"{word} of nominal" in text or f"{word} of noise" in text for word in ("drop", "cost"))


def test_two_by_two_tells_which_helps_which(tmp_path: Path) -> None:
    """Visual randomization helps the detector alone, that of dynamics the policy alone."""
    seen, moved = {"visual", "both"}, {"dynamics", "both"}
    result = finished(
        two_by_two("--out", str(tmp_path)),
        lambda arm, world, seed: 0.4 + 0.2 * (arm in seen) + 0.003 * seed * (arm == "both"),
        lambda arm, world, seed: 0.5 + 0.3 * (arm in moved) + 0.003 * seed * (arm == "visual"),
    )
    verdicts = {(each["figure"], each["words"].split()[0]): each["verdict"] for each in result["contrasts"]}
    assert verdicts["synth_iou", "visual"] == verdicts["policy_success", "dynamics"] == "held"
    assert verdicts["synth_iou", "dynamics"] == verdicts["policy_success", "visual"] == "not resolved"


def test_strength_has_policies_where_they_are_asked_for(tmp_path: Path) -> None:
    plain = cli.parse_verb(SweepStrength, "sweep dr-strength", ["--init", "random", "--out", str(tmp_path)])
    assert isinstance(plain, SweepStrength) and "policy" not in plain.study().settings()
    verb = cli.parse_verb(SweepStrength, "sweep dr-strength", ["--init", "random", "--policy", "--out", str(tmp_path)])
    assert isinstance(verb, SweepStrength)
    study = verb.study()
    assert isinstance(study, StrengthStudy)
    steps = verb.steps(study, [])
    assert [step.name for step in steps if isinstance(step, DrivePolicy) and step.seed == 0] == [
        f"traverse {level} seed 0 in real" for level in ("none", "mild", "strong")
    ]
    taught = {
        step.arm: Params.model_validate(step.inputs()["parameters"]) for step in steps if isinstance(step, TeachPolicy)
    }
    none, mild, strong = (taught[level] for level in study.presets)
    assert none.dynamics == DynamicsParams() and strong.dynamics == DYNAMICS
    assert mild.dynamics.friction_scale.lo == pytest.approx(0.9) and mild.dynamics.action_delay_steps == Interval(0, 4)
    noise = [params.sensor.read_noise_e for params in (none, mild, strong)]
    assert noise == [Interval(0.0), Interval(0, 480), Interval(0, 960)]
    preset = load_preset(study.preset).domain.sun_elevation_deg
    for params, strength in ((none, 0.0), (mild, 0.5), (strong, 1.0)):
        assert params.domain.sun_elevation_deg == preset.scaled(strength) and params.randomize.strength == 1.0


def test_a_policy_without_randomization_is_taught_in_the_simulation_that_knows_nothing() -> None:
    """What is drawn of rover and camera: no delay, no noise, as drawn; at full strength all of it varies."""
    verb = cli.parse_verb(SweepStrength, "sweep dr-strength", ["--init", "random", "--policy"])
    assert isinstance(verb, SweepStrength)
    study = verb.study()
    assert isinstance(study, StrengthStudy)
    for number in range(3):
        params = study.policy_params("none")
        assert draw_dynamics(params, 0, "train_dr", number) == draw_dynamics(V1, 0, "train_dr", number)
        assert lit_frame(params, 0, "train_dr", number)["read_noise_e"] == 0.0
    wide = [draw_dynamics(study.policy_params("strong"), 0, "train_dr", number) for number in range(3)]
    assert len({drawn["action_delay_steps"] for drawn in wide}) == 3


def test_the_bench_tells_friction_and_mass_of_the_real_simulation(tmp_path: Path) -> None:
    pytest.importorskip("mujoco")
    study = gap("--out", str(tmp_path)).study()
    step = MeasureDynamics(study, "real", lambda: study.params("real"))
    step.folder.mkdir()
    step.prepare("")
    words = [word for word in step.command(1) if word != "--events"]
    words[words.index("--starts") + 1] = "1"
    assert cli.main([*words, "--delay-max", "0", "--events"]) == 0
    found = found_intervals(V1, None, json.loads(step.result_file.read_text("utf-8")))
    assert found[FRICTION].lo - 0.01 < 0.8 < found[FRICTION].hi + 0.01 and found[FRICTION].hi < 0.9
    assert found[MASS].lo - 0.01 < 1.1 < found[MASS].hi + 0.01 and found[MASS].lo > 1.0


def test_the_camera_of_the_real_simulation_is_told_by_its_own_pictures(tmp_path: Path) -> None:
    """Six frames tell no electrons, for read noise hides shot noise, but its share of full scale: 360 of 12,000."""
    study = gap("--out", str(tmp_path)).study()
    assert isinstance(study, GapStudy)
    val, real = study.split_folder("real", "val"), tmp_path / "real.yaml"
    save_params(study.params("real"), real)
    drawn = ["--params", str(real), "--split", val.name, "--frames", "6", "--size", "128", "--out", str(val.parent)]
    assert cli.main(["generate", *drawn]) == 0
    step = MeasureCamera(study, "generate real val", val, study.preset)
    step.folder.mkdir(exist_ok=True)
    assert cli.main(step.command(1)) == 0
    found = json.loads(step.result_file.read_text("utf-8"))["found"]
    assert found[FULL_SCALE]["status"] == found[NOISE]["status"] == "bound"
    assert found[FULL_SCALE]["interval"][0] < 12_000 and found[NOISE]["interval"][0] < 360
    assert found[READ_SHARE]["status"] == "identified"
    for params in (
        study.params("identified"), study.params("both"), load_params(tmp_path / "measured/camera/camera.yaml"),
    ):  # fmt: skip
        assert params.sensor.full_well_e == 12_000 and params.sensor.read_noise_e.contains(360.0)
        assert params.sensor.read_noise_e.lo > 300 and params.sensor.read_noise_e.hi < 420
