"""`regolith train-policy`: what is learned, what it leaves, and that it goes on where it stopped."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from regolith.lunar import cli
from regolith.lunar.params import load_preset
from regolith.lunar.params.policy import DYNAMICS, PICTURE
from regolith.lunar.physics.policy import ACTIONS, LAG, READINGS, Policy, encode_aim, mirrored
from training.augment import Augmentation
from training.policy import worker
from training.policy.collect import Drives
from training.policy.run import held_out_file, policy_file, read_config, stage_file
from training.policy.samples import Samples, recipe
from training.policy.verb import TrainPolicy

SCENE = ["--preset", "v1", "--relief.enabled", "false", "--terrain.cell-m", "0.5", "--rocks.far-radius-m", "0",
         "--rocks.subdivision", "3", "--rocks.diameter-min-m", "0.3", "--rocks.abundance", "0.005",
         "--terrain.far-radius-m", "200"]  # fmt: skip
TINY = ["--size", "48x32", "--stages", "2", "--drives", "1", "--rounds", "2", "--held-out", "2", "--distance-m", "2",
        "--epochs", "1", "--batch", "16", "--soil", "none", "--threads", "1", "--events"]  # fmt: skip


def train(out: Path, *more: str) -> int:
    return cli.main(["train-policy", *SCENE, *TINY, "--out", str(out), *more])


@pytest.fixture(scope="session", name="learned")
def fixture_learned(made_once: Callable[[str, Callable[[Path], object]], Path]) -> Path:
    """A policy of two rounds over two stages, as the verb leaves it; nobody may change the files."""
    return made_once("policy", lambda folder: train(folder / "out")) / "out"


def parsed(*args: str) -> TrainPolicy:
    verb = cli.parse_verb(TrainPolicy, "train-policy", list(args))
    assert isinstance(verb, TrainPolicy)
    return verb


def contents(folder: Path) -> dict[str, bytes]:
    """Files by their names, but for what holds times."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*.npz"))}


def test_it_leaves_a_policy_with_its_card_and_figures(learned: Path) -> None:
    card = json.loads((learned / "policy.json").read_text("utf-8"))
    assert card["kind"] == "policy" and card["size"] == "48x32" and card["actions"] == list(ACTIONS)
    assert card["training"]["seed"] == 0 and card["training"]["round"] == 1 and len(card["training"]["losses"]) == 1
    result = json.loads((learned / "results.json").read_text("utf-8"))
    assert set(result["held_out"]["ways"]) == {"none", "labels", "policy"}
    for row in result["held_out"]["ways"].values():
        assert row["success"]["runs"] == row["runs"] == 2
        assert 0.0 <= row["success"]["lo"] <= row["success"]["share"] <= row["success"]["hi"] <= 1.0
    assert card["success"] == result["held_out"]
    assert [each["drives"] for each in result["rounds"]] == [2, 2]
    assert result["rounds"][0]["decisions"] < result["rounds"][1]["decisions"] == card["training"]["decisions"]
    page = (learned / "report.html").read_text("utf-8")
    assert "Held-out stages" in page and "by the policy" in page and str(learned) not in page
    scores = Policy(learned / "policy.onnx", threads=1).scores(
        np.zeros((3, 2, 2, 32, 48), np.uint8), np.zeros((3, len(READINGS)), np.float32)
    )
    assert scores.shape == (3, len(ACTIONS))


def test_drives_hold_what_was_seen_and_what_the_planner_would_do(learned: Path) -> None:
    drives = Drives.load(stage_file(learned, 0, 0))
    count = len(drives.readings)
    assert drives.pictures.shape == (count, 2, 32, 48) and drives.pictures.dtype == np.uint8
    assert drives.shares.sum(axis=1) == pytest.approx(1.0)
    assert drives.ends.tolist() == [count] and drives.success.shape == (1,)
    assert drives.pictures.std() > 1.0 and (drives.pictures[0] != drives.pictures[-1]).any()
    assert drives.readings[0, 0] == pytest.approx(0.2, abs=0.07) and drives.readings[-1, 0] < 0.1  # of 10 m
    assert drives.readings[0, 1] > 0.9  # it begins facing the goal


def test_the_planner_reaches_the_goal_though_it_strays(learned: Path) -> None:
    assert all(Drives.load(stage_file(learned, 0, index)).success.all() for index in range(2))


def test_it_goes_on_where_it_stopped(learned: Path, tmp_path: Path) -> None:
    """Whatever is missing is done again, to the same bytes; what is there is left alone."""
    import shutil

    out = tmp_path / "out"
    shutil.copytree(learned, out)
    for path in (stage_file(out, 1, 1), held_out_file(out, 1), policy_file(out, 1), out / "results.json"):
        path.unlink()
    kept = stage_file(out, 0, 0)
    time = kept.stat().st_mtime_ns
    assert train(out) == 0
    assert contents(out) == contents(learned)
    assert policy_file(out, 1).read_bytes() == policy_file(learned, 1).read_bytes()
    assert kept.stat().st_mtime_ns == time


def test_processes_share_the_stages(learned: Path, tmp_path: Path) -> None:
    import shutil

    out = tmp_path / "out"
    shutil.copytree(learned, out)
    for index in range(2):
        stage_file(out, 0, index).unlink()
    assert read_config(out).out == out
    assert worker.main([str(out), "0", "1", "2"]) == 0
    assert not stage_file(out, 0, 0).exists()
    assert stage_file(out, 0, 1).read_bytes() == stage_file(learned, 0, 1).read_bytes()


def test_another_training_is_refused(learned: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(learned)
    assert train(learned, "--lr", "0.01") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "lr: " in line
    assert contents(learned) == before


def test_traverse_drives_by_it(learned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As the held-out stages were driven; and the other ways are driven as without it."""
    words = ["traverse", *SCENE, "--split", "val", "--distance-m", "2", "--soil", "none", "--time-max-s", "30"]
    for name, value in DYNAMICS.model_dump().items():
        if value != type(DYNAMICS)().model_dump()[name]:
            words += [f"--dynamics.{name.replace('_', '-')}", f"{value[0]},{value[1]}"]
    policy = ["--policy", str(learned / "policy.onnx")]
    out = tmp_path / "drives"
    assert cli.main([*words, "--avoid", "all", "--model", "truth", *policy, "--out", str(out), "--events"]) == 0
    result = json.loads((out / "traverse.json").read_text("utf-8"))
    assert list(result["totals"]) == ["none", "labels", "model", "policy"]
    assert result["totals"]["policy"]["success"]["runs"] == 1
    for how in ("none", "labels", "policy"):
        name = f"trajectory_00000_{how}.npz"
        assert (out / name).read_bytes() == (learned / "held_out" / name).read_bytes()
    assert cli.main([*words, "--avoid", "none", *policy, "--out", str(out)]) == 2
    assert "policy: " in capsys.readouterr().err
    assert cli.main([*words, "--avoid", "policy", "--out", str(out)]) == 2
    assert "policy: missing" in capsys.readouterr().err


def test_traverse_drives_by_it_over_an_authored_stage(learned: Path, tmp_path: Path) -> None:
    """Lit as it was authored; places between start and goal are passed in their order."""
    stage, out = tmp_path / "stage.usdc", tmp_path / "drives"
    assert cli.main(["author", *SCENE, "--rover.model", "viper", "--size", "32", "--out", str(stage)]) == 0
    words = ["--stage", str(stage), "--waypoints", "0,0;2,0;2,2", "--soil", "none", "--time-max-s", "4"]
    policy = ["--avoid", "policy", "--policy", str(learned / "policy.onnx")]
    assert cli.main(["traverse", *words, *policy, "--out", str(out), "--events"]) == 0
    with np.load(out / "trajectory_00000_policy.npz") as file:
        assert file["route_m"].tolist() == [[0.0, 0.0], [2.0, 0.0], [2.0, 2.0]]
        assert (file["applied"][:, 4:] != 0.0).any()


def toy_drives(count: int, random: np.random.Generator) -> Drives:
    """Decisions in which a bright block to the left or right says where to turn."""
    pictures = random.integers(60, 80, (count, 2, 32, 48)).astype(np.uint8)
    readings = random.uniform(-1.0, 1.0, (count, len(READINGS))).astype(np.float32)
    sides = random.integers(0, 2, count)
    for index, side in enumerate(sides.tolist()):
        pictures[index, side, 10:20, 15:30] = 200
    shares = np.array([encode_aim(0.95, -0.3 if side == 0 else 0.3) for side in sides], np.float32)
    return Drives(pictures, readings, shares, np.array([count // 2, count]), np.zeros(2, bool))


def test_batches_are_mirrored_in_pictures_readings_and_actions_alike() -> None:
    drives = toy_drives(40, np.random.default_rng(0))
    samples = Samples([drives])
    batches = list(samples.batches(np.arange(40), 16, Augmentation(recipe(1e-3, 16, 0.0)), (0, "test"), 2))
    assert [len(batch[0]) for batch in batches] == [16, 16, 8]
    pictures, readings, shares = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    flipped = 0
    for i in range(40):
        before = max(i - LAG, 0 if i < 20 else 20)
        plain = drives.pictures[[i, before]]
        if (pictures[i] == plain).all():
            assert (readings[i] == drives.readings[i]).all() and (shares[i] == drives.shares[i]).all()
        else:
            flipped += 1
            assert (pictures[i] == plain[:, ::-1, :, ::-1]).all()
            assert (readings[i] == mirrored(drives.readings[i])).all() and (shares[i] == drives.shares[i][::-1]).all()
    assert 10 < flipped < 30
    changed = next(samples.batches(np.arange(40), 40, Augmentation(recipe(1e-3, 16, 1.0)), (0, "test"), 2))
    assert (changed[0] != pictures).any() and (changed[1] == readings).all()


def test_it_learns_to_turn_away_from_what_it_sees(tmp_path: Path) -> None:
    from training.policy.fit import fit, write_policy

    params = parsed(*SCENE, *TINY, "--epochs", "12", "--out", str(tmp_path))
    random = np.random.default_rng(1)
    said: list[str] = []
    network, made = fit(params, 0, Samples([toy_drives(192, random)]), None, said.append)
    assert made["losses"][-1] < 0.5 * made["losses"][0] and len(said) == made["epochs"] == 12
    write_policy(network, params.size, tmp_path / "policy.onnx", {})
    test = toy_drives(64, random)
    pictures = np.stack([test.pictures, test.pictures], axis=1)
    best = Policy(tmp_path / "policy.onnx", threads=1).scores(pictures, test.readings).argmax(axis=1)
    middle = (len(ACTIONS) - 1) / 2
    assert (np.sign(best - middle) == np.sign(test.shares.argmax(axis=1) - middle)).mean() > 0.9


def test_a_policy_of_the_default_size_is_read_back(tmp_path: Path) -> None:
    from training.policy.fit import write_policy
    from training.policy.network import PolicyNetwork

    write_policy(PolicyNetwork(PICTURE).eval(), PICTURE, tmp_path / "policy.onnx", {})
    policy = Policy(tmp_path / "policy.onnx", threads=1)
    assert policy.size == PICTURE and policy.path.stat().st_size > 1 << 20


def test_a_preset_without_dynamics_gets_some() -> None:
    verb = parsed("--preset", "v1", "--dynamics.friction-scale", "0.5")
    assert verb.params.dynamics == DYNAMICS.model_copy(
        update={"friction_scale": type(DYNAMICS.friction_scale)(0.5, 0.5)}
    )
    assert load_preset("v1").dynamics != DYNAMICS


@pytest.mark.parametrize(
    ("words", "field"),
    [("--size 16", "size"), ("--distance-m 1", "distance_m"), ("--rounds 0", "rounds"), ("--stray 2", "stray")],
)
def test_bad_input_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, field: str) -> None:
    assert cli.main(["train-policy", *SCENE, *words.split(), "--out", str(tmp_path / "out")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{field}: " in line and not (tmp_path / "out").exists()


def test_the_scale_shrinks_stages_and_epochs() -> None:
    verb = parsed("--scale", "0.25")
    assert (verb.scaled(verb.stages), verb.scaled(verb.held_out), verb.scaled(verb.epochs)) == (6, 10, 2)
    assert math.isclose(verb.distance_m, 10.0)
