"""The pages of the project, the blocks of code on them, and the rule that makes their sizes small.

Of a verb's flags those in `SMALL` get the value there where a page gives one, `--frames` is divided by 16 (at least 2),
and those in `ADDED` are put behind the verb's command.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"

PAGES = (
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted(path for path in DOCS.rglob("*.md") if DOCS / "ablation" not in path.parents),  # studies are results
)

_FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^`\n]*)\n(?P<text>.*?)^(?P=fence)\s*$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: (?P<reason>.+) -->\n\Z")


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block of a page."""

    language: str
    text: str
    line: int
    not_run: str
    """Why it is not run; empty where it is."""


def name(page: Path) -> str:
    """A page by its path in the repository."""
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path) -> list[Block]:
    """Every fenced block of a page, in order."""
    text = page.read_text("utf-8")
    found = []
    for match in _FENCE.finditer(text):
        marked = _NOT_RUN.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        found.append(Block(match["info"].strip(), match["text"], line, marked["reason"] if marked else ""))
    return found


SMALL = {
    "--size": "64",
    "--still-size": "64",
    "--seconds": "1",
    "--fps": "2",
    "--workers": "1",
    "--steps": "1",
    "--jsd-max": "1",
}
"""Flag to the value it gets."""

GROUND = [
    "--relief.enabled",
    "false",
    "--terrain.cell-m",
    "0.5",
    "--terrain.far-radius-m",
    "200",
    "--rocks.far-radius-m",
    "0",
    "--rocks.shape-count",
    "2",
    "--rocks.subdivision",
    "3",
    "--rocks.diameter-min-m",
    "0.3",
]
"""Ground that builds in a moment."""

ADDED = {
    "author": [*GROUND, "--size", "64"],
    "generate": [*GROUND, "--executor", "in-process"],
    "randomize": GROUND,
    "train": ["--epochs", "1", "--batch", "2", "--threads", "1"],
    "select": ["--passes", "2", "--teacher-views", "none", "--threads", "1"],
    "distill": ["--batch", "2", "--crop-px", "64", "--threads", "1"],
    "traverse": [*GROUND, "--time-max-s", "1"],
    "flythrough": [*GROUND, "--still-size", "64", "--inset-px", "32", "--fps", "2"],
    "evaluate real": ["--size", "64", "--tta", "none"],
}
"""Verb to what is put behind it."""


def lines(block: Block) -> list[str]:
    """Commands of a block, without comments; a line that ends in a backslash goes on."""
    text = block.text.replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def small(words: list[str]) -> list[str]:
    """Arguments of `regolith` at the size of the tests."""
    verb = next(
        (verb for verb in sorted(ADDED, key=len, reverse=True) if words[: verb.count(" ") + 1] == verb.split()), ""
    )
    given = [word for word in words if word.startswith("--")]
    made = []
    for word, before in zip(words, ["", *words], strict=False):
        if before == "--frames" and word.isdecimal():
            made.append(str(max(2, int(word) // 16)))
        else:
            made.append(SMALL.get(before, word))
    added = ADDED.get(verb, [])
    for flag, value in zip(added[::2], added[1::2], strict=True):
        if flag not in given:
            made += [flag, value]
    return made


def write_file(block: Block, folder: Path) -> None:
    """Write a file that a page shows: its first line is a comment with the file's path."""
    shown = re.match(r"# ([\w./-]+\.(?:yaml|toml|py))\n", block.text)
    if shown:
        path = folder / shown[1]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(block.text, "utf-8")
