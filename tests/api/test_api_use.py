"""A script's way through the public names: what it makes is what the verbs make, byte for byte."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, assert_type

import numpy as np
import pytest

import regolith.lunar as rl
from regolith.lunar import cli
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.split_reader import SplitReader, StoredFrame
from regolith.lunar.perception.session import Segmenter
from regolith.lunar.stage.spec import FrameSpec

CHANGES: dict[str, Any] = {
    "dataset.frames_per_scene": 2,
    "dataset.depth": True,
    "dataset.instance": True,
    "dataset.normals": True,
    "domain.sun_elevation_deg": (10, 20),
    "rocks.abundance": 0.05,
    "rocks.diameter_min_m": 0.3,
}
PARAMS = rl.change_params(rl.load_preset("v1"), CHANGES)
SEED, FRAMES, WIDTH, HEIGHT = 4, 3, 64, 48


@pytest.fixture(scope="module")
def split(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A generated split; nobody may change it."""
    out = tmp_path_factory.mktemp("data")
    rl.generate(
        PARAMS, str(out), split="train_dr", frames=FRAMES, width=WIDTH, height=HEIGHT, seed=SEED, executor="in-process"
    )
    return out / "train_dr"


def test_a_frame_drawn_by_hand_is_the_frame_that_generate_wrote(split: Path) -> None:
    frame = 2  # the first of the second scene
    scene = rl.build_scene(PARAMS, seed=SEED, frame=frame)
    stage = rl.author_stage(scene)
    spec = rl.draw_frame(PARAMS, scene, seed=SEED, frame=frame)
    assert_type(spec, FrameSpec)
    with contextlib.closing(rl.open_renderer(threads=1)) as renderer:
        stage = renderer.load(stage)
        rl.apply_frame(stage, spec, params=PARAMS, width=WIDTH, height=HEIGHT)
        drawn = renderer.render(WIDTH, HEIGHT, outputs=frozenset({"depth", "instance", "normals"}))
    stored = rl.open_split(split)[frame]
    assert stored.spec == json.loads(json.dumps(spec.to_dict()))
    assert np.array_equal(stored.rgb, drawn.rgb)
    assert drawn.depth is not None and drawn.instance is not None and drawn.normals is not None
    assert stored.depth is not None and stored.instance is not None and stored.normals is not None
    assert np.array_equal(stored.depth, drawn.depth) and stored.depth.dtype == np.float32
    assert np.array_equal(stored.instance, drawn.instance) and stored.instance.dtype == np.uint16
    assert np.array_equal(stored.normals, drawn.normals.astype(np.float16))


def test_what_is_imported_is_what_is_typed(split: Path, tmp_path: Path) -> None:
    """The verb with the same arguments finds a split that is complete: parameters, seed and size are the same."""
    params = tmp_path / "params.yaml"
    rl.save_params(PARAMS, params)
    assert rl.load_params(params) == PARAMS
    out, result = split.parent, tmp_path / "result.json"
    args = ["--frames", str(FRAMES), "--size", f"{WIDTH}x{HEIGHT}", "--seed", str(SEED), "--executor", "in-process"]
    typed = [word for name, value in CHANGES.items() for word in (f"--{name}", cli.as_text(value))]
    for given in (["--params", str(params)], ["--preset", "v1", *typed]):
        command = ["generate", *given, "--split", "train_dr", *args, "--out", str(out), "--json", str(result)]
        assert cli.main(command) == 0
        assert json.loads(result.read_text())["drawn"] == 0
    assert rl.verify(split)["problems"] == []


def test_changes_are_checked_as_on_the_command_line() -> None:
    for name, value, line in [
        ("rocks.abundance", (0.5, 0.1), r"rocks\.abundance: '0\.5,0\.1' is not allowed; allowed: lo,hi with lo ≤ hi"),
        ("rocks.abundnce", 0.1, r"rocks\.abundnce: '0\.1' is not allowed; .* \(did you mean abundance\?\)"),
        ("rocks", 3, r"rocks: '3' is not allowed; allowed: a group of named fields"),
        ("preset.rocks", 3, r"preset\.rocks: '3' is not allowed; allowed: no such parameter; preset is one"),
        ("render.quality", "best", r"render\.quality: 'best' is not allowed; allowed: draft, default, reference"),
    ]:
        with pytest.raises(rl.InputError, match=line):
            rl.change_params(PARAMS, {name: value})
    assert rl.change_params(PARAMS, {}) == PARAMS
    changed = rl.change_params(PARAMS, {"rocks.abundance": rl.Interval(0.01, 0.02), "randomize.light": False})
    assert changed.rocks.abundance == rl.Interval(0.01, 0.02) and changed.randomize.light is False


def test_a_split_is_a_sequence_of_frames(split: Path) -> None:
    frames = rl.open_split(str(split))
    assert_type(frames, SplitReader)
    assert_type(frames[0], StoredFrame)
    assert_type(frames[:2], SplitReader)
    assert len(frames) == FRAMES and [frame.index for frame in frames] == [0, 1, 2]
    assert frames[-1].index == 2 and [frame.index for frame in frames[1:]] == [1, 2]
    assert frames.outputs == ("rgb", "mask", "depth", "normals", "instance") and (frames.width, frames.height) == (
        64,
        48,
    )
    assert frames.index(frames[2]) == 2 and frames[0] in frames and frames[0] not in frames[1:]
    with pytest.raises(IndexError):
        frames[3]
    frame = frames[1]
    assert frame.rgb.shape == (48, 64, 3) and frame.mask.shape == (48, 64)
    assert frame.counts["rock"] == (frame.mask == 1).sum()
    assert frame.path("mask") == split / "mask" / "mask_00001.png"


def test_frames_are_found_by_what_they_were_drawn_from(split: Path) -> None:
    frames = rl.open_split(split)
    suns = [frame.spec["sun_elevation_deg"] for frame in frames]
    low = frames.filter(sun_elevation_deg=(min(suns), min(suns)))
    assert [frame.index for frame in low] == [suns.index(min(suns))]
    assert [frame.index for frame in frames.filter(scene=1)] == [2]
    assert [frame.index for frame in frames.filter(lambda frame: frame.index > 0, scene=0)] == [1]
    assert len(frames.filter(sun_elevation_deg=rl.Interval(30, 40))) == 0
    with pytest.raises(rl.InputError, match=r"sun_height: .*allowed: albedo, .*sun_elevation_deg"):
        frames.filter(sun_height=3)
    with pytest.raises(
        rl.InputError, match=r"albedo: \(3, 1\) is not allowed; allowed: a finite number, or \(lo, hi\)"
    ):
        frames.filter(albedo=(3, 1))


def test_a_split_that_is_none_or_whose_file_changed(split: Path, tmp_path: Path) -> None:
    with pytest.raises(rl.InputError, match=r"split: '.*' is not allowed; allowed: a folder with a dataset\.json"):
        rl.open_split(tmp_path)
    other = tmp_path / "train_dr"
    other.mkdir()
    for name in ("dataset.json", "frames.jsonl"):
        (other / name).write_bytes((split / name).read_bytes())
    (other / "rgb").mkdir()
    (other / "rgb/rgb_00000.png").write_bytes((split / "rgb/rgb_00001.png").read_bytes())
    frame = rl.open_split(other)[0]
    with pytest.raises(rl.InputError, match=r"rgb_00000\.png: 'changed' is not allowed"):
        _ = frame.rgb
    with pytest.raises(rl.InputError, match=r"mask_00000\.png: 'No such file"):
        _ = frame.mask


def test_a_split_is_a_dataset_of_pytorch(split: Path) -> None:
    torch = pytest.importorskip("torch")
    data = rl.open_torch_split(split)
    assert isinstance(data, torch.utils.data.Dataset) and len(data) == FRAMES
    item, frame = data[1], rl.open_split(split)[1]
    assert set(item) == {"image", "mask", "index", "depth", "instance", "normals"}
    assert item["image"].shape == (3, 48, 64) and item["image"].dtype == torch.uint8
    assert np.array_equal(item["image"].numpy().transpose(1, 2, 0), frame.rgb)
    assert item["mask"].dtype == torch.int64 and np.array_equal(item["mask"].numpy(), frame.mask)
    assert item["normals"].shape == (3, 48, 64) and item["depth"].dtype == torch.float32
    few = rl.open_torch_split(rl.open_split(split)[:2], transform=lambda item: item["image"])
    (batch,) = torch.utils.data.DataLoader(few, batch_size=2, num_workers=1)
    assert batch.shape == (2, 3, 48, 64)


def test_without_torch_the_line_that_installs_it(split: Path) -> None:
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'torch' else find(name, *a)\n"
        f"import regolith.lunar as rl; rl.open_torch_split({str(split)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    line = done.stderr.splitlines()[-1]
    assert "InputError: torch: missing; allowed: PyTorch: " in line and " -m pip install " in line


def test_a_split_is_a_dataset_of_hugging_face(split: Path, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    result = rl.export(str(split), str(tmp_path / "hf"), to="hf")
    assert result["splits"] == {"train_dr": FRAMES}
    data = datasets.load_dataset(str(tmp_path / "hf"), split="train_dr", cache_dir=str(tmp_path / "cache"))
    assert np.array_equal(np.asarray(data[2]["image"]), rl.open_split(split)[2].rgb)


def test_a_stage_is_saved_and_pictures_come_back_as_a_split(split: Path, tmp_path: Path) -> None:
    files = rl.save_stage(rl.author_stage(rl.build_scene(PARAMS)), str(tmp_path / "stage.usdc"))
    assert files == [tmp_path / "stage.usdc"] and files[0].is_file()
    result = rl.import_split(
        split / "rgb", _masks(split, tmp_path / "masks"), str(tmp_path), classes="regolith=0,rock=1,sky=2,ignore=255",
        split="again",
    )  # fmt: skip
    assert result["frames"] == FRAMES
    again = rl.open_split(tmp_path / "again")
    assert np.array_equal(again[1].rgb, rl.open_split(split)[1].rgb) and again[1].depth is None
    assert Contract.read(again.folder).renderer == {"name": "import"}


def _masks(split: Path, folder: Path) -> Path:
    folder.mkdir()
    for frame in rl.open_split(split):
        (folder / f"rgb_{frame.index:05d}.png").write_bytes(frame.path("mask").read_bytes())
    return folder


def test_a_loaded_model_segments_and_is_scored(split: Path, tmp_path: Path) -> None:
    model = rl.load_model(threads=1)
    assert_type(model, Segmenter)
    frame = rl.open_split(split)[0]
    segmented = model.segment(frame.rgb)
    asked = model.predict(frame.rgb, size=model.photo_px, tta=model.photo_tta)
    assert np.array_equal(segmented.mask, asked.mask) and segmented.confidence.shape == (48, 64)
    result = rl.evaluate_split(split, model=model)
    assert result["frames"] == FRAMES and result["pictures"] == []
    out = tmp_path / "out"
    assert (
        cli.main(["evaluate", "synth", "--split", str(split), "--out", str(out), "--worst", "0", "--threads", "1"]) == 0
    )
    written = json.loads((out / "results.json").read_text())
    assert all(Path(row.pop("sheet")).is_file() for row in written["strata"])
    assert Path(written.pop("reliability")).is_file()
    assert all(row.pop("sheet") is None for row in result["strata"]) and written == result
    photos = rl.evaluate_photos(split / "rgb", model=model, size=64, tta="none")
    assert photos["photographs"] == FRAMES and "contact_sheet" not in photos
    typed = ["--images", str(split / "rgb"), "--size", "64", "--tta", "none", "--threads", "1", "--out", str(out)]
    assert cli.main(["evaluate", "real", *typed]) == 0
    written = json.loads((out / "results.json").read_text())
    assert all(Path(row.pop("sheet")).is_file() for row in written["strata"])
    assert all(row.pop("sheet") is None for row in photos["strata"])
    assert {key: value for key, value in written.items() if key in photos and key != "per_image"} == {
        key: value for key, value in photos.items() if key != "per_image"
    }


@pytest.mark.parametrize(
    ("wrong", "line"),
    [({"size": -5}, "size: -5 .*: a whole number 64 … 8192 px"),
     ({"size": 0}, "size: 0 "), ({"size": "64"}, "size: '64' "),
     ({"tta": "foo"}, "tta: 'foo' .*: card, none, flip"), ({"threads": 0}, "threads: 0 "), ({"tile": 1}, "tile: 1 ")],
)  # fmt: skip
def test_photographs_are_scored_as_the_verb_allows(split: Path, tmp_path: Path, wrong: dict, line: str) -> None:
    with pytest.raises(rl.InputError, match=f"^{line}"):
        rl.evaluate_photos(split / "rgb", out=tmp_path / "out", **wrong)
    assert not (tmp_path / "out").exists()


def test_splits_and_pictures_are_looked_at_in_views_there_are(split: Path, tmp_path: Path) -> None:
    wrong: Any = "foo"
    with pytest.raises(rl.InputError, match=r"^tta: 'foo' is not allowed; allowed: none, flip"):
        rl.evaluate_split(split, out=tmp_path / "out", tta=wrong)
    with pytest.raises(rl.InputError, match=r"^worst: -1 is not allowed; allowed: a whole number 0 … 1000"):
        rl.evaluate_split(split, out=tmp_path / "out", worst=-1)
    assert not (tmp_path / "out").exists()
    model, rgb = rl.load_model(threads=1), rl.open_split(split)[0].rgb
    with pytest.raises(rl.InputError, match=r"^tta: 'foo' is not allowed; allowed: none, flip"):
        model.predict(rgb, tta=wrong)
    for size in (0, -5, "64"):
        with pytest.raises(rl.InputError, match=rf"^size: {size!r} is not allowed; allowed: a whole number at least 1"):
            model.predict(rgb, size=size)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("wrong", "line"),
    [({"frames": "3"}, "frames: '3' .*: a whole number 1 … "),
     ({"frames": 0}, "frames: 0 "), ({"seed": -1}, "seed: -1 "),
     ({"split": "dev"}, "split: 'dev' .*: train_dr"), ({"width": "64"}, "width: '64' .*: a whole number 16 … 4096"),
     ({"height": 8.0}, "height: 8.0 "), ({"workers": None}, "workers: missing"), ({"stall_s": "x"}, "stall_s: 'x' ")],
)  # fmt: skip
def test_frames_are_generated_as_the_verb_allows(tmp_path: Path, wrong: dict, line: str) -> None:
    options: dict[str, Any] = {"split": "val", "frames": 1, "width": WIDTH, "height": HEIGHT}
    with pytest.raises(rl.InputError, match=f"^{line}"):
        rl.generate(PARAMS, tmp_path / "out", **options | wrong)
    assert not (tmp_path / "out").exists()


def test_training_takes_its_parameters_by_name(split: Path, tmp_path: Path) -> None:
    with pytest.raises(rl.InputError, match=r"epochs: '0' is not allowed; allowed: a whole number 1 … 10000"):
        rl.train_model(split, split, tmp_path / "run", epochs=0)
    with pytest.raises(rl.InputError, match=r"epoch: '1' is not allowed; allowed: no such field.*did you mean epochs"):
        rl.train_model(split, split, tmp_path / "run", epoch=1)
    assert not (tmp_path / "run").exists()
