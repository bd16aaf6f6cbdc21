"""Tables and figure of the transfer study: what was measured, and which score foretells it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from transfer_figure import draw
from transfer_rank import correlate
from transfer_scores import HIGHER, LOWER
from transfer_text import OUTCOMES, arm_table, by_strength, chosen_on_polar, correlation_table, say, score_table
from transfer_verdict import chosen, ingredients, verdicts

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.labels import ROCK
from regolith.lunar.perception.metrics import ratio, rock_scores

SETS = {"main": ("generations", "broken"), "all": ("generations", "broken", "mixtures")}
"""Which arms are correlated."""


def figures(run: dict[str, Any]) -> dict[str, float]:
    """Pool what a training made of the photographs: rock over pixels, flood and entropy over photographs."""
    found: dict[str, float] = {}
    for name, rows in run.items():
        counts = [row["counts"] for row in rows.values() if row["counts"]]
        rock = rock_scores(*(sum(column) for column in zip(*counts, strict=True)))
        found |= {f"{name}_{key}": rock[key] or 0.0 for key in ("iou", "precision", "recall")}
        found[f"{name}_flood"] = float(np.mean([row["flood"] for row in rows.values()]))
        found[f"{name}_flood_worst"] = max(row["flood"] for row in rows.values())
        found[f"{name}_entropy"] = float(np.mean([row["entropy"] for row in rows.values()]))
    return found


def agreement(predictions: list[dict[str, np.ndarray]], name: str) -> float:
    """Rock-IoU of each two trainings' predictions on a set's photographs, pooled, the mean over pairs; 0 without rock.

    No label enters: networks that agree have learnt something that the photographs have as well (Y. Jiang et al.,
    "Assessing generalization of SGD via disagreement", ICLR 2022).
    """
    found = []
    for first, second in itertools.combinations(predictions, 2):
        both = either = 0
        for key in first:
            if key.startswith(f"{name}/"):
                a, b = first[key] == ROCK, second[key] == ROCK
                both, either = both + int((a & b).sum()), either + int((a | b).sum())
        found.append(ratio(both, either) or 0.0)
    return float(np.mean(found))


def summarize(study: dict[str, Any], root: Path) -> dict[str, Any]:
    """Reduce a study to what its tables need: for each arm the runs' figures and its scores, and all correlations."""
    arms: dict[str, Any] = {}
    for name, arm in study["arms"].items():
        runs = {seed: figures(run) for seed, run in arm["runs"].items()}
        predicted = [dict(np.load(root / "runs" / f"{name}-{seed}" / "predicted.npz")) for seed in runs]
        scores = {title: dict(rows) for title, rows in arm["scores"].items()}
        for title, key in (("POLAR", "polar"), ("Apollo", "apollo")):
            entropy = float(np.mean([run[f"{key}_entropy"] for run in runs.values()]))
            scores[title]["trained: entropy on photographs"] = [entropy, LOWER]
            if len(predicted) > 1:
                scores[title]["trained: agreement of seeds"] = [agreement(predicted, key), HIGHER]
        arms[name] = {
            "what": arm["what"],
            "runs": {seed: {key: round(value, 5) for key, value in run.items()} for seed, run in runs.items()},
            "scores": {
                title: {key: [round(value, 5), better] for key, (value, better) in rows.items()}
                for title, rows in scores.items()
            },
            "train_seconds": arm["train_seconds"],
        }
    machine = next((arm["machine"] for arm in study["arms"].values()), None)
    summary = {key: study[key] for key in ("recipe", "groups")} | {"machine": machine, "arms": arms}
    return summary | {"correlations": {name: correlations(summary, groups) for name, groups in SETS.items()}}


def correlations(summary: dict[str, Any], groups: tuple[str, ...]) -> dict[str, Any]:
    """Correlate every score with every outcome over the arms of some groups.

    Both are turned so that more is better: +1 is a score that ranks arms as the networks do, −1 one that misleads.
    Scores an arm lacks are left out.

    Returns:
        {arms, rows}: `rows` has for each outcome and each score what `transfer_rank.Correlation` has.
    """
    arms = [name for group in groups for name in summary["groups"][group] if name in summary["arms"]]
    rows: dict[str, Any] = {}
    if len(arms) > 3:
        for key, (_, title, better) in OUTCOMES.items():
            outcomes = np.array([[run[key] for run in summary["arms"][arm]["runs"].values()] for arm in arms])
            tables = [summary["arms"][arm]["scores"][title] for arm in arms]
            names = [name for name in tables[0] if all(np.isfinite(table.get(name, [np.nan])[0]) for table in tables)]
            values = np.array([[table[name][0] * table[name][1] for table in tables] for name in names])
            found = correlate(values, outcomes * better)
            rows[key] = {name: row.to_dict() for name, row in zip(names, found, strict=True)}
    return {"arms": arms, "rows": rows}


def write_report(study: dict[str, Any], root: Path, folder: Path) -> None:
    """Write results.json, RESULTS.md and the figure of a study."""
    summary = summarize(study, root)
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "results.json", summary)
    write_text(summary, folder)


def write_text(summary: dict[str, Any], folder: Path) -> None:
    """Write RESULTS.md and the figure from results.json's content."""
    main = summary["correlations"]["main"]
    groups = summary["groups"]
    seconds = [second for arm in summary["arms"].values() for second in arm["train_seconds"]]
    seeds = len(next(iter(summary["arms"].values()))["runs"])
    parts = [
        "# Scores of training sets and transfer: all tables",
        "Made by `benchmarks/study_transfer.py` of `results.json` beside this page; what it says is on "
        "[the page of the study](../quality-study.md).",
        f"{summary['machine']['cpu']}, one thread, PyTorch {summary['machine']['torch']}; a training took "
        f"{np.median(seconds):.0f} s (median of {len(seconds)}). "
        + (
            f"± is the sample standard deviation over {seeds} seeds of training, which share their frames."
            if seeds > 1
            else "One seed of training: no spread is known, and intervals are over arms alone."
        ),
        *(["## What it says", verdicts(main), chosen(main)] if main["rows"] else []),
        "## What the networks made of the photographs",
        arm_table(summary, [name for names in groups.values() for name in names]),
    ]
    if sum(name in summary["arms"] for name in groups["mixtures"]) > 1:
        parts += [
            "## Ingredients",
            "Equal frames and steps; in brackets the difference with its interval of 95 % over seeds, paired "
            "(Student's t). *Kept* and *dropped* follow from intervals that leave out zero.",
            ingredients(summary),
        ]
    for title, (name, found) in zip(
        ("Four generations and six broken sets", "With the mixtures"), summary["correlations"].items(), strict=True
    ):
        if not found["rows"]:
            continue
        ordered = by_strength(found, "polar_iou")
        parts += [
            f"## {title}: {len(found['arms'])} arms",
            f"Spearman's correlation with its interval of 95 % (bootstrap of arms and, in each, of seeds), of "
            f"{len(ordered)} scores; both turned so that more is better: +1 ranks as the networks do, −1 misleads. "
            "In the order of the correlation with POLAR rock-IoU.",
            correlation_table(found, ordered),
        ]
        if name == "main":
            parts += ["Kendall's tau-b of the same:", correlation_table(found, ordered, tau=True)]
            lines = ["| outcome | best score | Spearman | p | p against the best of all |", "|---|---|---|---|---|"]
            for key, (outcome, _, _) in OUTCOMES.items():
                best = by_strength(found, key)[0]
                row = found["rows"][key][best]
                lines.append(f"| {outcome} | {best} | {say(row)} | {row['p']:.4f} | {row['p_of_all']:.3f} |")
            parts += [f"The best of all scores for each outcome, found by looking at {len(ordered)}:", "\n".join(lines)]
    parts += ["## Every score", *(score_table(summary, title) for title in ("POLAR", "Apollo"))]
    if main["rows"]:
        parts.insert(3, "![Scores against rock-IoU; a point is an arm, its line the range of seeds](figure.svg)")
        write_bytes(folder / "figure.svg", draw(summary, chosen_on_polar(main)).encode())
    write_bytes(folder / "RESULTS.md", ("\n\n".join(parts) + "\n").encode())
