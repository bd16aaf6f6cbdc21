"""The main job end to end at a tiny size: stage, frames, training, model, evaluation, report; kills; then resumed."""

import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from power_cut import PowerCut, assert_frames_and_models_are_whole, read_state, restore, seen

from regolith.lunar import cli
from regolith.lunar.dataset.verify import verify
from regolith.lunar.files import LOCK, lock_beside

SIZE = ["--preset", "v1", "--frames", "8", "--held-out", "4", "--size", "64", "--epochs", "1", "--workers", "1"]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """A finished demo on four photographs, three of them good."""
    folder = tmp_path_factory.mktemp("demo")
    photos, masks = folder / "photos", folder / "masks"
    photos.mkdir()
    masks.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "c.png"):
        Image.fromarray(rng.integers(0, 256, (90, 130, 3), np.uint8)).save(photos / name)
        Image.fromarray(rng.integers(0, 2, (90, 130), np.uint8)).save(masks / f"{name[0]}.png")
    (photos / "torn.jpg").write_bytes((photos / "b.jpg").read_bytes()[:200])
    real = ["--real", str(photos), "--masks", str(masks)]
    args = ["demo", *SIZE, "--out", str(folder / "out"), *real, "--json", str(folder / "result.json")]
    (folder / "out").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        disk = PowerCut(folder / "out", patch)
        assert cli.main(args) == 0
    return folder, args, disk


def test_everything_is_on_disk(demo) -> None:
    folder, _, _ = demo
    out = folder / "out"
    (geometry,) = (path.name for path in out.glob("stage.geometry-*.usdc"))
    names = ["stage.usda", geometry, "stage.png", "sizes.png", "run/best.pt", "run/metrics.jsonl",
             "run/summary.json", "model.onnx", "model.json", "synth/results.json", "real/results.json",
             "real/contact_sheet.png", "report.html"]  # fmt: skip
    assert [name for name in names if not (out / name).is_file()] == []
    for split, frames in (("train_dr", 8), ("val", 4), ("test_photoreal", 4)):
        checked = verify(out / "data" / split)
        assert checked["frames"] == frames and checked["problems"] == []


def test_report_is_whole_and_needs_no_network(demo) -> None:
    folder, _, _ = demo
    html = (folder / "out" / "report.html").read_text("utf-8")
    sections = re.findall(r"<h2>(.*?)</h2>", html)
    assert sections == ["Stage", "Frames", "Training", "On unseen synthetic frames", "On real photographs",
                        "How long, on what"]  # fmt: skip
    assert "torn.jpg" in html
    sources = re.findall(r'(?:src|href)="([^"]*)"', html)
    assert len(sources) > 20 and all(source.startswith(("data:image/", "#")) for source in sources)


def test_model_maps_pixels_to_logits(demo) -> None:
    folder, _, _ = demo
    session = onnxruntime.InferenceSession(folder / "out" / "model.onnx", providers=["CPUExecutionProvider"])
    image = np.zeros((2, 32, 96, 3), np.uint8)
    assert np.asarray(session.run(["logits"], {"image": image})[0]).shape == (2, 3, 32, 96)


def test_result_names_every_step(demo) -> None:
    folder, _, _ = demo
    result = json.loads((folder / "result.json").read_text("utf-8"))
    assert list(result["seconds"]) == ["author", "generate", "train", "export", "synth", "real"]
    assert result["real"]["photographs"] == 3 and len(result["real"]["problems"]) == 1
    assert result["synth"]["frames"] == 4


def test_a_kill_at_any_flush_leaves_what_counts_whole(demo) -> None:
    """Frames of a journal, a stage, a model with its card; what says how good it is appears whole."""
    folder, _, disk = demo
    after = read_state(folder / "out")
    results = ("synth/results.json", "real/results.json", "report.html", "stage.png", "sizes.png")
    assert len(disk.kills) > 100 and seen(disk.states[-1]) == seen(after), "something was never flushed"
    for state in map(seen, (*disk.states, *disk.kills)):
        assert_frames_and_models_are_whole(state)
        if "stage.usda" in state:
            (geometry,) = (name for name in state if name.startswith("stage.geometry-"))
            assert f"@./{geometry}@".encode() in state["stage.usda"]
        assert all(state.get(name, after[name]) == after[name] for name in results)


def test_run_after_a_kill_draws_trains_and_exports_nothing_again(demo, tmp_path, capsys) -> None:
    """A run that ended when it had exported its model."""
    folder, args, disk = demo
    state = next(state for state in disk.kills if {"model.onnx", "synth/results.json"} & seen(state).keys())
    out = tmp_path / "out"
    restore(state, out)
    before, exported = (out / "run" / "metrics.jsonl").read_bytes(), (out / "model.onnx").stat().st_mtime_ns
    words = {str(folder / name): str(tmp_path / name) for name in ("out", "result.json")}
    assert not (out / "report.html").exists() and cli.main([words.get(str(word), str(word)) for word in args]) == 0
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    assert [split["drawn"] for split in result["generate"].values()] == [0, 0, 0]
    assert (out / "run" / "metrics.jsonl").read_bytes() == before
    assert (out / "model.onnx").stat().st_mtime_ns == exported
    assert "rock-IoU" in capsys.readouterr().out
    assert seen(read_state(out)).keys() == read_state(folder / "out").keys()
    assert lock_beside(Path("model.onnx")).name in state
    assert [name for name in read_state(out) if name.endswith(LOCK)] == []


@pytest.mark.parametrize(
    ("args", "line"),
    [
        (["--size", "65"], "size: '65' is not allowed; allowed: multiples of 32"),
        (["--real", "nowhere"], "real: 'nowhere' is not allowed; allowed: a folder of photographs"),
        (["--masks", "."], "masks: '.' is not allowed; allowed: only together with --real"),
    ],
)
def test_bad_input_is_refused_before_any_work(tmp_path, capsys, args: list[str], line: str) -> None:
    assert cli.main(["demo", "--out", str(tmp_path / "out"), *args]) == 2
    assert capsys.readouterr().err == f"regolith: {line}\n"
    assert not (tmp_path / "out").exists()
