"""Renderers and formats of another package, installed by pip into an environment of its own, used by their names."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

import regolith.lunar as rl
from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.verify import verify

CALLS = """
import contextlib, io, json, sys
from regolith.lunar import cli
for line in sys.stdin:
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(json.loads(line))
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""

FORMS = """
import json
from regolith.lunar.dataset.export import Export
from regolith.lunar.panel.forms import build_sections, make_field
from regolith.lunar.panel.values import enter, start_values
from regolith.lunar.params import load_preset

sections = build_sections()
field = next(field for section in sections for field in section.fields if field.path == "render.backend")
values = enter(start_values(sections, load_preset("v1"), {}), {"render.backend": "flat"})
wrong = enter(values, {"render.backend": "flad"})
print(json.dumps({
    "kind": field.kind, "backends": field.choices, "chosen": values.params.render.backend,
    "message": values.messages.get("render.backend", ""),
    "wrong": wrong.messages["render.backend"], "kept": wrong.params.render.backend,
    "formats": make_field("export.to", Export.model_fields["to"], None).choices,
}))
"""


CAMERA = """
import threading
import regolith.lunar as rl
from regolith.lunar.studio.camera import RoverCamera

shown, whole = [], threading.Event()
camera = RoverCamera(lambda picture: (shown.append(picture), picture.whole and whole.set()))
params = rl.change_params(rl.load_preset("v1"), {"render.backend": "flat", "terrain.cell_m": 0.4})
scene = rl.build_scene(params)
camera.open(rl.author_stage(scene), rl.draw_frame(params, scene), params, 64, 48).result(300)
assert whole.wait(300)
camera.close()
print(shown[0].rgb.shape, shown[-1].rgb.shape, len(set(shown[-1].rgb.ravel().tolist())))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Interpreter of an environment that has what this one has, and the package."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=False, symlinks=True)
    site = Path(sysconfig.get_path("purelib", "venv", vars={"base": str(folder)}))
    ours = [Path(rl.__file__).parents[2], Path(__file__).parents[2]]
    (site / "ours.pth").write_text("\n".join(map(str, [*ours, *filter(os.path.isdir, sys.path)])))
    source = tmp_path_factory.mktemp("source")
    for path in (Path(__file__).parent / "plugin_package").iterdir():
        if path.is_file():
            (source / path.name).write_bytes(path.read_bytes())
    install = ["install", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(site)]
    subprocess.run([sys.executable, "-m", "pip", *install, str(source)], check=True, capture_output=True)
    return folder / "bin" / "python"


def run(python: Path, code: str, lines: str = "", *, cwd: Path) -> str:
    done = subprocess.run([python, "-c", code], input=lines, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


COARSE = ["--preset", "v1", "--terrain.cell-m", "0.4", "--rocks.diameter-min-m", "0.3"]
GENERATE = ["generate", *COARSE, "--split", "val", "--frames", "2", "--size", "32", "--out", "data"]


def test_from_the_command_line(python: Path, tmp_path: Path) -> None:
    """Each by its name; what does not work is one line that names package and reason, and every other verb goes on."""
    calls = [
        [*GENERATE, "--render.backend", "flat"],
        ["export", "data/val", "--to", "listing", "--out", "listing"],
        ["export", "data/val", "--to", "coco", "--out", "coco"],
        ["export", "data/val", "--to", "torn", "--out", "torn"],
        ["export", "data/val", "--to", "failing", "--out", "failing"],
        ["export", "data/val", "--to", "lasting", "--out", "lasting"],
        ["author", *COARSE, "--render.backend", "torn", "--size", "32", "--out", "torn.usdc"],
        ["author", *COARSE, "--render.backend", "unfinished", "--size", "32", "--out", "unfinished.usdc"],
        ["verify", "data"],
        ["card", "data"],
    ]
    output = run(python, CALLS, "".join(json.dumps(call) + "\n" for call in calls), cwd=tmp_path)
    answers = [json.loads(line) for line in output.splitlines()]
    errors = [error.splitlines() for _, _, error in answers]
    assert [code for code, _, _ in answers] == [0, 0, 0, 2, 2, 2, 2, 2, 0, 0], errors
    contract = Contract.read(tmp_path / "data/val")
    assert contract.renderer == {"name": "flat", "version": "1.2"}
    assert (tmp_path / "listing/listing.txt").read_text() == "val 0 16\nval 1 16\n"
    assert (tmp_path / "coco/annotations").is_dir()
    works = "is not allowed; allowed: a plug-in that works; that of"
    assert errors[3] == [
        f"regolith: to: 'torn' {works} flat-regolith 1.2 does not (ImportError: needs libtorn.so.3: not found)"
    ]
    assert errors[4][-1:] == [f"regolith: to: 'failing' {works} flat_regolith does not (KeyError: 'no such\\nthing')"]
    ours = "coco, yolo-seg, webdataset, hf, basicwriter, voc, pointcloud, rerun"
    assert errors[5] == [f"regolith: to: 'lasting' is not allowed; allowed: {ours}, failing, listing, torn"]
    assert errors[6] == [
        f"regolith: render.backend: 'torn' {works} flat-regolith 1.2 does not "
        "(ImportError: needs libtorn.so.3: not found)"
    ]
    missing = "baked, describe, load, render, mask, close"
    assert errors[7] == [
        f"regolith: render.backend: 'unfinished' {works} flat_regolith does not (its renderer has no {missing})"
    ]
    assert not any((tmp_path / name).exists() for name in ("torn", "failing", "lasting"))
    split = tmp_path / "data/val"
    assert verify(split)["problems"] == []  # here, where the package is not installed
    with pytest.raises(
        rl.InputError, match=r"render\.backend: 'flat' is not allowed; allowed: auto, llvm, scalar, cuda"
    ):
        rl.change_params(rl.load_preset("v1"), {"render.backend": "flat"})


def test_from_the_panels_form(python: Path, tmp_path: Path) -> None:
    found = json.loads(run(python, FORMS, cwd=tmp_path))
    assert found["kind"] == "choice"
    assert found["backends"] == ["auto", "llvm", "scalar", "cuda", "flat", "torn", "unfinished"]
    assert found["chosen"] == "flat" and found["message"] == ""
    assert found["kept"] == "flat" and found["wrong"].startswith("render.backend: 'flad' is not allowed; allowed: auto")
    assert found["formats"][-3:] == ["failing", "listing", "torn"] and found["formats"].count("coco") == 1


def test_in_the_studios_picture(python: Path, tmp_path: Path) -> None:
    """It has no previews and is not stopped: each of its pictures is a whole one."""
    assert run(python, CAMERA, cwd=tmp_path).split() == ["(48,", "64,", "3)", "(48,", "64,", "3)", "256"]


def test_one_name_of_two_packages(python: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text("[regolith.lunar.renderers]\nfar = json:dumps\n")
    code = "import sys; sys.path.insert(0, '.'); import regolith.lunar as rl\n"
    code += "try:\n    rl.open_renderer('far')\nexcept rl.InputError as error:\n    print(error)"
    line = run(python, code, cwd=tmp_path).strip()
    assert line == "render.backend: 'far' is not allowed; allowed: a name that one package has; one 1, two 1 have it"
