"""Live preview on the real omni.ui: the layer is the offline compositor's, lies on the picture, and never blocks."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import OUT, Kit
from panel import Panel
from PIL import Image
from scipy import ndimage

SIZE = (320, 240)


@pytest.fixture
def panel(lunar: Kit) -> Panel:
    return Panel(lunar)


class Threshold:
    """A model whose classes can be computed by hand: bright is sky, dark is rock, what lies between regolith."""

    provider = "CPUExecutionProvider"

    def predict(self, rgb: np.ndarray) -> Any:
        from regolith.lunar.labels import REGOLITH, ROCK, SKY
        from regolith.lunar.perception.session import Prediction

        gray = rgb.mean(axis=2)
        mask = np.where(gray > 170, SKY, np.where(gray < 85, ROCK, REGOLITH)).astype(np.uint8)
        return Prediction(mask, np.ones(mask.shape, np.float32))


class Held(Threshold):
    """One that answers once it is let."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []
        self.go = threading.Event()

    def predict(self, rgb: np.ndarray) -> Any:
        self.asked.append(rgb.copy())
        self.go.wait(60)
        return super().predict(rgb)


class Camera:
    """Frames a test hands out."""

    def __init__(self, picture: np.ndarray) -> None:
        self.picture: np.ndarray | None = picture
        self.attached: list[str] = []
        self.polls = 0

    @property
    def path(self) -> str:
        return self.attached[0] if self.attached else ""

    def attach(self, render_product_path: str) -> None:
        assert render_product_path not in self.attached
        self.attached.append(render_product_path)

    def poll(self, width: int, height: int) -> np.ndarray | None:
        self.polls += 1
        assert self.attached
        if self.picture is None or self.picture.shape[:2] != (height, width):
            return None
        return self.picture.copy()

    def detach(self) -> None:
        self.attached.clear()


def picture(width: int = SIZE[0], height: int = SIZE[1]) -> np.ndarray:
    """Sky above, ground below, a dark square on it, and a frame that shows where the picture ends."""
    rgb = np.full((height, width, 3), 128, np.uint8)
    rgb[: height // 3] = 220
    rgb[height // 2 : height // 2 + height // 4, width // 3 : width // 3 + width // 4] = 30
    return rgb


def settings(**changes: Any) -> Any:
    from regolith.lunar.panel.host import LiveSettings

    values = {"model": "test", "opacity": 0.5, "rock": True, "outline": True, "regolith": True, "legend": True}
    return LiveSettings(**(values | {"rate_hz": 60.0} | changes))


def preview(camera: Any, model: Any = None, **changes: Any) -> Any:
    import omni.kit.viewport.utility as viewport

    from regolith.lunar.kit.live import LivePreview

    made = model or Threshold()
    return LivePreview(settings(**changes), camera, viewport.get_active_viewport_window, load=lambda name: made)


def run(kit: Kit, live: Any, done: Any, seconds: float = 10.0) -> None:
    assert kit.until(lambda: (live.tick(), done())[1], seconds), live.state


def test_the_overlay_equals_the_offline_compositor(panel: Panel) -> None:
    """The layer handed to omni.ui, and what then stands on the screen over the viewport's picture."""
    import omni.kit.viewport.utility as viewport

    from regolith.lunar.kit import overlay
    from regolith.lunar.perception.overlay import blend, class_layer

    rgb = picture()
    window = viewport.open_viewport(resolution=SIZE, width=SIZE[0] + 40, height=SIZE[1] + 120)
    viewport.draw(rgb)
    panel.screen.frames(3)
    shown: list[np.ndarray] = []
    keep = overlay.ViewportOverlay.show
    overlay.ViewportOverlay.show = lambda self, layer: (shown.append(layer), keep(self, layer))[1]
    live = preview(Camera(rgb), legend=False)
    try:
        run(panel.kit, live, lambda: shown)
        wanted = class_layer(Threshold().predict(rgb).mask, opacity=0.5)
        assert np.array_equal(shown[-1], wanted)
        panel.capture(OUT / "overlay_equal.png")
        frame = window.get_frame(overlay.KEY)
        screen = np.asarray(Image.open(OUT / "overlay_equal.png").convert("RGB")).astype(int)
        scale = min(frame.computed_width / SIZE[0], frame.computed_height / SIZE[1])
        left = frame.screen_position_x + 0.5 * (frame.computed_width - scale * SIZE[0])
        top = frame.screen_position_y + 0.5 * (frame.computed_height - scale * SIZE[1])
        expected = blend(rgb, wanted).astype(int)
        rows, columns = np.arange(4, SIZE[1] - 4, 3), np.arange(4, SIZE[0] - 4, 3)
        y = np.round(top + scale * (rows + 0.5) - 0.5).astype(int)
        x = np.round(left + scale * (columns + 0.5) - 0.5).astype(int)
        there = screen[np.ix_(y, x)]
        edges = np.abs(np.diff(expected, axis=0, prepend=0)).sum(2) + np.abs(np.diff(expected, axis=1, prepend=0)).sum(
            2
        )
        flat = ndimage.maximum_filter(edges, 9)  # away from any border
        plain = flat[np.ix_(rows, columns)] == 0
        assert plain.mean() > 0.5
        difference = np.abs(there - expected[np.ix_(rows, columns)]).max(axis=2)
        assert difference[plain].max() <= 2, difference[plain].max()
    finally:
        overlay.ViewportOverlay.show = keep
        live.close()


@pytest.mark.parametrize("shape", [(600, 300), (300, 420), (440, 440)])
def test_the_layer_lies_on_the_letterboxed_picture(panel: Panel, shape: tuple[int, int]) -> None:
    """A layer that is only a border coincides with the picture's border at any aspect ratio of the window."""
    import omni.kit.viewport.utility as viewport

    from regolith.lunar.kit.overlay import ViewportOverlay

    window = viewport.open_viewport(resolution=SIZE, width=shape[0], height=shape[1], x=560)
    viewport.draw(np.full((SIZE[1], SIZE[0], 3), 90, np.uint8))
    panel.screen.frames(3)
    panel.capture(OUT / "letterbox.png")
    before = np.asarray(Image.open(OUT / "letterbox.png").convert("RGB")).astype(int)
    over = ViewportOverlay(window)
    layer = np.zeros((SIZE[1], SIZE[0], 4), np.uint8)
    layer[...] = (255, 0, 0, 255)
    over.show(layer)
    panel.capture(OUT / "letterbox.png")
    after = np.asarray(Image.open(OUT / "letterbox.png").convert("RGB")).astype(int)
    over.destroy()
    gray = (np.abs(before - 90).max(2) <= 1)[:, 560:]
    red = ((after[..., 0] > 200) & (after[..., 1] < 60))[:, 560:]
    assert gray.sum() > 20_000
    for found in (gray, red):
        rows, columns = np.flatnonzero(found.sum(1) > 50), np.flatnonzero(found.sum(0) > 50)
        box = (rows[0], rows[-1], columns[0], columns[-1])
        if found is gray:
            wanted = box
    assert max(abs(a - b) for a, b in zip(box, wanted, strict=True)) <= 1, (box, wanted)


def test_opacity_and_classes_on_show(panel: Panel) -> None:
    from regolith.lunar.kit.live import segment
    from regolith.lunar.labels import REGOLITH, ROCK, SKY

    rgb = picture()
    mask = Threshold().predict(rgb).mask
    result = segment(Threshold(), rgb, settings(rock=False, outline=False))
    assert (result.layer[mask == ROCK] == 0).all() and (result.layer[mask == SKY] == 0).all()
    assert result.layer[mask == REGOLITH][0, 3] == round(255 * 0.5 * 0.10 / 0.42)
    assert result.rock_share == pytest.approx(np.mean(mask == ROCK))
    result = segment(Threshold(), rgb, settings(regolith=False, outline=False, opacity=0.8))
    assert (result.layer[mask == ROCK][:, 3] == 204).all() and (result.layer[mask == REGOLITH] == 0).all()


def test_the_main_thread_never_waits(panel: Panel) -> None:
    """While the model is held up, ticks go on and take nothing; of the frames that came it then gets only the last."""
    import omni.kit.viewport.utility as viewport

    viewport.open_viewport(resolution=SIZE)
    camera, model = Camera(picture()), Held()
    live = preview(camera, model)
    try:
        run(panel.kit, live, lambda: model.asked)
        polls = camera.polls
        for number in range(100):
            camera.picture = np.full((SIZE[1], SIZE[0], 3), number, np.uint8)
            live.tick()
        assert camera.polls == polls and len(model.asked) == 1
        model.go.set()
        run(panel.kit, live, lambda: len(model.asked) > 1)
        assert (model.asked[1] == 99).all()
    finally:
        model.go.set()
        live.close()


def test_a_tick_takes_one_picture_and_shows_one_layer(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Annotator to overlay at 1280x720 with the shipped model, all of whose work is another thread's."""
    import omni.kit.viewport.utility as viewport
    import omni.replicator.core as rep

    from regolith.lunar.kit import live
    from regolith.lunar.kit.overlay import ViewportOverlay
    from regolith.lunar.render.viewport import ViewportFrames

    main, counts = threading.get_ident(), {"taken": 0, "shown": 0}
    segmented_by: set[int] = set()
    poll, show, segment = ViewportFrames.poll, ViewportOverlay.show, live.segment

    def polled(frames: Any, width: int, height: int) -> Any:
        taken = poll(frames, width, height)
        counts["taken"] += taken is not None
        return taken

    def showed(overlay: Any, layer: np.ndarray) -> None:
        counts["shown"] += 1
        show(overlay, layer)

    def segmented(*args: Any) -> Any:
        segmented_by.add(threading.get_ident())
        return segment(*args)

    monkeypatch.setattr(ViewportFrames, "poll", polled)
    monkeypatch.setattr(ViewportOverlay, "show", showed)
    monkeypatch.setattr(live, "segment", segmented)
    viewport.open_viewport(resolution=(1280, 720))
    panel.author("v1")
    panel.model.commit("model.rate_hz", 30.0)
    panel.press("preview")
    assert panel.kit.until(lambda: rep._annotators.ATTACHED, 20)
    for _ in range(4):
        rep.draw_viewports()
    assert panel.kit.until(lambda: counts["shown"], 30)
    panel.controller._observers.pop(0)  # from here on the test ticks
    counts.update(taken=0, shown=0)

    def tick() -> bool:
        before = dict(counts)
        panel.controller._tick(None)
        assert all(counts[name] - before[name] <= 1 for name in counts)
        return counts["shown"] >= 10

    assert panel.kit.until(tick, 240)
    assert counts["taken"] >= 9, "no layer is shown twice"
    assert segmented_by and main not in segmented_by


def test_what_an_older_viewport_gave_is_not_shown(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    import omni.kit.viewport.utility as viewport

    from regolith.lunar.kit.overlay import ViewportOverlay

    model = Held()
    shown: list[np.ndarray] = []
    monkeypatch.setattr(ViewportOverlay, "show", lambda self, layer: shown.append(layer))
    viewport.open_viewport(resolution=SIZE)
    camera = Camera(picture())
    live = preview(camera, model)
    try:
        run(panel.kit, live, lambda: model.asked)
        camera.picture = None  # nothing new comes
        live.detach()
        live.tick()
        model.go.set()
        run(panel.kit, live, lambda: live._inference.ready)
        assert not shown and live.state.milliseconds == 0
        camera.picture = picture()
        run(panel.kit, live, lambda: shown)
    finally:
        model.go.set()
        live.close()


def test_stopped_while_a_model_loads(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the button nor disabling waits for it (the fixture looks for what the worker may have kept alive)."""
    import omni.kit.viewport.utility as viewport

    from regolith.lunar.kit import live

    started, loaded = threading.Event(), threading.Event()

    def load(name: str) -> Any:
        started.set()
        loaded.wait(60)
        return Threshold()

    monkeypatch.setattr(live.LivePreview.__init__, "__kwdefaults__", {"load": load, "clock": time.perf_counter})
    viewport.open_viewport(resolution=SIZE)
    panel.press("preview")
    assert panel.kit.until(started.is_set)
    panel.model.actions["preview"].run()
    assert panel.controller.host.live_state() is None and not loaded.is_set()
    started.clear()
    panel.press("preview")
    assert panel.kit.until(started.is_set)
    panel.kit.disable("regolith.lunar")
    loaders = [thread for thread in threading.enumerate() if thread.name == "regolith-live"]
    assert loaders, "a model is still being loaded"
    loaded.set()


def test_viewport_closed_reopened_and_resized(panel: Panel) -> None:
    import omni.kit.viewport.utility as viewport

    window = viewport.open_viewport(resolution=SIZE)
    camera = Camera(picture())
    live = preview(camera)
    try:
        run(panel.kit, live, lambda: live.state.milliseconds > 0)
        first = camera.attached[0]
        window.viewport_api.resolution = (160, 120)
        camera.picture = picture(160, 120)
        run(panel.kit, live, lambda: camera.attached and camera.attached[0] != first)
        viewport.close_viewport()
        run(panel.kit, live, lambda: "Viewport" in live.state.problem)
        assert not camera.attached
        viewport.open_viewport(resolution=(160, 120))
        run(panel.kit, live, lambda: not live.state.problem and camera.attached)
        run(panel.kit, live, lambda: live.state.frames_per_s > 0)
    finally:
        live.close()
    assert not camera.attached


def test_a_failed_inference_is_told_and_does_not_end_the_preview(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    import omni.kit.viewport.utility as viewport

    class Moody(Threshold):
        calls = 0

        def predict(self, rgb: np.ndarray) -> Any:
            self.calls += 1
            if self.calls == 1:
                raise RuntimeError("out of memory")
            return super().predict(rgb)

    viewport.open_viewport(resolution=SIZE)
    live = preview(Camera(picture()), Moody())
    try:
        run(panel.kit, live, lambda: "out of memory" in live.state.problem)
        run(panel.kit, live, lambda: live.state.milliseconds > 0 and not live.state.problem)
    finally:
        live.close()
    assert any("out of memory" in text for _, _, text in panel.kit.logs)
    panel.kit.logs.clear()
    caplog.clear()  # pytest's copy of the record has the traceback, whose frames keep the preview alive


def test_the_button_without_a_model_says_what_to_do(panel: Panel, tmp_path: Path) -> None:
    from omni.kit.notification_manager import posted

    panel.model.commit("model.path", str(tmp_path / "none.onnx"))
    panel.press("preview")
    assert panel.kit.until(lambda: posted)
    assert "none.onnx" in posted[-1].text and "export-model" in posted[-1].text
    assert panel.kit.until(lambda: panel.text("action:preview") == "Start live preview")
    assert panel.controller.host.live_state() is None


def test_the_button_without_onnxruntime_says_what_to_install(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from omni.kit.notification_manager import posted

    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    panel.press("preview")
    assert panel.kit.until(lambda: posted)
    assert f"{sys.executable} -m pip install onnxruntime;" in posted[-1].text


def test_the_button_without_a_viewport_says_where_to_open_one(panel: Panel) -> None:
    panel.press("preview")
    assert panel.kit.until(lambda: panel.widget("live").visible and "Viewport" in panel.text("live"))
    panel.press("preview")
    assert panel.kit.until(lambda: not panel.widget("live").visible)


def test_preview_of_an_authored_stage_with_the_shipped_model(panel: Panel) -> None:
    """Button to pixels: Replicator's double draws the viewport, onnxruntime segments it, omni.ui shows it."""
    import omni.kit.viewport.utility as viewport
    import omni.replicator.core as rep
    import omni.usd

    window = viewport.open_viewport(resolution=SIZE, width=760, height=600, x=480)
    panel.author("v3")
    assert window.viewport_api.camera_path == "/World/Camera"
    panel.press("preview")
    panel.kit.until(lambda: rep._annotators.ATTACHED, 20)
    for _ in range(4):
        rep.draw_viewports()
    viewport.draw(rep._annotators.ATTACHED[0].get_data()[..., :3].copy())
    assert panel.kit.until(lambda: panel.model.live is not None and panel.model.live.milliseconds > 0, 30)
    panel.screen.frames(3)
    panel.capture(OUT / "preview.png")
    assert "Rock" in panel.screen.find("Viewport", "overlay:rock").text
    assert "frames/s" in panel.text("live")
    omni.usd.get_context().new_stage()  # closing the stage lets go of its render product
    viewport.close_viewport()
    assert panel.kit.until(lambda: not rep.leftovers())
    panel.press("preview")
    assert panel.kit.until(lambda: panel.controller.host.live_state() is None)
