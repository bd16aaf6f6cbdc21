"""`regolith report`: one self-contained page on what a training or an evaluation came to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from regolith.lunar.labels import NAMES
from regolith.lunar.params import InputError, Verb, quantity, sole_file
from regolith.lunar.params.outputs import refusing
from regolith.lunar.reading import read_json, read_json_lines
from regolith.lunar.report.page import ReportSection, Table, drawing, write_page
from regolith.lunar.report.plots import training_curves
from regolith.lunar.report.run import real_section, synth_section

PAGE = "report.html"
METRICS, SUMMARY, RESULTS = "metrics.jsonl", "summary.json", "results.json"
SOURCES = (METRICS, SUMMARY, RESULTS)
"""Files of a training or an evaluation that the page is made from."""
LAST = 30
"""Epochs in the table, the last ones."""

Facts = list[tuple[str, Any]]


class Report(Verb):
    """Write a page that shows what a training or an evaluation came to, also while the training goes on."""

    folder: Path = quantity(..., "Folder that `regolith train` or `regolith evaluate` wrote.", positional=True)
    out: Path | None = quantity(None, f"HTML file to write; left out, {PAGE} in the folder.")

    def run(self) -> dict[str, Any]:
        """Write the page and say where it is."""
        if not self.folder.is_dir():
            raise _nothing_in(self.folder)
        with sole_file("out", self.out or self.folder / PAGE) as path:
            return write_report(self.folder, path)

    def summary(self, result: dict[str, Any]) -> str:
        """Say where the page is."""
        return f"{result['report']}: {', '.join(result['of'])}"


def write_report(folder: Path, path: Path) -> dict[str, Any]:
    """Write the page on a training run, an evaluation, or both.

    Args:
        folder: Folder they wrote.
        path: HTML file to write.

    Returns:
        {report, of}: the page, and which of `training`, `split`, `photographs` it is about.

    Raises:
        InputError: The folder holds neither, a file of theirs cannot be read, or the page cannot be written.
    """
    parts: list[tuple[str, Facts, list[ReportSection]]] = []
    if (folder / METRICS).is_file():
        parts.append(("training", *_training(folder)))
    if (folder / RESULTS).is_file():
        parts.append(_evaluation(folder))
    if not parts:
        raise _nothing_in(folder)
    kinds = [kind for kind, _, _ in parts]
    facts = [fact for _, found, _ in parts for fact in found]
    sections = [section for _, _, found in parts for section in found]
    title = f"{' and '.join(TITLES[kind] for kind in kinds)}: {folder.resolve().name}"
    with refusing("out", path, "file"):
        write_page(path, title, f"From the files in {folder.resolve()}.", sections, facts)
    return {"report": str(path), "of": kinds}


def _nothing_in(folder: Path) -> InputError:
    return InputError("folder", str(folder), f"a folder with {METRICS} or {RESULTS}, of a training or an evaluation")


TITLES = {"training": "Training", "split": "Scores on a split", "photographs": "Scores on photographs"}
"""What a page is about to its words in the title."""


# -- training ---------------------------------------------------------------------------------------------------------


def _training(folder: Path) -> tuple[Facts, list[ReportSection]]:
    epochs = _read(folder / METRICS, read_json_lines)
    if not epochs:
        raise InputError("folder", str(folder), f"a training with an epoch in {METRICS}")
    try:
        summary = _read(folder / SUMMARY) if (folder / SUMMARY).is_file() else None
        last = [epoch for epoch in epochs if epoch.get("stage") == epochs[-1].get("stage")]
        best = max(last, key=lambda epoch: -1.0 if epoch["selection_iou"] is None else epoch["selection_iou"])
        facts = _training_facts(epochs, best, summary)
        sections = [_curves(epochs, best, summary), *_stages(summary), _best(best), _epochs(epochs)]
        return facts, [*sections, *_recipe(summary)]
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, OSError) as error:
        raise InputError("folder", str(folder), f"a training of this version ({error!r})") from None


def _training_facts(epochs: Sequence[dict[str, Any]], best: dict[str, Any], summary: dict[str, Any] | None) -> Facts:
    iou = best["selection_iou"]
    facts: Facts = [
        ("epochs", str(len(epochs))),
        ("best rock-IoU", "–" if iou is None else f"{iou:.3f}"),
        ("at epoch", str(best["epoch"])),
        ("training", f"{sum(epoch['seconds'] for epoch in epochs) / 60:.1f} min"),
    ]
    return [*facts, ("frames", f"{summary['splits']['train_split']['frames']:,}")] if summary else facts


def _curves(epochs: Sequence[dict[str, Any]], best: dict[str, Any], summary: dict[str, Any] | None) -> ReportSection:
    state = "The training goes on, or was ended: so far" if summary is None else summary["status"].capitalize()
    text = f"{state}; epoch {best['epoch']} of {len(epochs)} is kept"
    text += f": {summary['selection_note']}." if summary else "."
    return ReportSection(
        "Course",
        (text,),
        pictures=(drawing(training_curves(epochs, best["epoch"]), "Loss and IoU by epoch", wide=True),),
    )


def _stages(summary: dict[str, Any] | None) -> list[ReportSection]:
    """The stages of a curriculum, each with its own best epoch; a run without stages has no such section."""
    if summary is None or "stages" not in summary:
        return []
    rows = [
        [stage["name"], stage["strength"], f"{stage['synth']:.0%}", stage["frames"],
         f"{stage['epochs']} of {stage['epochs_at_most']}", f"{stage['lr']:.2e}", stage["best_rock_iou"]]
        for stage in summary["stages"]
    ]  # fmt: skip
    head = ["stage", "DR strength", "synthetic", "frames a pass", "epochs", "peak learning rate", "best rock-IoU"]
    text = "Each stage goes on from the weights of the one before, and has a page of its own in its folder."
    return [ReportSection("Stages", (text,), (Table(head, rows),))]


def _best(best: dict[str, Any]) -> ReportSection:
    rows = [["IoU", *(best["iou"][name] for name in NAMES), best["miou"]]]
    caption = f"Epoch {best['epoch']} on the validation split; accuracy {best['accuracy']:.3f}"
    return ReportSection("The kept epoch", (), (Table(["", *NAMES, "mean"], rows, caption),))


def _epochs(epochs: Sequence[dict[str, Any]]) -> ReportSection:
    rows = [
        [str(row["epoch"]), row["train_loss"], row["val_loss"], row["iou"]["rock"], row["miou"], f"{row['lr']:.2e}",
         f"{row['seconds']:.0f}"]
        for row in epochs[-LAST:]
    ]  # fmt: skip
    head = ["epoch", "train loss", "val loss", "rock-IoU", "mIoU", "learning rate", "seconds"]
    text = (f"The last {LAST} of {len(epochs)} epochs.",) if len(epochs) > LAST else ()
    return ReportSection("Epochs", text, (Table(head, rows),))


def _recipe(summary: dict[str, Any] | None) -> list[ReportSection]:
    if summary is None:
        return []
    splits = [[name, split["path"], split["frames"]] for name, split in summary["splits"].items()]
    recipe = [[name.replace("_", " "), _plain(value)] for name, value in summary["config"].items()]
    machine = [[name, _plain(value)] for name, value in summary["machine"].items()]
    tables = (
        Table(["", "folder", "frames"], splits, "Splits"),
        Table(["", ""], recipe, "Recipe"),
        Table(["", ""], machine, "Machine"),
    )
    return [ReportSection("Made from", (), tables)]


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


# -- evaluation -------------------------------------------------------------------------------------------------------


def _evaluation(folder: Path) -> tuple[str, Facts, list[ReportSection]]:
    result = _read(folder / RESULTS)
    try:
        for row in result.get("strata", ()):  # results of before have none
            sheet = None if row["sheet"] is None else _beside(folder, row["sheet"])
            row["sheet"] = str(sheet) if sheet is not None and sheet.is_file() else None
        if "per_image" in result:
            for row in result["per_image"]:
                row["overlay"] = str(_beside(folder / "overlays", row["overlay"]))
            shown = [row for row in result["per_image"] if Path(row["overlay"]).is_file()]
            return "photographs", _real_facts(result), [real_section(result, shown), _model(result)]
        pictures = [_beside(folder, path) for path in result["pictures"]]
        result["pictures"] = [str(path) for path in pictures if path.is_file()]
        where = f"{result['frames']} frames of {result['split']}"
        return "split", _synth_facts(result), [synth_section(result, "Scores", where), _model(result)]
    except InputError:
        raise
    except (LookupError, TypeError, AttributeError, ValueError, ArithmeticError, OSError) as error:
        raise InputError("folder", str(folder), f"an evaluation of this version ({error!r})") from None


def _beside(folder: Path, path: str) -> Path:
    """A picture where the folder has it now, for a folder may have been moved."""
    return folder / Path(path).name


def _synth_facts(result: dict[str, Any]) -> Facts:
    rock = result["rock"]
    figures = {
        "rock-IoU": rock["iou"],
        "precision": rock["precision"],
        "recall": rock["recall"],
        "mIoU": result["miou"],
    }
    facts: Facts = [(name, "–" if value is None else f"{value:.3f}") for name, value in figures.items()]
    return [*facts, ("frames", f"{result['frames']:,}")]


def _real_facts(result: dict[str, Any]) -> Facts:
    flood = result["flood"]
    facts: Facts = [(f"{name} flood", "–" if flood[name] is None else f"{flood[name]:.1%}") for name in flood]
    iou = result.get("rock", {}).get("iou")
    return [*facts, ("rock-IoU", "–" if iou is None else f"{iou:.3f}"), ("photographs", f"{result['photographs']:,}")]


def _model(result: dict[str, Any]) -> ReportSection:
    rows = [[name, str(value)] for name, value in result["model"].items()]
    return ReportSection("Model", (), (Table(["", ""], rows),))


def _read(path: Path, read: Callable[[Path], Any] = read_json) -> Any:
    try:
        return read(path)
    except OSError as error:
        raise InputError("folder", str(path), f"a readable file ({error.strerror})") from None
    except ValueError as error:
        raise InputError("folder", str(path), f"well-formed JSON ({error})") from None
