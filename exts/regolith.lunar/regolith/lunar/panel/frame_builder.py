"""Frames for the stage a host shows: built on a worker thread, the newest wish only, and only what changed."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.params import InputError, Params
from regolith.lunar.randomize import draw_frame, draw_scene, narrowed, scene_number
from regolith.lunar.stage.spec import FrameSpec, SceneSpec
from regolith.lunar.stage.stereo import baseline_m

if TYPE_CHECKING:
    from pxr import Usd

    from regolith.lunar.stage.scene import Scene


@dataclasses.dataclass(frozen=True)
class Shot:
    """A frame of a split, as it is exported."""

    params: Params
    split: str
    frame: int
    seed: int
    width: int
    height: int
    out: Path | None = None
    """Dataset folder; a frame it already has is shown with the redraws it took there."""


@dataclasses.dataclass(frozen=True)
class Built:
    """What came of a shot."""

    shot: Shot
    key: tuple[Any, ...]
    """What the scene's geometry depends on."""
    scene: Scene
    stage: Usd.Stage | None
    """A stage to open; None where the one that is open serves."""
    spec: FrameSpec


def scene_key(shot: Shot) -> tuple[Any, ...]:
    """Return what the geometry of a shot's scene depends on: equal keys need no other stage.

    Raises:
        InputError: The parameters do not go together.
    """
    narrow = narrowed(shot.params, shot.split)
    spec = draw_scene(shot.params, shot.seed, shot.split, scene_number(shot.params, shot.frame))
    parts = (narrow.terrain, narrow.craters, narrow.relief, narrow.rocks, narrow.ground.photometry, narrow.light.stars)
    place = (narrow.ground.site, narrow.ground.dem, narrow.ground.dem_scale)
    kept = (narrow.light.earthshine > 0.0, baseline_m(narrow) > 0.0, narrow.dataset.crater)
    return spec, *parts, *place, narrow.camera.roam_m, narrow.has_rover, narrow.camera.rig, *kept


def build(shot: Shot, previous: Built | None, *, baked: bool) -> Built:
    """Build what a shot needs.

    Args:
        shot: The frame.
        previous: What the open stage was made of; None where a new one is wanted in any case.
        baked: Whether the stage has the fine ground as meshes.

    Raises:
        InputError: The parameters do not go together, or the camera finds no room between the rocks.
    """
    from regolith.lunar.stage.author import author_stage, build_scene
    from regolith.lunar.stage.edit import apply_frame

    narrow, key = narrowed(shot.params, shot.split), scene_key(shot)
    stage = None
    if previous is not None and previous.key == key:
        scene = dataclasses.replace(previous.scene, params=narrow)
    else:
        scene_spec: SceneSpec = key[0]
        scene = build_scene(narrow, scene_spec)
        stage = author_stage(scene, baked=baked)
    attempt = known_redraws(shot)
    spec = draw_frame(shot.params, shot.seed, shot.split, shot.frame, scene, attempt=attempt)
    if stage is not None:
        apply_frame(stage, shot.params, spec, shot.width, shot.height)
    return Built(shot, key, scene, stage, spec)


def redraws_wanted(params: Params) -> bool:
    """Whether frames are drawn again until their share of rock is in range."""
    share = params.randomize.rock_share
    return share.lo > 0.0 or share.hi < 1.0


def known_redraws(shot: Shot) -> int:
    """How often the frame was drawn again where it has been exported; 0 where that is not known."""
    from regolith.lunar.dataset.contract import Contract
    from regolith.lunar.dataset.layout import read_journal

    if shot.out is None or not redraws_wanted(shot.params):
        return 0
    folder = shot.out / shot.split
    try:
        contract = Contract.read(folder)
        records = read_journal(folder)
    except (InputError, OSError):
        return 0
    asked = (shot.params.model_dump(mode="json"), shot.seed, shot.width, shot.height)
    drawn = (contract.parameters, contract.seed, contract.width, contract.height)
    if asked != drawn or shot.frame not in records:
        return 0
    return records[shot.frame].redraws


class FrameBuilder:
    """A worker that builds shots one after the other; of those that wait only the newest counts."""

    def __init__(self, *, baked: bool) -> None:
        self._baked = baked
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="regolith-stage")
        self._running: Future[Built | None] | None = None
        self._next: tuple[Shot, bool] | None = None
        self.last: Built | None = None
        """What the newest stage and frame were made of; None where the next shot needs a new stage in any case."""
        self.building = False
        """Whether terrain and rocks are being built."""

    @property
    def busy(self) -> bool:
        """Whether something is being built or waits to be."""
        return self._running is not None or self._next is not None

    def wish(self, shot: Shot, *, rebuild: bool = True) -> None:
        """Build a shot next; one that has not begun is forgotten.

        Args:
            shot: The frame.
            rebuild: Whether a new stage may be built; otherwise nothing comes of a shot that needs one.
        """
        if self._next is not None and self._next[1]:
            rebuild = True
        self._next = (shot, rebuild)
        self._start()

    def forget(self) -> None:
        """Let nothing come of what is being built, and build a new stage next time."""
        self._next = self._running = self.last = None
        self.building = False

    def poll(self) -> Future[Built | None] | None:
        """What was finished since the last call, if anything; its result is None for a shot that was left out."""
        if self._running is None or not self._running.done():
            return None
        done, self._running = self._running, None
        if done.exception() is None and (built := done.result()) is not None:
            self.last = built
        self._start()
        return done

    def _start(self) -> None:
        if self._running is None and self._next is not None:
            (shot, rebuild), self._next = self._next, None
            self._running = self._pool.submit(self._build, shot, self.last, rebuild)

    def _build(self, shot: Shot, previous: Built | None, rebuild: bool) -> Built | None:
        new = previous is None or scene_key(shot) != previous.key
        if new and not rebuild:
            return None
        self.building = new
        try:
            return build(shot, previous, baked=self._baked)
        finally:
            self.building = False

    def close(self) -> None:
        """End the worker once it has finished what it is at."""
        self.forget()
        self._pool.shutdown(wait=False, cancel_futures=True)
