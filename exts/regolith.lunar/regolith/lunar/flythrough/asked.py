"""What is asked of a flythrough: the camera's way, the drive it shows, the sun, and what the film looks like."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import model_validator

from regolith.lunar.dataset.executors import ADDRESS, COMMAND, EXECUTOR, ExecutorName
from regolith.lunar.params import CameraView, PictureSize, PresetVerb, quantity
from regolith.lunar.params.fields import cross_field, words_of
from regolith.lunar.randomize import Split

STEPS = ("render", "overlay", "assemble")
"""Steps, in their order."""
FRAMES_MAX = 36_000
"""Most frames of a film."""


class FlythroughParams(PresetVerb):
    """Arguments of `regolith flythrough`."""

    path: Path | None = quantity(None, "Keyframes of the camera (.yaml, .json).")
    waypoints: str | None = quantity(None, "Places x,y with semicolons between them that the camera glides over [m].")
    drive: Path | None = quantity(
        None, "Trajectory of `regolith traverse`, or its folder: the rover drives it, and the camera follows the "
        "rover, a path, or rides along (--camera.rig viper).",
    )  # fmt: skip
    speed: float = quantity(4.0, "Seconds of the drive that pass in one of the film.", ge=0.05, le=100, step=0.5)
    start_s: float = quantity(0.0, "Time of the drive the film begins at.", unit="s", ge=0, le=100_000)
    follow: Literal["chase", "orbit"] = quantity(
        "chase", "Camera that follows the rover: it turns with it, or keeps to the heading the rover has at first."
    )
    distance_m: float = quantity(6.0, "From the rover, of a camera that follows it.", unit="m", ge=1, le=60, step=0.5)
    bearing_deg: float = quantity(
        215.0, "Where that camera is at first, seen from the rover, anticlockwise from ahead: 180 is behind it.",
        unit="deg", ge=-360, le=360, step=5,
    )  # fmt: skip
    sweep_deg: float = quantity(
        0.0, "By how much that camera goes round the rover over the film.", unit="deg", ge=-720, le=720, step=5
    )
    height_m: float = quantity(
        1.6, "Lens above the ground, over waypoints or about the rover.", unit="m", ge=0.2, le=20, step=0.1
    )
    pitch_deg: float = quantity(
        -10.0, "Optical axis above the horizon, over waypoints.", unit="deg", ge=-89, le=45, step=1
    )
    fov_deg: float = quantity(
        60.0, "Horizontal field of view, over waypoints or about the rover.", unit="deg", ge=5, le=140, step=1
    )
    ease: bool = quantity(True, "Let a camera on keyframes begin and end at rest.")
    sun: str | None = quantity(
        None, "Elevation,azimuth of the sun [deg], or two of them with a semicolon between, from the first frame to "
        "the last; left out, that of the keys, of domain.time from its start to its end, or the scene's.",
    )  # fmt: skip
    seconds: float = quantity(8.0, "Length of a film; keyframes have their own.", unit="s", ge=0.04, le=3600, step=0.5)
    fps: int = quantity(24, "Frames a second.", ge=1, le=120)
    size: PictureSize = quantity(PictureSize(1920, 1080), "Size of the film's frames; even sides.")
    inset: CameraView | Literal["none"] = quantity(
        "hazcam_front_left", "Camera of the rover that is shown in a corner, with its overlay, where a rover drives."
    )
    inset_px: int = quantity(320, "Side of its square pictures.", unit="px", ge=32, le=2048, step=32)
    stills: str | None = quantity(
        None, "Times of the stills in the film, with commas [s]; left out, four; none for none."
    )
    still_size: PictureSize = quantity(PictureSize(1920, 1080), "Size of the stills.")
    title: str = quantity("regolith.lunar", "Title of the film; empty for none.")
    subtitle: str = quantity("", "Line below the title.")
    model: str = quantity("default", "Model whose overlay is shown: a shipped one by name, or an .onnx file.")
    gif_mb: float = quantity(4.0, "Most megabytes of the GIF.", unit="MB", ge=0.01, le=1000, step=0.5)
    steps: str = quantity("render,overlay,assemble", "Steps to take, each on what those before it left.")
    seed: int = quantity(0, "Seed of the scene; with --drive that of the drive.", ge=0)
    split: Split = quantity("train_dr", "Split the scene belongs to; with --drive that of the drive.")
    scene: int = quantity(0, "Number of the scene in its split; with --drive that of the drive.", ge=0, le=10_000)
    workers: int = quantity(1, "Chunks of frames drawn at once.", ge=1, le=256)
    executor: ExecutorName = EXECUTOR
    address: str | None = ADDRESS
    command: str | None = COMMAND
    out: Path = quantity(Path("out/flythrough"), "Folder of frames, overlays and the film.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    @model_validator(mode="after")
    def _whole(self) -> FlythroughParams:
        for name, size in (("size", self.size), ("still_size", self.still_size)):
            if size.width % 2 or size.height % 2:
                raise cross_field(name, str(size), "even sides, as H.264 takes them")
        wanted = words_of(self.steps)
        if not wanted or not set(wanted) <= set(STEPS):
            raise cross_field("steps", self.steps, ", ".join(STEPS))
        if self.waypoints is not None and (self.path is not None or self.drive is not None):
            raise cross_field("waypoints", self.waypoints, "none beside --path or --drive")
        return self

    @property
    def chosen_steps(self) -> tuple[str, ...]:
        """Steps that are asked for, in their order."""
        return tuple(step for step in STEPS if step in words_of(self.steps))
