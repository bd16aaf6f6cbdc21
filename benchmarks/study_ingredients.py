"""What each ingredient of the preset `boulders` does: the same training set with and without it, by seeds.

    python benchmarks/study_ingredients.py --photos REAL --out STUDY [--without dust,…] [--seeds 0,1,2] [--epochs 24]

A training set is 40 frames of preset `wide` and 40 of `boulders`; for each ingredient those of `boulders` are drawn
again without it, from the same seed. Recipe, photographs and measures are those of `study_transfer.py`. One process,
one core; the same command resumes. STUDY/ingredients.json has the figures of every seed; what is printed is a table.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from study_steps import folder
from transfer_arms import BY_NAME, SPLIT, Arm, derive, folder_of, make_arm, write_derived
from transfer_report import figures
from transfer_runs import prepare_photographs, recipe, train_measured, val_split
from transfer_verdict import comparison_table

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.files import write_json
from regolith.lunar.params import load_preset

WIDE = load_preset("wide")
INGREDIENTS: dict[str, tuple[str, dict[str, Any]]] = {
    "relief": ("relief of centimetres on rocks", {"rocks.relief": 0.0, "rocks.bump": WIDE.rocks.bump}),
    "fractures": ("joints and broken-off pieces", {"rocks.fractures": 0.0}),
    "pits": ("pits", {"rocks.pits": 0}),
    "clasts": ("inclusions", {"rocks.clasts": 0.0}),
    "dust": ("dust on rocks", {"rocks.dust": (0.0, 0.0)}),
    "fillets": ("fillets", {"rocks.fillet": 0.0}),
    "burial": ("rocks more than half buried", {"rocks.burial": WIDE.rocks.burial}),
    "angularity": ("soft rocks beside angular", {"rocks.angularity": WIDE.rocks.angularity}),
    "slabs": ("slabs", {"rocks.slab_share": 0.0}),
    "rubble": ("rubble fields", {"rocks.abundance": (0.08, 0.12)}),
    "high sun": ("sun above 40°", {"domain.sun_elevation_deg": (4.0, 40.0)}),
    "shadow": ("light enough for rock in shadow", {"domain.exposure_ev": WIDE.domain.exposure_ev}),
    "cameras": (
        "low, level, narrow and wide cameras",
        {f"domain.{key}": getattr(WIDE.domain, key) for key in ("height_m", "pitch_deg", "fov_deg")},
    ),
    "ground": ("ground as rough as rocks", {"relief.strength": WIDE.relief.strength}),
}
"""Ingredient to what it is, and the parameters of a set without it."""
SHARE = 40
"""Frames of each half of a training set."""


def make_set(root: Path, name: str | None) -> Path:
    """Return the training set without an ingredient, or with all of them; drawn where it is not there."""
    boulders = BY_NAME["boulders"]
    arm = Arm(
        f"boulders-without-{name}" if name else "boulders-whole", "", boulders.preset,
        {**boulders.changes, **(INGREDIENTS[name][1] if name else {})}, frames=SHARE,
    )  # fmt: skip
    folder = folder_of(root, f"wide+{arm.name}")
    if not folder.exists():
        halves = [make_arm(root, part) for part in (dataclasses.replace(BY_NAME["wide"], frames=SHARE), arm)]
        frames = derive([list(open_split(half)) for half in halves], "mixed", 2 * SHARE)
        write_derived(folder, frames, SPLIT)
    return folder


def main() -> None:
    """Run the study, or what is left of it, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=folder, required=True, help="folder of the real photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study, not that of another one")
    parser.add_argument("--without", type=lambda text: text.split(","), default=list(INGREDIENTS), help="ingredients")
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=24, help="passes over the frames")
    args = parser.parse_args()
    root = args.out.absolute()
    sets = {name: make_set(root, name) for name in (None, *args.without)}
    real = prepare_photographs(root, args.photos)
    val = val_split(root, "wide")
    runs: dict[str | None, list[dict[str, float]]] = {name: [] for name in sets}
    for seed in args.seeds:
        for name, split in sets.items():
            out = root / "runs" / f"{name or 'whole'}-{args.epochs}-{seed}"
            found = train_measured(recipe(split, val, out, seed, epochs=args.epochs), real)
            runs[name].append(figures(found["photographs"]))
            print(f"{name or 'whole'}, seed {seed}: {runs[name][-1]}", flush=True)
    whole = runs[None]
    result = {name or "whole": rows for name, rows in runs.items()}
    write_json(root / "ingredients.json", {"epochs": args.epochs, "seeds": args.seeds, "runs": result})
    print(
        comparison_table(
            "ingredient, without → with", {INGREDIENTS[name][0]: (runs[name], whole) for name in args.without}
        )
    )


if __name__ == "__main__":
    main()
