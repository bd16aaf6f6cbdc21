"""What each ingredient of the preset `boulders` or `v5` does: the same training set with and without it, by seeds.

    python benchmarks/study_ingredients.py --photos REAL --out STUDY [--preset v5] [--without dust,…] [--seeds 0,1,2]
                                           [--epochs 24]

A training set is 40 frames of preset `wide` and 40 of the preset; for each ingredient the preset's are drawn again
without it, from the same seed. Of `v5` one of them is all: what is left then is v4. Recipe, photographs and measures
are those of `study_transfer.py`. One process, one core; the same command resumes. STUDY/ingredients.json has the
figures of every seed; what is printed is a table.
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
from regolith.lunar.params import Params, load_preset

WIDE, V4, V5 = (load_preset(name) for name in ("wide", "v4", "v5"))


def _of(params: Params, *names: str) -> dict[str, Any]:
    """Values of fields, by their dotted names."""
    return {name: getattr(getattr(params, name.split(".")[0]), name.split(".")[1]) for name in names}


_PHOTOMETRY = ("ground.hapke_b", "ground.hapke_c", "ground.hapke_b0", "ground.hapke_h")
_SENSOR = ("sensor.gain_db", "sensor.read_noise_e", "sensor.psf_px", "sensor.film")
_DEBRIS = (
    "relief.pit_density", "relief.pebble_density", "rocks.abundance", "rocks.exponent", "rocks.burial",
    "rocks.ejecta_share", "rocks.tracks",
)  # fmt: skip

INGREDIENTS: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
    "boulders": {
        "relief": ("relief of centimetres on rocks", {"rocks.relief": 0.0} | _of(WIDE, "rocks.bump")),
        "fractures": ("joints and broken-off pieces", {"rocks.fractures": 0.0}),
        "pits": ("pits", {"rocks.pits": 0}),
        "clasts": ("inclusions", {"rocks.clasts": 0.0}),
        "dust": ("dust on rocks", {"rocks.dust": (0.0, 0.0)}),
        "fillets": ("fillets", {"rocks.fillet": 0.0}),
        "burial": ("rocks more than half buried", _of(WIDE, "rocks.burial")),
        "angularity": ("soft rocks beside angular", _of(WIDE, "rocks.angularity")),
        "slabs": ("slabs", {"rocks.slab_share": 0.0}),
        "rubble": ("rubble fields", {"rocks.abundance": (0.08, 0.12)}),
        "high sun": ("sun above 40°", {"domain.sun_elevation_deg": (4.0, 40.0)}),
        "shadow": ("light enough for rock in shadow", _of(WIDE, "domain.exposure_ev")),
        "cameras": (
            "low, level, narrow and wide cameras", _of(WIDE, "domain.height_m", "domain.pitch_deg", "domain.fov_deg")
        ),
        "ground": ("ground as rough as rocks", _of(WIDE, "relief.strength")),
    },
    "v5": {
        "photometry": ("maria to fresh ejecta", _of(V4, *_PHOTOMETRY, "rocks.maturity", "rocks.dust")),
        "far": ("massifs and a far horizon", _of(V4, "terrain.hill_height_m", "terrain.far_radius_m")),
        "reach": ("relief at every distance", {"relief.reach_m": 0.0}),
        "tracks": ("wheel tracks and bootprints", {"relief.wheel_tracks": 0.0, "relief.footprint_trails": 0.0}),
        "debris": ("debris", _of(V4, *_DEBRIS)),
        "sensor": ("a quiet sensor, film, blur", _of(V4, *_SENSOR)),
        "front-lit": (
            "low and front-lit sun",
            _of(V4, "domain.sun_elevation_deg", "domain.sun_azimuth_deg", "domain.heading_deg"),
        ),
    },
}  # fmt: skip
"""Preset, ingredient, to what it is, and the parameters of a set without it."""
INGREDIENTS["v5"]["all"] = (
    "all of them",
    {name: value for _, changes in INGREDIENTS["v5"].values() for name, value in changes.items()},
)
SHARE = 40
"""Frames of each half of a training set."""


def make_set(root: Path, preset: str, name: str | None) -> Path:
    """Return the training set without an ingredient, or with all of them; drawn where it is not there."""
    changes = dict(BY_NAME[preset].changes) if preset in BY_NAME else {}
    arm = Arm(
        f"{preset}-without-{name}" if name else f"{preset}-whole", "", preset,
        {**changes, **(INGREDIENTS[preset][name][1] if name else {})}, frames=SHARE,
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
    parser.add_argument("--preset", choices=list(INGREDIENTS), default="boulders", help="whose ingredients")
    parser.add_argument(
        "--without", type=lambda text: text.split(","), default=None, help="ingredients; all by default"
    )
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=24, help="passes over the frames")
    args = parser.parse_args()
    root, ingredients = args.out.absolute(), INGREDIENTS[args.preset]
    sets = {name: make_set(root, args.preset, name) for name in (None, *(args.without or ingredients))}
    real = prepare_photographs(root, args.photos)
    val = val_split(root, "wide")
    runs: dict[str | None, list[dict[str, float]]] = {name: [] for name in sets}
    for seed in args.seeds:
        for name, split in sets.items():
            out = root / "runs" / args.preset / f"{name or 'whole'}-{args.epochs}-{seed}"
            found = train_measured(recipe(split, val, out, seed, epochs=args.epochs), real)
            runs[name].append(figures(found["photographs"]))
            print(f"{name or 'whole'}, seed {seed}: {runs[name][-1]}", flush=True)
    whole = runs[None]
    result = {name or "whole": rows for name, rows in runs.items()}
    write_json(
        root / "ingredients.json", {"preset": args.preset, "epochs": args.epochs, "seeds": args.seeds, "runs": result}
    )
    print(
        comparison_table(
            "ingredient, without → with", {ingredients[name][0]: (runs[name], whole) for name in sets if name}
        )
    )


if __name__ == "__main__":
    main()
