"""Held-out stages: straight driving, the planner that knows the labels, and the policy, each on the same ways."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from regolith.lunar.params import InputError
from regolith.lunar.params.policy import PolicyParams
from regolith.lunar.physics.course import Avoid, Course, Driver, author
from regolith.lunar.physics.outcome import sum_up
from regolith.lunar.physics.policy import Policy
from regolith.lunar.reading import read_json
from regolith.lunar.render import Renderer
from training.policy.collect import course_verb

SPLIT = "val"


COMPARED: tuple[Avoid, ...] = ("none", "labels", "policy")
"""Ways of driving that held-out stages are driven in."""


def measure_stage(params: PolicyParams, number: int, policy: Policy, renderer: Renderer, out: Path) -> dict[str, Any]:
    """Drive over a held-out stage in every way, as `regolith traverse --split val --avoid all` does.

    Args:
        params: What is asked for.
        number: Number of the stage.
        policy: The policy.
        renderer: Draws its pictures.
        out: Folder of the trajectories.

    Returns:
        The policy's digest, and the runs as `traverse.json` has them; none where the stage has no room for a way.
    """
    verb = course_verb(params, SPLIT, out=out, avoid="all", policy=policy.path)
    course = Course(verb, author(params.params, params.seed, SPLIT, number), number)
    result: dict[str, Any] = {"policy": policy.card["sha256"], "scene": number, "runs": []}
    try:
        places = course.draw()
    except InputError as error:
        if error.field != "clearance_m":
            raise
        return result
    result["runs"] = [course.drive(places, how, Driver(renderer, policy)) for how in COMPARED]
    return result


def is_of(path: Path, digest: str) -> bool:
    """Whether a file is of a stage measured with the policy of this digest."""
    try:
        return read_json(path)["policy"] == digest
    except (OSError, ValueError, KeyError, TypeError):
        return False


def measured(paths: Iterable[Path]) -> dict[str, Any]:
    """Sum up held-out stages: by way of driving what `regolith traverse` says, with the success rate.

    Returns:
        `stages` driven, `without_room`, and `ways`; no ways where no stage had room.
    """
    stages = [read_json(path)["runs"] for path in paths]
    runs = [run for stage in stages for run in stage]
    ways = {}
    for how in COMPARED:
        if mine := [run for run in runs if run["avoid"] == how]:
            ways[how] = sum_up(mine)
    driven = sum(bool(stage) for stage in stages)
    return {"stages": driven, "without_room": len(stages) - driven, "ways": ways}
