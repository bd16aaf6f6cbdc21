"""Soak: kills, flipped bits, full disks and hostile inputs for hours; prints how many there were and what was lost.

    python benchmarks/soak.py --hours 2 [--seed 0] [--json FILE]

Each round is one of four, by chance, on small files below a temporary folder:

- kill: a verb that writes gets SIGKILL at a random moment; the same command then completes, and nothing is left over.
- flip: a bit of a whole split is flipped; `verify` finds it and `verify --repair` restores every byte.
- full: a verb meets a limit on the size of files, as a full disk; one line, exit code 2, the old file is still there.
- hostile: files with changed values and valid digests (`tests/dataset/test_hostile_files.py`).

A round that does not hold is printed with its seed and counts as lost; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from regolith.lunar.dataset.survey import LOG

ROOT = Path(__file__).parents[1]
REGOLITH = [sys.executable, "-m", "regolith.lunar.cli"]
GENERATE = ["generate", "--preset", "v1", "--split", "val", "--frames", "3", "--size", "32", "--executor", "in-process"]
LEFT = re.compile(r"\.lock$|\.tmp(\.|$)")
"""Names of what a run that was ended may leave until the next one."""


def run(*words: object, limit: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line, with a limit on the size of its files."""

    def limited() -> None:
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    command = [*REGOLITH, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, preexec_fn=limited)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder but the log, which has times."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name not in (LOG, "card.html")]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


READERS = ("parameters", "journal", "contract", "log", "results", "run", "photographs", "model", "card")
"""Names of the tests of what reads each kind of file."""


class Soak:
    """The rounds, and the split they are about."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.chance = folder, random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.must(run(*GENERATE, "--out", folder / "whole").returncode == 0, "the split could not be drawn")
        self.split = folder / "whole" / "val"
        self.whole = digests(self.split)

    @staticmethod
    def must(holds: bool, words: str) -> None:
        """Raise where something does not hold."""
        if not holds:
            raise AssertionError(words)

    def verbs(self, place: Path) -> list[list[object]]:
        """Command lines that write below a folder."""
        return [
            [*GENERATE, "--out", place],
            ["export", self.split, "--to", "voc", "--out", place / "voc"],
            ["export", self.split, "--to", "coco", "--out", place / "coco"],
            ["card", self.split, "--out", place / "card.html"],
            ["randomize", "--frames", 5, "--plot", place / "plot.png", "--json", place / "result.json"],
            ["author", "--preset", "v1", "--size", 32, "--out", place / "stage.usda"],
            ["evaluate", "synth", "--split", self.split, "--out", place / "synth"],
        ]

    def kill(self, place: Path) -> None:
        """A verb ends at a random moment, up to twice; then it completes."""
        words = self.chance.choice(self.verbs(place))
        for _ in range(self.chance.randint(1, 2)):
            process = subprocess.Popen(
                [*REGOLITH, *map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
            try:
                process.wait(self.chance.uniform(0.5, 8.0))
            except subprocess.TimeoutExpired:
                process.kill()
                self.counts["kills"] += 1
                process.wait()
        out = Path(str(words[-1]))
        if words[0] != "export" or not out.exists():  # a kill may have come too late
            done = run(*words)
            self.must(done.returncode == 0, f"{words}: {done.stderr}")
        left = [path.name for path in place.rglob("*") if LEFT.search(path.name)]
        self.must(not left, f"{words}: left {left}")
        if words[0] == "generate":
            self.must(digests(place / "val") == self.whole, "another split came of it")

    def flip(self, place: Path) -> None:
        """A bit of a file of a split."""
        split = place / "val"
        shutil.copytree(self.split, split)
        files = [name for name in self.whole if name.endswith((".png", ".jsonl"))]
        path = split / self.chance.choice(sorted(files))
        data = bytearray(path.read_bytes())
        data[self.chance.randrange(len(data))] ^= 1 << self.chance.randrange(8)
        path.write_bytes(data)
        self.counts["flips"] += 1
        self.must(run("verify", split).returncode == 1, f"{path}: a flipped bit was not found")
        done = run("verify", split, "--repair")
        self.must(done.returncode == 0, f"{path}: {done.stderr}")
        self.must(digests(split) == self.whole, f"{path}: was not restored")

    def full(self, place: Path) -> None:
        """A limit on the size of files that the verb must meet; then it completes without."""
        words = self.chance.choice([words for words in self.verbs(place) if words[0] != "evaluate"])
        done = run(*words, limit=self.chance.randrange(16, 200))
        self.counts["full disks"] += 1
        lines = [line for line in done.stderr.splitlines() if line.startswith("regolith: ")]
        self.must(done.returncode == 2 and "Traceback" not in done.stderr, f"{words}: {done.returncode} {done.stderr}")
        self.must(len(lines) == 1 and len(lines[0]) <= 300 and str(place) in lines[0], f"{words}: {done.stderr}")
        done = run(*words)
        self.must(done.returncode == 0, f"{words}: {done.stderr}")

    def hostile(self, place: Path) -> None:
        """Files with changed values."""
        command = [sys.executable, "-m", "pytest", "-q", "--hypothesis-show-statistics", "-p", "no:cacheprovider",
                   f"--hypothesis-seed={self.chance.randrange(2**32)}", "tests/dataset/test_hostile_files.py",
                   "-k", self.chance.choice(READERS)]  # fmt: skip
        done = subprocess.run(
            command, cwd=ROOT, env=os.environ | {"REGOLITH_EXAMPLES": "50"}, capture_output=True, text=True, check=False
        )
        self.counts["hostile inputs"] += sum(map(int, re.findall(r"(\d+) passing", done.stdout)))
        self.must(done.returncode == 0, done.stdout[-3000:])

    def rounds(self, seconds: float) -> None:
        """Go on for a time, and finish the round that is under way."""
        kinds: list[Callable[[Path], None]] = [self.kill, self.flip, self.full, self.hostile]
        end = time.monotonic() + seconds
        number = 0
        while number < len(kinds) or time.monotonic() < end:
            kind = kinds[number] if number < len(kinds) else self.chance.choice(kinds)
            place = self.folder / f"round{number}"
            place.mkdir()
            try:
                kind(place)
            except AssertionError as error:
                self.counts["lost"] += 1
                print(f"round {number}, {kind.__name__}: {error}", flush=True)
            shutil.rmtree(place)
            number += 1


def main() -> int:
    """Run and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="regolith-soak-") as folder:
        soak = Soak(Path(folder), options.seed)
        soak.rounds(options.hours * 3600)
    names = ("kills", "flips", "full disks", "hostile inputs", "lost")
    counts = {name: soak.counts[name] for name in names} | {"minutes": round((time.monotonic() - began) / 60, 1)}
    print(", ".join(f"{value} {name}" for name, value in counts.items()))
    if options.json:
        options.json.write_text(json.dumps({"seed": options.seed, **counts}, indent=2) + "\n")
    return 1 if soak.counts["lost"] else 0


if __name__ == "__main__":
    sys.exit(main())
