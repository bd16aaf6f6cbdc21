"""`regolith randomize`: what a split draws, against what was asked for, without rendering."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.files import writes_through
from regolith.lunar.params import (
    CheckError,
    DynamicsParams,
    Group,
    InputError,
    Params,
    PresetVerb,
    field_extra,
    intervals,
    quantity,
    sole_file,
)
from regolith.lunar.randomize.draw import (
    SCENE_VALUES,
    Split,
    draw_dynamics,
    draw_scene,
    draw_values,
    frame_intervals,
    narrowed,
    scene_intervals,
    scene_number,
    traverse_intervals,
)
from regolith.lunar.randomize.draws import Draws
from regolith.lunar.randomize.sampling import centred_discrepancy, expected_discrepancy, pair_discrepancy

MEASURED = 2048
"""Most frames the discrepancy is measured on, the first ones; its cost goes with their square."""

BUILT = 2
"""Scenes built for a figure, for what is drawn rock by rock and crater by crater: about a second each on preset v3."""


def draw_split(params: Params, seed: int, split: str, frames: int, *, built: int = 0) -> list[Draws]:
    """Draw the values of the first frames of a split, of the scenes that serve them, and of as many traverses.

    Args:
        params: Parameters.
        seed: Seed of the dataset.
        split: One of `SPLITS`.
        frames: Frames to draw.
        built: Most scenes to build, the first ones, for what is drawn per item.

    Returns:
        One entry for every `Interval` that is drawn from, in the order of the groups and their fields.

    Raises:
        InputError: There is no such split, or the test domain overlaps the training domain.
    """
    rows = [draw_values(params, seed, split, index) for index in range(frames)]
    scenes = draw_scenes(params, seed, split, range(scene_number(params, frames - 1) + 1))
    items = [_build_items(params, seed, split, number) for number in range(min(built, len(scenes)))]
    driven = frames if params.dynamics != DynamicsParams() else 0
    traverses = [draw_dynamics(params, seed, split, number) for number in range(driven)]
    return tabulate(params, split, rows, scenes, items, traverses)


def draw_scenes(params: Params, seed: int, split: str, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Draw scenes of a split, without building them, as `SceneSpec.to_dict` gives them."""
    return [draw_scene(params, seed, split, number).to_dict() for number in numbers]


def _build_items(params: Params, seed: int, split: str, number: int) -> dict[str, np.ndarray]:
    """Build a scene as the generator does and return what its rocks and craters were drawn with, by field."""
    from regolith.lunar.stage.author import build_scene

    narrow, spec = narrowed(params, split), draw_scene(params, seed, split, number)
    scene = build_scene(narrow, spec)
    craters = scene.terrain.craters
    columns = {field.name: getattr(scene.rocks, field.name) for field in dataclasses.fields(scene.rocks)}
    columns |= {name: craters[name] for name in craters.dtype.names or ()}
    return {name: columns[name] for name in intervals(narrow, "item") if name in columns}


def tabulate(
    params: Params,
    split: str,
    rows: Sequence[Mapping[str, Any]],
    scenes: Sequence[Mapping[str, Any]],
    items: Sequence[Mapping[str, np.ndarray]] = (),
    traverses: Sequence[Mapping[str, Any]] = (),
) -> list[Draws]:
    """Lay the values of frames and scenes beside the ranges a split draws them from.

    Args:
        params: Parameters.
        split: One of `SPLITS`.
        rows: Values of each frame by name; one that is missing becomes NaN.
        scenes: Values of each scene by name.
        items: Values of each built scene's rocks or craters by name; one that is missing has none.
        traverses: Values of each traverse by name; without any, what is drawn per traverse is left out.

    Returns:
        One entry for every `Interval` that is drawn from, in the order of the groups and their fields.

    Raises:
        InputError: There is no such split, or the test domain overlaps the training domain.
    """
    narrow = narrowed(params, split)
    asked = frame_intervals(params, split) | scene_intervals(params, split) | traverse_intervals(params, split)
    drawn = {"frame": rows, "scene": scenes, "traverse": traverses}
    scene_names = {place: name for name, place in SCENE_VALUES.items()}
    found: list[Draws] = []
    for group_name in Params.model_fields:
        group = getattr(narrow, group_name)
        if not isinstance(group, Group) or group_name == ("domain" if split == "test_photoreal" else "test_domain"):
            continue
        for field_name, field in type(group).model_fields.items():
            extra = field_extra(field)
            if not extra["per"] or (extra["per"] == "traverse" and not traverses):
                continue
            name = scene_names.get((group_name, field_name), field_name)
            if extra["per"] == "item":
                values = np.concatenate([np.zeros(0), *(built[name] for built in items if name in built)])
            else:
                values = np.array([row.get(name) for row in drawn[extra["per"]]], np.float64)
            found.append(
                Draws(
                    name=name,
                    group=group_name,
                    randomizer=extra["randomizer"],
                    per=extra["per"],
                    unit=extra["unit"],
                    asked=asked[name] if name in asked else getattr(group, field_name),
                    values=values,
                )
            )
    return found


def measure_discrepancy(draws: list[Draws]) -> dict[str, Any] | None:
    """Say how evenly the frames cover the ranges that vary; None where none does.

    Returns:
        {frames, dimensions, drawn, independent, pairs}: the squared centred discrepancy of the first `MEASURED` frames
        over all ranges that vary, its mean over independent draws, and both again over the pairs of ranges (None
        where there is one range only).
    """
    axes = [draw.fractions for draw in draws if draw.per == "frame" and draw.varies]
    if not axes:
        return None
    points = np.clip(np.stack(axes, axis=1)[:MEASURED], 0.0, 1.0)
    count, dimensions = points.shape
    pairs = None
    if dimensions > 1:
        pairs = {"drawn": pair_discrepancy(points), "independent": expected_discrepancy(count, 2)}
    return {
        "frames": count,
        "dimensions": dimensions,
        "drawn": centred_discrepancy(points),
        "independent": expected_discrepancy(count, dimensions),
        "pairs": pairs,
    }


class Randomize(PresetVerb):
    """Show what a split draws against what was asked for, without rendering; only a figure builds scenes, two."""

    split: Split = quantity("train_dr", "Split whose values are drawn.")
    frames: int = quantity(300, "Frames to draw, from the first on.", ge=1, le=100_000)
    seed: int = quantity(0, "Seed of the dataset.", ge=0)
    plot: Path | None = quantity(None, "Also write a figure, drawn against asked of every parameter: a .png file.")
    values: bool = quantity(False, "Put every drawn value into the JSON file.")

    def run(self) -> dict[str, Any]:
        """Draw, compare and plot; raises `CheckError` where a value lies outside what was asked for."""
        if self.plot is not None:
            if self.plot.suffix != ".png" and not writes_through(self.plot):
                raise InputError("plot", str(self.plot), "a .png file")
            with sole_file("plot", self.plot):
                return self._drawn()
        return self._drawn()

    def _drawn(self) -> dict[str, Any]:
        params = self.params
        built = BUILT if self.plot is not None else 0
        draws = draw_split(params, self.seed, self.split, self.frames, built=built)
        result: dict[str, Any] = {
            "preset": params.preset,
            "split": self.split,
            "frames": self.frames,
            "seed": self.seed,
            "sampling": params.randomize.sampling,
            "strength": params.randomize.strength,
            "scenes_built": min(built, scene_number(params, self.frames - 1) + 1),
            "parameters": {draw.name: draw.to_dict(values=self.values) for draw in draws},
            "discrepancy": measure_discrepancy(draws),
        }
        if self.plot is not None:
            from regolith.lunar.randomize.plot import plot_draws

            plot_draws(draws, result, self.plot)
            result["plot"] = str(self.plot)
        stray = {draw.name: draw for draw in draws if len(draw.stray)}
        if stray:
            words = (
                f"{name} {draw.stray[0]:g} outside {draw.asked} ({len(draw.stray)} of {len(draw.values)})"
                for name, draw in stray.items()
            )
            raise CheckError(f"{self.split}: {'; '.join(words)}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Tabulate asked and drawn, and say how evenly the frames lie."""
        from rich.console import Console

        console = Console()
        with console.capture() as capture:
            console.print(_table(result))
        lines = [line.rstrip() for line in capture.get().splitlines()]
        later = [name for name, parameter in result["parameters"].items() if parameter["per"] == "item"]
        count = result["scenes_built"]
        of = f", here those of {count} scene{'s' * (count > 1)}" if count else " while a scene is built"
        lines += [", ".join(later), f"  drawn for each rock, its shape and each crater{of}"]
        lines += _evenness(result["discrepancy"])
        return "\n".join(lines + ([result["plot"]] if "plot" in result else []))


def _table(result: dict[str, Any]) -> Any:
    from rich import box
    from rich.table import Table

    frames = f"{result['frames']} frame{'s' * (result['frames'] > 1)}"
    title = f"{result['preset']} · {result['split']} · {frames} · seed {result['seed']}"
    title += f" · {result['sampling']}, strength {result['strength']:g}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0))
    table.show_edge = False
    table.add_column("parameter", no_wrap=True)
    table.add_column("unit", no_wrap=True)
    for name in ("asked", *_STATS, "count"):
        table.add_column(name, justify="right", no_wrap=True)
    group = ""
    for name, parameter in result["parameters"].items():
        (lo, hi), drawn = parameter["asked"], parameter["drawn"]
        if parameter["group"] != group:
            group = parameter["group"]
            table.add_row(f"[bold]{group}[/]")
        cells = [f"  {name}", parameter["unit"], f"{lo:.4g} … {hi:.4g}" if lo < hi else f"{lo:.4g}"]
        if drawn is not None:
            bad = {key: not lo <= drawn[key] <= hi for key in ("min", "max")} | {"mean": False}
            cells += [f"[bold red]{drawn[key]:.4g}[/]" if bad[key] else f"{drawn[key]:.4g}" for key in _STATS]
            cells.append(str(parameter["count"]))
        table.add_row(*cells, style="" if lo < hi else "dim")
    return table


_STATS = ("min", "mean", "max")


def _evenness(measured: dict[str, Any] | None) -> list[str]:
    if measured is None:
        return ["no parameter of a frame varies"]
    count = measured["dimensions"]
    cases = [(f"over {count} range{'s' * (count > 1)}", measured)]
    if measured["pairs"] is not None:
        cases.append(("over pairs of ranges", measured["pairs"]))
    return [
        f"centred discrepancy² {where}: {case['drawn']:.3g}, independent draws {case['independent']:.3g}"
        for where, case in cases
    ]
