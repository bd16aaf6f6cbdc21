"""`regolith mix`: synthetic and real frames in a given ratio, as a manifest over the splits that hold them.

regolith mix --synth data/train_dr --real real/train --ratio 50:50 --stratify rock_share,sun_elevation --out mix.json
regolith train --train-split mix.json …
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import field_validator

from regolith.lunar.dataset.manifest import Part, read_frames, without_quarantined, write_manifest
from regolith.lunar.dataset.splits import counted
from regolith.lunar.dataset.strata import (
    bucket_words,
    checked_variables,
    draw,
    edges,
    strata,
    variable,
)
from regolith.lunar.files import follow_link
from regolith.lunar.params import InputError, Verb, quantity, sole_file
from regolith.lunar.params.fields import cross_field, words_of
from regolith.lunar.params.training import QUARANTINED_HELP, Quarantined, split_folders

FRAMES_MAX = 900_000
"""Most frames of a mixture: its manifest is read as JSON of a million values at most."""
NAMED = 8
"""Strata without a frame that a note names."""
RATIO = re.compile(r"(\d{1,6}):(\d{1,6})")


class Mix(Verb):
    """Mix synthetic and real frames in a ratio, stratified, as a manifest that `train` takes as a split."""

    synth: Path = quantity(..., "Split of rendered frames, or a manifest; several are separated by commas.")
    real: Path = quantity(..., "Split of real frames, as `regolith import` makes; several are separated by commas.")
    ratio: str = quantity("50:50", "Synthetic to real frames, two whole numbers like 75:25.")
    frames: int | None = quantity(
        None,
        "Frames of the mixture; a side that has fewer than its share is repeated. Left out, as many as need no repeat.",
        ge=1,
        le=FRAMES_MAX,
        step=1,
    )
    stratify: str = quantity(
        "rock_share",
        "What frames are alike by, separated by commas: rock_share, regolith_share, sky_share, rock_size, a value of "
        "their specs like sun_elevation, one of their columns like tail.rocks; empty for none.",
    )
    buckets: int = quantity(3, "Buckets of each of these, of equal frequency.", ge=1, le=100, step=1)
    quarantined: Quarantined = quantity("refuse", QUARANTINED_HELP)
    seed: int = quantity(0, "Seed of the choice among frames that are alike.", ge=0, step=1)
    out: Path = quantity(..., "Manifest to write, ending in .json.")

    @field_validator("ratio")
    @classmethod
    def _is_ratio(cls, value: str) -> str:
        found = RATIO.fullmatch(value.strip())
        if found is None or not int(found[1]) + int(found[2]):
            raise cross_field("", value, "two whole numbers, not both 0, like 50:50")
        return value.strip()

    def run(self) -> dict[str, Any]:
        """Draw the frames and write the manifest."""
        if self.out.suffix != ".json":
            raise InputError("out", str(self.out), "a file name ending in .json")
        with sole_file("out", self.out):
            return self._mix(follow_link(self.out))

    def _mix(self, out: Path) -> dict[str, Any]:
        sides = {
            name: _parts(name, path, self.quarantined) for name, path in (("synth", self.synth), ("real", self.real))
        }
        have = {side: sum(len(part.records) for part in parts) for side, parts in sides.items()}
        names = checked_variables(words_of(self.stratify), list(sides.values()))
        values = {side: {name: variable(name, sides[side]) for name in names} for side in sides}
        borders = {name: edges([values[side][name] for side in sides], self.buckets) for name in names}
        wanted = shares(self.ratio, self.frames, have)
        mixed: list[Part] = []
        counts: dict[str, tuple[Counter[tuple[int, ...]], Counter[tuple[int, ...]]]] = {}
        for side, parts in sides.items():
            kinds = strata(values[side], borders) if names else [()] * have[side]
            taken = draw(kinds, wanted[side], seed=self.seed, side=side) if wanted[side] else []
            mixed += _taken(parts, taken)
            counts[side] = Counter(kinds[position] for position in taken), Counter(kinds)
        table = [
            {"stratum": [bucket_words(*pair) for pair in zip(kind, borders.values(), strict=True)]}
            | {side: {"taken": took[kind], "of": every[kind]} for side, (took, every) in counts.items()}
            for kind in sorted({kind for _, every in counts.values() for kind in every})
        ]
        about = {
            "made_by": "regolith mix",
            "ratio": self.ratio,
            "seed": self.seed,
            "quarantined": self.quarantined,
            "edges": {name: border.tolist() for name, border in borders.items()},
            "frames": wanted,
        }
        write_manifest(out, mixed, about)
        return about | {"manifest": str(out), "strata": table, "notes": _notes(table, wanted)}

    def summary(self, result: dict[str, Any]) -> str:
        """Say how many frames of each side were taken, and of which kinds."""
        taken = result["frames"]
        sides = f"{counted(taken['synth'], 'synthetic frame')}, {counted(taken['real'], 'real frame')}"
        lines = [f"{result['manifest']}: {sides}"]
        if result["edges"]:
            words = [", ".join(result["edges"]), *(", ".join(row["stratum"]) for row in result["strata"])]
            width = max(40, *map(len, words))
            lines.append(f"{words[0]:<{width}}  synthetic        real")
            for word, row in zip(words[1:], result["strata"], strict=True):
                cells = "".join(f"{row[side]['taken']:>6} of {row[side]['of']:<6}" for side in ("synth", "real"))
                lines.append(f"{word:<{width}}{cells}")
        return "\n".join([*lines, *(f"note: {note}" for note in result["notes"])])


def _notes(table: Sequence[dict[str, Any]], wanted: dict[str, int]) -> list[str]:
    """Say which strata got no frame of a side that frames were taken from."""
    notes = []
    for side, word in (("synth", "synthetic"), ("real", "real")):
        has = [row for row in table if row[side]["of"]]
        without = [f"({', '.join(row['stratum'])})" for row in has if not row[side]["taken"]]
        if wanted[side] and without:
            more = f" and {len(without) - NAMED} more" if len(without) > NAMED else ""
            few = f"{counted(wanted[side], f'{word} frame')} for {len(has)} strata"
            notes.append(f"{few}: none of {', '.join(without[:NAMED])}{more}")
    return notes


def shares(ratio: str, frames: int | None, have: dict[str, int]) -> dict[str, int]:
    """Frames to take of each side.

    Args:
        ratio: Synthetic to real, `a:b`.
        frames: Of both together; left out, the most that repeat none.
        have: Frames of `synth` and `real`.

    Raises:
        InputError: No frame can be taken so.
    """
    a, b = map(int, ratio.split(":"))
    if frames is None:
        frames = min(have[side] * (a + b) // part for side, part in (("synth", a), ("real", b)) if part)
    synth = round(frames * a / (a + b))
    if frames > FRAMES_MAX:
        raise InputError("frames", frames, f"at most {FRAMES_MAX:,}; --frames says fewer")
    if not frames or (a and not synth) or (b and synth == frames):
        raise InputError("frames", frames, f"enough for a frame of each side at {ratio}")
    return {"synth": synth, "real": frames - synth}


def _parts(field: str, path: Path, quarantined: Quarantined) -> list[Part]:
    try:
        parts = [part for folder in split_folders(path) for part in read_frames(folder)]
        return without_quarantined(parts, quarantined, field=field)
    except InputError as error:
        raise InputError(field, error.value, error.allowed) from None


def _taken(parts: Sequence[Part], taken: Sequence[int]) -> list[Part]:
    """The frames at some positions, ascending, by split."""
    found, start = [], 0
    for part in parts:
        stop = start + len(part.records)
        here = np.array([position - start for position in taken if start <= position < stop], np.int64)
        if here.size:
            found.append(Part(part.source, part.records[here], part.ignored))
        start = stop
    return found
