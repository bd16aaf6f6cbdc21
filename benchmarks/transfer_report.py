"""Tables and figure of the transfer study: what was measured, and which score foretells it."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
from transfer_rank import correlate
from transfer_scores import HIGHER, LOWER

from regolith.lunar.files import write_bytes, write_json
from regolith.lunar.labels import ROCK
from regolith.lunar.perception.metrics import ratio, rock_scores

OUTCOMES: dict[str, tuple[str, str, int]] = {
    "polar_iou": ("POLAR rock-IoU", "POLAR", HIGHER),
    "polar_flood": ("POLAR flood", "POLAR", LOWER),
    "apollo_iou": ("Apollo rock-IoU", "Apollo", HIGHER),
    "apollo_flood": ("Apollo flood", "Apollo", LOWER),
    "boulders_iou": ("close-ups rock-IoU", "Apollo", HIGHER),
}
"""Key of a run's figures to its title, the real set whose scores are held against it, and which way is better."""
SETS = {"main": ("generations", "broken"), "all": ("generations", "broken", "mixtures")}
"""Which arms are correlated."""
LISTED = 12
"""Scores of the short table."""


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


def chosen_on_polar(found: dict[str, Any]) -> str:
    """The score with the highest Spearman correlation with POLAR rock-IoU, which Apollo had no part in choosing."""
    rows = found["rows"]["polar_iou"]
    known = [name for name in rows if name in found["rows"]["apollo_iou"]]
    return max(known, key=lambda name: rows[name]["spearman"] if rows[name]["spearman"] is not None else -2)


# -- text --------------------------------------------------------------------------------------------------------------


def spread(values: list[float], percent: bool = False) -> str:
    """Mean ± sample standard deviation over seeds."""
    scale, digits, unit = (100, 1, " %") if percent else (1, 3, "")
    mean = float(np.mean(values)) * scale
    if len(values) < 2:
        return f"{mean:.{digits}f}{unit}"
    return f"{mean:.{digits}f} ± {float(np.std(values, ddof=1)) * scale:.{digits}f}{unit}"


COLUMNS = (
    ("POLAR rock-IoU", "polar_iou", False),
    ("precision", "polar_precision", False),
    ("recall", "polar_recall", False),
    ("POLAR flood", "polar_flood", True),
    ("Apollo rock-IoU", "apollo_iou", False),
    ("recall", "apollo_recall", False),
    ("close-ups rock-IoU", "boulders_iou", False),
    ("Apollo flood", "apollo_flood", True),
)


def arm_table(summary: dict[str, Any], names: list[str]) -> str:
    """A line for each arm: what is in it, and what the networks made of the photographs."""
    lines = [
        f"| arm | what | {' | '.join(title for title, _, _ in COLUMNS)} |",
        "|---" * (len(COLUMNS) + 2) + "|",
    ]
    for name in names:
        if name in summary["arms"]:
            arm = summary["arms"][name]
            cells = [spread([run[key] for run in arm["runs"].values()], percent) for _, key, percent in COLUMNS]
            lines.append(f"| {name} | {arm['what']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def signed(value: float | None) -> str:
    """A correlation with its sign."""
    return "–" if value is None else f"{value:+.2f}".replace("-", "−")


def say(row: dict[str, Any] | None, *, p: bool = False) -> str:
    """A Spearman correlation with its interval, and maybe its p-values."""
    if row is None or row["spearman"] is None:
        return "–"
    low, high = row["spearman_interval"] or (None, None)
    text = f"{signed(row['spearman'])} ({signed(low)} … {signed(high)})"
    return text + (f", p {row['p']:.3f}, of all {row['p_of_all']:.3f}" if p else "")


def correlation_table(found: dict[str, Any], names: list[str], *, tau: bool = False) -> str:
    """A line for each score: its correlation with every outcome."""
    rows = found["rows"]
    titles = [title for title, _, _ in OUTCOMES.values()]
    lines = [f"| score | {' | '.join(titles)} |", "|---" * (len(titles) + 1) + "|"]
    for name in names:
        cells = []
        for key in OUTCOMES:
            row = rows[key].get(name)
            if tau:
                low, high = (row and row["kendall_interval"]) or (None, None)
                cells.append("–" if row is None else f"{signed(row['kendall'])} ({signed(low)} … {signed(high)})")
            else:
                cells.append(say(row))
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def by_strength(found: dict[str, Any], key: str) -> list[str]:
    """Scores from the one that foretells an outcome best to the one that misleads most."""
    rows = found["rows"][key]
    return sorted(rows, key=lambda name: -(rows[name]["spearman"] if rows[name]["spearman"] is not None else -2))


def write_report(study: dict[str, Any], root: Path, folder: Path) -> None:
    """Write results.json, RESULTS.md and the figure of a study."""
    summary = summarize(study, root)
    write_json(folder / "results.json", summary)
    write_text(summary, folder)


def write_text(summary: dict[str, Any], folder: Path) -> None:
    """Write RESULTS.md and the figure from results.json's content."""
    from transfer_figure import draw

    main = summary["correlations"]["main"]
    groups = summary["groups"]
    seconds = [second for arm in summary["arms"].values() for second in arm["train_seconds"]]
    seeds = len(next(iter(summary["arms"].values()))["runs"])
    parts = [
        "# Scores of training sets and transfer: all tables",
        "Made by `benchmarks/study_transfer.py` of `results.json` beside this page; what it says is on "
        "[the page of the study](../quality-study.md).",
        f"{summary['machine']['cpu']}, one thread, PyTorch {summary['machine']['torch']}; a training took "
        f"{np.median(seconds):.0f} s (median of {len(seconds)}). ± is the sample standard deviation over {seeds} seeds "
        "of training, which share their frames.",
        "## What the networks made of the photographs",
        arm_table(summary, [name for names in groups.values() for name in names]),
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
    write_bytes(folder / "figure.svg", draw(summary, chosen_on_polar(main)).encode())
    write_bytes(folder / "RESULTS.md", ("\n\n".join(parts) + "\n").encode())


def score_table(summary: dict[str, Any], title: str) -> str:
    """Every score of every arm against a real set; arms across."""
    arms = list(summary["arms"])
    names = list(summary["arms"][arms[0]]["scores"][title])
    lines = [f"| {title}: score (− less is better, + more) | {' | '.join(arms)} |", "|---" * (len(arms) + 1) + "|"]
    for name in names:
        rows = [summary["arms"][arm]["scores"][title].get(name) for arm in arms]
        better = next(row[1] for row in rows if row)
        cells = ["–" if row is None else f"{row[0]:.3f}".replace("-", "−") for row in rows]
        lines.append(f"| {name} ({'+' if better == HIGHER else '−'}) | {' | '.join(cells)} |")
    return "\n".join(lines)
