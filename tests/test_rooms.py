"""Who may import whom, and which heavy packages stay out of a plain import: DESIGN's rules, measured."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from regolith.lunar.verbs import VERBS

ROOT = Path(__file__).parents[1]
LUNAR = ROOT / "exts" / "regolith.lunar" / "regolith" / "lunar"
BASE = {"files", "labels", "machine", "reading", "reflectance", "scratch", "system"}
ALLOWED = {
    "system": set(),
    "labels": set(),
    "files": {"system"},
    "machine": {"system"},
    "scratch": {"files", "system"},
    "jobs": {"files", "reading", "system"},
    "params": BASE,
    "stage": {*BASE, "params"},
    "randomize": {*BASE, "params", "stage"},
    "render": {*BASE, "params", "stage", "randomize"},
    "dataset": {*BASE, "params", "stage", "randomize", "render", "jobs"},
    "physics": {*BASE, "params", "stage", "randomize", "render", "dataset", "perception", "jobs"},
    "perception": {*BASE, "params", "dataset", "jobs"},
    "report": {*BASE, "params", "randomize", "dataset", "perception", "jobs"},
    "quality": {*BASE, "params", "stage", "randomize", "render", "dataset", "perception", "report", "jobs"},
    "panel": {
        *BASE,
        "params",
        "stage",
        "randomize",
        "dataset",
        "perception",
        "report",
        "quality",
        "physics",
        "flythrough",
        "jobs",
    },
    "flythrough": {*BASE, "params", "stage", "randomize", "dataset", "physics", "perception", "jobs"},
    "rtx_check": {*BASE, "params", "stage", "randomize", "render", "dataset", "perception", "jobs", "machine_checks"},
    "studio": {*BASE, "params", "stage", "randomize", "render", "dataset", "perception", "report", "panel", "jobs"},
    "tests": {"scratch", "kit", "rtx_check"},
    "kit": {
        "tests",
        *BASE,
        "params",
        "stage",
        "render",
        "dataset",
        "perception",
        "physics",
        "panel",
        "jobs",
        "rtx_check",
    },
}
"""Room to the rooms it may import; the modules beside the rooms (api, cli, demo, doctor, …) may import any of them."""

HEAVY = (
    "torch",
    "transformers",
    "mitsuba",
    "drjit",
    "onnxruntime",
    "onnx",
    "viser",
    "omni",
    "carb",
    "matplotlib",
    "mujoco",
    "ovphysx",
    "ovstage",
    "warp",
    "rasterio",
    "skyfield",
    "imageio_ffmpeg",
)


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Modules a module imports, each with a name that is taken from it or is empty.

    At any depth of the code: in functions and for type checkers as well.
    """
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name) for alias in node.names)


def room_imports(path: Path) -> set[str]:
    """Rooms a module imports."""
    parts = [f"{module}.{name}".split(".") for module, name in imports(path)]
    return {part[2] for part in parts if part[:2] == ["regolith", "lunar"] and len(part) > 2} - {"", "__version__"}


def module_graph() -> dict[str, set[str]]:
    """Every module of the package, of training and of the benchmarks, to those of them it imports."""
    paths: dict[str, Path] = {}
    for root in (LUNAR.parents[1], ROOT / "training", ROOT / "benchmarks"):
        top = root.parent if root.name == "training" else root
        for path in root.rglob("*.py"):
            paths[".".join(path.relative_to(top).with_suffix("").parts).removesuffix(".__init__")] = path
    graph: dict[str, set[str]] = {}
    for module, path in paths.items():
        named = {f"{other}.{name}" if f"{other}.{name}" in paths else other for other, name in imports(path)}
        graph[module] = named & paths.keys()
    return graph


def test_no_module_imports_itself_by_way_of_others() -> None:
    """A late import hides a circle from Python, not from who reads: these count like any other."""
    graph = module_graph()
    graph.pop("regolith.lunar")  # its public names are loaded when they are used, by whoever uses them
    assert "training.export" in graph["regolith.lunar.demo"]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


@pytest.mark.parametrize("path", sorted(LUNAR.rglob("*.py")), ids=lambda path: str(path.relative_to(LUNAR)))
def test_rooms_import_only_what_lies_below(path: Path) -> None:
    room = path.relative_to(LUNAR).parts[0].removesuffix(".py")
    imported = room_imports(path) - {room}
    allowed = ALLOWED.get(room)
    if allowed is None:
        assert not imported & {"kit", "studio"}
        assert path.parent == LUNAR, f"{room} is a room this test does not know"
    else:
        assert imported <= allowed, f"{path} imports {sorted(imported - allowed)}"


def test_a_verb_lies_in_a_room_or_in_training() -> None:
    """`demo`, which runs the other verbs, and `doctor`, which looks at every room, lie beside `cli`."""
    modules = {verb: module for verb, (module, _, _) in VERBS.items()}
    assert all(modules.pop(verb) == f"regolith.lunar.{verb}" for verb in ("demo", "doctor"))
    beside = [verb for verb, module in modules.items() if not re.match(r"regolith\.lunar\.\w+\.|training\.", module)]
    assert beside == []


def test_importing_every_room_loads_nothing_heavy() -> None:
    """torch, Mitsuba and their like are loaded where they are used, never by an import: Kit's process imports these."""
    modules = [
        ".".join(path.relative_to(LUNAR.parents[1]).with_suffix("").parts).removesuffix(".__init__")
        for path in sorted(LUNAR.rglob("*.py"))
        if path.relative_to(LUNAR).parts[0] not in ("kit", "tests")  # the rooms that are about Kit and need it
    ]
    for name in ("kernel", "sequences", "fused", "tracer"):  # the modules that are about Dr.Jit, imported late
        modules.remove(f"regolith.lunar.render.{name}")
    code = f"import importlib, sys\nfor m in {modules}: importlib.import_module(m)\n"
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
