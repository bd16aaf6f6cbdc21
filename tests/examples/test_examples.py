"""Every example at a tiny size: it runs, says what it made, and the picture that examples/README.md shows is there."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ray_nodes import ray_cluster

import regolith.lunar as rl

ROOT = Path(__file__).parents[2]
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
RENDER_TESTS = ROOT / "tests" / "render"


def load(number: int) -> ModuleType:
    (path,) = (path for path in EXAMPLES if path.name.startswith(f"{number:02d}_"))
    spec = importlib.util.spec_from_file_location(f"example_{number:02d}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def check_picture(path: Path) -> None:
    """The picture opens, and is not one colour."""
    with Image.open(path) as picture:
        assert np.asarray(picture.convert("L")).std() > 2.0


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset that example 3 makes; nobody may change it."""
    out = tmp_path_factory.mktemp("three")
    load(3).main(out=out, preset="v1", frames=4, size=64, workers=1)
    check_picture(out / "picture.jpg")
    return out / "data"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_is_short_and_says_what_it_shows(path: Path) -> None:
    text = path.read_text("utf-8")
    assert len(text.splitlines()) <= 80
    summary, _, rest = (ast.get_docstring(ast.parse(text)) or "").partition("\n\n")
    assert summary.endswith((".", ":")) or ":" in summary
    assert rest.count("\n- ") + rest.startswith("- ") >= 2 and f"examples/{path.name}" in rest


def test_the_overview_shows_every_example_and_a_small_picture_of_each() -> None:
    text = (ROOT / "examples" / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((\d\d_\w+\.py)\)", text) == [path.name for path in EXAMPLES]
    pictures = re.findall(r"!\[[^]]+\]\((pictures/[^)]+)\)", text)
    assert [Path(name).stem for name in pictures] == [path.stem for path in EXAMPLES]
    for name in pictures:
        assert (ROOT / "examples" / name).stat().st_size <= 60_000
        check_picture(ROOT / "examples" / name)
    assert {path.name for path in (ROOT / "examples/pictures").iterdir()} == {Path(name).name for name in pictures}


def test_from_a_shell_it_takes_its_arguments(tmp_path: Path) -> None:
    """The one that a newcomer runs first, as its first lines say to run it."""
    arguments = ["--out", str(tmp_path), "--preset", "v1", "--width", "64", "--height", "48"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES[0]), *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(tmp_path / "picture.jpg")
    check_picture(tmp_path / "picture.jpg")
    assert (tmp_path / "stage.usda").is_file()


def test_randomize_and_look(tmp_path: Path) -> None:
    load(2).main(out=tmp_path, preset="v1", frames=2, size=48)
    check_picture(tmp_path / "picture.jpg")


def test_generate_and_verify(data: Path) -> None:
    """What it made is complete and free of problems."""
    checked = rl.verify(data)
    assert checked["splits"] == ["train_dr", "val"] and checked["frames"] == 6 and checked["problems"] == []


def test_read_in_pytorch(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    load(4).main(data=data / "train_dr", out=tmp_path, batch=2)
    frames = rl.open_split(data / "train_dr").filter(sun_elevation_deg=(0, 20))
    share = sum(f.counts["rock"] for f in frames) / sum(sum(f.counts.values()) - f.counts["ignore"] for f in frames)
    assert f"{share:.1%} of the labelled pixels are rock" in capsys.readouterr().out
    check_picture(tmp_path / "picture.jpg")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The training and the model that example 5 makes; nobody may change them."""
    pytest.importorskip("torch")
    out = tmp_path_factory.mktemp("five")
    load(5).main(data=data, out=out, epochs=1, init="random")
    return out


def test_train_and_export(run: Path) -> None:
    check_picture(run / "picture.png")
    assert rl.load_model(run / "model.onnx").card["epoch"] == 1
    assert (run / "scored/results.json").is_file()


def test_segment_a_photograph(data: Path, tmp_path: Path) -> None:
    load(6).main(data / "val/rgb/rgb_00000.png", out=tmp_path)
    check_picture(tmp_path / "picture.jpg")


def test_evaluate_on_photographs(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With masks, one of which cannot be used: the others are scored."""
    images, masks = tmp_path / "images", tmp_path / "masks"
    for folder, name in ((images, "rgb"), (masks, "mask")):
        folder.mkdir()
        for index in range(2):
            shutil.copy(data / f"val/{name}/{name}_{index:05d}.png", folder / f"frame_{index}.png")
    Image.new("L", (5, 5)).save(masks / "frame_1.png")
    load(7).main(images, masks=masks, out=tmp_path / "out", size=64)
    said = capsys.readouterr().out
    assert "problems: 1 in 2 photographs" in said and "frame_0.png: flood" in said and "rock iou 0." in said
    check_picture(tmp_path / "out/picture.jpg")


def test_isaac_sim(tmp_path: Path) -> None:
    """Through SimulationApp, on the doubles of Isaac Sim's packages: the app ends the process, and all is there."""
    doubles = [
        RENDER_TESTS / "doubles",
        *(ROOT / "tests/kit/doubles" / name for name in ("omni.usd", "omni.timeline", "omni.replicator.core")),
    ]
    paths = [*map(str, doubles), str(ROOT / "exts/regolith.lunar")]
    arguments = ["--out", str(tmp_path), "--preset", "v1", "--frames", "2", "--size", "48"]
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/08_isaac_sim.py"), *arguments],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0 and "left attached" not in done.stderr, done.stderr
    assert done.stdout.splitlines()[-1:] == [str(tmp_path / "picture.jpg")], done.stderr
    masks = [np.asarray(Image.open(tmp_path / f"mask_{index:05d}.png")) for index in range(2)]
    assert all((mask == 0).any() and set(np.unique(mask)) <= {0, 1, 2} for mask in masks)
    check_picture(tmp_path / "picture.jpg")


def test_new_randomizer(tmp_path: Path) -> None:
    """Only what it holds changes, and it draws the same for a frame whenever it is asked."""
    module = load(9)
    module.main(out=tmp_path, preset="v1", frames=1, size=48)
    check_picture(tmp_path / "picture.jpg")
    params = rl.load_preset("v1")
    scene = rl.build_scene(params)
    for frame in range(3):
        spec = rl.draw_frame(params, scene, frame=frame)
        turned = module.into_the_sun(spec, scene, seed=0)
        assert turned == module.into_the_sun(spec, scene, seed=0) != module.into_the_sun(spec, scene, seed=1)
        changed = {name for name, value in turned.values.items() if value != spec.values[name]}
        assert changed == {"sun_azimuth_deg", "sun_elevation_deg"}
        off = (turned.values["sun_azimuth_deg"] - spec.values["heading_deg"] + 180) % 360 - 180
        assert abs(off) <= 25 and 4 <= turned.values["sun_elevation_deg"] <= 10


def test_new_export_format(data: Path, tmp_path: Path) -> None:
    load(10).main(data=data, out=tmp_path)
    load(10).main(data=data, out=tmp_path)  # once more over what is there
    page = (tmp_path / "page/index.html").read_text("utf-8")
    assert page.count("<img ") == len(list((tmp_path / "page").glob("*.jpg"))) == 6 and "<h1>val</h1>" in page
    check_picture(tmp_path / "picture.jpg")


def test_stereo_pair(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says of the pair is so: disparity leads to the same ground, within the noise of a few samples."""
    load(13).main(out=tmp_path, preset="v1", baseline=0.2, frames=1, size=64)
    said = capsys.readouterr().out
    levels = re.search(r"the same to (\d+) of 255 levels", said)
    assert levels is not None and int(levels[1]) <= 8 and "px of disparity, the nearest point" in said
    check_picture(tmp_path / "picture.jpg")


def test_more_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What it says of the frame is what its files hold."""
    load(14).main(out=tmp_path, preset="v1", steepest=3.0, frames=2, size=64)
    said = re.search(r"frame (\d+): .* (\d+)% lies in shadow, .* (\d+)% is too steep", capsys.readouterr().out)
    assert said is not None
    frame = rl.open_split(tmp_path / "data/val")[int(said[1])]
    ground = frame.mask < 2
    assert frame.shadow is not None and frame.slope is not None
    assert int(said[2]) == round(100 * np.mean(frame.shadow[ground] > 0))
    assert int(said[3]) == round(100 * np.mean(frame.slope[ground] > 3.0)) > 0
    check_picture(tmp_path / "picture.jpg")


@pytest.fixture
def address() -> Iterator[str]:
    """Address of a cluster of one node on this machine."""
    pytest.importorskip("ray")
    with ray_cluster(1) as cluster:
        yield cluster.address


def test_many_machines_with_ray(address: str, tmp_path: Path) -> None:
    """The frames are those that this process would draw."""
    arguments: dict[str, Any] = {"split": "train_dr", "frames": 2, "width": 32, "height": 32}
    load(11).main(out=tmp_path, address=address, preset="v1", frames=2, size=32, workers=1)
    check_picture(tmp_path / "picture.png")
    rl.generate(rl.load_preset("v1"), tmp_path / "here", executor="in-process", **arguments)
    there, here = (tmp_path / name / "train_dr/frames.jsonl" for name in ("data", "here"))
    assert there.read_bytes() == here.read_bytes()


def times(folder: Path) -> dict[Path, int]:
    """When each picture, result and model of a folder was last written."""
    kinds = {".png", ".json", ".pt", ".onnx"}
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.suffix in kinds}


def test_close_the_loop(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """All the way around, stopped on the way: what is done is never done again."""
    module, out, data = load(12), tmp_path / "out", tmp_path / "data"
    rocky = {
        "dataset.frames_per_scene": 1,
        "rocks.abundance": (0.1, 0.1),
        "rocks.diameter_min_m": 0.3,
        "terrain.cell_m": 0.4,
    }
    params = rl.change_params(rl.load_preset("v1"), rocky)
    for split, frames in (("train_dr", 5), ("val", 1)):
        rl.generate(params, data, split=split, frames=frames, width=96, height=96, executor="in-process")
    places = {"photographs": tmp_path / "photographs", "masks": tmp_path / "masks"}
    for folder, name in zip(places.values(), ("rgb", "mask"), strict=True):
        folder.mkdir()
        for index in range(5):
            picture = np.asarray(Image.open(data / f"train_dr/{name}/{name}_{index:05d}.png"))
            Image.fromarray(255 - picture if name == "rgb" else picture).save(folder / f"{index}.png")
    asked: dict[str, Any] = {**places, "data": data, "run": run, "out": out, "frames": 2, "epochs": 1}

    for _ in range(2):
        with pytest.raises(SystemExit, match=r"^rejected: semantics regolith: divergence .*gate-0\)$"):
            module.main(**asked, jsd_max=0)
    done = times(out)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "train", interrupt)
        module.main(**asked, jsd_max=1)
    assert done.items() <= times(out).items() and not (out / "run").exists()
    done = times(out)
    module.main(**asked, jsd_max=1)
    assert done.items() <= times(out).items()
    assert "rock-IoU before 0." in capsys.readouterr().out
    check_picture(out / "after/contact_sheet.png")
    done = times(out)
    module.main(**asked, jsd_max=1)
    assert done.items() <= times(out).items()

    assert json.loads((out / "tail/tail.json").read_text())["real"] == str(out / "new")
    with pytest.raises(rl.InputError, match=r"out: .*begun with these files"):
        module.main(**asked | {"photographs": places["masks"]})

    module.main(**asked | {"photographs": data / "train_dr", "out": tmp_path / "calm"})
    assert "nothing drifted" in capsys.readouterr().out and not (tmp_path / "calm/tail").exists()


def test_a_day_at_the_south_pole(tmp_path: Path, capsys: Any) -> None:
    load(15).main(out=tmp_path, preset="v1", pictures=2, size=64)
    assert capsys.readouterr().out.count("above the horizon") == 2
    check_picture(tmp_path / "picture.jpg")
