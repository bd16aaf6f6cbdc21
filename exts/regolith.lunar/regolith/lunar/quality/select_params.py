"""What `regolith select` asks for; the verb itself, which may need torch, lies in `training`."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from regolith.lunar.dataset.splits import counted
from regolith.lunar.params import Verb, quantity
from regolith.lunar.perception.views import Views

By = Literal["bald", "entropy", "random"]
PERCENTILE = 95
"""Percentile of the open units' entropy that ends the loop."""
ENDS = {
    "budget": "the budget is used up",
    "entropy": "entropy is below --stop-entropy",
    "pool": "the pool is used up",
}
"""Why a loop ends."""


class SelectParams(Verb):
    """Choose the pictures of a pool that would teach a model most, and queue them for people to label."""

    pool: Path = quantity(..., "Pool: a folder of photographs, or a split.", positional=True)
    model: Path = quantity(
        ..., "best.pt of a run, whose dropout gives passes; or, with commas between them, several as an ensemble, "
        "checkpoints or exported models."
    )  # fmt: skip
    budget: int = quantity(..., "Units to label in all rounds together.", ge=1, le=1_000_000)
    batch: int | None = quantity(None, "Units of this round; left out, all that is left of the budget.", ge=1)
    done: Path | None = quantity(None, "Queues of earlier rounds, with commas between them: these units are labelled.")
    out: Path = quantity(..., "Folder of the queue, not there yet or empty.")
    crop: int | None = quantity(
        None, "Side of windows that are units; left out, whole pictures.", unit="px", ge=32, le=4096, step=32
    )
    size: int | None = quantity(
        None, "Long side pictures are reduced to; left out, their own size.", unit="px", ge=64, le=8192, step=32
    )
    by: By = quantity("bald", "What is sought: disagreement of the passes, entropy of their mean, or chance.")
    passes: int = quantity(20, "Passes of a single checkpoint, dropout on; 1 for its plain answer.", ge=1, le=1000)
    top_share: float = quantity(
        0.05, "Share of the open units, of highest score, among which those unlike each other are chosen.",
        ge=0.001, le=1, step=0.01,
    )  # fmt: skip
    per_scene: int | None = quantity(
        None, "Most units of a scene in this round; left out, twice an equal share.", ge=1, step=1
    )
    scene_of: str | None = quantity(
        None,
        "Regular expression for a photograph's name, whose first group is its scene; left out, each is its own scene.",
    )
    stop_entropy: float = quantity(
        0.0, f"The loop ends where the {PERCENTILE}th percentile of the open units' entropy is below.",
        unit="bit", ge=0, le=1.585, step=0.01,
    )  # fmt: skip
    teacher: str | None = quantity(
        None, "Exported models, with commas between them, that label what they are sure of; `default` ships."
    )
    teacher_sure: float = quantity(
        0.95, "Probability of a class from which on the teacher is sure.", ge=0.5, le=1, step=0.01
    )
    teacher_views: Views | None = quantity(
        None, "Views of a picture the teacher averages; left out, those its card names."
    )
    masks: Path | None = quantity(
        None, "Folder of the photographs' masks, or `apollo`, to measure the teacher's errors by; never shown to it."
    )
    columns: bool = quantity(
        False, "Also write the uncertainty of each frame into POOL, a split: columns/select.jsonl."
    )
    label_studio: bool = quantity(False, "Also write tasks of Label Studio; needs label_studio_sdk.")
    seed: int = quantity(0, "Seed of dropout, and of chance.", ge=0, le=2**63 - 1)
    threads: int | None = quantity(None, "Threads of the CPU arithmetic; left out, one per core.", ge=1, le=1024)
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def summary(self, result: dict[str, Any]) -> str:
        """Say what was chosen, what the teacher did, and whether the loop ends."""
        of = f"{len(result['units'])} in {counted(result['pool']['pictures'], 'picture')}"
        lines = [f"{self.out}: {counted(len(result['chosen']), 'unit')} of {of}, by {result['by']}"]
        if result["entropy"] is not None:
            entropy = result["entropy"]
            lines.append(
                f"entropy of the open units: mean {entropy['mean']:.3f} bit, {PERCENTILE}th percentile "
                f"{entropy['p95']:.3f} bit"
            )
        if (teacher := result["teacher"]) is not None and teacher["share"] is not None:
            error = "not measured" if teacher["error"] is None else f"{teacher['error']:.2%}"
            lines.append(f"teacher: labels {teacher['share']:.1%} of the queue's pixels, wrong {error}")
        labelled = f"{result['labelled']} of {counted(result['budget'], 'label')} used with this round"
        ends = f"; the loop ends: {ENDS[result['stop']]}" if result["stop"] else ""
        return "\n".join([*lines, labelled + ends])
