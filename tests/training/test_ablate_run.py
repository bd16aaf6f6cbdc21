"""The whole of an ablation at the smallest size: real frames, a real training, scores, the report; crashes; again."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from power_cut import PowerCut, assert_frames_and_models_are_whole, read_state, restore, seen

from regolith.lunar import cli
from regolith.lunar.dataset.survey import LOG
from regolith.lunar.perception.photos import find_photos
from regolith.lunar.stage.spec import rng
from training.ablate.schedule import Schedule
from training.ablate.steps import make_steps
from training.ablate.verb import Ablate

DONE = ".done.json"
"""Ending of what says that a step is done."""

ARGS = [
    "ablate", "--presets", "v1", "--runs", "dr_400", "--seeds", "3", "--scale", "0.02", "--val-frames", "100",
    "--test-frames", "100", "--arch", "efficientnet-lite0", "--init", "random", "--warmup-steps", "1", "--workers", "2",
    "--trainings", "1",
]  # fmt: skip


def failures(out: Path) -> str:
    """What the logs of a study say of the steps that failed."""
    return "\n".join(path.read_text() for name in (LOG, "*.log") for path in sorted(out.rglob(name)))


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A finished study on three photographs, one of them damaged, and two with masks."""
    folder: Path = tmp_path_factory.mktemp("ablate")
    real, polar, masks = folder / "real", folder / "polar", folder / "masks"
    random = rng(0, "photographs")
    for place, names in ((real, ("a.jpg", "b.png")), (polar, ("c.png", "d.png"))):
        place.mkdir()
        for name in names:
            Image.fromarray(random.integers(0, 256, (40, 60, 3), np.uint8)).save(place / name)
    masks.mkdir()
    for name in ("c.png", "d.png"):
        Image.fromarray(random.integers(0, 2, (40, 60), np.uint8)).save(masks / name)
    (real / "torn.jpg").write_bytes((real / "a.jpg").read_bytes()[:200])
    out = folder / "out"
    out.mkdir()
    args = [*ARGS, "--out", str(out), "--real", str(real), "--polar", str(polar), "--masks", str(masks)]
    with pytest.MonkeyPatch.context() as patch:
        disk = PowerCut(out, patch)
        assert cli.main(args) == 0
    result = json.loads((out / "results.json").read_text("utf-8"))
    return SimpleNamespace(out=out, args=args, result=result, disk=disk)


def elsewhere(done: SimpleNamespace, out: Path) -> list[str]:
    """The command line with another folder."""
    return [str(out) if word == str(done.out) else word for word in done.args]


def test_every_figure_is_measured_and_stamped(done: SimpleNamespace) -> None:
    (row,) = done.result["trainings"]
    assert (row["preset"], row["run"], row["seed"], row["scale"], row["frames"]) == ("v1", "dr_400", 3, 0.02, 8)
    assert done.result["study"]["side_px"] == 64 and done.result["study"]["epochs"] == 1
    assert row["synth"]["v1"]["frames"] == 2 and row["synth"]["v1"]["tp"] + row["synth"]["v1"]["fn"] > 0
    assert sorted(row["real"]["photographs"]) == ["a.jpg", "b.png"] and len(row["real"]["problems"]) == 1
    rocks = [photograph["rock"] for photograph in row["polar"]["photographs"].values()]
    pooled = {key: sum(rock[key] for rock in rocks) for key in ("tp", "fp", "fn")}
    assert row["metrics"]["polar_iou"] == pytest.approx(pooled["tp"] / sum(pooled.values()))
    assert row["train"]["recipe"]["init"] == "random" and row["train"]["best_epoch"] == 1
    assert sorted(path.name for path in done.out.rglob("*.pt")) == ["best.pt"], "no optimizer state is kept"
    assert done.result["steps"] == {"done": 8, "all": 8, "failed": {}}


def test_report_without_photographs_leaves_them_out(done: SimpleNamespace, tmp_path: Path) -> None:
    out = tmp_path / "out"
    shutil.copytree(done.out, out)
    assert (out / "figures" / "overlays.jpg").exists()
    assert cli.main([*elsewhere(done, out), "--report-only", "--no-overlays"]) == 0
    text = (out / "RESULTS.md").read_text("utf-8")
    assert "overlays" not in text and "bars.svg" in text and "Unfinished" not in text
    assert not (out / "figures" / "overlays.jpg").exists()


def test_report_and_figures_are_written(done: SimpleNamespace) -> None:
    text = (done.out / "RESULTS.md").read_text("utf-8")
    assert "**Scale 0.02**" in text and "Unfinished" not in text and "Not scored: torn.jpg" in text
    assert "--runs dr_400 --seeds 3 --scale 0.02" in text and str(done.out) not in text
    for name in done.result["figures"]:
        assert f"]({name})" in text and (done.out / name).stat().st_size > 1000
    assert {"bars.svg", "flood_iou.svg", "photographs.svg", "cross.svg"} == {
        Path(name).name for name in done.result["figures"]
    } - {"overlays.jpg"}


def test_again_does_nothing_and_says_the_same(done: SimpleNamespace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.ablate.schedule.Companion", lambda *args: pytest.fail("a step ran again"))
    assert cli.main([*done.args, "--report-only"]) == 0
    assert cli.main(done.args) == 0
    assert json.loads((done.out / "results.json").read_text("utf-8")) == done.result


def test_a_crash_at_any_flush(done: SimpleNamespace, tmp_path: Path) -> None:
    """What the study itself writes is whole or not there; a step counts where it was done; the rest is gone on with.

    So is what its steps' processes write, and those that draw for them: frames of a journal, a model with its card.
    """
    after = read_state(done.out)
    last = done.disk.states[-1]  # what a step tidies away may come back
    assert seen(after).items() <= last.items(), "something was never flushed"
    ours = {name for name in after if name in ("results.json", "RESULTS.md") or name.endswith(DONE)}
    assert len(ours) == 10
    for state in map(seen, (*done.disk.states, *done.disk.kills)):
        assert all(state[name] == after[name] for name in ours & state.keys())
        assert_frames_and_models_are_whole(state)

    kills = {frozenset(name for name in seen(state) if name.endswith(DONE)): state for state in done.disk.kills}
    assert sorted(map(len, kills)) == list(range(9))
    for stamps, state in kills.items():
        out = tmp_path / str(len(stamps))
        restore(state, out)
        args = elsewhere(done, out)
        verb = cli.parse_verb(Ablate, "ablate", args[1:])
        assert isinstance(verb, Ablate) and verb.real is not None
        study = verb.study().with_start()
        schedule = Schedule(make_steps(study, shown=[path.name for path in find_photos(verb.real)]))
        schedule.look()
        assert {f"steps/{schedule.steps[name].label}{DONE}" for name in schedule.done} == stamps
        if len(stamps) == 7:
            assert cli.main(args) == 0, failures(out)
            assert seen(read_state(out)).keys() == seen(after).keys()
            result = json.loads((out / "results.json").read_text("utf-8"))
            assert result | {"process_seconds": None} == done.result | {"process_seconds": None}


def test_no_torch_in_the_graphs_own_process() -> None:
    import subprocess
    import sys

    code = (
        "import sys, training.ablate.verb; print([n for n in ('torch', 'onnxruntime', 'mitsuba') if n in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
