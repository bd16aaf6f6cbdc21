"""The rover in pictures: ignored by every label, moved without a new scene, never too near its own cameras."""

from __future__ import annotations

import asyncio
import functools
from typing import get_args

import pytest
from kit_doubles import KitApp
from pxr import Usd

from regolith.lunar.dataset.chunk import author_scene
from regolith.lunar.dataset.outputs import OUTPUTS
from regolith.lunar.labels import IGNORE, REGOLITH
from regolith.lunar.params import CameraView, Params, change_params, load_preset
from regolith.lunar.randomize import draw_frame
from regolith.lunar.render.base import Frame
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.render.replicator import ReplicatorRenderer
from regolith.lunar.stage.edit import apply_frame
from regolith.lunar.stage.scene import Scene

SIZE = (64, 64)
ALL: frozenset[str] = frozenset({"depth", "normals", "instance"})


def rig(view: str) -> Params:
    """Preset v1 on a coarse ground, the camera on the rover."""
    changes = {"terrain.cell_m": 0.4, "rocks.diameter_min_m": 0.3, "camera.rig": "viper", "camera.view": view}
    return change_params(load_preset("v1"), changes)


@functools.cache
def authored(baked: bool) -> tuple[Scene, Usd.Stage]:
    """Scene 0, shared: whoever draws moves the rover first. It has a right camera, as some views have."""
    return author_scene(rig("navcam_left"), seed=0, split="train_dr", number=0, baked=baked)


def show(stage: Usd.Stage, view: str, index: int) -> None:
    """Turn the stage into frame `index` of a camera of the rover."""
    params = rig(view)
    apply_frame(stage, params, draw_frame(params, 0, "train_dr", index, authored(False)[0]), *SIZE)


def checked(frame: Frame) -> Frame:
    """The frame, once its outputs agree with its mask as `verify` asks."""
    for name, array in frame.extras.items():
        check = OUTPUTS[name].check
        assert check is not None and not check.disagree(array, frame.mask).any(), name
    return frame


def test_moving_the_rover_equals_a_new_scene(renderer: MitsubaRenderer) -> None:
    """A frame drawn after others is, bit by bit, that of a renderer that loads the stage as it is then."""
    _, stage = authored(False)
    show(stage, "hazcam_front_left", 0)
    renderer.load(stage)
    first = renderer.render(*SIZE, quality="draft", outputs=ALL)
    show(stage, "hazcam_rear_right", 1)
    moved = checked(renderer.render(*SIZE, quality="draft", outputs=ALL))
    assert (moved.mask != first.mask).any() and (renderer.mask(*SIZE) == moved.mask).all()
    renderer.load(stage)
    anew = renderer.render(*SIZE, quality="draft", outputs=ALL)
    for name, array in anew.arrays(["rgb", "mask", *ALL]).items():
        assert (array == moved.arrays([name])[name]).all(), name


@pytest.mark.parametrize("view", get_args(CameraView))
def test_own_rover_is_ignored_and_not_in_the_lens(view: str) -> None:
    """HazCams see their own wheel, as 255; no camera sees a part of the rover nearer than its clearance."""
    _, stage = authored(False)
    show(stage, view, 2)
    renderer = _renderer()
    frame = checked(renderer.render(*SIZE, quality="draft", outputs=ALL))
    own = frame.mask == IGNORE
    assert own.any() >= view.startswith("hazcam") and (frame.mask == REGOLITH).mean() > 0.2
    assert frame.depth is not None and (frame.depth[own] >= rig(view).camera.clearance_m).all()


@functools.cache
def _renderer() -> MitsubaRenderer:
    made = MitsubaRenderer("llvm")
    made.load(authored(False)[1])
    return made


def test_replicator_ignores_the_rover_too(kit: KitApp) -> None:
    """The same stage through Replicator's tables, the rover moved on the open stage: masks equal the embedded ones."""
    embedded = MitsubaRenderer("llvm")

    async def compare() -> None:
        renderer = ReplicatorRenderer()
        opened = await renderer.load_async(authored(True)[1])
        embedded.load(opened)
        try:
            for index in (0, 1):
                show(opened, "hazcam_front_left", index)
                frame = await renderer.render_async(*SIZE, quality="draft", outputs=ALL)
                wanted = embedded.mask(*SIZE)
                assert (checked(frame).mask == wanted).all() and (wanted == IGNORE).any()
        finally:
            await renderer.close_async()

    asyncio.run(compare())
