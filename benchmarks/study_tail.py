"""What frames of a request gain: IoU of rocks of the tail, frames that `regolith tail` asks for against as many others.

python benchmarks/study_tail.py --images polar/images --masks polar/masks --out study

A network is trained on frames of `wide`. Two tails of these are looked for: by frequency, rocks that are rare in the
photographs; and by error, rocks of held-out frames that the network fits worst. Each writes a request, which is drawn;
drawn too are as many frames, at the request's seed, of the parameters nothing was narrowed in. Networks on the first
frames and each of these, in as many steps, are held against frames that took part in nothing, and against the
photographs. Every step is kept in --out, and the same command goes on where it stopped. The last lines of what it
prints, and OUT/study.json, have it all.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from study_steps import folder, once
from tail_figures import ARMS, TAILS, compare, figures, measure, say, supply
from transfer_arms import SPLIT, folder_of, write_derived
from transfer_runs import predictor, recipe, run_folder, val_split

from regolith.lunar.dataset.generate import generate
from regolith.lunar.dataset.request import read_request
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.files import write_json
from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.quality.pictures import Pictures
from regolith.lunar.quality.tail import REQUEST, TAIL, find_tail
from training.export import export_model
from training.train import train

WIDTH, HEIGHT = 256, 192
"""Size of the frames [px]; photographs are brought to the same width."""
SCENE_FRAMES = 4
BASE, MORE, PROBE, TEST = 64, 32, 32, 64
"""Frames to begin with, to add, to look for errors on, and to measure on."""
SEEDS = {"base": 21, "probe": 31, "test": 32}
"""Of the renders; what is added has the seed that requests name, one more than that of `base`."""
STEPS = 96
"""Of every training, in batches of 8."""
BUCKETS = 2
"""Of each variable: with three, strata of 64 frames are so small that no parameter goes with their rocks."""


def draw(root: Path, name: str, params: Params, frames: int, seed: int) -> Path:
    """Draw a split, or what is left of it."""
    out = folder_of(root, name).parent
    generate(params, out, split=SPLIT, frames=frames, width=WIDTH, height=HEIGHT, seed=seed, executor="in-process")
    return out / SPLIT


def photographs(root: Path, images: Path, masks: Path) -> Path:
    """Write photographs with their masks as a split, at the frames' width, cut to a common height about the middle."""
    folder = folder_of(root, "polar")
    if not folder.exists():
        pictures = list(Pictures(images, field="images", masks=masks).read(WIDTH))
        height, width = (min(picture.rgb.shape[axis] for picture in pictures) for axis in (0, 1))
        frames = []
        for picture in pictures:
            top, left = (picture.rgb.shape[0] - height) // 2, (picture.rgb.shape[1] - width) // 2
            window = slice(top, top + height), slice(left, left + width)
            frames.append((picture.rgb[window], picture.classes[window], {"source": picture.name}))
        write_derived(folder, frames, SPLIT)
    return folder


def trained(root: Path, arm: str, seed: int) -> Path:
    """Train on the first frames and an arm's, or go on with it; return the checkpoint of the last weights."""
    splits = [folder_of(root, name) for name in dict.fromkeys(("base", arm))]
    epochs = STEPS * 8 // sum(len(open_split(split)) for split in splits)
    out = run_folder(root, arm, seed)
    train(
        recipe(Path(",".join(map(str, splits))), val_split(root, "base"), out, seed, epochs=epochs), lambda event: None
    )
    return out / "last.pt"


def find_tails(root: Path) -> dict[str, dict[str, Any]]:
    """Look for both tails, and return what was found of each."""
    model = root / "base.onnx"
    if not model.exists():
        export_model(trained(root, "base", 0), model)
    real = {"frequency": folder_of(root, "polar"), "error": folder_of(root, "probe")}
    return {
        by: once(root / f"tail-{by}" / TAIL, lambda by=by: find_tail(
            folder_of(root, "base"), root / f"tail-{by}", real=real[by], by=by, model=model, buckets=BUCKETS,
            frames=MORE, threads=1,
        ))
        for by in TAILS
    }  # fmt: skip


def score(root: Path, arm: str, seed: int, tails: Mapping[str, Any]) -> dict[str, Any]:
    """Train an arm with a seed and measure it, once."""
    out = run_folder(root, arm, seed)

    def make() -> dict[str, Any]:
        probabilities = predictor(trained(root, arm, seed))

        def predict(rgb: np.ndarray) -> np.ndarray:
            return probabilities(rgb).argmax(axis=0).astype(np.uint8)

        found = {name: measure(folder_of(root, name), predict, tails) for name in ("test", "polar")}
        for name in ("best.pt", "last.pt"):
            (out / name).unlink()  # a run is measured once, and weighs 40 MB
        return found

    return once(out / "score.json", make)


def main() -> None:
    """Run the study, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (("images", folder), ("masks", folder), ("out", Path)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    root, began = options.out.absolute(), time.process_time()

    def note(what: str) -> None:
        print(f"{time.process_time() - began:6.0f} s  {what}", flush=True)

    params = change_params(load_preset("wide"), {"dataset.frames_per_scene": SCENE_FRAMES})
    for name, frames in (("base", BASE), ("probe", PROBE)):
        note(f"frames of {draw(root, name, params, frames, SEEDS[name])}")
    photographs(root, options.images, options.masks)
    tails = find_tails(root)
    for by, tail in tails.items():
        note(f"{by}: {json.dumps([row for row in tail['strata'] if row['tail']])} {json.dumps(tail['asked'])}")
    draw(root, "test", params, TEST, SEEDS["test"])
    draw(root, "untargeted", params, MORE, SEEDS["base"] + 1)
    for by in TAILS:
        request = read_request(root / f"tail-{by}" / REQUEST)
        draw(root, by, request.parameters(), request.frames, request.seed)
    supplied = once(
        root / "supply.json", lambda: {name: supply(folder_of(root, name), tails) for name in (*ARMS, "test")}
    )
    note(f"rocks of a tail in a frame: {json.dumps(supplied)}")
    rows: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in range(options.seeds):
        for arm in ARMS:
            rows[arm].append(score(root, arm, seed, tails))
            note(f"{arm}, seed {seed}: {json.dumps(rows[arm][-1])}")
    found = compare({arm: [figures(row) for row in of] for arm, of in rows.items()})
    write_json(root / "study.json", {"figures": found, "supply": supplied, "runs": rows})
    print(say(found))


if __name__ == "__main__":
    main()
