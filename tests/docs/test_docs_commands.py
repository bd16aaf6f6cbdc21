"""Every command shown on a page runs.

Each page is run in order in a folder of its own. What its commands take for granted lies there: `data` with three
splits, `run/best.pt`, `photographs` and `masks`. `regolith …` is called in this process, the very
`main` of the command line, and `train` trains in it too, once the run that is taken for granted was a process of its
own; `make …` is asked what it would do (`-n`); anything else is a shell's. Sizes are made
small by the rule of `doc_pages`. Pages of `docs/extend`, which change the code, are run by `test_docs_extend`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from doc_pages import ADDED, PAGES, ROOT, blocks, lines, name, small, write_file
from PIL import Image

from regolith.lunar import cli
from regolith.lunar.dataset.layout import read_journal
from regolith.lunar.jobs.events import Emit
from regolith.lunar.params.curriculum import CurriculumParams
from training import launch
from training.curriculum import train_as_asked
from training.train import train

NOT_RUN = Counter(
    {
        "CONTRIBUTING.md": 1,
        "README.md": 1,
        "docs/benchmarks.md": 8,
        "docs/calibrate-camera.md": 2,
        "docs/active-learning.md": 2,
        "docs/calibrate-dynamics.md": 1,
        "docs/export-import.md": 1,
        "docs/flythrough.md": 2,
        "docs/generate.md": 5,
        "docs/install.md": 2,
        "docs/isaac-sim.md": 4,
        "docs/photometry-cameras.md": 1,
        "docs/policy.md": 2,
        "docs/progressive.md": 2,
        "docs/physics.md": 3,
        "docs/quality.md": 2,
        "docs/quality-features.md": 4,
        "docs/quality-gate.md": 2,
        "docs/quality-mixing.md": 2,
        "docs/quality-study.md": 1,
        "docs/quality-tail.md": 1,
        "docs/studio.md": 1,
        "docs/train.md": 1,
    }
)
"""Page to its blocks that are not run; each says why in the page's source."""

COMMANDS = re.compile(r"^\s*(\$ )?(regolith|make|python|pip|\./|bash|sh|source) ", re.MULTILINE)
"""What a command looks like."""


def regolith(line: str) -> None:
    """Run a verb at the size of the tests; fails with what it printed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        code = cli.main(small(shlex.split(line, comments=True)))
    assert code == 0, f"regolith {line}\n{said.getvalue()}"


def train_here(params: CurriculumParams, emit: Emit) -> dict[str, Any]:
    """Train as the companion process of `regolith train` does, without its start."""
    return train_as_asked(params, train, emit, lambda: False)


def run(line: str, folder: Path) -> None:
    """Run one command line; fails with what it printed."""
    words = shlex.split(line, comments=True)
    if words[0] == "regolith":
        regolith(line.removeprefix("regolith "))
        return
    command = ["make", "-n", *words[1:]] if words[0] == "make" else ["bash", "-ec", line]
    done = subprocess.run(
        command, cwd=ROOT if words[0] == "make" else folder, capture_output=True, text=True, check=False,
        env=os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"},
    )  # fmt: skip
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the pages take for granted, made by the commands they show."""
    folder = tmp_path_factory.mktemp("begun")
    with contextlib.chdir(folder):
        for split, frames in (("train_dr", 64), ("val", 16), ("test_photoreal", 16)):  # as on First dataset
            regolith(f"generate --preset v3 --split {split} --frames {frames} --size 256 --out data")
        recipe = "--arch efficientnet-lite0 --logits-stride 2"  # as on Train and measure
        regolith(f"train --train-split data/train_dr --val-split data/val {recipe} --out run")
    photographs(folder)
    return folder


def photographs(folder: Path) -> None:
    """Two grainy pictures with masks, cut from frames: what a user would bring."""
    for part in ("photographs", "masks"):
        (folder / part).mkdir()
    split = folder / "data/test_photoreal"
    records = read_journal(split)
    for index in sorted(records)[:2]:
        rgb = np.asarray(Image.open(split / f"rgb/rgb_{index:05d}.png")).repeat(2, 0).repeat(2, 1)
        grain = np.random.default_rng(index).normal(40, 12, rgb.shape)
        Image.fromarray(np.clip(rgb + grain, 0, 255).astype(np.uint8)).save(folder / f"photographs/p{index}.png")
        mask = np.asarray(Image.open(split / f"mask/mask_{index:05d}.png")).repeat(2, 0).repeat(2, 1)
        Image.fromarray(mask).save(folder / f"masks/p{index}.png")


README = ROOT / "README.md"
SHOWN = [
    page for page in PAGES if page.parent.name != "extend" and any(block.language == "bash" for block in blocks(page))
]


def commands(page: Path) -> list[str]:
    """The commands of a page that are run."""
    return [line for block in blocks(page) if block.language == "bash" and not block.not_run for line in lines(block)]


ELSEWHERE = {line for page in SHOWN if page != README for line in commands(page)}
"""What other pages show; the README's commands among these are run there."""


@pytest.mark.parametrize("page", SHOWN, ids=name)
def test_commands_of_the_page_run(page: Path, begun: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "page"
    shutil.copytree(begun, folder)
    monkeypatch.setattr(launch, "train", train_here)
    monkeypatch.chdir(folder)
    for block in blocks(page):
        write_file(block, folder)
        if block.language == "bash" and not block.not_run:
            for line in lines(block):
                if page != README or line not in ELSEWHERE:
                    run(line, folder)


def test_no_more_blocks_are_left_out() -> None:
    left = Counter({name(page): sum(bool(block.not_run) for block in blocks(page)) for page in PAGES})
    assert +left == NOT_RUN


def test_commands_stand_in_blocks_that_are_run() -> None:
    """A command under another language, or none, would not be run."""
    hidden = [
        f"{name(page)}:{block.line}"
        for page in PAGES
        for block in blocks(page)
        if block.language != "bash" and COMMANDS.search(block.text)
    ]
    assert hidden == []


def test_a_wrong_command_fails(tmp_path) -> None:
    for line in ("regolith generate --split dev --frames 2 --out x", "make no-such-target", "false"):
        with pytest.raises(AssertionError, match=re.escape(line)):
            run(line, tmp_path)


@pytest.mark.parametrize(
    ("line", "made"),
    [
        ("verify data", "verify data"),
        ("evaluate synth --worst 20", "evaluate synth --worst 20"),
        ("generate --frames 8 --size 640x480", f"generate --frames 2 --size 64 {' '.join(ADDED['generate'])}"),
    ],
)
def test_sizes_are_made_small(line: str, made: str) -> None:
    assert " ".join(small(line.split())) == made
