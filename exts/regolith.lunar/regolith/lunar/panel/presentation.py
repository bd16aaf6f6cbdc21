"""What every view shows of the model alike: which buttons stand where, words for fields and work, steps, plots."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from regolith.lunar.flythrough.keyframes import TARGET, Key
from regolith.lunar.panel.actions import Action
from regolith.lunar.panel.forms import Field
from regolith.lunar.panel.host import LiveState
from regolith.lunar.panel.verb_rows import SECTIONS
from regolith.lunar.panel.work import Work
from regolith.lunar.params import field_extra

MAIN = ("author", "preview", "generate", "train")
"""Buttons that are always in sight, by the keys of the model's actions."""

BUTTONS: dict[str, tuple[tuple[str, ...], ...]] = {
    "stage": (("randomize", "exact"),),
    "dataset": (("pause", "cancel"), ("verify", "report"), ("open_folder",)),
    **{section: tuple(row.buttons for row in rows) for section, rows in SECTIONS.items()},
    "model": (("choose_model", "use_model"), ("evaluate", "evaluate_photos"), ("evaluation_report",)),
    "training": (("choose_python", "doctor"), ("training_report", "open_run")),
}
"""Rows of buttons of a section, by the keys of the model's actions; an action that is not there has no button."""

PATH_BUTTONS = (("add_key", "play"), ("load_path", "save_path"))
"""Rows of buttons beside the keys of the camera's path."""
LATEST_S = float(field_extra(Key.model_fields["time_s"])["le"])
"""Latest time of a key [s]."""
TIME_STEP_S = 0.01
"""Step of the slider along it [s]."""

WORKS: dict[str, tuple[str, ...]] = {
    "stage": ("stage",),
    "dataset": ("generate", "verify", "report"),
    **{section: tuple(row.key for row in rows) for section, rows in SECTIONS.items()},
    "model": ("evaluate", "model"),
    "training": ("training", "doctor"),
}
"""Work of a section, by the keys of the model's works."""

LEAST_IOU = 0.1
"""Least upper end of a plot of IoU: below it noise would look like progress."""


@dataclasses.dataclass(frozen=True)
class Curve:
    """A metric that is plotted while a run goes on."""

    metric: str
    title: str
    kind: Literal["loss", "iou"]
    """`iou`: a share, where more is better."""

    def best(self, values: Sequence[float]) -> float:
        """The value to be proud of."""
        return max(values) if self.kind == "iou" else min(values)


CURVES: tuple[Curve, ...] = (
    Curve("train_loss", "Training loss", "loss"),
    Curve("val_loss", "Validation loss", "loss"),
    Curve("rock_iou", "Rock-IoU", "iou"),
)
"""Plots of a training."""


# -- fields -----------------------------------------------------------------------------------------------------------


def labels(fields: Iterable[Field]) -> dict[str, str]:
    """Path to label; where several fields of a section share one, with the last word of their group's heading."""
    fields = list(fields)
    count = Counter(field.label for field in fields)
    return {
        field.path: f"{field.label}, {field.group.split()[-1].lower()}"
        if count[field.label] > 1 and field.group
        else field.label
        for field in fields
    }


def hint(field: Field) -> str:
    """What an empty text field says."""
    if field.optional or field.default == "":
        return "auto" if field.kind in ("int", "float", "interval") else ""
    return f"choose a {field.picks}" if field.picks else "needed"


def step_of(field: Field) -> float:
    """Step of a slider: the field's own, or a hundredth of its value's power of ten."""
    if field.step:
        return field.step
    value = field.default if isinstance(field.default, float) and field.default > 0.0 else 1.0
    return 10.0 ** (math.floor(math.log10(value)) - 2)


def decimals(step: float) -> int:
    """Decimals a step needs: 2 for 0.05."""
    return next((n for n in range(12) if abs(round(step, n) - step) < 1e-6 * step), 12)


def tidy(value: float, step: float) -> float:
    """A slider's inexact value as the decimal number that was meant: on the slider's steps, or as it was typed."""
    rounded = round(value, decimals(step) + 1)
    return rounded if abs(rounded - value) <= 1e-6 * max(abs(value), step) else float(f"{value:.7g}")


def key_words(key: Key) -> str:
    """Where a key has the camera, and how it looks, in a line."""
    words = [f"x {key.x_m:.1f} y {key.y_m:.1f}, {key.height_m:.1f} m up"]
    if key.all_of(TARGET):
        words.append(f"at {key.target_x_m:.1f}, {key.target_y_m:.1f}")
    if key.heading_deg is not None and key.pitch_deg is not None:
        words.append(f"heading {key.heading_deg % 360:.0f}° pitch {key.pitch_deg:.0f}°")
    if key.fov_deg is not None:
        words.append(f"FOV {key.fov_deg:.0f}°")
    if key.sun_elevation_deg is not None:
        words.append(f"sun {key.sun_elevation_deg:.0f}°")
    return " · ".join(words)


# -- actions and work -------------------------------------------------------------------------------------------------


def action_words(action: Action) -> str:
    """What an action does, and why it cannot be done now."""
    return action.tooltip if action.enabled else f"{action.tooltip}\nNot now: {action.reason}"


def under_way(work: Work) -> bool:
    """Whether work runs, or is held and goes on."""
    return work.active or work.state == "paused"


def work_words(work: Work) -> str:
    """What a line of work is doing, in a line."""
    state = "" if work.state == "running" else f" ({work.state})"
    return f"{work.title}{state}: {work.text}" if work.text else f"{work.title}: {work.state}"


def live_words(live: LiveState) -> str:
    """What a live preview is doing, or why it shows nothing."""
    return live.problem or (
        f"{live.model} · {live.provider} · {live.milliseconds:.0f} ms · {live.frames_per_s:.1f} frames/s · "
        f"rock {100 * live.rock_share:.1f} %"
    )


# -- plots ------------------------------------------------------------------------------------------------------------


def curve_words(curve: Curve, values: Sequence[float]) -> str:
    """A plot's caption; at least one value."""
    return f"{curve.title}: {values[-1]:.3f} (best {curve.best(values):.3f}, {len(values)} values)"


def plot_scale(values: Sequence[float], *, share: bool) -> tuple[float, float]:
    """Ends of a plot's scale.

    Args:
        values: What is plotted; at least one.
        share: Whether the values are shares: then it starts at 0 and ends at a tenth, at least `LEAST_IOU`.
    """
    low, high = min(values), max(values)
    if share:
        return 0.0, max(LEAST_IOU, math.ceil(10 * high) / 10)
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    return low - margin, high + margin


def thin(values: Sequence[float], count: int) -> list[float]:
    """At most `count` of the values, evenly picked, the last one always."""
    if len(values) <= count:
        return list(values)
    step = (len(values) - 1) / (count - 1)
    return [values[round(i * step)] for i in range(count)]
