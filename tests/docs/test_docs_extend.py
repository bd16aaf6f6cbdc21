"""The worked pages of `docs/extend` work: their changes are made in a copy of the checkout, and their commands run.

A `diff` block names its file after `+++`; each of its hunks has to fit in one place. A block whose first line is a
comment with a path is a new file. Commands run in the copy, by its code, at the sizes of `doc_pages`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import DOCS, ROOT, blocks, lines, name, small, write_file

PAGES = sorted(path for path in (DOCS / "extend").glob("*.md") if path.name != "index.md")


def apply(diff: str, root: Path) -> None:
    """Apply a diff to files of a checkout."""
    parts = re.split(r"^\+\+\+ (.+)\n", diff, flags=re.MULTILINE)
    assert not parts[0].strip() and len(parts) > 1, diff
    for file, hunks in zip(parts[1::2], parts[2::2], strict=True):
        path = root / file
        text = path.read_text("utf-8")
        for hunk in re.split(r"^@@.*\n", hunks, flags=re.MULTILINE):
            if not hunk.strip():
                continue
            rows = hunk.rstrip("\n").split("\n")
            before = "".join(f"{row[1:]}\n" for row in rows if row[:1] != "+")
            after = "".join(f"{row[1:]}\n" for row in rows if row[:1] != "-")
            assert text.count(before) == 1, f"{file} has this {text.count(before)} times:\n{before}"
            text = text.replace(before, after)
        path.write_text(text, "utf-8")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of the code, with `regolith` on the path that runs it."""
    root = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("*.pyc.*", "*.egg-info")  # compiled modules go along, but for half-written ones
    shutil.copytree(ROOT / "exts/regolith.lunar/regolith", root / "exts/regolith.lunar/regolith", ignore=ignored)
    shutil.copytree(ROOT / "training", root / "training", ignore=ignored)
    (root / "models").symlink_to(ROOT / "models")
    command = tmp_path / "bin" / "regolith"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m regolith.lunar.cli "$@"\n')
    command.chmod(0o755)
    return root


def shell(line: str, root: Path) -> str:
    """Run a command in the copy, and return what it prints."""
    words = shlex.split(line, comments=True)
    if words[0] == "regolith":
        line = shlex.join(["regolith", *small(words[1:])])
    if words[:2] == ["pip", "install"]:  # nothing is fetched, and nothing of ours is changed
        line = shlex.join([sys.executable, "-m", *words[:2], "-q", "--no-deps", "--no-build-isolation", "--no-index",
                           "--target", str(root / "installed"), *words[2:]])  # fmt: skip
    paths = [root / "exts/regolith.lunar", root, root / "installed"]
    environment = os.environ | {
        "PATH": os.pathsep.join([str(root.parent / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join(map(str, paths)),
    }
    done = subprocess.run(
        ["bash", "-ec", line], cwd=root, env=environment, capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_the_worked_page_works(page: Path, checkout: Path) -> None:
    """What a `text` block under a command shows is what it prints."""
    ran, said = False, ""
    for block in blocks(page):
        write_file(block, checkout)
        if block.language == "diff":
            apply(block.text, checkout)
        if block.language == "bash":
            said = "".join(shell(line, checkout) for line in lines(block))
            ran = True
        if block.language == "text":
            assert block.text.strip() in said
    assert ran


def test_a_change_that_no_longer_fits_fails(tmp_path) -> None:
    (tmp_path / "a.py").write_text("one\ntwo\ntwo\n")
    apply("+++ a.py\n@@\n one\n+one and a half\n two\n", tmp_path)
    assert (tmp_path / "a.py").read_text() == "one\none and a half\ntwo\ntwo\n"
    for gone in ("three", "two"):
        with pytest.raises(AssertionError, match=rf"a\.py has this [02] times:\s+{gone}"):
            apply(f"+++ a.py\n@@\n-{gone}\n+four\n", tmp_path)
