"""What `import regolith.lunar` offers: few names, loaded when they are used, documented, seen by type checkers."""

import ast
import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import regolith.lunar as rl

PACKAGE = Path(rl.__file__).parent
FUNCTIONS = [name for name in rl.__all__ if inspect.isfunction(getattr(rl, name))]


def typed_imports() -> dict[str, str]:
    """Name to module of the imports that only type checkers see."""
    tree = ast.parse(Path(rl.__file__).read_text("utf-8"))
    (block,) = [node for node in tree.body if isinstance(node, ast.If)]
    found: dict[str, str] = {}
    for node in block.body:
        assert isinstance(node, ast.ImportFrom) and node.module
        found |= {alias.name: node.module for alias in node.names}
    return found


def test_there_are_few_names_and_type_checkers_see_where_they_are_from() -> None:
    assert len(rl.__all__) <= 25 and sorted(rl.__all__) == rl.__all__
    assert typed_imports() == rl._MODULES and sorted(rl._MODULES) == rl.__all__
    assert set(rl.__all__) <= set(dir(rl))
    assert (PACKAGE / "py.typed").is_file()


@pytest.mark.parametrize("name", rl.__all__)
def test_a_name_is_what_its_module_defines_and_hides_no_module(name: str) -> None:
    value = getattr(rl, name)
    assert value is getattr(importlib.import_module(rl._MODULES[name]), name)
    assert value.__module__ == rl._MODULES[name]
    assert not (PACKAGE / name).exists() and not (PACKAGE / f"{name}.py").exists()


def test_a_name_there_is_not() -> None:
    with pytest.raises(AttributeError, match=r"module 'regolith\.lunar' has no attribute 'rocks'"):
        rl.rocks  # type: ignore[attr-defined]  # noqa: B018


def test_importing_loads_no_other_package() -> None:
    """Only Python's own modules, and ours: whoever wants a version number waits for nothing."""
    code = (
        "import sys; before = set(sys.modules); import regolith.lunar\n"
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(names - sys.stdlib_module_names), regolith.lunar.__version__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["['regolith']", rl.__version__]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_documents_every_argument_and_what_it_raises(name: str) -> None:
    function = getattr(rl, name)
    text = inspect.getdoc(function) or ""
    parameters = inspect.signature(function).parameters
    assert all(f"{parameter}:" in text for parameter in parameters), text
    assert "Raises:" in text and "Error:" in text
    annotated = inspect.signature(function).return_annotation
    assert annotated is not inspect.Signature.empty
    assert annotated in ("None", None, "Params") or "Returns:" in text


@pytest.mark.parametrize("name", FUNCTIONS)
def test_few_operands_then_keywords(name: str) -> None:
    parameters = inspect.signature(getattr(rl, name)).parameters.values()
    operands = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert len(operands) <= 3 and (len(operands) <= 2 or operands[2] == "out")
