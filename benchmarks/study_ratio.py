"""Synthetic to real frames in five ratios: rock-IoU on terrains not trained on, common and rare rocks, false alarms.

    python benchmarks/study_ratio.py --photos REAL --out STUDY [--seeds 0,1] [--ratios 50:50] [--start default]

Real frames are windows of POLAR's photographs, synthetic ones are rendered; `regolith mix` draws as many in each ratio.
Photographs are parted by terrain: each terrain is tested once, by networks that saw the others. All trainings have one
recipe and as many steps. Nothing is selected: the last weights count. Every step is a file, and the same command goes
on where it stopped. One process, one thread. REAL has `polar/images`, `polar/masks`, `apollo` and `apollo_boulders`.
STUDY/ratio-START-EPOCHS-VIEWS.json holds what is printed.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from model_start import write_start
from PIL import Image
from study_steps import TERRAIN, folder, once
from transfer_arms import BY_NAME, SPLIT, folder_of, make_arm, write_derived
from transfer_runs import recipe

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.dataset.strata import rarest, strata
from regolith.lunar.files import write_json
from regolith.lunar.labels import IGNORE, ROCK
from regolith.lunar.params import Interval
from regolith.lunar.perception.importing import import_split
from regolith.lunar.perception.metrics import ratio as share_of
from regolith.lunar.perception.metrics import rock_counts, rock_scores
from regolith.lunar.perception.rocks import MATCH_IOU, match_rocks
from regolith.lunar.perception.session import load_model
from regolith.lunar.perception.views import VIEWS, Views
from regolith.lunar.quality.mix import Mix
from regolith.lunar.quality.pictures import Picture, Pictures
from regolith.lunar.quality.tail_rocks import LEAST_PX, measure_rocks
from training.export import export_model
from training.train import train

RATIOS = ("100:0", "75:25", "50:50", "25:75", "0:100")
"""Synthetic to real frames."""
FOLDS = {"01, 02": ("terrain01", "terrain02"), "04": ("terrain04",), "08": ("terrain08",), "11": ("terrain11",)}
"""Terrains that are tested together. The first two are one bed: the same rocks where they were, and one more."""
FRAMES = {"wide": 96, "boulders": 48, "rough": 48}
"""Rendered frames by arm of the transfer study; all together are the frames of a mixture."""
TOTAL = sum(FRAMES.values())
PHOTO_PX = 768
"""Long side photographs are brought to [px], for windows to train on and for the network's look at them."""
WINDOW = (320, 256)
"""Width and height of a window [px]: those of a rendered frame."""
GRID = (3, 2)
"""Windows of a photograph across and down; they overlap."""
STRATIFY = "rock_share,rock_size"
TAIL_SHARE = 0.2
"""Most of the rocks that the rare strata hold together."""
TAIL_EDGES = {"size": np.array([8, 16, 32, 64]) / 1024, "contrast": np.array([0.25, 0.5, 1, 2])}
"""Edges of the strata, by doubling: of equal frequency none would be rare. Variables are those of `regolith tail`."""
RECIPE: dict[str, Any] = {
    "epochs": 5, "patience": 5, "batch": 6, "crop_px": 160, "scale": Interval(0.6, 1.6), "rock_bias": 0.3,
    "ema_decay": 0.95, "photo_gamma": Interval(0.6, 1.7), "photo_contrast": Interval(0.6, 1.5),
    "photo_brightness": Interval(-0.1, 0.15), "photo_gray": 0.5, "photo_vignette": Interval(0, 0.5),
    "photo_light_ev": Interval(0, 3), "photo_blur_px": Interval(0, 1.2), "photo_noise": Interval(0, 0.03),
    "photo_jpeg": Interval(40, 100),
}  # fmt: skip
"""What is not as in the transfer study's recipe: strong changes, for real frames are few."""
FINE_LR = 5e-4
"""Peak learning rate of trainings that go on from the shipped model: that of its own last stage."""


def windows(width: int, height: int) -> list[tuple[int, int]]:
    """Left and top edge of the windows of a picture, evenly spread, the outer ones at its edges [px]."""
    lefts, tops = (
        np.linspace(0, side - window, count).round().astype(int).tolist()
        for side, window, count in zip((width, height), WINDOW, GRID, strict=True)
    )
    return [(left, top) for top in tops for left in lefts]


def fold_of(name: str) -> str:
    """The fold in which a photograph is tested."""
    found = TERRAIN.search(name)
    return next(fold for fold, terrains in FOLDS.items() if found and found[1] in terrains)


class Study:
    """The steps; each is done once."""

    validated = "wide"
    """Arm of the two frames that the trainer is given to validate on."""

    def __init__(self, photos: Path, out: Path, *, start: str, views: Views, epochs: int) -> None:
        self.out, self.start, self.epochs = out, start, epochs
        self.views: Views = views
        polar = Pictures(photos / "polar" / "images", field="photos", masks=photos / "polar" / "masks")
        self.polar = list(polar.read(1 << 14))
        self.small = list(polar.read(PHOTO_PX))
        self.apollo = {
            name: list(Pictures(photos / name, field="photos", masks=Path("apollo")).read(1 << 14))
            for name in ("apollo", "apollo_boulders")
        }

    def draw(self) -> str:
        """Render the synthetic frames; return their splits as a parameter takes them."""
        return ",".join(str(make_arm(self.out, BY_NAME[name], frames=count)) for name, count in FRAMES.items())

    def real(self, fold: str) -> Path:
        """Import windows of the photographs of all other terrains, with their masks, as a split."""
        folder = self.out / "data" / f"without {fold.replace(', ', '+')}"
        if not (folder / "real").exists():
            with tempfile.TemporaryDirectory() as temporary:
                for picture in self.small:
                    if fold_of(picture.name) != fold:
                        _cut(picture, Path(temporary))
                import_split(
                    Path(temporary) / "images", Path(temporary) / "masks", folder, split="real",
                    classes=f"regolith=0,rock={ROCK},ignore={IGNORE}",
                )  # fmt: skip
        return folder / "real"

    def val(self) -> Path:
        """Split of two rendered frames for the trainer, which validates; nothing is selected by them."""
        folder = self.out / "data" / "val" / SPLIT
        if not folder.exists():
            frames = sorted(open_split(folder_of(self.out, self.validated)), key=lambda frame: -frame.counts["rock"])[
                :2
            ]
            write_derived(folder, [(frame.rgb, frame.mask, frame.spec) for frame in frames], SPLIT)
        return folder

    def place(self, ratio: str, fold: str, seed: int) -> Path:
        """Folder of a training; frames that are all synthetic are the same for all folds."""
        kind = "all" if ratio == RATIOS[0] else fold.replace(", ", "+")
        longer = "" if self.epochs == RECIPE["epochs"] else f" {self.epochs} epochs"
        return self.out / "runs" / f"{ratio.replace(':', '-')} {self.start}{longer}" / f"{kind} seed {seed}"

    def begin(self) -> dict[str, Any]:
        """What of the recipe goes with the start."""
        if self.start == "imagenet":
            return {}
        checkpoint = self.out / f"{self.start}.pt"
        if not checkpoint.exists():
            splits = [open_split(folder_of(self.out, name)) for name in FRAMES]
            write_start(self.start, checkpoint, [frame.rgb for split in splits for frame in list(split)[::16]])
        return {"init": str(checkpoint), "lr": FINE_LR}

    def train(self, ratio: str, fold: str, seed: int) -> Path:
        """Mix, train and export; return the model."""
        place = self.place(ratio, fold, seed)
        if not (place / "model.json").exists():
            place.mkdir(parents=True, exist_ok=True)
            export_model(self.fit(ratio, fold, seed, place), place / "model.onnx", photo_px=PHOTO_PX)
            for path in (place / "run").rglob("*.pt"):
                path.unlink()  # 40 MB each, and the model is there
        return place / "model.onnx"

    def fit(self, ratio: str, fold: str, seed: int, place: Path) -> Path:
        """Mix and train in a folder; return the checkpoint of the last weights."""
        mixed = place / "mix.json"
        if not mixed.exists():
            Mix.model_validate({
                "synth": self.draw(), "real": self.real(fold), "ratio": ratio, "frames": TOTAL,
                "stratify": STRATIFY, "seed": seed, "out": mixed,
            }).run()  # fmt: skip
        params = recipe(mixed, self.val(), place / "run", seed).model_copy(
            update=RECIPE | self.begin() | {"epochs": self.epochs, "patience": self.epochs}
        )
        train(params, lambda event: None)
        return place / "run" / "last.pt"

    def score(self, ratio: str, fold: str, seed: int) -> dict[str, Any]:
        """Train and measure on the held-out terrains and on Apollo: rows by photograph."""

        def measured() -> dict[str, Any]:
            model = load_model(self.train(ratio, fold, seed), threads=1)
            tested = [picture for picture in self.polar if ratio == RATIOS[0] or fold_of(picture.name) == fold]
            sets = {"polar": tested, **self.apollo}

            def row(picture: Picture) -> dict[str, Any]:
                return compare(picture, model.predict(picture.rgb, size=PHOTO_PX, tta=self.views).mask)

            return {name: {picture.name: row(picture) for picture in pictures} for name, pictures in sets.items()}

        return once(self.place(ratio, fold, seed) / f"score-{self.views}.json", measured)


def _cut(picture: Picture, folder: Path) -> None:
    """Write a picture's windows and their classes below a folder."""
    height, width = picture.classes.shape
    for number, (left, top) in enumerate(windows(width, height)):
        inside = np.s_[top : top + WINDOW[1], left : left + WINDOW[0]]
        for kind, array in (("images", picture.rgb), ("masks", picture.classes)):
            path = folder / kind / f"{Path(picture.name).stem}-{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(array[inside]).save(path)


def compare(picture: Picture, mask: np.ndarray) -> dict[str, Any]:
    """Hold predicted classes, uint8 [H, W], against those of a picture.

    Returns:
        `counts` [tp, fp, fn] of rock [px]; `ground`, labelled pixels that are no rock; `false`, predicted rocks of at
        least `LEAST_PX` that touch no true one; `iou` of every true rock of at least `LEAST_PX`, in order.
    """
    match = match_rocks(picture.classes, mask)
    kept = measure_rocks(picture.rgb, picture.classes, None, None)["kept"]
    large = np.sqrt(4 * match.predicted_area / math.pi) >= LEAST_PX
    return {
        "counts": list(rock_counts(picture.classes, mask)),
        "ground": int(np.isin(picture.classes, (ROCK, IGNORE), invert=True).sum()),
        "false": int((large & (match.predicted_hits == 0)).sum()),
        "iou": match.iou[kept].tolist(),
    }


def rare_rocks(pictures: Sequence[Picture]) -> tuple[dict[str, list[bool]], dict[str, Any]]:
    """Tell which rocks of pictures are of rare strata of size and contrast.

    Returns:
        Picture's name to whether each of its rocks is rare, in `compare`'s order; and {edges, rocks, rare, strata}.
    """
    found = {p.name: measure_rocks(p.rgb, p.classes, None, None) for p in pictures}
    values = {name: np.concatenate([f[name][f["kept"]] for f in found.values()]) for name in TAIL_EDGES}
    kinds = strata(values, TAIL_EDGES)
    shares = {kind: kinds.count(kind) / len(kinds) for kind in sorted(set(kinds))}
    tail = rarest(shares, TAIL_SHARE)
    rare = iter([kind in tail for kind in kinds])
    flags = {name: [next(rare) for _ in range(int(f["kept"].sum()))] for name, f in found.items()}
    about = {
        "edges": {name: border.tolist() for name, border in TAIL_EDGES.items()},
        "rocks": len(kinds), "rare": sum(map(sum, flags.values())),
        "strata": [{"stratum": list(kind), "share": share, "rare": kind in tail} for kind, share in shares.items()],
    }  # fmt: skip
    return flags, about


def figures(rows: dict[str, dict[str, Any]], rare: dict[str, list[bool]]) -> dict[str, Any]:
    """Pool rows of photographs, as `compare` makes them, into the columns of the table."""
    tp, fp, fn = (sum(row["counts"][k] for row in rows.values()) for k in range(3))
    found = {"false_share": share_of(fp, sum(row["ground"] for row in rows.values()))} | rock_scores(tp, fp, fn)
    found["false_rocks"] = share_of(sum(row["false"] for row in rows.values()), len(rows))
    if rare:
        pairs = [pair for name, row in rows.items() for pair in zip(row["iou"], rare[name], strict=True)]
        for column, kind in (("common", False), ("tail", True)):
            ious = [iou for iou, is_rare in pairs if is_rare == kind]
            found[column] = share_of(math.fsum(ious), len(ious))
            found[f"{column}_found"] = share_of(sum(iou >= MATCH_IOU for iou in ious), len(ious))
    return found


def tabulate(study: Study, ratios: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Gather figures: of each ratio and seed POLAR pooled over the folds and by fold, and Apollo meaned over them."""
    rare, about = rare_rocks(study.polar)
    table: dict[str, list[dict[str, Any]]] = {}
    for ratio in ratios:
        table[ratio] = []
        for seed in seeds:
            scores = {fold: study.score(ratio, fold, seed) for fold in FOLDS}
            polar = {
                fold: {name: row for name, row in score["polar"].items() if fold_of(name) == fold}
                for fold, score in scores.items()
            }
            row: dict[str, Any] = {"seed": seed}
            row["polar"] = figures({name: r for rows in polar.values() for name, r in rows.items()}, rare)
            row["folds"] = {fold: figures(rows, rare)["iou"] for fold, rows in polar.items()}
            for name in study.apollo:
                each = [figures(score[name], {}) for score in scores.values()]
                row[name] = {
                    key: float(np.mean([one[key] for one in each])) for key in ("iou", "recall", "false_share")
                }
                row[name]["iou_of_folds"] = [one["iou"] for one in each]
            table[ratio].append(row)
    return {"ratios": table, "tail": about}


def say(rows: list[dict[str, Any]]) -> str:
    """Cells of a ratio's line: mean over seeds, and ± their standard deviation where there are several."""

    def cell(values: list[float], digits: int = 3, scale: float = 1) -> str:
        spread = f" ± {scale * float(np.std(values, ddof=1)):.{digits}f}" if len(values) > 1 else ""
        return f"{scale * float(np.mean(values)):.{digits}f}{spread}"

    polar = [row["polar"] for row in rows]
    folds = [float(np.mean([row["folds"][fold] for row in rows])) for fold in FOLDS]
    cells = [cell([p[key] for p in polar]) for key in ("iou", "common", "tail")]
    cells += [cell([p["false_share"] for p in polar], 2, 100) + " %", cell([p["false_rocks"] for p in polar], 1)]
    cells += [cell([row[name]["iou"] for row in rows]) for name in ("apollo", "apollo_boulders")]
    return " | ".join([*cells, ", ".join(f"{iou:.2f}" for iou in folds)])


def score_all(study: Study, ratios: Sequence[str], seeds: Sequence[int]) -> None:
    """Train and measure what is left, seed by seed; say each rock-IoU and the processor time so far."""
    began = time.process_time()
    for seed in seeds:
        for fold in FOLDS:
            for ratio in ratios:
                rows = study.score(ratio, fold, seed)["polar"]
                found = figures({name: row for name, row in rows.items() if fold_of(name) == fold}, {})
                spent = time.process_time() - began
                print(f"seed {seed} {ratio} {fold}: {found['iou']:.3f}, {spent:.0f} s", flush=True)


def print_table(title: str, table: dict[str, list[dict[str, Any]]]) -> None:
    """Print a line for each ratio, or whatever the title says the lines are."""
    print(f"{title} | IoU | common | tail | ground called rock | false rocks | Apollo | close-ups | IoU of {[*FOLDS]}")
    for name, rows in table.items():
        print(f"{name} | {say(rows)}")


def main() -> None:
    """Run the study, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=folder, required=True, help="folder of the real photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--ratios", type=lambda text: text.split(","), default=list(RATIOS))
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1])
    parser.add_argument(
        "--start", choices=("imagenet", "default"), default="imagenet", help="default: the shipped model"
    )
    parser.add_argument("--epochs", type=int, default=RECIPE["epochs"], help="passes over the frames")
    parser.add_argument(
        "--views", choices=[*VIEWS], default="none", help="views of a photograph, as of `evaluate real`"
    )
    args = parser.parse_args()
    study = Study(args.photos, args.out.absolute(), start=args.start, views=args.views, epochs=args.epochs)
    study.draw()
    began = time.process_time()
    score_all(study, args.ratios, args.seeds)
    result = tabulate(study, args.ratios, args.seeds) | {"start": args.start, "views": args.views}
    name = f"ratio-{args.start}-{args.epochs}-{args.views}.json"
    write_json(study.out / name, result | {"cpu_s": time.process_time() - began})
    print_table("ratio", result["ratios"])


if __name__ == "__main__":
    main()
