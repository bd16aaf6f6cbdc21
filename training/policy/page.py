"""The report of a policy's training: success rates, rounds, and a held-out stage from above."""

from __future__ import annotations

from typing import Any

from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.traverse import TOLD
from regolith.lunar.report.page import ReportSection, Table, drawing, write_page
from regolith.lunar.report.plots import CARD, COLORS, DIM, INK, LINE, style_axes, to_svg

WORDS = (
    "A drive succeeds where it reached the goal and touched no rock. Every way of driving is tried on the same "
    "held-out stages, from the same starts to the same goals; intervals are Wilson's at 95 %. The planner knows the "
    "labels and the pose; the policy has pictures, the bearing and distance of the goal, wheels, steering and tilt."
)


def write_report(params: PolicyParams, result: dict[str, Any]) -> None:
    """Write report.html.

    Args:
        params: What was asked for.
        result: What results.json holds.
    """
    held_out = result["held_out"]
    rows = [
        [TOLD[how], row["success"]["share"], row["success"]["lo"], row["success"]["hi"], row["runs"], row["reached"],
         row["touching"], row["rocks"]["mean"], row["distance_m"]["mean"]]
        for how, row in held_out["ways"].items()
    ]  # fmt: skip
    head = ["driving", "success", "from", "to", "drives", "reached", "touched a rock", "rocks a drive", "way [m]"]
    rounds = [
        [number, "planner" if number == 0 else "policy", each["drives"], each["succeeded"], each["decisions"],
         each["losses"][-1]]
        for number, each in enumerate(result["rounds"])
    ]  # fmt: skip
    names = ["round", "who drove", "drives", "succeeded", "decisions so far", "loss at the end"]
    ways = held_out["ways"]
    write_page(
        params.out / "report.html",
        "A policy that drives",
        f"Preset {params.params.preset}, pictures of {params.size.width} × {params.size.height} px, "
        f"seed {params.seed}, scale {params.scale:g}.",
        [
            ReportSection("Held-out stages", [WORDS], [Table(head, rows)], [drawing(_bars(ways))] if ways else []),
            ReportSection("Rounds", [], [Table(names, rounds)], [drawing(_losses(result["rounds"]))]),
        ],
        [("success of the policy", f"{ways['policy']['success']['share']:.0%}")] if ways else [],
    )


def _bars(ways: dict[str, Any]) -> str:
    """Success rates with their intervals."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), facecolor=CARD, layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(ways.values()):
        found = row["success"]
        axes.bar(place, found["share"], color=COLORS[place], width=0.6)
        axes.plot([place, place], [found["lo"], found["hi"]], color=INK, lw=1.5)
    axes.set_xticks(range(len(ways)), [TOLD[how] for how in ways])  # type: ignore[index]
    axes.set(ylabel="success rate", ylim=(0.0, 1.02))
    style_axes(axes)
    return to_svg(figure)


def _losses(rounds: list[dict[str, Any]]) -> str:
    """Loss by epoch over all rounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3), facecolor=CARD, layout="constrained")
    axes = figure.subplots()
    begun = 0
    for number, each in enumerate(rounds):
        epochs = range(begun + 1, begun + 1 + len(each["losses"]))
        axes.plot(epochs, each["losses"], "-o", ms=3, color=COLORS[number % len(COLORS)], label=f"round {number}")
        begun = epochs[-1]
    axes.set(xlabel="epoch", ylabel="cross-entropy")
    style_axes(axes)
    axes.legend(facecolor=CARD, edgecolor=LINE, labelcolor=DIM)
    return to_svg(figure)
