"""The lock files pin what `pyproject.toml` asks for, each file by its hash."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
READERS = ROOT / "scripts" / "readers.lock"
ELSEWHERE = {"torch"}
"""Pinned in constraints.txt: which build fits is a matter of the machine."""


APART = ("bench", "label-studio", "physx", "rerun")
"""Extras for environments of their own."""


def pins(path: Path) -> dict[str, str]:
    """Package to release, of a lock file in which every one has hashes."""
    found: dict[str, str] = {}
    for block in re.split(r"\n(?=\S)", path.read_text("utf-8").strip()):
        first, *others = block.split("\\\n")
        name, version = first.strip().split("==")
        assert others and all(re.fullmatch(r"\s+--hash=sha256:[0-9a-f]{64}\s*", line) for line in others), first
        found[canonicalize_name(name)] = version
    return found


def test_every_dependency_is_pinned_to_a_release_it_allows() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    asked = [*project["dependencies"], *(line for extra in extras if extra not in APART for line in extras[extra])]
    locked = pins(LOCK)
    assert not ELSEWHERE & locked.keys()
    for requirement in map(Requirement, asked):
        name = canonicalize_name(requirement.name)
        if name not in ELSEWHERE:
            assert requirement.specifier.contains(locked[name], prereleases=True), requirement


def test_readers_are_pinned_as_listed() -> None:
    listed = (line.split("==") for line in (ROOT / "scripts/readers.txt").read_text("utf-8").split())
    assert pins(READERS) == {canonicalize_name(name): version for name, version in listed}


@pytest.mark.parametrize("path", [LOCK, READERS], ids=lambda path: path.name)
def test_a_lock_names_no_place(path: Path) -> None:
    assert not re.search(r"://|--index|--find-links|--extra", path.read_text("utf-8"))
