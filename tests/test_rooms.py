"""Who may import whom, and which heavy packages stay out of a plain import: DESIGN's rules, measured."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LUNAR = ROOT / "exts" / "regolith.lunar" / "regolith" / "lunar"
BASE = {"files", "labels", "machine"}
ALLOWED = {
    "files": set(),
    "labels": set(),
    "machine": set(),
    "jobs": set(),
    "params": BASE,
    "stage": {*BASE, "params"},
    "randomize": {*BASE, "params", "stage"},
    "render": {*BASE, "params", "stage", "randomize"},
    "dataset": {*BASE, "params", "stage", "randomize", "render", "jobs"},
    "perception": {*BASE, "params", "dataset", "jobs"},
    "report": {*BASE, "params", "randomize", "dataset", "perception", "jobs"},
    "panel": {*BASE, "params", "stage", "randomize", "dataset", "perception", "report", "jobs"},
    "studio": {*BASE, "params", "stage", "randomize", "render", "dataset", "perception", "report", "panel", "jobs"},
    "tests": {"kit", "panel", "render", "dataset"},
    "kit": {"tests", *BASE, "params", "stage", "render", "dataset", "perception", "panel", "jobs"},
}
"""Room to the rooms it may import; the modules beside the rooms (cli, author, train, demo) may import any of them."""

ENTRIES = {"render/isaac_worker.py": {"dataset"}}
"""Modules that only start a process, which nothing imports, to the rooms they may import besides."""

HEAVY = ("torch", "transformers", "mitsuba", "drjit", "onnxruntime", "onnx", "viser", "omni", "carb", "matplotlib")


def room_imports(path: Path) -> set[str]:
    """Rooms a module imports, at any depth of the code."""
    rooms: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            parts = name.split(".")
            if parts[:2] == ["regolith", "lunar"] and len(parts) > 2:
                rooms.add(parts[2])
    return rooms - {"__version__"}


@pytest.mark.parametrize("path", sorted(LUNAR.rglob("*.py")), ids=lambda path: str(path.relative_to(LUNAR)))
def test_rooms_import_only_what_lies_below(path: Path) -> None:
    room = path.relative_to(LUNAR).parts[0].removesuffix(".py")
    imported = room_imports(path) - {room}
    allowed = ALLOWED.get(room)
    if allowed is not None:
        allowed = allowed | ENTRIES.get(path.relative_to(LUNAR).as_posix(), set())
    if allowed is None:
        assert not imported & {"kit", "studio"}
        assert path.parent == LUNAR, f"{room} is a room this test does not know"
    else:
        assert imported <= allowed, f"{path} imports {sorted(imported - allowed)}"


def test_importing_every_room_loads_nothing_heavy() -> None:
    """torch, Mitsuba and their like are loaded where they are used, never by an import: Kit's process imports these."""
    modules = [
        ".".join(path.relative_to(LUNAR.parents[1]).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(LUNAR.rglob("*.py"))
        if path.relative_to(LUNAR).parts[0] not in ("kit", "tests")  # the rooms that are about Kit and need it
    ]
    modules.remove("regolith.lunar.render.kernel")  # the one module that is about Dr.Jit, imported late
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
