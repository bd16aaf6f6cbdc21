"""`regolith select`: which pictures of a pool to label next, and a queue of them for people.

regolith select photographs --model run/best.pt --budget 40 --batch 10 --teacher default --out queue1
regolith import --images queue1/images --coco answers.json --out real --split round1
regolith train --init run/best.pt --train-split data/train_dr,real/round1 … --out run1
regolith select photographs --model run1/best.pt --budget 40 --batch 10 --done queue1 --out queue2
"""

from __future__ import annotations

import contextlib
import importlib.util
import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.columns import ColumnTable, sole_split, write_columns
from regolith.lunar.dataset.formats.source import Source, read_source
from regolith.lunar.dataset.formats.target import new_folder
from regolith.lunar.files import shown_name
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.labels import IGNORE
from regolith.lunar.machine import install_command
from regolith.lunar.params import InputError
from regolith.lunar.params.fields import words_of
from regolith.lunar.params.training import split_folders
from regolith.lunar.perception.metrics import confusion_matrix, ratio, rock_counts, rock_scores
from regolith.lunar.perception.overlay import sheet_cell
from regolith.lunar.quality.acquisition import Batch, choose_batch
from regolith.lunar.quality.ensemble import Ensemble, Looker, Teacher
from regolith.lunar.quality.oracle_queue import OracleQueue, Proposal, brush_encoder, check_coco
from regolith.lunar.quality.pool import Pool, Unit, scene_pattern
from regolith.lunar.quality.select_params import PERCENTILE, By, SelectParams
from regolith.lunar.quality.select_report import REPORT, shown_units, unit_strata, write_report
from regolith.lunar.quality.stratum_sheets import Cell
from regolith.lunar.reading import read_json


class Select(SelectParams):
    """Choose the pictures of a pool that would teach a model most, and queue them for people to label."""

    def run(self) -> dict[str, Any]:
        """Choose, write the queue, and return what select.json holds."""
        check_coco()
        if self.label_studio:
            brush_encoder()
        labelled = self._labelled()
        pool = Pool(self.pool, masks=self.masks, size=self.size, crop=self.crop, scene=scene_pattern(self.scene_of))
        with contextlib.ExitStack() as stack:
            if self.columns:
                stack.enter_context(sole_split("pool", self.pool, self.out))
            folder = stack.enter_context(new_folder(self.out))
            emit = stack.enter_context(show(self.events, "select", "pictures"))
            result = _Round(self, pool, labelled, emit).write(folder)
            if self.columns:
                _write_columns(read_source(self.pool), result)
            return result

    def _labelled(self) -> list[str]:
        """Units of earlier rounds."""
        found: list[str] = []
        for queue in split_folders(self.done) if self.done else []:
            path = queue / "select.json"
            try:
                said = read_json(path)
                if (said["crop"], said["size"]) != (self.crop, self.size):
                    raise ValueError("--crop or --size is another")
                found += [str(unit["id"]) for unit in said["chosen"]]
            except OSError as error:
                raise InputError("done", str(path), f"queues of earlier rounds ({error.strerror})") from None
            except (ValueError, KeyError, TypeError) as error:
                raise InputError("done", str(path), f"queues of earlier rounds ({error})") from None
        if len(set(found)) < len(found):
            raise InputError("done", str(self.done), "queues without a unit in common")
        return found


def open_model(
    model: Path, *, by: By, passes: int, seed: int = 0, threads: int | None = None, field: str = "model"
) -> Looker:
    """Load what gives passes: a checkpoint, several, or exported models.

    Args:
        model: One, or several with commas between them.
        by: What the passes are for.
        passes: Of a single checkpoint.
        seed: Of what dropout draws.
        threads: CPU threads; None for one per core.
        field: Parameter that named the model, for errors.

    Raises:
        InputError: One is no model, checkpoints and exported models are mixed, or disagreement is asked of one answer.
    """
    models = split_folders(model)
    checkpoints = [path for path in models if path.suffix == ".pt"]
    if checkpoints and len(checkpoints) < len(models):
        raise InputError(field, str(model), "checkpoints alone, or exported models alone")
    if by == "bald" and len(models) == 1 and not (checkpoints and passes > 1):
        what = "--passes 2 or more" if checkpoints else "a checkpoint, for an exported model has no dropout"
        raise InputError(field, str(model), f"{what}; or several models with commas between, or --by entropy")
    if not checkpoints:
        return Ensemble([str(path) for path in models], threads=threads)
    if importlib.util.find_spec("torch") is None:
        raise InputError(field, str(model), f"PyTorch for a checkpoint: {install_command('train')}")
    from training.uncertainty import Checkpoints

    return Checkpoints(models, passes=passes, seed=seed, threads=threads)


class _Round:
    """One round of the loop."""

    def __init__(self, verb: Select, pool: Pool, labelled: Sequence[str], emit: Emit) -> None:
        self._verb, self._pool, self._emit = verb, pool, emit
        self._labelled = labelled
        self._teacher = None
        self._left = verb.budget - len(labelled)
        self._looker = open_model(
            verb.model, by=verb.by, passes=verb.passes, seed=verb.seed, threads=verb.threads
        )  # fmt: skip
        if verb.teacher is not None:
            self._teacher = Teacher(
                words_of(verb.teacher), sure=verb.teacher_sure, views=verb.teacher_views, threads=verb.threads
            )
        self._units: list[Unit] = []
        self._scores: dict[str, list[float]] = {"entropy": [], "mutual_information": []}
        self._features: list[np.ndarray] = []
        self._tally = _Tally()

    def write(self, folder: Path) -> dict[str, Any]:
        """Score, choose, and write the queue."""
        self._score()
        done = self._numbers(self._labelled)
        is_open = np.ones(len(self._units), bool)
        is_open[done] = False
        entropies = np.array(self._scores["entropy"])[is_open]
        entropy = (
            {"mean": float(entropies.mean()), "p95": float(np.percentile(entropies, PERCENTILE))}
            if entropies.size else None
        )  # fmt: skip
        stop = None
        if self._left <= 0:
            stop = "budget"
        elif entropy is None:
            stop = "pool"
        elif entropy["p95"] < self._verb.stop_entropy:
            stop = "entropy"
        batch = Batch([], [], []) if stop else self._choose(done)
        if stop is None and len(batch.units) >= self._left:
            stop = "budget"
        queue = OracleQueue(folder, label_studio=self._verb.label_studio)
        strata = unit_strata(self._rows(batch), batch.units)
        cells = self._fill(queue, {self._units[number].id for number in batch.units}, shown_units(strata))
        result = self._result(batch, entropy, stop)
        write_report(folder / REPORT, result, strata, cells)
        queue.finish(result)
        return result

    def _score(self) -> None:
        for number, (picture, units) in enumerate(self._pool.read()):
            for unit in units:
                look = self._looker.look(unit.cut(picture.rgb))
                self._units.append(unit)
                self._scores["entropy"].append(float(look.posterior.entropy.mean()))
                if self._looker.passes > 1:
                    self._scores["mutual_information"].append(float(look.posterior.mutual_information.mean()))
                self._features.append(look.features)
            self._emit({"event": "progress", "done": number + 1, "total": len(self._pool)})
        if not self._units:
            raise InputError("crop", self._verb.crop, "a window that fits into a picture of the pool")

    def _numbers(self, names: Sequence[str]) -> list[int]:
        known = {unit.id: number for number, unit in enumerate(self._units)}
        for name in names:
            if name not in known:
                raise InputError("done", name, f"queues of this pool; {shown_name(self._verb.pool)} has no such unit")
        return [known[name] for name in names]

    def _choose(self, done: Sequence[int]) -> Batch:
        verb = self._verb
        count = min(self._left, verb.batch or self._left)
        scenes = [unit.scene for unit in self._units]
        if verb.by == "random":
            return choose_at_random(len(scenes), count, labelled=done, seed=verb.seed)
        scores = self._scores["mutual_information" if verb.by == "bald" else "entropy"]
        per_scene = verb.per_scene or 2 * math.ceil(count / len(set(scenes)))
        return choose_batch(
            np.array(scores), np.stack(self._features), scenes, count,
            top_share=verb.top_share, per_scene=per_scene, labelled=done,
        )  # fmt: skip

    def _fill(self, queue: OracleQueue, chosen: set[str], shown: set[int]) -> dict[int, Cell]:
        """Write the chosen units, picture by picture, and return cells of those that are shown by their places."""
        cells: dict[int, Cell] = {}
        place = 0
        for picture, units in self._pool.read():
            for number, unit in enumerate(units, place):
                if number in shown:
                    words = f"{unit.id}: {self._scores['entropy'][number]:.2f} bit"
                    cells[number] = sheet_cell(unit.cut(picture.rgb)), words
            place += len(units)
            wanted = [unit for unit in units if unit.id in chosen]
            if not wanted:
                continue
            answer = None if self._teacher is None else self._teacher.label(picture.rgb)
            for unit in wanted:
                rgb = unit.cut(picture.rgb)
                if answer is None:
                    mean = self._looker.look(rgb).posterior.mean
                    classes, confidence = mean.argmax(axis=0).astype(np.uint8), mean.max(axis=0)
                else:
                    classes, confidence = (unit.cut(part) for part in answer)
                    truth = unit.cut(picture.classes) if self._pool.has_truth else None
                    self._tally.add(unit.id, classes, truth)
                queue.add(Proposal(unit.file, np.ascontiguousarray(rgb), classes, confidence))
        return cells

    def _rows(self, batch: Batch) -> list[dict[str, Any]]:
        """The units as the result has them."""
        candidates = set(batch.candidates)
        return [
            {
                "id": unit.id, "scene": unit.scene, "window": list(unit.window),
                **{name: values[number] if values else None for name, values in self._scores.items()},
                "candidate": number in candidates,
            }
            for number, unit in enumerate(self._units)
        ]  # fmt: skip

    def _result(self, batch: Batch, entropy: dict[str, float] | None, stop: str | None) -> dict[str, Any]:
        verb = self._verb
        chosen = [
            {
                "id": self._units[number].id, "file": f"images/{self._units[number].file}",
                "scene": self._units[number].scene, "distance": distance if math.isfinite(distance) else None,
            } | self._tally.units.get(self._units[number].id, {})
            for number, distance in zip(batch.units, batch.distances, strict=True)
        ]  # fmt: skip
        return {
            "pool": self._pool.words(), "model": self._looker.words(), "by": verb.by, "seed": verb.seed,
            "crop": verb.crop, "size": verb.size, "budget": verb.budget, "labelled": len(self._labelled) + len(chosen),
            "stop": stop, "stop_entropy": verb.stop_entropy, "entropy": entropy, "chosen": chosen,
            "teacher": None if self._teacher is None else self._teacher.words() | self._tally.result(),
            "units": self._rows(batch),
        }  # fmt: skip


def _write_columns(source: Source, result: dict[str, Any]) -> None:
    """Write the uncertainty of each frame of the pool into it, and which were chosen."""
    units: dict[int, list[dict[str, Any]]] = {}
    for unit in result["units"]:
        units.setdefault(int(unit["id"].partition("@")[0]), []).append(unit)
    chosen = Counter(int(unit["id"].partition("@")[0]) for unit in result["chosen"])
    numbers = sorted(units)
    names = {
        "entropy": "mean predictive entropy [bit], of windows their mean",
        "mutual_information": "mean mutual information of prediction and weights [bit], of windows their mean",
    }
    columns: dict[str, tuple[str, list[float]]] = {
        name: (what, [float(np.mean([unit[name] for unit in units[number]])) for number in numbers])
        for name, what in names.items()
        if result["units"][0][name] is not None
    }
    columns["chosen"] = ("units of it that were chosen in this round", [chosen[number] for number in numbers])
    model = result["model"]
    about = {"model": ",".join(each["file"] for each in model["files"]), "passes": model["passes"]}
    about |= {key: result[key] for key in ("by", "crop", "size", "seed")}
    write_columns(source.folder, ColumnTable.of("select", "regolith select", about, numbers, columns), source.records)


class _Tally:
    """What a teacher labelled, and how much of it is wrong where the truth is known."""

    def __init__(self) -> None:
        self.units: dict[str, dict[str, float | None]] = {}
        self._pixels, self._sure = 0, 0
        self._counted, self._wrong = 0, 0
        self._rock = np.zeros(3, np.int64)

    def add(self, name: str, classes: np.ndarray, truth: np.ndarray | None) -> None:
        sure = classes != IGNORE
        row: dict[str, float | None] = {"teacher_share": float(sure.mean()), "teacher_error": None}
        self._pixels += sure.size
        self._sure += int(sure.sum())
        if truth is not None:
            confusion = confusion_matrix(truth[sure], classes[sure])
            counted_here, right = int(confusion.sum()), int(np.trace(confusion))
            row["teacher_error"] = ratio(counted_here - right, counted_here)
            self._counted += counted_here
            self._wrong += counted_here - right
            self._rock += rock_counts(truth[sure], classes[sure])
        self.units[name] = row

    def result(self) -> dict[str, Any]:
        """Share of the pixels labelled; of these, where the truth is known, the share that is wrong, and rock's."""
        return {
            "share": ratio(self._sure, self._pixels),
            "error": ratio(self._wrong, self._counted),
            "rock": rock_scores(*self._rock.tolist()) if self._counted else None,
        }


def choose_at_random(units: int, count: int, *, labelled: Sequence[int], seed: int) -> Batch:
    """Choose open units by chance, as what every other choice has to be better than.

    Args:
        units: How many there are.
        count: How many to choose.
        labelled: Those that are not open.
        seed: Of the draw, with the number of those labelled: rounds draw apart.
    """
    is_open = np.setdiff1d(np.arange(units), labelled)
    random = np.random.default_rng((seed, len(labelled)))
    chosen = random.permutation(is_open)[:count].tolist()
    return Batch(chosen, [math.inf] * len(chosen), is_open.tolist())
