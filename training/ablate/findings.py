"""The published findings, and what the study says of each: by rule, from differences and their intervals."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping
from typing import Any, Literal

from training.ablate.collect import METRICS, TITLES, Cell, Results
from training.ablate.contrasts import Difference, compare, minus

PUBLISHED: dict[Cell, dict[str, float]] = {
    ("v1", "dr_1500"): {"synth_iou": 0.815, "flood_mean": 0.440},
    ("v2", "dr_1500"): {"synth_iou": 0.852, "flood_mean": 0.726},
    ("v3", "nodr_750"): {"synth_iou": 0.8593, "flood_mean": 0.397},
    ("v3", "dr_750"): {"synth_iou": 0.8675, "flood_mean": 0.363},
    ("v3", "dr_1500"): {"synth_iou": 0.8870, "flood_mean": 0.357, "flood_worst": 0.712},
}
"""What the published series reports: one seed, RTX renders, the epoch selected on the test split, letterbox bars
counted as pixels of the photographs, no labelled photograph."""

Verdict = Literal["held", "one seed", "not resolved", "did not hold", "not measured"]
VERDICTS: dict[Verdict, str] = {
    "held": "Held",
    "one seed": "Points the same way in one seed, which has no spread",
    "not resolved": "Not resolved",
    "did not hold": "Did not hold",
    "not measured": "Not measured",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """A difference a finding asserts, and its sign."""

    words: str
    """What is compared: `from … to …`, or a noun."""
    metric: str
    weights: Mapping[Cell, float]
    sign: Literal[-1, 1]


@dataclasses.dataclass(frozen=True)
class Finding:
    """A published finding as differences, all of which must hold."""

    title: str
    parts: tuple[Part, ...]


def _cells(*presets: str, run: str = "dr_1500") -> list[Cell]:
    return [(preset, run) for preset in presets]


_V1, _V2, _V3 = _cells("v1", "v2", "v3")
_PLAIN, _HALF, _FULL = ("v3", "nodr_750"), ("v3", "dr_750"), ("v3", "dr_1500")
_MORE_BY_SIZE = {_FULL: 1.0, _HALF: -2.0, _PLAIN: 1.0}
"""(dr_1500 − dr_750) − (dr_750 − nodr_750)."""

FINDINGS = (
    Finding(
        "Every generation scores better on its own synthetic test",
        (
            Part("from v1 to v2", "synth_iou", minus(_V2, _V1), 1),
            Part("from v2 to v3", "synth_iou", minus(_V3, _V2), 1),
        ),
    ),
    Finding(
        "Realism of the rocks alone makes transfer worse", (Part("from v1 to v2", "flood_mean", minus(_V2, _V1), 1),)
    ),
    Finding(
        "Realism of the ground makes transfer better",
        (
            Part("from v2 to v3", "flood_mean", minus(_V3, _V2), -1),
            Part("from v1 to v3", "flood_mean", minus(_V3, _V1), -1),
        ),
    ),
    Finding(
        "A better synthetic score does not foretell better transfer",
        (
            Part("from v1 to v2", "synth_iou", minus(_V2, _V1), 1),
            Part("from v1 to v2", "flood_mean", minus(_V2, _V1), 1),
        ),
    ),
    Finding(
        "Domain randomization helps at equal size",
        (
            Part("from v3 without randomization to v3 with it, 750 frames each", "synth_iou", minus(_HALF, _PLAIN), 1),
            Part(
                "from v3 without randomization to v3 with it, 750 frames each", "flood_mean", minus(_HALF, _PLAIN), -1
            ),
        ),
    ),
    Finding(
        "Twice the frames help at equal randomization",
        (
            Part("from 750 to 1500 frames of v3", "synth_iou", minus(_FULL, _HALF), 1),
            Part("from 750 to 1500 frames of v3", "flood_mean", minus(_FULL, _HALF), -1),
        ),
    ),
    Finding(
        "More frames mostly raise the synthetic score, randomization mostly lowers the flood",
        (
            Part("what size adds in v3 over what randomization adds", "synth_iou", _MORE_BY_SIZE, 1),
            Part("what size adds in v3 over what randomization adds", "flood_mean", _MORE_BY_SIZE, 1),
        ),
    ),
)


def judge(difference: Difference | None, sign: int) -> Verdict:
    """Return what a difference says of an asserted sign.

    It holds where every interval there is lies on that side of zero, and does not where every one lies on the other;
    one seed has no interval over seeds and never decides.
    """
    if difference is None:
        return "not measured"
    value, intervals = sign * difference.estimate.mean, difference.intervals
    if difference.estimate.seeds < 2:
        return "one seed" if value > 0 else "not resolved"
    if all(min(sign * lo, sign * hi) > 0 for lo, hi in intervals):
        return "held"
    return "did not hold" if all(max(sign * lo, sign * hi) < 0 for lo, hi in intervals) else "not resolved"


def weigh(verdicts: list[Verdict]) -> Verdict:
    """Return the verdict of a finding from those of its parts: as good as the worst of them."""
    order: tuple[Verdict, ...] = ("not measured", "did not hold", "not resolved", "one seed", "held")
    return min(verdicts, key=order.index)


def say_value(metric: str, value: float, *, signed: bool = False) -> str:
    """Write a figure, percent for shares; a signed one as a difference, in points of percent."""
    sign = "+" if signed else ""
    if TITLES[metric].percent:
        return f"{100 * value:{sign}.1f} {'points' if signed else '%'}".replace("-", "−")
    return f"{value:{sign}.3f}".replace("-", "−")


def say_difference(difference: Difference) -> str:
    """Write a difference with the intervals it has."""
    metric, found = difference.metric, difference.estimate

    def span(lo: float, hi: float) -> str:
        return f"{say_value(metric, lo, signed=True).removesuffix(' points')} … {say_value(metric, hi, signed=True)}"

    words = []
    if found.lo is not None and found.hi is not None:
        words.append(f"95 % over {found.seeds} seeds {span(found.lo, found.hi)}")
    elif found.seeds == 1:
        words.append("one seed, no interval")
    if difference.scenes is not None:
        words.append(f"over scenes {span(*difference.scenes)}")
    return f"{say_value(metric, found.mean, signed=True)} ({'; '.join(words)})"


def findings(results: Results) -> list[dict[str, Any]]:
    """Judge every published finding.

    Returns:
        {title, verdict, text, parts} each; `text` is a paragraph.
    """
    found = []
    for finding in FINDINGS:
        parts = [(part, compare(results, part.metric, part.weights)) for part in finding.parts]
        verdicts: list[Verdict] = [judge(difference, part.sign) for part, difference in parts]
        verdict = weigh(verdicts)
        sentences = [_sentence(part, difference, results) for part, difference in parts]
        sentences += [_reason(verdict, verdicts, parts), *_recall(results, parts)]
        found.append(
            {
                "title": finding.title,
                "verdict": verdict,
                "text": " ".join(sentence for sentence in sentences if sentence),
                "parts": [
                    {"words": part.words, "sign": part.sign, "published": published(part), "verdict": each,
                     "difference": difference and difference.to_dict()}
                    for (part, difference), each in zip(parts, verdicts, strict=True)
                ],
            }
        )  # fmt: skip
    return found


def published(part: Part) -> float:
    """Return the published difference."""
    return sum(weight * PUBLISHED[cell][part.metric] for cell, weight in part.weights.items())


def _sentence(part: Part, difference: Difference | None, results: Results) -> str:
    was = say_value(part.metric, published(part), signed=True)
    here = "not measured" if difference is None else _ends(part, results) + say_difference(difference)
    title = METRICS[part.metric].title.replace(", ", " ")
    return f"{part.words[0].upper()}{part.words[1:]}, {title}: published {was}, here {here}."


def _ends(part: Part, results: Results) -> str:
    """Say from where to where a simple difference goes."""
    if sorted(part.weights.values()) != [-1.0, 1.0]:
        return ""
    start, end = sorted(part.weights, key=lambda cell: part.weights[cell])
    before, after = results.values(start, part.metric), results.values(end, part.metric)
    seeds = before.keys() & after.keys()  # those the difference is over
    means = (statistics.fmean(values[seed] for seed in seeds) for values in (before, after))
    return f"{' → '.join(say_value(part.metric, mean) for mean in means)}, "


def _reason(verdict: Verdict, verdicts: list[Verdict], parts: list[tuple[Part, Difference | None]]) -> str:
    """Say why a finding is not decided."""
    if verdict != "not resolved":
        return ""
    same = [
        difference is not None and part.sign * difference.estimate.mean > 0
        for (part, difference), each in zip(parts, verdicts, strict=True)
        if each == "not resolved"
    ]
    direction = "the same way" if all(same) else "the other way" if not any(same) else "both ways"
    return f"What is not resolved points {direction}, with zero inside an interval or one seed only."


def _recall(results: Results, parts: list[tuple[Part, Difference | None]]) -> list[str]:
    """Say beside a difference of flood what recall on labelled photographs did: no rock at all is no flood either."""
    said = []
    for part, _ in parts:
        simple = sorted(part.weights.values()) == [-1.0, 1.0]
        if part.metric != "flood_mean" or not simple:
            continue
        recall = compare(results, "polar_recall", part.weights)
        if recall is not None:
            said.append(f"Beside it, {part.words}, POLAR recall: {say_difference(recall)}.")
    return said
