"""Does a score of a training set foretell what a network trained on it makes of real photographs?

    python benchmarks/study_transfer.py --photos REAL --out STUDY [--arms v1,v4,…] [--seeds 0,1,2] [--json FILE]

Ten training sets, four generations of scenes and six that are broken on purpose, and four mixtures, all of as many
frames; a network on each, of one recipe, by three seeds; rock-IoU and flood on POLAR and Apollo photographs; scores of
each set against the same photographs; and rank correlations of the two. One process, one core, about 75 minutes; the
same command resumes. REAL has `polar/images`, `polar/masks`, `apollo` and `apollo_boulders`.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import Any

from study_steps import folder
from transfer_arms import ARMS, BROKEN, BY_NAME, GENERATIONS, INGREDIENTS, folder_of, make_arm
from transfer_report import write_report
from transfer_runs import (
    APOLLO_LABELLED,
    prepare_photographs,
    read_photographs,
    real_set,
    recipe,
    run_folder,
    score_run,
    train_run,
)
from transfer_scores import (
    LOWER,
    KeepingEncoder,
    appearance_scores,
    export_imagenet,
    feature_scores,
    looks_of,
    rock_share,
    see,
)

from regolith.lunar.files import write_json
from regolith.lunar.quality.pictures import Pictures
from regolith.lunar.reading import read_json

SEEDS = (0, 1, 2)
REAL_SETS = {"POLAR": "polar", "Apollo": APOLLO_LABELLED}


def draw(root: Path, arms: list[str]) -> None:
    """Draw or derive the splits of all arms."""
    for name in arms:
        began = time.monotonic()
        make_arm(root, BY_NAME[name])
        print(f"{name}: frames in {time.monotonic() - began:.0f} s", flush=True)


def train_all(root: Path, real: Path, arms: list[str], seeds: list[int]) -> None:
    """Train and measure every arm, seed by seed, so that what there is of a stopped study is balanced."""
    photographs = read_photographs(real)
    for seed in seeds:
        for name in arms:
            began = time.monotonic()
            train_run(root, name, seed)
            score_run(root, name, seed, photographs)
            print(f"{name}, seed {seed}: {time.monotonic() - began:.0f} s", flush=True)


def score_all(root: Path, real: Path, arms: list[str]) -> None:
    """Score every arm against both real sets; scores that are there stay."""
    left = [name for name in arms if not (root / "scores" / f"{name}.json").exists()]
    if not left:
        return
    imagenet = export_imagenet(root / "imagenet.onnx")
    encoders = {"ImageNet": KeepingEncoder(imagenet, threads=1), "default": KeepingEncoder("default", threads=1)}
    sets = {title: real_set(real, name) for title, name in REAL_SETS.items()}
    seen = {
        title: {name: see(pictures, encoder) for name, encoder in encoders.items()} for title, pictures in sets.items()
    }
    looks = {title: looks_of(pictures) for title, pictures in sets.items()}
    shares = {title: rock_share(pictures) for title, pictures in sets.items()}
    for arm in left:
        began = time.monotonic()
        synth = Pictures(folder_of(root, arm), field="synth")
        ours = {name: see(synth, encoder) for name, encoder in encoders.items()}
        our_looks, share = looks_of(synth), rock_share(synth)
        result: dict[str, Any] = {}
        for title in sets:
            rows = {f"appearance: {key}": value for key, value in appearance_scores(our_looks, looks[title]).items()}
            rows["labels: share of rock, log ratio"] = abs(math.log(share / shares[title])), LOWER
            for name in encoders:
                found = feature_scores(ours[name], seen[title][name])
                rows |= {f"{name}: {key}": value for key, value in found.items()}
            result[title] = {key: list(value) for key, value in rows.items()}
        (root / "scores").mkdir(exist_ok=True)
        write_json(root / "scores" / f"{arm}.json", result)
        print(f"{arm}: scored in {time.monotonic() - began:.0f} s", flush=True)


def collect(root: Path, arms: list[str], seeds: list[int]) -> dict[str, Any]:
    """Gather what was measured; arms that lack a training or a score are left out."""
    found: dict[str, Any] = {}
    for name in arms:
        score = root / "scores" / f"{name}.json"
        runs = [run_folder(root, name, seed) / "real.json" for seed in seeds]
        if score.exists() and all(path.exists() for path in runs):
            summaries = [read_json(run_folder(root, name, seed) / "summary.json") for seed in seeds]
            found[name] = {
                "what": BY_NAME[name].what,
                "scores": read_json(score),
                "runs": {str(seed): read_json(path) for seed, path in zip(seeds, runs, strict=True)},
                "train_seconds": [summary["seconds"] for summary in summaries],
                "machine": summaries[0]["machine"],
            }
    return {
        "recipe": recipe(Path("SPLIT"), Path("VAL"), Path("RUN"), 0).recipe(),
        "groups": {"generations": GENERATIONS, "broken": BROKEN, "mixtures": INGREDIENTS},
        "arms": found,
    }


def main() -> None:
    """Run the study, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--photos", type=folder, required=True, help="folder of the real photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--arms", default=",".join(arm.name for arm in ARMS), help="arms to run, by name")
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)), help="seeds of the trainings")
    parser.add_argument("--report", type=Path, help="folder of results.json, tables and figure")
    options = parser.parse_args()
    root, arms = options.out.absolute(), options.arms.split(",")
    seeds = [int(seed) for seed in options.seeds.split(",")]
    draw(root, arms)
    real = prepare_photographs(root, options.photos)
    train_all(root, real, arms, seeds)
    score_all(root, real, arms)
    if options.report:
        write_report(collect(root, arms, seeds), root, options.report)


if __name__ == "__main__":
    main()
