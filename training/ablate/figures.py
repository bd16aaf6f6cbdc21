"""Pictures of a study: bars with intervals, flood against rock-IoU, photographs one by one, overlays side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from regolith.lunar.files import replacing, write_bytes
from regolith.lunar.perception.folders import overlay_name
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.perception.photos import read_photo
from regolith.lunar.report.plots import CARD, COLORS, INK, LINE, style_axes, to_svg
from training.ablate.collect import METRICS, Cell, Results
from training.ablate.contrasts import estimate

BARS = ("synth_iou", "flood_mean", "polar_iou", "polar_recall")
MARKERS = ("o", "s", "D", "^", "v", "P", "X")
PALETTE = (*COLORS, "#a48fc4", "#6fbfb2", "#c9b79c", "#8d949e")


def draw_figures(results: Results, cells: list[Cell], shown: list[str], folder: Path) -> dict[str, str]:
    """Draw what there is to draw.

    Args:
        results: The study's.
        cells: For each preset the training that stands for it.
        shown: Photographs to show overlays of.
        folder: Where the pictures go.

    Returns:
        Caption to file name; a figure of nothing measured is left out, earlier overlays are then removed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    drawn: dict[str, str] = {}
    for name, caption, svg in (
        ("bars.svg", "Mean over seeds with its 95 % interval; a dot is a seed", bars(results)),
        ("flood_iou.svg", "Flood against rock-IoU on labelled photographs; a point is a training", flood_iou(results)),
        ("cross.svg", "Trained on (rows), tested on (columns): rock-IoU", cross(results, cells)),
    ):
        if svg is not None:
            write_bytes(folder / name, svg.encode())
            drawn[caption] = name
    return drawn | draw_photographs(results, cells, shown, folder)


def draw_photographs(results: Results, cells: list[Cell], shown: list[str], folder: Path) -> dict[str, str]:
    """Draw the photographs: the flood of each, and some with what trainings of each cell call rock.

    Args:
        results: The study's.
        cells: Trainings to show.
        shown: Photographs to show overlays of.
        folder: Where the pictures go.

    Returns:
        Caption to file name; earlier overlays are removed where there are none.
    """
    drawn: dict[str, str] = {}
    svg = photographs(results, cells)
    if svg is not None:
        write_bytes(folder / "photographs.svg", svg.encode())
        drawn["Flood of each photograph; a dot is a seed"] = "photographs.svg"
    sheet = overlays(results, cells, shown)
    if sheet is not None:
        with replacing(folder / "overlays.jpg") as temporary:
            sheet.save(temporary, "JPEG", quality=88)
        drawn["The same photographs seen by each version: rock red, regolith faint green"] = "overlays.jpg"
    else:
        (folder / "overlays.jpg").unlink(missing_ok=True)
    return drawn


def make_figure(width: float, height: float) -> Any:
    """Return an empty figure with the report's background [inches]."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), facecolor=CARD, layout="constrained")


def _legend(axes: Any, **options: Any) -> None:
    axes.legend(facecolor=CARD, edgecolor=LINE, labelcolor=INK, fontsize=9, **options)


def bars(results: Results) -> str | None:
    """Draw the main figures by preset and run."""
    study = results.study
    cells = [(preset, run.name) for preset in study.presets for run in study.runs]
    metrics = [key for key in BARS if any(results.values(cell, key) for cell in cells)]
    if not metrics:
        return None
    figure = make_figure(11, 2.9 * len(metrics))
    width = 0.8 / len(study.runs)
    for axes, key in zip(np.ravel(figure.subplots(len(metrics), 1)), metrics, strict=True):
        for column, run in enumerate(study.runs):
            for place, preset in enumerate(study.presets):
                values = list(results.values((preset, run.name), key).values())
                found = estimate(values)
                if found is None:
                    continue
                x = place + (column - (len(study.runs) - 1) / 2) * width
                label = run.name if place == _first(results, run.name, key) else None
                axes.bar(x, found.mean, 0.92 * width, color=PALETTE[column % len(PALETTE)], alpha=0.85, label=label)
                axes.plot([x] * len(values), values, "o", color=INK, ms=3.5, alpha=0.8)
                if found.lo is not None and found.hi is not None:
                    axes.plot([x, x], [max(found.lo, 0), min(found.hi, 1)], color=INK, lw=1.2)
        axes.set(xticks=range(len(study.presets)), xticklabels=study.presets, ylabel=METRICS[key].title)
        axes.set_ylim(0, None)
        style_axes(axes)
        if METRICS[key].percent:
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
        _legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return to_svg(figure)


def _first(results: Results, run: str, key: str) -> int:
    presets = results.study.presets
    return next(i for i, preset in enumerate(presets) if results.values((preset, run), key))


def flood_iou(results: Results) -> str | None:
    """Draw flood against rock-IoU on labelled photographs, a point a training."""
    study = results.study
    figure = make_figure(8, 5)
    axes = figure.subplots()
    count = 0
    for color, preset in enumerate(study.presets):
        for marker, run in enumerate(study.runs):
            flood, iou = (results.values((preset, run.name), key) for key in ("flood_mean", "polar_iou"))
            both = sorted(flood.keys() & iou.keys())
            count += len(both)
            if both:
                axes.plot(
                    [iou[seed] for seed in both], [flood[seed] for seed in both], MARKERS[marker % len(MARKERS)],
                    color=PALETTE[color % len(PALETTE)], ms=7, alpha=0.85, label=f"{preset} {run.name}",
                )  # fmt: skip
    if not count:
        return None
    axes.set(xlabel="POLAR rock-IoU, pooled", ylabel="flood on unlabelled photographs, mean", xlim=(0, None))
    axes.set_ylim(0, None)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    style_axes(axes)
    _legend(axes, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return to_svg(figure)


def photographs(results: Results, cells: list[Cell]) -> str | None:
    """Draw the flood of each photograph, dots for seeds."""
    floods = {
        cell: [
            {name: row["flood"] for name, row in table.items()} for table in results.photographs(cell, "real").values()
        ]
        for cell in cells
    }
    floods = {cell: tables for cell, tables in floods.items() if tables}
    if not floods:
        return None
    means: dict[str, list[float]] = {}
    for tables in floods.values():
        for table in tables:
            for name, value in table.items():
                means.setdefault(name, []).append(value)
    names = sorted(means, key=lambda name: sum(means[name]) / len(means[name]))
    figure = make_figure(11, max(3.0, 0.27 * len(names) + 1.0))
    axes = figure.subplots()
    for color, (cell, tables) in enumerate(floods.items()):
        shift = 0.5 * (color - (len(floods) - 1) / 2) / len(floods)
        points = [(table[name], row + shift) for table in tables for row, name in enumerate(names) if name in table]
        axes.plot(*zip(*points, strict=True), "o", ms=4.5, alpha=0.8, color=PALETTE[color % len(PALETTE)],
                  label=" ".join(cell))  # fmt: skip
    axes.set(xlabel="flood", xlim=(0, None), ylim=(-0.7, len(names) - 0.3), yticks=range(len(names)))
    axes.set_yticklabels([Path(name).stem for name in names])
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    style_axes(axes)
    axes.tick_params(axis="y", labelsize=8)
    _legend(axes, loc="lower right")
    return to_svg(figure)


def cross(results: Results, cells: list[Cell]) -> str | None:
    """Draw the mean rock-IoU of each version's model on each version's test split."""
    presets = results.study.presets
    table = np.full((len(cells), len(presets)), np.nan)
    for i, cell in enumerate(cells):
        for j, other in enumerate(presets):
            found = estimate(cross_values(results, cell, other))
            table[i, j] = np.nan if found is None else found.mean
    if np.isnan(table).all():
        return None
    figure = make_figure(1.6 + 1.2 * len(presets), 1.2 + 0.9 * len(cells))
    axes = figure.subplots()
    top = float(np.nanmax(table)) or 1.0
    axes.imshow(table, cmap="cividis", vmin=0, vmax=top, aspect="auto")
    style_axes(axes)
    axes.grid(visible=False)
    axes.set(xticks=range(len(presets)), xticklabels=presets, yticks=range(len(cells)), xlabel="tested on")
    axes.set_yticklabels([" ".join(cell) for cell in cells])
    for (i, j), value in np.ndenumerate(table):
        text = "–" if np.isnan(value) else f"{value:.3f}"
        axes.text(j, i, text, ha="center", va="center", color="black" if value > 0.6 * top else INK)
    return to_svg(figure)


def cross_values(results: Results, cell: Cell, tested: str) -> list[float]:
    """Return the rock-IoU of a cell's trainings on another preset's test split, where measured and defined."""
    rows = [results.row(cell, seed)["synth"][tested] for seed in results.study.seeds]
    return [row["iou"] for row in rows if row is not None and row["iou"] is not None]


def overlays(results: Results, cells: list[Cell], shown: list[str]) -> Image.Image | None:
    """Lay out the shown photographs by row, as they are and as each version sees them with the first seed that did."""
    study = results.study
    if study.real is None or not shown:
        return None
    tables = {cell: results.photographs(cell, "real") for cell in cells}
    scored = {name for by_seed in tables.values() for table in by_seed.values() for name in table}
    pictures: list[tuple[np.ndarray, str]] = []
    for name in (name for name in shown if name in scored):
        photo = read_photo(study.real / name)
        pictures.append((photo, Path(name).stem))
        for preset, run in cells:
            by_seed = tables[preset, run]
            seed = next((seed for seed in study.seeds if name in by_seed.get(seed, {})), None)
            if seed is None:
                pictures.append((np.full_like(photo, 24), f"{preset} {run}: not measured"))
                continue
            spec = next(each for each in study.runs if each.name == run)
            path = study.run_folder(preset, spec, seed) / "photographs" / "overlays" / overlay_name(Path(name))
            caption = f"{preset} {run} seed {seed}: flood {by_seed[seed][name]['flood']:.1%}"
            pictures.append((np.asarray(Image.open(path).convert("RGB")), caption))
    return contact_sheet(pictures, columns=1 + len(cells), cell=340) if pictures else None
