"""Every keyword our code passes to omni.ui, carb and omni, whether a test runs the line or not, against what takes it.

omni.ui: the headers of the installed wheel. carb, omni.kit.app, omni.ext: the stubs of the installed kernel. The rest,
which is on no package index: the signatures of the doubles, which are those of Isaac Sim's own extensions.
"""

from __future__ import annotations

import ast
import dataclasses
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import real_ui
from conftest import ROOT

LUNAR = ROOT / "exts" / "regolith.lunar" / "regolith" / "lunar"
SOURCES = sorted(
    path
    for path in LUNAR.rglob("*.py")
    if re.search(r"(?m)^\s*(import|from) (omni|carb|isaacsim)\b", path.read_text("utf-8"))
)
"""Every module of ours that imports something of Kit, wherever it is."""
ANY = "**"
"""Stands for every keyword."""
HOSTS = ("carb", "omni")
WINDOWS = {"MenuHelperWindow": "Window"}
"""Classes that hand all their keywords on to one of omni.ui."""
COMMANDS = {"SetLightingMenuModeCommand": {"lighting_mode", "usd_context_name"}}
"""Kit's commands to what they take; our own are read where they are defined."""


def site() -> Path:
    found = list((ROOT / ".venv-kit").glob("lib/python3*/site-packages/omni"))
    if not found or not (found[0] / "kit_app.py").is_file() or not (found[0] / "ui").is_dir():
        pytest.skip("omniverse-kit and ovui are not installed (make test-kit installs them)")
    return found[0]


def signatures(paths: Iterator[Path]) -> dict[str, set[str]]:
    """Name of a function or class to the names of its parameters, over all its overloads."""
    found: dict[str, set[str]] = {}

    def add(name: str, function: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        a = function.args
        names = {p.arg for p in (*a.posonlyargs, *a.args, *a.kwonlyargs)}
        if a.kwarg:  # a stub of a binding tells them in its text; a command's are its own
            names |= set(re.findall(r"(?m)^\s+(\w+): ", ast.get_docstring(function, clean=False) or "")) or {ANY}
        found.setdefault(name, set()).update(names)

    for path in paths:
        with warnings.catch_warnings(action="ignore"):  # stubs with odd escapes in their texts
            tree = ast.parse(path.read_text("utf-8", errors="replace"))
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                add(node.name, node)
            if isinstance(node, ast.ClassDef):
                found.setdefault(node.name, set())
                for item in node.body:
                    if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                        add(node.name, item)
    return found


def host_names(tree: ast.Module) -> set[str]:
    """Names in a module that stand for something of carb or omni, or were given by it."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {a.asname or a.name.split(".")[0] for a in node.names if a.name.split(".")[0] in HOSTS}
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in HOSTS:
            names |= {a.asname or a.name for a in node.names}
    grown = True
    while grown:  # x = carb.f(); self.x = x
        grown = False
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef) and node.name not in names and returned(node) & names:
                names.add(node.name)
                grown = True
            if isinstance(node, ast.Assign) and root(node.value) in names:
                for target in node.targets:
                    name = root(target) if not isinstance(target, ast.Attribute) else target.attr
                    if name and name not in names:
                        names.add(name)
                        grown = True
    return names


def returned(function: ast.FunctionDef) -> set[str]:
    """What a function's returned values begin with: x for `def f(): import x; return x.y()`."""
    return {root(n.value) for n in function.body if isinstance(n, ast.Return) and n.value is not None} - {""}


def root(node: ast.AST) -> str:
    """First name of a chain of attributes and calls."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Await, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


@dataclasses.dataclass(frozen=True)
class Call:
    """A call of something of carb or omni."""

    line: int
    first: str
    """First name of the callee: `ui` in `ui.Button`."""
    called: str
    """Its last: `Button`."""
    keywords: frozenset[str]
    command: str = ""
    """Name of the command that `execute` runs."""


@dataclasses.dataclass(frozen=True)
class Scope:
    """A function's own names, and the class it is in."""

    values: Mapping[str, list[ast.expr]]
    """Name to what is assigned to it."""
    bases: Sequence[ast.expr]


def scopes(tree: ast.Module) -> Iterator[tuple[ast.Call, Scope]]:
    """Every call with the scope it is in: that of the outermost function, its inner ones included."""

    def visit(node: ast.AST, scope: Scope, *, inside: bool) -> Iterator[tuple[ast.Call, Scope]]:
        if isinstance(node, ast.ClassDef):
            scope = Scope(scope.values, node.bases)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and not inside:
            scope, inside = Scope(assigned(node), scope.bases), True
        if isinstance(node, ast.Call):
            yield node, scope
        for child in ast.iter_child_nodes(node):
            yield from visit(child, scope, inside=inside)

    yield from visit(tree, Scope({}, ()), inside=False)


def assigned(function: ast.AST) -> dict[str, list[ast.expr]]:
    """What a function assigns to its names, and as `name[key]` a literal of that key."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        if isinstance(node, ast.Assign):
            targets, value = node.targets, node.value
        elif isinstance(node, ast.AnnAssign) and node.value is not None:
            targets, value = [node.target], node.value
        else:
            continue
        for target in targets:
            if isinstance(target, ast.Name):
                found.setdefault(target.id, []).append(value)
            elif isinstance(target, ast.Subscript) and isinstance(target.value, ast.Name):
                found.setdefault(target.value.id, []).append(ast.Dict([target.slice], [value]))
    return found


def callees(function: ast.expr, scope: Scope, names: set[str]) -> Iterator[ast.expr]:
    """What a call may call: both branches of a choice, and what a local name or `super()` stands for."""
    if isinstance(function, ast.IfExp):
        yield from callees(function.body, scope, names)
        yield from callees(function.orelse, scope, names)
    elif isinstance(function, ast.Name) and function.id in scope.values:
        for value in scope.values[function.id]:
            if not isinstance(value, ast.Call):
                yield from callees(value, scope, names)
    elif isinstance(function, ast.Attribute) and ast.unparse(function) == "super().__init__":
        yield from (base for base in scope.bases if root(base) in names)
    elif root(function) in names:
        yield function


def given(call: ast.Call, scope: Scope) -> Iterator[str]:
    """Keywords of a call, those of a dictionary too; `ANY` for a dictionary that cannot be read here."""
    for keyword in call.keywords:
        if keyword.arg:
            yield keyword.arg
            continue
        value = keyword.value
        for part in scope.values.get(value.id, [value]) if isinstance(value, ast.Name) else [value]:
            if not isinstance(part, ast.Dict):
                yield ANY
                continue
            for key in part.keys:
                yield key.value if isinstance(key, ast.Constant) and isinstance(key.value, str) else ANY


def calls(path: Path) -> Iterator[Call]:
    """Every call of something of carb or omni."""
    tree = ast.parse(path.read_text("utf-8"))
    names = host_names(tree)
    for call, scope in scopes(tree):
        for callee in callees(call.func, scope, names):
            called = callee.attr if isinstance(callee, ast.Attribute) else root(callee)
            command = ""
            if called == "execute" and call.args and isinstance(call.args[0], ast.Constant):
                command = str(call.args[0].value)
            yield Call(call.lineno, root(callee), called, frozenset(given(call, scope)), command)


@pytest.fixture(scope="module")
def known() -> dict[str, set[str]]:
    folder = site()
    stubs = [*folder.rglob("*.pyi"), *(folder / "kernel" / "py" / "omni" / "kit" / "app").rglob("*.py")]
    doubles = (Path(__file__).parent / "doubles").rglob("*.py")
    table = signatures(iter(stubs))
    for name, parameters in signatures(doubles).items():
        table.setdefault(name, set()).update(parameters)
    return table


def problems(path: Path, known: dict[str, set[str]]) -> list[str]:
    keywords = real_ui.header_keywords(site() / "ui" / "sdk" / "include" / "omni" / "ui" / "bind")
    own = signatures(iter([path]))
    found = []
    for call in calls(path):
        name = call.command or WINDOWS.get(call.called, call.called)
        if call.command:
            allowed = COMMANDS.get(name, own.get(name))
        elif call.first == "ui" or call.called in WINDOWS:
            allowed = keywords(name) | {"model", "dockPreference"} if keywords(name) else None
        else:
            allowed = known.get(name)
        unknown = call.keywords - (allowed or set())
        if call.keywords and allowed is None:
            found.append(f"{path.name}:{call.line}: {name} is not known, keywords {sorted(call.keywords)}")
        elif ANY in call.keywords:
            found.append(f"{path.name}:{call.line}: {name} is given keywords nobody can read")
        elif unknown and ANY not in (allowed or ()):
            found.append(f"{path.name}:{call.line}: {name} takes no {sorted(unknown)}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_every_keyword_is_one_the_callee_takes(path: Path, known: dict[str, set[str]]) -> None:
    assert not problems(path, known)


def test_enough_is_looked_at() -> None:
    count = sum(len(call.keywords) for path in SOURCES for call in calls(path))
    assert count > 200, count


@pytest.mark.parametrize(
    ("text", "typo"),
    [
        ("rtx.py", ("observer_name=OBSERVER", "observername=OBSERVER")),
        ("adapter.py", ("hide_after_timeout=", "hide_after=")),
        ("adapter.py", ("click_apply_handler=", "apply_handler=")),
        ("adapter.py", ("lighting_mode=", "lightingmode=")),
        ("adapter.py", ("step=step", "steps=step")),
        ("rows.py", ("format=", "formatt=")),
        ("rows.py", ("min=", "minn=")),
        ("rows.py", ('"tooltip"', '"tooltipp"')),
        ("window.py", ("width=style.WIDTH", "widht=style.WIDTH")),
        ("works.py", ("word_wrap=", "wrap=")),
        ("rtx.py", ("rt_subframes=subframes", "subframes=subframes")),
    ],
)
def test_a_typo_does_not_pass(text: str, typo: tuple[str, str], known: dict[str, set[str]], tmp_path: Path) -> None:
    """The check above can fail."""
    source = next(path for path in SOURCES if path.name == text)
    parts = source.read_text("utf-8").split(typo[0])
    assert len(parts) > 1
    for place in range(1, len(parts)):  # each place by itself
        (tmp_path / text).write_text(typo[0].join(parts[:place]) + typo[1] + typo[0].join(parts[place:]))
        assert problems(tmp_path / text, known), place
