"""The RTX renderer over a Replicator that draws: same masks as the embedded one, and nothing left behind."""

from __future__ import annotations

import asyncio
import json
import sys
import types
from typing import Any

import numpy as np
import pytest
from kit_doubles import KitApp
from pxr import Sdf, Usd, UsdGeom, UsdLux, UsdSemantics  # type: ignore[attr-defined]
from render_stage import add_right, aim_camera, make_stage, set_sensor

from regolith.lunar.labels import IGNORE, REGOLITH, ROCK, SKY
from regolith.lunar.params import InputError
from regolith.lunar.render import rtx
from regolith.lunar.render.base import Quality
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.render.product import ANNOTATORS
from regolith.lunar.render.replicator import ReplicatorRenderer
from regolith.lunar.render.rtx_quality import PATH_TRACING, path_tracing
from regolith.lunar.render.settings_scope import SettingsScope
from regolith.lunar.render.viewport import ViewportFrames
from regolith.lunar.stage import schema

SIZE = (64, 48)
ALL: frozenset[Any] = frozenset({"depth", "normals", "instance"})


def drawn(stage: Usd.Stage, *, aims: list[dict[str, Any]] | None = None, **options: Any) -> list[Any]:
    """Frames of a stage, one for each aim of the camera, in an app that runs by itself."""

    async def run() -> list[Any]:
        renderer = ReplicatorRenderer(**options)
        try:
            opened = await renderer.load_async(stage)
            frames = []
            for aim in aims or [{}]:
                aim_camera(opened, **aim)
                frames.append(await renderer.render_async(*SIZE, quality="draft", outputs=ALL))
            return frames
        finally:
            await renderer.close_async()

    return asyncio.run(run())


def embedded(stage: Usd.Stage, **aim: Any) -> Any:
    """The same frame by the embedded renderer."""
    renderer = MitsubaRenderer(threads=1)
    renderer.load(stage)
    aim_camera(stage, **aim)
    return renderer.render(*SIZE, quality="draft", outputs=ALL)


AIMS = [{"heading": 0.0}, {"heading": 137.0}, {"heading": -80.0, "pitch": 25.0}, {"heading": 137.0, "exposure": 3.0}]


@pytest.mark.parametrize("quirks", [{}, {"flat": True, "number_keys": True, "empty": 5}])
def test_frames_equal_those_of_the_embedded_renderer(kit: KitApp, quirks: dict[str, Any]) -> None:
    """Ids change from frame to frame, classes are missing (the third sees the sky alone), buffers are used again."""
    for name, value in quirks.items():
        setattr(kit.rep.quirks, name, value)
    stage = make_stage()
    set_sensor(stage, fullWell=10000.0, readNoise=5.0, noiseSeed=3.0)
    frames = drawn(stage, aims=AIMS)
    seen = set()
    for frame, aim in zip(frames, AIMS, strict=True):
        wanted = embedded(stage, **aim)
        assert (frame.mask == wanted.mask).all()
        assert (frame.instance == wanted.instance).all()
        np.testing.assert_allclose(frame.depth, wanted.depth, rtol=1e-6)
        np.testing.assert_allclose(frame.normals, wanted.normals, atol=1e-6)
        off = np.abs(frame.rgb.astype(int) - wanted.rgb)  # half floats and one sensor: a level of 255, rarely
        assert off.max() <= 2 and off.mean() < 0.1
        assert frame.rgb.dtype == np.uint8 and frame.rgb.flags.c_contiguous
        seen |= set(np.unique(frame.mask).tolist())
    assert seen == {REGOLITH, ROCK, SKY} and set(np.unique(frames[2].mask)) == {SKY}
    assert frames[3].rgb.mean() > 1.2 * frames[1].rgb.mean()  # our exposure counts, the camera's is neutral
    assert {delta for _, delta in kit.rep.quirks.steps} == {0.0}


PAIR: frozenset[Any] = frozenset({"right", "disparity", "instance"})


def test_a_stereo_pair_equals_that_of_the_embedded_renderer(kit: KitApp) -> None:
    """The right picture by a render product of its own, which goes when it is not asked for; noise of its own."""
    stage = make_stage()
    set_sensor(stage, fullWell=10000.0, readNoise=5.0, noiseSeed=3.0)
    plain = embedded(stage)
    add_right(stage, 0.4, noise_seed=7)
    renderer = MitsubaRenderer(threads=1)
    renderer.load(stage)
    wanted: Any = renderer.render(*SIZE, quality="draft", outputs=PAIR)

    async def run() -> list[Any]:
        renderer = ReplicatorRenderer()
        opened = await renderer.load_async(stage)
        frames = []
        for outputs in (PAIR, frozenset[Any](), frozenset[Any]({"disparity"}), frozenset[Any]({"right"})):
            frames.append(await renderer.render_async(*SIZE, quality="draft", outputs=outputs))
            products = sum(name.startswith("/Render/") for name in kit.rep.leftovers())
            assert products == 1 + ("right" in outputs)
        right = opened.GetPrimAtPath(schema.CAMERA_RIGHT)
        assert UsdGeom.Camera(right).GetExposureAttr().Get() == 0.0  # neutral: exposure is our sensor's
        await renderer.close_async()
        return frames

    frames = asyncio.run(run())
    for frame in frames:
        assert (frame.mask == plain.mask).all() and np.abs(frame.rgb.astype(int) - plain.rgb).max() <= 2
    for frame in (frames[0], frames[3]):
        off = np.abs(frame.right.astype(int) - wanted.right)
        assert off.max() <= 2 and off.mean() < 0.1
    for frame in (frames[0], frames[2]):
        np.testing.assert_allclose(frame.disparity, wanted.disparity, rtol=1e-6)
    assert frames[1].right is None and frames[1].disparity is None
    assert np.abs(wanted.right.astype(int) - wanted.rgb).max() > 50  # two cameras, not one


def test_a_pair_without_right_camera_is_refused(kit: KitApp) -> None:
    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.render_async(*SIZE, outputs=PAIR)

    with pytest.raises(InputError, match="a stage with a right camera, /World/Camera/Right"):
        asyncio.run(run())


def test_nested_and_missing_labels(kit: KitApp) -> None:
    """A labelled child of a labelled parent reports both; what has no label is ignored, and no rock."""
    stage = make_stage()
    plain = drawn(stage)[0]
    rocks = [f"{schema.ROCKS}/rock_{number:05d}" for number in range(5)]
    UsdSemantics.LabelsAPI.Apply(stage.GetPrimAtPath(schema.ROCKS), "class").CreateLabelsAttr(["regolith"])
    assert (drawn(stage)[0].mask == plain.mask).all()
    for path in [schema.ROCKS, *rocks]:
        UsdSemantics.LabelsAPI(stage.GetPrimAtPath(path), "class").GetLabelsAttr().Clear()
    frame = drawn(stage)[0]
    assert (frame.mask == np.where(plain.mask == ROCK, IGNORE, plain.mask)).all()
    assert (plain.mask == ROCK).any() and not frame.instance.any()


def test_stars_are_sky_and_light_the_sensor(kit: KitApp) -> None:
    """RTX would take stars for unlabelled things: they are hidden there and drawn by our sensor."""
    stage = make_stage()
    stars = UsdGeom.Points.Define(stage, schema.STARS)
    stars.CreatePointsAttr([(5000.0, 40.0 * k, 900.0 + 30.0 * k) for k in range(-5, 6)])
    stars.CreateWidthsAttr([20.0] * 11)
    frame, wanted = drawn(stage)[0], embedded(stage)
    assert (frame.mask == wanted.mask).all()
    lit = wanted.rgb[wanted.mask == SKY] > 0
    assert lit.any() and ((frame.rgb[wanted.mask == SKY] > 0) == lit).all()
    assert UsdGeom.Imageable(stage.GetPrimAtPath(schema.STARS)).ComputeVisibility() != "invisible"


def test_lights_the_app_adds_are_put_out_and_the_users_own_stay(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = make_stage()
    plain = drawn(stage)[0].rgb
    take = type(kit.context)._take

    def with_rig(self: Any, opened: Usd.Stage, url: str) -> None:
        take(self, opened, url)
        with Usd.EditContext(opened, opened.GetSessionLayer()):
            UsdLux.DomeLight.Define(opened, "/OmniKit_Rig/Dome")

    with monkeypatch.context() as patch:
        patch.setattr(type(kit.context), "_take", with_rig)
        assert (drawn(stage)[0].rgb == plain).all()
    UsdLux.DomeLight.Define(stage, "/World/Lamp")
    assert drawn(stage)[0].rgb.mean() > plain.mean() + 20


def test_the_open_stage_is_drawn_where_it_is(kit: KitApp) -> None:
    """A stage that is open in the app is not opened again, and gets back its session as it was."""
    stage = make_stage()
    kit.context._take(stage, "moon.usda")
    before = stage.GetSessionLayer().ExportToString(), stage.GetRootLayer().ExportToString()

    async def run() -> None:
        renderer = ReplicatorRenderer()
        assert await renderer.load_async(stage) == stage
        assert kit.context.get_stage_url() == "moon.usda"
        label = await renderer.mask_async(*SIZE)
        frame = await renderer.render_async(*SIZE, outputs=frozenset({"instance"}))
        assert (frame.mask == label).all()
        assert UsdGeom.Camera(stage.GetPrimAtPath(schema.CAMERA)).GetExposureAttr().Get() == 0.0
        larger = await renderer.mask_async(96, 64)
        assert larger.shape == (64, 96)
        await renderer.close_async()
        await renderer.close_async()

    asyncio.run(run())
    assert (stage.GetSessionLayer().ExportToString(), stage.GetRootLayer().ExportToString()) == before


def test_settings_hold_while_frames_are_taken(kit: KitApp) -> None:
    """Automatic exposure off and so on, the real-time mode of the version; `kit` sees that they are given back."""

    async def run() -> dict[str, Any]:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        values = dict(kit.settings.values)
        await renderer.render_async(*SIZE, quality="reference")
        assert kit.settings.get("/rtx/rendermode") == "PathTracing"
        await renderer.render_async(*SIZE, quality="draft")
        assert kit.settings.get("/rtx/rendermode") == values["/rtx/rendermode"]
        await renderer.close_async()
        return values

    values = asyncio.run(run())
    assert values.items() >= {**rtx.CAPTURE_SETTINGS, "/rtx/rendermode": "RealTimePathTracing"}.items()
    assert "/rtx/ambientOcclusion/enabled" not in values
    kit.app.version = "107.3"
    assert asyncio.run(run())["/rtx/rendermode"] == "RaytracedLighting"


def test_a_number_of_samples_is_traced_as_paths(kit: KitApp) -> None:
    """As many as are asked for, in steps of the orchestrator; OptiX denoises where the quality is the default one."""

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        asked: list[tuple[Quality, int, int, int]] = [
            ("default", 512, 32, 16), ("draft", 8, 1, 8), ("reference", 64, 4, 16)
        ]  # fmt: skip
        for quality, samples, each, gathered in asked:
            kit.rep.quirks.steps.clear()
            await renderer.render_async(*SIZE, quality=quality, samples=samples)
            assert kit.settings.get("/rtx/rendermode") == "PathTracing"
            assert kit.settings.get("/rtx/pathtracing/spp") == each
            assert kit.settings.get("/rtx/pathtracing/totalSpp") == samples == each * gathered
            assert kit.settings.get("/rtx/pathtracing/optixDenoiser/enabled") is (quality == "default")
            assert {count for count, _ in kit.rep.quirks.steps} == {gathered}
        await renderer.render_async(*SIZE)
        assert kit.settings.get("/rtx/rendermode") == rtx.real_time_mode()
        with pytest.raises(InputError, match="samples: 6 is not allowed; allowed: a power of two"):
            await renderer.render_async(*SIZE, samples=6)
        await renderer.close_async()

    asyncio.run(run())
    assert path_tracing(256, denoised=False) == PATH_TRACING


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_a_failing_renderer_leaves_nothing_attached(kit: KitApp, steps: int) -> None:
    kit.rep.quirks.fail_after = steps
    stage = make_stage()
    kit.context._take(stage, "moon.usda")
    before = stage.GetSessionLayer().ExportToString()

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(stage)
        for _ in range(5):
            await renderer.render_async(*SIZE)

    with pytest.raises(RuntimeError, match="lost its device"):
        asyncio.run(run())
    assert stage.GetSessionLayer().ExportToString() == before
    assert kit.rep.leftovers() == []  # without a close


def test_frames_that_never_come_are_an_error(kit: KitApp) -> None:
    kit.rep.quirks.empty = 10**6
    with pytest.raises(RuntimeError, match=r"nothing for .*HdrColor, .*semantic_segmentation.*, after 32 frames"):
        drawn(make_stage())


def test_a_stage_closed_meanwhile_is_an_error(kit: KitApp) -> None:
    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        kit.context.new_stage()
        await renderer.mask_async(*SIZE)

    with pytest.raises(RuntimeError, match="stage was closed"):
        asyncio.run(run())


def test_a_stage_opened_during_a_step_ends_it(kit: KitApp) -> None:
    """Replicator's own step would then never return; nothing of ours is left, and Replicator has stopped."""

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        frame = asyncio.ensure_future(renderer.render_async(*SIZE))
        while not kit.rep.leftovers():
            await asyncio.sleep(0.0)
        kit.context.new_stage()
        with pytest.raises(RuntimeError, match="stage was closed while"):
            await asyncio.wait_for(frame, 60.0)
        assert kit.rep.leftovers() == []

    asyncio.run(run())


def test_a_step_that_never_returns_is_given_up(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    kit.rep.quirks.endless = True
    monkeypatch.setattr(rtx, "STEP_LIMIT_S", 0.3)
    with pytest.raises(RuntimeError, match=r"took no frame in 0\.3 s"):
        drawn(make_stage())


def test_replicator_gives_back_what_it_kept(kit: KitApp) -> None:
    """It kept our settings at its first step, and writes them when a stage closes: unless it was stopped before."""
    kit.settings.set("/app/viewport/grid/enabled", True)

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        assert kit.settings.get("/app/viewport/grid/enabled") is False
        await renderer.restore_async()

    before = dict(kit.settings.values)
    asyncio.run(run())
    kit.context.new_stage()
    assert kit.settings.values == before
    kit.settings.destroy_item("/app/viewport/grid/enabled")


def test_nothing_persistent_is_written(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[str] = []
    there = kit.settings.set
    monkeypatch.setattr(type(kit.settings), "set", lambda self, path, value: (written.append(path), there(path, value)))
    drawn(make_stage())
    assert written and not [path for path in written if path.startswith("/persistent")]


def test_a_cancelled_frame_leaves_nothing(kit: KitApp) -> None:
    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        task = asyncio.ensure_future(renderer.render_async(*SIZE))
        await asyncio.sleep(0.0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert kit.rep.leftovers() == []
        await asyncio.sleep(0.1)  # meanwhile Replicator stops

    asyncio.run(run())


def test_stepping_a_running_app_is_refused(kit: KitApp) -> None:
    renderer = ReplicatorRenderer()
    renderer.load(make_stage())
    with pytest.raises(kit.rep.OrchestratorError, match="step_async"):
        renderer.render(*SIZE)


def test_the_viewports_own_picture_passes_no_sensor(kit: KitApp) -> None:
    stage = make_stage()
    set_sensor(stage, fullWell=500.0, readNoise=50.0)
    noisy, plain = drawn(stage)[0], drawn(stage, picture="ldr")[0]
    assert plain.rgb.shape == noisy.rgb.shape and (plain.mask == noisy.mask).all()
    with pytest.raises(InputError, match="picture: 'png'"):
        ReplicatorRenderer(picture="png")  # type: ignore[arg-type]


def test_a_bent_lens_reaches_rtx_or_is_refused(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """An OpenUSD without Omniverse's lens schema would draw a straight lens under a bent sensor."""
    stage = make_stage()
    aim: dict[str, Any] = {"k1": -0.12, "k2": 0.02}
    with pytest.raises(InputError, match="OmniLensDistortionOpenCvPinholeAPI"):
        drawn(stage, aims=[aim])
    monkeypatch.setattr(rtx, "knows_schema", lambda name: name == rtx.LENS_SCHEMA)
    bent, straight = drawn(stage, aims=[aim, {}])
    off = (bent.mask != embedded(stage, **aim).mask).mean()  # the schema holds floats: pixels on an edge may flip
    assert off < 0.002
    assert (straight.mask == embedded(stage).mask).all()
    assert (bent.mask != straight.mask).any()
    with pytest.raises(InputError, match="does not fold"):
        drawn(stage, aims=[{"k1": -0.9}])


def test_description_is_json_and_says_what_decides_the_picture(kit: KitApp) -> None:
    words = ReplicatorRenderer().describe()
    assert json.loads(json.dumps(words)) == words
    assert (words["name"], words["kit"], words["replicator"]) == ("replicator", "110.4.0+double", "1.13.27")
    assert words["real_time"] == "RealTimePathTracing" and words["settings"] == rtx.capture_settings()
    assert words["picture"] != ReplicatorRenderer(picture="ldr").describe()["picture"]


def test_gain_scales_light_before_the_sensor(kit: KitApp) -> None:
    stage = make_stage()
    plain, brighter = drawn(stage)[0], drawn(stage, aims=[{"exposure": 0.0}], gain=4.0)[0]  # 2 EV less, four times more
    assert np.abs(plain.rgb.astype(int) - brighter.rgb).max() <= 2
    with pytest.raises(InputError, match="gain: 0"):
        ReplicatorRenderer(gain=0.0)


def test_the_owner_of_an_app_need_not_wait(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a SimulationApp the same frames come without an event loop."""
    stage = make_stage()
    wanted = drawn(stage)[0]
    monkeypatch.setitem(sys.modules, "isaacsim", types.SimpleNamespace(RUNNING=object()))  # type: ignore[arg-type]
    renderer = ReplicatorRenderer()
    opened = renderer.load(stage)
    assert opened != stage and (renderer.mask(*SIZE) == wanted.mask).all()
    frame = renderer.render(*SIZE, quality="draft", outputs=ALL)
    renderer.close()
    for name in ("rgb", "mask", "depth", "normals", "instance"):
        assert (getattr(frame, name) == getattr(wanted, name)).all()


def test_bad_input_is_named(kit: KitApp) -> None:
    renderer = ReplicatorRenderer()
    with pytest.raises(InputError, match="load"):
        asyncio.run(renderer.render_async(*SIZE))
    with pytest.raises(InputError, match="width: 0"):
        asyncio.run(renderer.mask_async(0, 4))
    with pytest.raises(InputError, match="quality: 'best'"):
        asyncio.run(renderer.render_async(4, 4, quality="best"))  # type: ignore[arg-type]
    with pytest.raises(InputError, match="a stage with /World/Camera"):
        asyncio.run(renderer.load_async(Usd.Stage.CreateInMemory()))
        asyncio.run(renderer.mask_async(4, 4))


def test_every_annotator_asked_for_is_one_the_double_knows(kit: KitApp) -> None:
    for name, options, _ in ANNOTATORS.values():
        kit.rep.AnnotatorRegistry.get_annotator(name, init_params=options)
    with pytest.raises(TypeError):
        kit.rep.AnnotatorRegistry.get_annotator("rgb", init_params={"colourise": True})


def test_viewport_frames_are_the_newest_and_copies(kit: KitApp) -> None:
    kit.rep.quirks.empty = 1
    stage = make_stage()
    kit.context._take(stage, "moon.usda")
    frames = ViewportFrames()
    assert frames.poll(*SIZE) is None
    frames.attach("/Render/viewport_1_64x48")
    frames.attach("/Render/viewport_1_64x48")
    kit.rep.draw_viewports()
    assert frames.poll(*SIZE) is None  # nothing was drawn yet
    kit.rep.draw_viewports()
    first = frames.poll(*SIZE)
    assert first is not None and first.shape == (48, 64, 4) and first.dtype == np.uint8
    kept = first.copy()
    aim_camera(stage, heading=137.0)
    kit.rep.draw_viewports()
    assert (first == kept).all()  # not Replicator's buffer
    second = frames.poll(*SIZE)
    assert second is not None and (second != kept).any() and second.flags.c_contiguous
    assert frames.poll(32, 24) is None  # the size changed, and with it the path
    frames.attach("/Render/viewport_1_32x24")
    kit.rep.draw_viewports()
    kit.rep.draw_viewports()
    smaller = frames.poll(32, 24)
    assert smaller is not None and smaller.shape == (24, 32, 4)
    frames.detach()
    frames.detach()
    assert frames.poll(32, 24) is None


def test_settings_scope_gives_back_what_was_unset_and_what_others_changed(kit: KitApp) -> None:
    scope = SettingsScope({"/rtx/ecoMode/enabled": False, "/new": 1}, keep=["/theirs"])
    scope.set({"/new": 2})
    kit.settings.set("/theirs", True)
    assert kit.settings.get("/new") == 2
    scope.close()
    scope.close()
    assert kit.settings.get("/new") is None and kit.settings.get("/theirs") is None
    assert kit.settings.get("/rtx/ecoMode/enabled") is True


def test_settings_scopes_may_end_in_any_order(kit: KitApp) -> None:
    """The view's own scope ends when its stage closes, in the middle of an export."""
    before = dict(kit.settings.values)
    look = SettingsScope({"/a": 1, "/rtx/ecoMode/enabled": False})
    capture = SettingsScope({"/a": 2, "/b": 2})
    look.set({"/a": 3, "/b": 3})
    assert (kit.settings.get("/a"), kit.settings.get("/b")) == (2, 2)
    look.close()
    assert (kit.settings.get("/a"), kit.settings.get("/b")) == (2, 2)
    assert kit.settings.get("/rtx/ecoMode/enabled") is True
    capture.close()
    assert kit.settings.values == before


def test_settings_that_opening_a_stage_changes_hold_again(kit: KitApp, monkeypatch: pytest.MonkeyPatch) -> None:
    take = type(kit.context)._take

    def with_settings(self: Any, opened: Usd.Stage, url: str) -> None:
        take(self, opened, url)
        kit.settings.set("/rtx/sceneDb/ambientLightIntensity", 1.0)

    async def run() -> None:
        renderer = ReplicatorRenderer()
        await renderer.load_async(make_stage())
        await renderer.mask_async(*SIZE)
        assert kit.settings.get("/rtx/sceneDb/ambientLightIntensity") == 0.0
        await renderer.close_async()

    monkeypatch.setattr(type(kit.context), "_take", with_settings)
    asyncio.run(run())


def test_layer_edits_below_the_capture_keep_counting(kit: KitApp) -> None:
    """The user's own session opinion on exposure is the sensor's, not ours."""
    stage = make_stage()
    kit.context._take(stage, "moon.usda")
    with Usd.EditContext(stage, stage.GetSessionLayer()):
        stage.GetPrimAtPath(schema.CAMERA).CreateAttribute("exposure", Sdf.ValueTypeNames.Float).Set(-20.0)

    async def run() -> int:
        renderer = ReplicatorRenderer()
        await renderer.load_async(stage)
        frame = await renderer.render_async(*SIZE)
        await renderer.close_async()
        return int(frame.rgb.max())

    assert asyncio.run(run()) == 0
