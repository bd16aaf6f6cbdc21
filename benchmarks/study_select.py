"""What active learning saves: rock-IoU on photographs against labels used, `regolith select` against chance.

python benchmarks/study_select.py --images polar/images --masks polar/masks --split data/train_dr --out study

The masks play the people. Photographs are parted by terrain into two folds; each fold's photographs are once the pool
and once the test. A network pretrained on ImageNet is trained on rendered frames; then, for each fold, seed and way of
choosing, rounds of `select`, `import` and `train` go on from it with all that is labelled so far. Every step is kept in
--out, and the same command goes on where it stopped. The last line of what it prints, and OUT/study.json, have it all.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from study_steps import TERRAIN, folder, once

from regolith.lunar.dataset.formats.coco import CATEGORIES, compressed_runs
from regolith.lunar.files import write_json
from regolith.lunar.labels import IGNORE, NAMES, ROCK
from regolith.lunar.params.training import TrainParams
from regolith.lunar.perception.importing import import_split
from regolith.lunar.perception.metrics import rock_counts, rock_scores
from regolith.lunar.perception.photos import read_mask, read_photo
from training.selection import By, Select
from training.train import train
from training.uncertainty import Checkpoints

FOLDS = (("terrain01", "terrain02", "terrain11"), ("terrain04", "terrain08"))
CROP_PX = 128
AUGMENTATION: dict[str, Any] = {
    "photo_gamma": (0.7, 1.4), "photo_contrast": (0.7, 1.4), "photo_brightness": (-0.1, 0.1), "photo_gray": 1.0,
    "class_weight_power": 0.5, "amp": "off", "workers": 1, "batch": 8,
}  # fmt: skip


class Study:
    """The steps; each is done once."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args, self.out = args, args.out
        self.threads = args.threads
        masks = {path.stem: path for path in args.masks.iterdir()}
        self.photos = sorted(path for path in args.images.iterdir() if path.stem in masks)
        self.masks = masks

    def start(self) -> Path:
        """Train what every run goes on from, on rendered frames alone."""
        params = AUGMENTATION | {
            "train_split": self.args.split, "val_split": self.args.split, "out": self.out / "start",
            "arch": "efficientnet-lite0", "init": "imagenet", "epochs": self.args.start_epochs, "crop_px": CROP_PX,
            "threads": self.threads, "scale": (0.7, 2.0), "patience": 1000,
        }  # fmt: skip
        train(TrainParams.model_validate(params), lambda event: None)
        return self.out / "start/best.pt"

    def run(self, fold: int, by: By, seed: int, start: Path) -> list[dict[str, Any]]:
        """One loop: a row for each round."""
        pool, test = (self._fold(fold, part) for part in ("pool", "test"))
        place = self.out / f"fold{fold}" / f"{by}-{seed}"
        model, queues, splits = start, [], []
        rows = [once(place.parent / "start.json", lambda: {"labels": 0} | self._score(start, test))]
        done = 0
        for number, labels in enumerate(self.args.labels):
            queue, split, folder = place / f"queue{number}", place / "real" / f"round{number}", place / f"run{number}"
            if not (queue / "select.json").exists():
                Select(
                    pool=pool, model=model, budget=self.args.labels[-1], batch=labels - done, out=queue, crop=CROP_PX,
                    done=Path(",".join(map(str, queues))) if queues else None, by=by, seed=seed,
                    passes=1 if by == "random" else 20,
                    scene_of=TERRAIN.pattern, top_share=self.args.top_share, threads=self.threads,
                ).run()  # fmt: skip
            if not split.exists():
                self._answer(queue)
                import_split(queue / "images", None, place / "real", split=split.name, coco=queue / "answers.json")
            queues.append(queue)
            splits.append(split)
            done = labels
            model = self._train(splits, labels, folder, start, seed)
            row = once(
                folder / "score.json", lambda labels=labels, model=model: {"labels": labels} | self._score(model, test)
            )
            rows.append(row | self._look(queue))
        return rows

    def _train(self, splits: list[Path], labels: int, folder: Path, start: Path, seed: int) -> Path:
        """Go on from the start with what is labelled so far: as many steps whatever there is."""
        params = AUGMENTATION | {
            "train_split": ",".join(map(str, splits)), "out": folder, "arch": "efficientnet-lite0",
            "val_split": splits[0],  # decides nothing: what counts is the last step of a schedule
            "init": str(start), "warmup_steps": 10, "epochs": math.ceil(self.args.steps * 8 / labels), "patience": 1000,
            "lr": 1e-3, "seed": seed, "threads": self.threads,
        }  # fmt: skip
        train(TrainParams.model_validate(params), lambda event: None)
        return folder / "last.pt"

    def _fold(self, fold: int, part: str) -> Path:
        """Folder of a fold's photographs."""
        folder = self.out / f"fold{fold}" / part
        if not folder.exists():
            folder.mkdir(parents=True)
            for photo in self.photos:
                terrain = TERRAIN.search(photo.name)
                if terrain and (terrain[1] in FOLDS[fold]) == (part == "pool"):
                    shutil.copy(photo, folder / photo.name)
        return folder

    def _answer(self, queue: Path) -> None:
        """Write what people would: the truth of every unit of a queue, as COCO."""
        data = json.loads((queue / "annotations/instances_default.json").read_text("utf-8"))
        data["annotations"] = []
        for image in data["images"]:
            truth = self._truth(queue, image["file_name"])
            for value, name in enumerate(NAMES):
                if (truth == value).any():
                    data["annotations"].append({
                        "id": len(data["annotations"]) + 1, "image_id": image["id"], "category_id": CATEGORIES[name],
                        "iscrowd": 1, "segmentation": compressed_runs(truth == value),
                    })  # fmt: skip
        write_json(queue / "answers.json", data)

    def _truth(self, queue: Path, file: str) -> np.ndarray:
        said = json.loads((queue / "select.json").read_text("utf-8"))
        name = next(unit["id"] for unit in said["chosen"] if unit["file"] == f"images/{file}")
        return self._window(next(unit for unit in said["units"] if unit["id"] == name))

    def _window(self, unit: dict[str, Any]) -> np.ndarray:
        path = self.masks[Path(unit["id"].partition("@")[0]).stem]
        with Image.open(path) as image:
            shape = image.size[::-1]
        top, left, height, width = unit["window"]
        return read_mask(path, shape)[top : top + height, left : left + width]

    def _look(self, queue: Path) -> dict[str, Any]:
        """What was asked for: shares of rock and of what no mask labels, and what scores of open units go with."""
        said = json.loads((queue / "select.json").read_text("utf-8"))
        chosen = {unit["id"] for unit in said["chosen"]}
        truths = [self._window(unit) for unit in said["units"]]
        rock, ignored = (np.array([(truth == value).mean() for truth in truths]) for value in (ROCK, IGNORE))
        asked = np.array([unit["id"] in chosen for unit in said["units"]])
        scores = {
            name: np.array([unit[name] or 0 for unit in said["units"]]) for name in ("mutual_information", "entropy")
        }
        return {
            "rock_share": float(rock[asked].mean()), "ignored_share": float(ignored[asked].mean()),
            "entropy_ignored": float(np.corrcoef(scores["entropy"], ignored)[0, 1]),
            "information_rock": float(np.corrcoef(scores["mutual_information"], rock)[0, 1])
            if scores["mutual_information"].any() else None,
        }  # fmt: skip

    def _score(self, model: Path, test: Path) -> dict[str, Any]:
        """Rock of all test photographs together, each looked at once at its own size."""
        looker = Checkpoints([model], passes=1, threads=self.threads)
        counts = np.zeros(3, np.int64)
        for path in sorted(test.iterdir()):
            rgb = read_photo(path)
            predicted = looker.look(rgb).posterior.mean.argmax(axis=0).astype(np.uint8)
            counts += rock_counts(read_mask(self.masks[path.stem], rgb.shape[:2]), predicted)
        return rock_scores(*counts.tolist())


def curves(
    rows: dict[tuple[str, int, int], list[dict[str, Any]]], ways: list[str], folds: list[int], seeds: int
) -> dict[str, Any]:
    """Return rock-IoU of the folds together by way: {way: [{labels, iou: [of each seed], mean, sd, …}]}."""
    found: dict[str, Any] = {}
    for way in ways:
        found[way] = []
        for number in range(len(rows[way, 0, folds[0]])):
            parts = [[rows[way, seed, fold][number] for fold in folds] for seed in range(seeds)]
            iou = [rock_scores(*(sum(p[key] for p in part) for key in ("tp", "fp", "fn")))["iou"] for part in parts]
            looks = {
                key: [p[key] for part in parts for p in part if p.get(key) is not None]
                for key in ("rock_share", "ignored_share", "entropy_ignored", "information_rock")
            }
            found[way].append({
                "labels": sum(p["labels"] for p in parts[0]), "iou": iou, "mean": float(np.mean(iou)),
                "sd": float(np.std(iou, ddof=1)) if seeds > 1 else None,
                **looks,
            })  # fmt: skip
    return found


def saved(active: list[dict[str, Any]], chance: list[dict[str, Any]], seed: int) -> float | None:
    """Share of chance's labels that a way needs fewer for chance's last IoU, of one seed; None where it stays below."""
    wanted, labels = chance[-1]["iou"][seed], chance[-1]["labels"]
    before = active[0]
    for row in active[1:]:
        if row["iou"][seed] >= wanted:
            low, high = before["iou"][seed], row["iou"][seed]
            part = 1.0 if high <= low else max(0.0, (wanted - low) / (high - low))
            return 1 - (before["labels"] + part * (row["labels"] - before["labels"])) / labels
        before = row
    return None


def main() -> None:
    """Run the study, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (("images", folder), ("masks", folder), ("split", str), ("out", Path)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--ways", type=lambda text: text.split(","), default=["bald", "random"])
    parser.add_argument("--labels", type=lambda text: [int(n) for n in text.split(",")], default=[12, 24, 48])
    parser.add_argument("--folds", type=lambda text: [int(n) for n in text.split(",")], default=[0, 1])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--start-epochs", type=int, default=24)
    parser.add_argument("--top-share", type=float, default=0.3)
    parser.add_argument("--threads", type=int, default=1)
    study = Study(parser.parse_args())
    args = study.args
    began = time.process_time()
    start = study.start()
    rows: dict[tuple[str, int, int], list[dict[str, Any]]] = {}
    for fold in args.folds:
        for seed in range(args.seeds):
            for way in args.ways:
                rows[way, seed, fold] = study.run(fold, way, seed, start)
                last = rows[way, seed, fold][-1]
                print(
                    f"{way} seed {seed} fold {fold}: {last['iou']:.3f}, {time.process_time() - began:.0f} s", flush=True
                )
    found = curves(rows, args.ways, args.folds, args.seeds)
    result = {"curves": found, "cpu_s": time.process_time() - began} | {
        f"saved_{way}": [saved(found[way], found["random"], seed) for seed in range(args.seeds)]
        for way in args.ways if way != "random" and "random" in args.ways
    }  # fmt: skip
    write_json(study.out / "study.json", result)
    for way in args.ways:
        for row in found[way]:
            print(f"{way:<8} {row['labels']:>4} labels: {row['mean']:.3f} ± {row['sd'] or 0:.3f}  {row['iou']}")
            print({key: row[key] for key in ("rock_share", "ignored_share", "entropy_ignored", "information_rock")})
    print(json.dumps({key: value for key, value in result.items() if key != "curves"}))


if __name__ == "__main__":
    main()
