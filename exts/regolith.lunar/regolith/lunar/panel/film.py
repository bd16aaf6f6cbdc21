"""The verb that films a camera's path, as the panel has it."""

from __future__ import annotations

from typing import Any

from regolith.lunar.dataset.splits import counted
from regolith.lunar.flythrough.assemble import FILM as FILE
from regolith.lunar.flythrough.assemble import GIF
from regolith.lunar.flythrough.verb import Flythrough
from regolith.lunar.panel.verb_row import VerbRow
from regolith.lunar.params import PictureSize

ELSEWHERE = frozenset({
    "waypoints", "follow", "distance_m", "bearing_deg", "sweep_deg", "height_m", "pitch_deg", "fov_deg", "seconds",
    "inset_px",
})  # fmt: skip
"""Fields that are left to the command line: those of films without keys, and a detail."""
DECIDED = frozenset({"path", "seed", "split", "scene"})
"""Fields that are the panel's: its keys, and the scene of the frame on show."""
SIZE = PictureSize(640, 360)
"""Size of the frames [px], where no other is entered."""


def _say(result: dict[str, Any]) -> str:
    if "film" not in result:
        return ", ".join(counted(part["frames"], "frame") for part in result["rendered"].values())
    film = result["film"]
    return f"{FILE} and {GIF}, {counted(film['frames'], 'frame')}, {film['seconds']:g} s"


FILM = VerbRow(
    "film", "flythrough", Flythrough, "Film", "Render film",
    "Render the film of the camera's path, with what the model sees, in a process of its own; again to go on.",
    "frames", _say, {"out": "film"}, {"size": SIZE, "stills": "none"}, splits=(), section="film", page=FILE,
    without=ELSEWHERE | DECIDED,
)  # fmt: skip
