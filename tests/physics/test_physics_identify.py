"""Dynamics recovered from simulated measurements of known dynamics, with noise; and what cannot be."""

import dataclasses
import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from regolith.lunar import cli
from regolith.lunar.params import InputError, load_params, load_preset
from regolith.lunar.physics.experiments import Bench
from regolith.lunar.physics.identify import DELAY, Fit, identify, noise_of
from regolith.lunar.physics.measured import EXPERIMENTS, Run, save_run
from regolith.lunar.randomize import draw_dynamics

NOISE = {"height": 0.003, "distance": 0.003, "speed": 0.002, "spin": 0.01}
"""Standard deviations of what is measured, in SI units."""


def measured(
    experiment: str, truth: Mapping[str, float], *, seconds: float = 1.4, seed: int = 0, **settings: float
) -> Run:
    """A run of a rover of known dynamics, sampled at 50 Hz with noise."""
    time = np.arange(0.0, seconds, 0.02)
    recipe = EXPERIMENTS[experiment]
    columns = {name: np.zeros(len(time)) for name in recipe.outputs}
    if "command" in recipe.inputs:
        columns["command"] = np.select([time < 0.1, time < 0.5, time < 0.7, time < 1.1], [0.0, 0.2, 0.0, 0.8], 0.0)
    run = Run(f"{experiment}.csv", experiment, settings, time, columns)
    generator = np.random.default_rng(seed)
    noisy = {
        name: values + generator.normal(0.0, NOISE[name], len(time))
        for name, values in Bench().simulate(run, truth).items()
    }
    return dataclasses.replace(run, columns=columns | noisy)


def check(fit: Fit, truth: Mapping[str, float], tolerance: Mapping[str, float]) -> None:
    """Every value lies within its tolerance of the truth, is told, and its interval is narrower than that twice."""
    assert fit.estimates.keys() == tolerance.keys()
    for name, allowed in tolerance.items():
        each = fit.estimates[name]
        assert each.value == pytest.approx(truth[name], abs=allowed), name
        assert each.told and each.lo <= each.value <= each.hi and each.hi - each.lo < 2.0 * allowed, name
    assert all(0.5 < each.ratio < 2.0 for each in fit.misfits)
    assert fit.warnings == ()


def test_steps_tell_friction_damping_gain_and_exactly_the_delay() -> None:
    truth = {"friction_scale": 0.8, "joint_damping_scale": 1.4, "action_gain": 0.95, DELAY: 2.0}
    fit = identify([measured("steps", truth)], delay_max=3, starts=1)
    check(fit, truth, {"friction_scale": 0.02, "joint_damping_scale": 0.15, "action_gain": 0.01, DELAY: 0.1})
    assert min(fit.delays, key=lambda delay: fit.delays[delay]) == 2 and list(fit.delays) == [0, 1, 2, 3]
    assert sorted(fit.delays.values())[1] > 5.0 * fit.delays[2]


def test_a_drop_tells_restitution() -> None:
    truth = {"restitution": 0.6}
    check(identify([measured("drop", truth, seconds=2.4, release=0.8)], starts=2), truth, {"restitution": 0.005})


def test_rolling_and_slipping_tell_inertia_and_friction() -> None:
    truth = {"inertia_scale": 1.3, "friction_scale": 0.8}
    runs = [measured("rolling", truth, seed=seed, slope=math.radians(slope)) for seed, slope in enumerate((12, 60))]
    check(identify(runs, starts=1), truth, {"inertia_scale": 0.04, "friction_scale": 0.01})


def test_a_coast_down_tells_damping() -> None:
    truth = {"joint_damping_scale": 1.3, "friction_scale": 0.8}
    fit = identify([measured("coast", truth, start=0.15)], starts=1)
    check(fit, truth, {"joint_damping_scale": 0.15, "friction_scale": 0.05})


def test_what_the_runs_do_not_tell_is_said_and_left_alone() -> None:
    """A wheel that does not slip says nothing of friction, and bodies that fall nothing of their inertia."""
    fit = identify([measured("rolling", {"inertia_scale": 1.3}, slope=math.radians(12))], starts=1)
    assert fit.estimates["inertia_scale"].told and not fit.estimates["friction_scale"].told
    assert any(warning.startswith("friction_scale: ") for warning in fit.warnings)
    with pytest.raises(InputError, match="fit: 'inertia_scale' is not allowed; allowed: what these runs depend on"):
        identify([measured("drop", {}, release=0.5)], names=["inertia_scale"])
    with pytest.raises(InputError, match="fit: 'gravity_tilt_deg' is not allowed"):
        identify([measured("drop", {}, release=0.5)], names=["gravity_tilt_deg"])


def test_a_run_of_another_slope_than_it_says_is_told_not_to_fit() -> None:
    run = measured("rolling", {"friction_scale": 0.8}, slope=math.radians(60))
    fit = identify([dataclasses.replace(run, settings={"slope": math.radians(20)})], names=["inertia_scale"], starts=1)
    assert any("times its noise" in warning for warning in fit.warnings)


@pytest.mark.parametrize("scale", [1e-3, 1.0])
def test_noise_is_told_from_motion(scale: float) -> None:
    time = np.arange(0.0, 4.0, 0.02)
    values = 3.0 * np.sin(2.0 * time) + np.random.default_rng(0).normal(0.0, scale, len(time))
    assert noise_of(values) == pytest.approx(scale, rel=0.2)
    assert noise_of(np.zeros(20)) > 0.0


def test_the_verb_writes_parameters_that_narrow_a_preset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "runs").mkdir()
    save_run(measured("drop", {"restitution": 0.6}, seconds=2.0, release=0.8), tmp_path / "runs/drop.npz")
    out, found = tmp_path / "rover.yaml", tmp_path / "found.json"
    line = f"calibrate dynamics {tmp_path / 'runs'} --out {out} --json {found} --starts 1 --preset v4"
    assert cli.main([*line.split(), "--dynamics.mass-scale", "1.1"]) == 0
    assert "restitution" in capsys.readouterr().out
    params, result = load_params(out), json.loads(found.read_text())["parameters"]["restitution"]
    assert params.dynamics.restitution.contains(0.6) and params.dynamics.mass_scale.lo == 1.1
    assert (params.dynamics.restitution.lo, params.dynamics.restitution.hi) == (result["lo"], result["hi"])
    assert params.dynamics.restitution.contains(draw_dynamics(params, 0, "val", 0)["restitution"])
    assert params.rocks == load_preset("v4").rocks


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{folder} --out {folder}/a.txt", "out: "),
        ("{folder} --out {folder}/a.yaml", "a folder with .csv or .npz files"),
        ("{folder}/none.csv --out {folder}/a.yaml", "runs: "),
        ("{folder}/none.csv --fit grip --out {folder}/a.yaml", "runs: "),
    ],
)
def test_bad_input_is_a_line_and_writes_nothing(tmp_path: Path, capsys, line: str, said: str) -> None:
    assert cli.main(["calibrate", "dynamics", *line.format(folder=tmp_path).split()]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
