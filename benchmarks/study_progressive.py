"""Synthetic and real frames in stages against all at once: rock-IoU on POLAR's terrains that were not trained on.

    python benchmarks/study_progressive.py --photos REAL --out STUDY [--seeds 0,1,2] [--arms pooled,progressive]

`progressive` is `regolith train --curriculum progressive` with its table as it is. `pooled` is one training on the
same splits put together, each frame as often as any other; `same-share`, one with as many real frames in all as the
stages have. All have the same steps, recipe and start; rendered frames, of one preset at the strength of each stage,
are alike for all. Folds, windows, figures and the way of going on are those of `study_ratio.py`: a terrain is tested by
networks that saw none of it, and nothing is selected. STUDY/progressive.json holds what is printed.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from study_ratio import RECIPE, Study, print_table, score_all, tabulate
from study_steps import folder
from transfer_arms import SEED, Arm, make_arm
from transfer_runs import recipe

from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.files import write_json
from regolith.lunar.params.curriculum import PROGRESSIVE, CurriculumParams
from regolith.lunar.quality.mix import Mix
from training.ablate.contrasts import estimate
from training.curriculum import plan_stages, train_as_asked
from training.train import train

ARMS = ("pooled", "same-share", "progressive")
FRAMES = 48
"""Rendered frames of each stage's strength."""
EPOCHS = 20
"""Passes of all stages together, each over as many frames as a strength has: in batches of 6, 160 steps."""
PASSES = 4
"""Passes of a training all at once, over as many more frames."""


def drawn_at(strength: float) -> Arm:
    """The rendered frames of a strength: preset `wide`, scenes of their own."""
    number = [stage.strength for stage in PROGRESSIVE].index(strength)
    changes = {"randomize.strength": strength}
    return Arm(f"strength {strength:g}", f"wide at {strength:g}", "wide", changes, seed=SEED + number)


def real_share() -> float:
    """Share of all frames of the stages that are real."""
    return sum(stage.epochs * (1 - stage.synth) for stage in PROGRESSIVE) / sum(stage.epochs for stage in PROGRESSIVE)


class ProgressiveStudy(Study):
    """The steps; each is done once. What the study of ratios calls a ratio is an arm here."""

    validated = drawn_at(1.0).name

    def __init__(self, photos: Path, out: Path, *, frames: int, epochs: int) -> None:
        super().__init__(photos, out, start="imagenet", views="none", epochs=epochs)
        self.frames = frames

    def draw(self) -> str:
        """Render the synthetic frames; return their splits as a parameter takes them."""
        return ",".join(str(make_arm(self.out, drawn_at(stage.strength), frames=self.frames)) for stage in PROGRESSIVE)

    def place(self, ratio: str, fold: str, seed: int) -> Path:
        """Folder of a training."""
        return self.out / "runs" / ratio / f"{fold.replace(', ', '+')} seed {seed}"

    def staged(self, fold: str, seed: int, place: Path) -> CurriculumParams:
        """Parameters of the training in stages, on which those of the others rest."""
        splits = Path(f"{self.draw()},{self.real(fold)}")
        params = recipe(splits, self.val(), place / "run", seed)
        lengths = {"epochs": self.epochs, "patience": self.epochs}
        stages = {"curriculum": "progressive", "curriculum_start": "last"}
        return CurriculumParams.model_validate({**dict(params), **RECIPE, **lengths, **stages})

    def fit(self, ratio: str, fold: str, seed: int, place: Path) -> Path:
        """Train in stages or at once; return the checkpoint of the last weights."""
        staged = self.staged(fold, seed, place)
        planned = plan_stages(staged)
        if ratio == "progressive":
            train_as_asked(staged, train, lambda event: None, lambda: False)
            return planned[-1].run.out / "last.pt"
        steps = sum(each.steps for each in planned)
        mixed = place / "mix.json"
        real = len(open_split(self.real(fold)))
        parts = (len(PROGRESSIVE) * self.frames, real)
        if ratio == "same-share":
            parts = (round(1000 * (1 - real_share())), round(1000 * real_share()))
        Mix.model_validate({
            "synth": self.draw(), "real": self.real(fold), "ratio": f"{parts[0]}:{parts[1]}",
            "frames": math.ceil(steps / PASSES) * staged.batch, "seed": seed, "out": mixed,
        }).run()  # fmt: skip
        train(staged.one_run(train_split=mixed, epochs=PASSES, patience=PASSES), lambda event: None)
        return place / "run" / "last.pt"


def difference(table: dict[str, list[dict[str, Any]]], one: str, other: str) -> dict[str, Any] | None:
    """Rock-IoU on POLAR of one arm minus another, paired by seed, with its 95 % interval where there are seeds."""
    pairs = zip(table[one], table[other], strict=True)
    found = estimate([mine["polar"]["iou"] - theirs["polar"]["iou"] for mine, theirs in pairs])
    return found and found.to_dict()


def say_difference(found: dict[str, Any]) -> str:
    """Say a difference and whether it is shown."""
    if found["lo"] is None:
        return f"{found['mean']:+.3f} (one seed, no interval): not shown"
    shown = found["lo"] > 0 or found["hi"] < 0
    span = f"95 % over {found['seeds']} seeds {found['lo']:+.3f} … {found['hi']:+.3f}"
    return f"{found['mean']:+.3f} ({span}): {'shown' if shown else 'not shown, the interval holds 0'}"


def main() -> None:
    """Run the study, or what is left of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=folder, required=True, help="folder of the real photographs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the study")
    parser.add_argument("--arms", type=lambda text: text.split(","), default=["pooled", "progressive"])
    parser.add_argument("--seeds", type=lambda text: [int(seed) for seed in text.split(",")], default=[0, 1, 2])
    parser.add_argument("--frames", type=int, default=FRAMES, help="rendered frames of each strength")
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="passes of all stages together")
    args = parser.parse_args()
    unknown = next((arm for arm in args.arms if arm not in ARMS), None)
    if unknown is not None:
        parser.error(f"argument --arms: {unknown}: one of {', '.join(ARMS)}")
    study = ProgressiveStudy(args.photos, args.out.absolute(), frames=args.frames, epochs=args.epochs)
    began = time.process_time()
    study.draw()
    print(f"rendered, {time.process_time() - began:.0f} s", flush=True)
    score_all(study, args.arms, args.seeds)
    result = report(study, args.arms, args.seeds)
    write_json(study.out / "progressive.json", result | {"cpu_s": time.process_time() - began})
    print_table("arm", result["arms"])
    for name, found in result["differences"].items():
        print(f"{name}: {say_difference(found)}")


def report(study: ProgressiveStudy, arms: Sequence[str], seeds: Sequence[int]) -> dict[str, Any]:
    """Gather the table, and what training in stages is above each other arm."""
    table = tabulate(study, arms, seeds)["ratios"]
    others = [arm for arm in arms if arm != "progressive" and "progressive" in arms]
    found = {f"progressive − {other}": difference(table, "progressive", other) for other in others}
    return {"arms": table, "differences": found, "seeds": list(seeds)}


if __name__ == "__main__":
    main()
