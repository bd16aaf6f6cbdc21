"""The in-app way and its companions on Windows, as `windows.py` stands for it: nothing was run on Windows itself."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest
from windows import ROOT, run_on_windows

from regolith.lunar import cli

LUNAR = ROOT / "exts" / "regolith.lunar" / "regolith" / "lunar"
NEED_OTHERS = {"kit", "tests", "render/kernel.py", "render/fused.py"}
"""Rooms and modules that need Kit, and those that need Dr.Jit at once."""
DATASET = "stages_and_frames_are_written"
CASES = [
    node.name
    for node in ast.parse(Path(__file__).with_name("windows_cases.py").read_text("utf-8")).body
    if isinstance(node, ast.FunctionDef) and not node.args.args and node.name != DATASET
]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the stand-in for Windows is made of Linux")


def told(folder: Path, code: str) -> str:
    """What code prints there; it must come to its end."""
    done = run_on_windows(folder, "-c", code, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def case(folder: Path, name: str) -> None:
    told(folder, f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\nimport windows_cases as w\nw.{name}()")


def test_every_module_loads(tmp_path: Path) -> None:
    paths = [path.relative_to(LUNAR.parents[1]) for path in sorted(LUNAR.rglob("*.py"))]
    kept = [path for path in paths if not {path.parts[2], "/".join(path.parts[2:])} & NEED_OTHERS]
    names = [".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in kept]
    assert "regolith.lunar.system" in names and len(names) > 100
    code = f"import importlib, sys\nfor name in {names}: importlib.import_module(name)\n"
    assert told(tmp_path, code + "print(sys.modules['fcntl'], sys.modules['resource'])") == "None None\n"


@pytest.mark.parametrize("name", CASES)
def test_case(tmp_path: Path, name: str) -> None:
    case(tmp_path, name)


def test_frames_are_those_of_other_systems(tmp_path: Path) -> None:
    case(tmp_path, DATASET)
    line = (
        "generate --preset v1 --terrain.cell-m 0.4 --rocks.diameter-min-m 0.3 --size 32 --render.backend scalar "
        "--out {} --split val --frames 3 --executor in-process"
    )
    assert cli.main(line.format(tmp_path / "here").split()) == 0
    journals = [(tmp_path / data / "val" / "frames.jsonl").read_bytes() for data in ("data", "here")]
    assert journals[0] == journals[1]
