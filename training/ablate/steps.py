"""The steps of an ablation: what each needs, what decides its result, the process that does it, what it leaves."""

from __future__ import annotations

import abc
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from regolith.lunar import __version__
from regolith.lunar.dataset.contract import digest
from regolith.lunar.dataset.subset import split_digest
from regolith.lunar.files import write_json
from regolith.lunar.params import save_params
from regolith.lunar.perception.folders import overlay_name
from regolith.lunar.perception.photos import find_photos
from regolith.lunar.reading import read_json
from training.ablate.digests import digest_if_there, pictures_digest, source_digest
from training.ablate.study import TEST, RunSpec, Study, changed_recipe

STEPS = "steps"
"""Folder of what is known of each step: its stamp, its lock, the log of one that failed."""
PHOTO_MEGAPIXELS = 0.26
"""What the network sees of a photograph whose long side is 512 px, at most [Mpx]."""


SCENE_MEGAPIXELS = 0.3
"""What building a scene costs, in megapixels drawn in the same time, on preset v3."""
INITIALIZATION = 2
"""Revision of how fresh weights are drawn; raise it where they come out otherwise."""


class Step(abc.ABC):
    """One process of the study."""

    kind: str
    """Verb, for the log, the estimate and the limits on how many run at once."""
    cheap = False
    """Whether it goes before what takes long, so that results come early."""

    def __init__(self, study: Study, name: str, needs: tuple[str, ...], work: float) -> None:
        self.study, self.name, self.needs = study, f"{self.kind} {name}", needs
        self.work = work
        """What its time is proportional to: megapixels drawn, trained on or segmented."""

    @property
    def label(self) -> str:
        """Name of its files."""
        return self.name.replace(" ", "-")

    @property
    def folder(self) -> Path:
        """Where the study's steps are written down."""
        return self.study.out / STEPS

    @property
    def result_file(self) -> Path:
        """JSON result its process writes."""
        return self.folder / f"{self.label}.result.json"

    @abc.abstractmethod
    def inputs(self) -> dict[str, Any]:
        """What decides the result beside the steps it needs."""

    @abc.abstractmethod
    def command(self, threads: int) -> list[str]:
        """Verb and arguments for `training.ablate.child`, prepared to run.

        Args:
            threads: Threads of arithmetic it may use.
        """

    @abc.abstractmethod
    def digest(self) -> str | None:
        """SHA-256 of what the step leaves on disk; None where that is not there or not whole."""

    def prepare(self, fingerprint: str) -> None:
        """Clear what cannot be gone on with; an older result never stands for a new one.

        Args:
            fingerprint: Of the step that is about to run.
        """
        self.result_file.unlink(missing_ok=True)

    def accepts(self, status: int) -> bool:
        """Whether an exit status means that the result stands."""
        return status == 0

    def tidy(self) -> None:  # noqa: B027  most steps leave nothing behind
        """Remove what a step that is done leaves and nobody needs."""

    def summary(self) -> str:
        """Say in a few words what came out."""
        return ""

    def fingerprint(self, upstream: dict[str, str]) -> str:
        """SHA-256 of everything that decides the result.

        Args:
            upstream: Digest of what each needed step left; its name does not count, so that the same frames in another
                folder are the same.
        """
        return digest({"step": self.name, "inputs": self.inputs(), "upstream": [upstream[name] for name in self.needs]})


class Generate(Step):
    """Draw a split."""

    kind = "generate"

    def __init__(self, study: Study, preset: str, split: str) -> None:
        frames = study.split_frames(split)
        scenes = -(-frames // study.params(preset).dataset.frames_per_scene)
        super().__init__(study, f"{preset} {split}", (), frames * study.megapixels + scenes * SCENE_MEGAPIXELS)
        self.preset, self.split, self.frames = preset, split, frames

    def inputs(self) -> dict[str, Any]:
        """Parameters and size; the digest of the frames says whether they are those."""
        return {
            "version": __version__,
            "parameters": self.study.params(self.preset).model_dump(mode="json"),
            "split": self.split,
            "frames": self.frames,
            "side": self.study.side,
            "seed": self.study.data_seed,
        }

    def command(self, threads: int) -> list[str]:
        """`regolith generate`, which goes on where it stopped."""
        out = self.study.split_folder(self.preset, self.split).parent
        params = self.folder / f"{self.label}.params.json"
        save_params(self.study.params(self.preset), params)
        return [
            "generate", "--params", str(params), "--split", self.split, "--frames", str(self.frames),
            "--size", str(self.study.side), "--seed", str(self.study.data_seed), "--workers", "1",
            "--extend", "--out", str(out), "--json", str(self.result_file), "--events",
        ]  # fmt: skip

    def digest(self) -> str | None:
        """Of the frames."""
        return split_digest(self.study.split_folder(self.preset, self.split))


class Link(Step):
    """Make the training set of a smaller run from the first frames of the larger one."""

    kind = "link"
    cheap = True

    def __init__(self, study: Study, preset: str, run: RunSpec, source: Generate) -> None:
        self.frames = study.scaled(run.frames)
        super().__init__(study, f"{preset} {run.name}", (source.name,), 0.0)
        self.source = study.split_folder(preset, run.split)
        self.target = study.split_folder(preset, run.split, self.frames)

    def inputs(self) -> dict[str, Any]:
        """How many of the frames."""
        return {"frames": self.frames}

    def command(self, threads: int) -> list[str]:
        """`link_subset`."""
        return ["subset", str(self.source), str(self.target), str(self.frames)]

    def digest(self) -> str | None:
        """Of the frames."""
        return split_digest(self.target)


class Train(Step):
    """Train one run with one seed."""

    kind = "train"

    def __init__(self, study: Study, preset: str, run: RunSpec, seed: int, needs: tuple[str, ...]) -> None:
        self.params = study.train_params(preset, run, seed)
        images = study.scaled(run.frames) * study.epochs + study.split_frames("val") * study.epochs / 3
        super().__init__(study, f"{preset} {run.name} seed {seed}", needs, images * study.megapixels)
        self.out = self.params.out

    def inputs(self) -> dict[str, Any]:
        """The recipe, and how fresh weights are drawn; not where its folders are and on how many threads it runs."""
        fresh = {"initialization": INITIALIZATION} if self.params.start == "random" else {}
        return {"version": __version__, "recipe": changed_recipe(self.params)} | fresh

    def prepare(self, fingerprint: str) -> None:
        """Begin anew where the run in the folder was begun with another recipe or other data, or lost its result."""
        begun = self.out / "begun.json"
        key = {"fingerprint": fingerprint, "recipe": self.params.recipe()}
        known = read_json(begun) if begun.exists() else None
        lost = (self.out / "summary.json").exists() and not (self.out / "best.pt").exists()
        if known != json.loads(json.dumps(key)) or lost:
            shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True, exist_ok=True)
        write_json(begun, key)

    def command(self, threads: int) -> list[str]:
        """The companion that `regolith train` starts, which goes on where it stopped."""
        config = self.folder / f"{self.label}.config.json"
        write_json(config, self.params.model_copy(update={"threads": threads}).model_dump(mode="json"))
        return ["train", str(config)]

    def tidy(self) -> None:
        """Remove what only an unfinished run needs: with the optimizer's state it is three times the model."""
        (self.out / "last.pt").unlink(missing_ok=True)

    def digest(self) -> str | None:
        """Of the best epoch of a run that is finished."""
        try:
            status = read_json(self.out / "summary.json")["status"]
        except (OSError, ValueError, KeyError):
            return None
        return digest_if_there(self.out / "best.pt") if status == "finished" else None

    def summary(self) -> str:
        """How good the best epoch is where it was selected."""
        summary = read_json(self.out / "summary.json")
        return f"rock-IoU {summary['best_rock_iou']:.3f} on val, epoch {summary['best_epoch']} of {summary['epochs']}"


class Export(Step):
    """Export a training's best epoch."""

    kind = "export-model"
    cheap = True

    def __init__(self, study: Study, preset: str, run: RunSpec, seed: int, train: Train) -> None:
        super().__init__(study, f"{preset} {run.name} seed {seed}", (train.name,), 1.0)
        self.checkpoint = train.out / "best.pt"
        self.model = study.run_folder(preset, run, seed) / "model.onnx"

    def inputs(self) -> dict[str, Any]:
        """Nothing beside the checkpoint: the exporter compares what it writes with PyTorch."""
        return {"version": __version__}

    def command(self, threads: int) -> list[str]:
        """`regolith export-model`."""
        return ["export-model", str(self.checkpoint), "--out", str(self.model), "--json", str(self.result_file)]

    def digest(self) -> str | None:
        """Of the model."""
        return digest_if_there(self.model) if self.model.with_suffix(".json").exists() else None


class Evaluate(Step):
    """Score a model; what it says is in its result file."""

    cheap = True

    def __init__(self, study: Study, name: str, needs: tuple[str, ...], work: float, model: Path) -> None:
        super().__init__(study, name, needs, work)
        self.model = model

    def inputs(self) -> dict[str, Any]:
        """The code that scores."""
        return {"perception": source_digest()}

    def digest(self) -> str | None:
        """Of the result."""
        return digest_if_there(self.result_file)


class Synth(Evaluate):
    """Score a model on the test split of a preset, its own or another one's."""

    kind = "synth"

    def __init__(self, study: Study, name: str, model: Export, test: Generate) -> None:
        super().__init__(
            study, f"{name} on {test.preset}", (model.name, test.name), test.frames * study.megapixels, model.model
        )
        self.split = study.split_folder(test.preset, TEST)

    def command(self, threads: int) -> list[str]:
        """`regolith evaluate synth`."""
        return [
            "evaluate", "synth", "--model", str(self.model), "--split", str(self.split), "--worst", "0",
            "--out", str(self.model.parent / f"synth_{self.split.parent.name}"), "--threads", str(threads),
            "--json", str(self.result_file),
        ]  # fmt: skip

    def summary(self) -> str:
        """Rock-IoU."""
        rock = read_json(self.result_file)["rock"]
        return f"rock-IoU {'undefined' if rock['iou'] is None else format(rock['iou'], '.3f')}"


class Real(Evaluate):
    """Score a model on photographs; a photograph that cannot be read is listed and does not stop the study."""

    kind = "real"

    def __init__(
        self, study: Study, name: str, model: Export, images: Path, masks: Path | None, shown: list[str]
    ) -> None:
        photos = find_photos(images)
        which = "photographs" if masks is None else "labelled"
        work = len(photos) * PHOTO_MEGAPIXELS
        super().__init__(study, f"{name} on {which}", (model.name,), work, model.model)
        self.images, self.masks, self.shown = images, masks, shown
        self.out = self.model.parent / which

    def inputs(self) -> dict[str, Any]:
        """The code that scores, and the photographs."""
        return super().inputs() | {
            "images": pictures_digest(self.images),
            "masks": self.masks and pictures_digest(self.masks),
            "shown": self.shown,
        }

    def command(self, threads: int) -> list[str]:
        """`regolith evaluate real`."""
        masks = [] if self.masks is None else ["--masks", str(self.masks)]
        return [
            "evaluate", "real", "--model", str(self.model), "--images", str(self.images), *masks,
            "--out", str(self.out), "--threads", str(threads), "--json", str(self.result_file),
        ]  # fmt: skip

    def accepts(self, status: int) -> bool:
        """A photograph that cannot be read is a failed check and a row less."""
        return status in (0, 1) and self.result_file.exists()

    def overlay(self, name: str) -> Path:
        """File of a photograph's overlay."""
        return self.out / "overlays" / overlay_name(Path(name))

    def tidy(self) -> None:
        """Remove overlays nobody will look at, and the sheet of them."""
        kept = {self.overlay(name) for name in self.shown}
        for path in (self.out / "overlays").iterdir():
            if path not in kept:
                path.unlink()
        (self.out / "contact_sheet.png").unlink(missing_ok=True)

    def digest(self) -> str | None:
        """Of the result, as long as the overlays to be shown are there."""
        if not self.result_file.exists():
            return None
        scored = {row["image"] for row in read_json(self.result_file)["per_image"]}
        missing = [name for name in self.shown if name in scored and not self.overlay(name).exists()]
        return None if missing else super().digest()

    def summary(self) -> str:
        """Flood, or rock-IoU where there are masks."""
        result = read_json(self.result_file)
        if self.masks is not None:
            iou = result.get("rock", {}).get("iou")
            return f"pooled rock-IoU {'undefined' if iou is None else format(iou, '.3f')}"
        flood = result["flood"]["mean"]
        return f"flood {'undefined' if flood is None else format(flood, '.1%')}"


def make_steps(study: Study, *, shown: list[str]) -> list[Step]:
    """Return the steps of a study, each after those it needs.

    Args:
        study: What is asked for.
        shown: Names of the photographs whose overlays are kept.
    """
    drawn = {
        (preset, split): Generate(study, preset, split)
        for split in ("train_dr", "train_nodr", "val", TEST)
        for preset in (study.tested if split in ("val", TEST) else study.presets)
        if study.split_frames(split)
    }
    steps: list[Step] = list(drawn.values())
    sources: dict[tuple[str, str], str] = {}
    for preset in study.presets:
        links: dict[Path, Link] = {}
        for run in study.runs:
            source = drawn[preset, run.split]
            sources[preset, run.name] = source.name
            if study.scaled(run.frames) != source.frames:
                link = Link(study, preset, run, source)
                sources[preset, run.name] = links.setdefault(link.target, link).name
        steps += links.values()
    for seed in study.seeds:
        for preset in study.presets:
            for run in study.runs:
                needs = (sources[preset, run.name], drawn[study.home(preset), "val"].name)
                steps += run_steps(study, preset, run, seed, needs, drawn, shown)
    return steps


def run_steps(
    study: Study,
    preset: str,
    run: RunSpec,
    seed: int,
    needs: tuple[str, ...],
    drawn: dict[tuple[str, str], Generate],
    shown: list[str],
) -> list[Step]:
    """Return the steps of one training: train, export, evaluate."""
    train = Train(study, preset, run, seed, needs)
    export = Export(study, preset, run, seed, train)
    name = run_name(preset, run.name, seed)
    steps: list[Step] = [train, export]
    steps += [Synth(study, name, export, drawn[other, TEST]) for other in study.tested]
    if study.real is not None:
        steps.append(Real(study, name, export, study.real, None, shown))
    if study.polar is not None:
        steps.append(Real(study, name, export, study.polar, study.masks, []))
    return steps


def run_name(preset: str, run: str, seed: int) -> str:
    """Name of one training in the names of its steps."""
    return f"{preset} {run} seed {seed}"


def child_command(step: Step, threads: int, parent: int) -> list[str]:
    """Command line of a step's process."""
    lock = step.folder / f"{step.label}.lock"
    return [sys.executable, "-m", "training.ablate.child", str(parent), str(lock), *step.command(threads)]
