"""Which network makes most of equal frames, steps and time: rock-IoU on POLAR and Apollo photographs, by seeds.

    python benchmarks/study_encoders.py --photos REAL --out STUDY [--networks efficientnet-lite0,…] [--epochs 24]

The frames are the last mixture of `study_transfer.py`, and so are recipe, photographs and measures; only the network,
and with it what its weights started from, differs. One process, one core; the same command resumes. OUT/encoders.json
has the figures of every seed, and what is printed is their table.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from study_steps import folder
from transfer_arms import BY_NAME, INGREDIENTS, folder_of, make_arm
from transfer_report import figures
from transfer_runs import prepare_photographs, recipe, train_measured, val_split
from transfer_text import COLUMNS, spread

from regolith.lunar.files import write_json

NETWORKS = {"efficientnet-lite0": "imagenet", "efficientnet-lite2": "imagenet", "segformer-b0": "distilled"}
"""Networks, and what their encoders start from: ImageNet weights, Apache-2.0, or features taught by those."""
MIXTURE = INGREDIENTS[-1]


def run_one(root: Path, real: Path, network: str, seed: int, epochs: int) -> dict[str, Any]:
    """Train one network and measure it, or read what was measured."""
    out = root / "encoders" / f"{network}-{epochs}-{seed}"
    base = recipe(folder_of(root, MIXTURE), val_split(root), out, seed, epochs=epochs)
    changes = {"arch": network, "init": NETWORKS[network]}
    if network == "segformer-b0":
        changes["logits_stride"] = type(base).model_fields["logits_stride"].default
    found = train_measured(type(base).model_validate(base.model_dump() | changes), real)
    return figures(found["photographs"]) | {"seconds": found["seconds"]}


def main() -> None:
    """Run the study, or what is left of it, and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=folder, required=True, help="folder of the real photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the transfer study")
    parser.add_argument("--networks", default=",".join(NETWORKS), help="networks, by name")
    parser.add_argument("--seeds", default="0,1,2", help="seeds of the trainings")
    parser.add_argument("--epochs", type=int, default=24, help="passes over the frames")
    options = parser.parse_args()
    root = options.out.absolute()
    make_arm(root, BY_NAME[MIXTURE])
    real = prepare_photographs(root, options.photos)
    networks, seeds = options.networks.split(","), [int(seed) for seed in options.seeds.split(",")]
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in networks}
    for seed in seeds:
        for name in networks:
            found[name].append(run_one(root, real, name, seed, options.epochs))
            print(f"{name}, seed {seed}: {found[name][-1]}", flush=True)
    write_json(root / "encoders.json", {"epochs": options.epochs, "seeds": seeds, "networks": found})
    print(f"| network | {' | '.join(title for title, _, _ in COLUMNS)} | all photographs |")
    for name, rows in found.items():
        cells = [spread([row[key] for row in rows], percent) for _, key, percent in COLUMNS]
        print(f"| `{name}` | {' | '.join(cells)} | {np.mean([row['seconds'] for row in rows]):.0f} s |")


if __name__ == "__main__":
    main()
