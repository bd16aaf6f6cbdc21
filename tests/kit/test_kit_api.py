"""Every keyword our code passes to omni.ui, carb and omni, whether a test runs the line or not, against what takes it.

omni.ui: the headers of the installed wheel. carb, omni.kit.app, omni.ext: the stubs of the installed kernel. The rest,
which is on no package index: the signatures of the doubles, which are those of Isaac Sim's own extensions.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
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
    """Names a function returns as they are: `def f(): import x; return x`."""
    return {n.value.id for n in function.body if isinstance(n, ast.Return) and isinstance(n.value, ast.Name)}


def root(node: ast.AST) -> str:
    """First name of a chain of attributes and calls."""
    while isinstance(node, (ast.Attribute, ast.Call, ast.Await, ast.Subscript)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else ""


def calls(path: Path) -> Iterator[tuple[int, str, str, set[str]]]:
    """(line, first name, called name, keywords) of every call of something of carb or omni."""
    tree = ast.parse(path.read_text("utf-8"))
    names = host_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and root(node.func) in names:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else root(node.func)
            yield node.lineno, root(node.func), called, {k.arg for k in node.keywords if k.arg}


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
    found = []
    for line, first, called, given in calls(path):
        if first == "ui":
            allowed = keywords(called) | {"model", "dockPreference"} if keywords(called) else None
        else:
            allowed = known.get(called)
        if given and allowed is None:
            found.append(f"{path.name}:{line}: {called} is not known, keywords {sorted(given)}")
        elif given - (allowed or set()) and ANY not in (allowed or ()):
            found.append(f"{path.name}:{line}: {called} takes no {sorted(given - (allowed or set()))}")
    return found


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.name)
def test_every_keyword_is_one_the_callee_takes(path: Path, known: dict[str, set[str]]) -> None:
    assert not problems(path, known)


def test_enough_is_looked_at() -> None:
    count = sum(len(given) for path in SOURCES for *_, given in calls(path))
    assert count > 200, count


@pytest.mark.parametrize(
    ("text", "typo"),
    [
        ("adapter.py", ("observer_name=", "observername=")),
        ("adapter.py", ("hide_after_timeout=", "hide_after=")),
        ("adapter.py", ("click_apply_handler=", "apply_handler=")),
        ("works.py", ("word_wrap=", "wrap=")),
        ("rtx.py", ("rt_subframes=", "subframes=")),
    ],
)
def test_a_typo_does_not_pass(text: str, typo: tuple[str, str], known: dict[str, set[str]], tmp_path: Path) -> None:
    """The check above can fail."""
    source = next(path for path in SOURCES if path.name == text)
    changed = source.read_text("utf-8").replace(*typo)
    assert changed != source.read_text("utf-8")
    (tmp_path / text).write_text(changed)
    assert problems(tmp_path / text, known)
