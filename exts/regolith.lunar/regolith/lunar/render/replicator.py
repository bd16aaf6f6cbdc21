"""The RTX renderer: Omniverse Replicator inside Kit, reading the stage that is open in the app.

The picture comes from `HdrColor`, the linear light before RTX's tone curve, and goes through our own sensor
(`render.sensor`), as the embedded renderer's does: two pictures of one stage then differ by their light transport
alone. Exposure belongs to that sensor, so while frames are taken the camera's own is held at one, whatever an RTX mode
makes of it. `picture="ldr"` saves what the viewport shows instead, without sensor.

Masks come from the labels on the stage, through Replicator's own tables (`render.annotations`).

What a frame needs on the stage besides (neutral exposure, lens, no stars, no lights of the app) lies in a layer of our
own (`render.capture_layer`), and goes with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from pxr import Sdf, Usd

from regolith.lunar.labels import SKY
from regolith.lunar.params import InputError
from regolith.lunar.render import annotations, rtx
from regolith.lunar.render.base import Frame, Quality, check_outputs, run_through
from regolith.lunar.render.capture_layer import CaptureLayer
from regolith.lunar.render.develop import add_stars, develop_view
from regolith.lunar.render.product import Products
from regolith.lunar.render.rtx_quality import PATH_TRACING, SUBFRAMES, gathered_frames, mode_of
from regolith.lunar.render.settings_scope import SettingsScope
from regolith.lunar.render.stereo import RightCamera, read_right
from regolith.lunar.render.view import View, read_view
from regolith.lunar.scratch import scratch_folder
from regolith.lunar.stage import schema
from regolith.lunar.stage.stereo import PAIR, disparity
from regolith.lunar.stage.truth import TRUTHS
from regolith.lunar.system import discard

Picture = Literal["hdr", "ldr"]

WARM_UP = 4
"""Frames of the app between opening a stage and taking its first."""

TRIES = 32
"""Steps after which annotators that still return no frame are broken."""

LABELS = ("mask", "depth")
"""What every frame needs of `product.ANNOTATORS`: depth tells a sky from labels that are not there yet."""

_T = TypeVar("_T")


class ReplicatorRenderer:
    """Draws a stage by the rules of `render.base.Renderer`, in an app that has Replicator.

    `load`, `render` and `mask` drive the app and belong to a SimulationApp, where Replicator allows that; their
    `…_async` sisters wait for the frames of an app that runs by itself. Any failure lets go of everything held.
    """

    name = "replicator"
    baked = True
    lacks = frozenset(TRUTHS)
    """Outputs it cannot draw (`check_outputs`): no annotator traces rays of ours."""

    def __init__(
        self, *, picture: Picture = "hdr", gain: float = 1.0, stopped: Callable[[], bool] = lambda: False
    ) -> None:
        """Hold nothing yet.

        Args:
            picture: `hdr`, linear light through our sensor, or `ldr`, what the viewport shows.
            gain: Radiance over `HdrColor`: 1 where RTX keeps to UsdLux, in whose units level ground of albedo A under
                a sun of intensity E at elevation e has the radiance A E sin(e) / π.
            stopped: Whether the frame being taken is no longer wanted, asked while an app that runs by itself is
                waited for.

        Raises:
            InputError: Another picture, or a gain that is not positive.
        """
        if not 0.0 < gain < float("inf"):
            raise InputError("gain", gain, "above 0")
        if picture not in get_args(Picture):
            raise InputError("picture", picture, ", ".join(get_args(Picture)))
        self.picture: Picture = picture
        self.gain = gain
        self._guest = rtx.Guest(stopped)
        self._stepped: rtx.Pace | None = None  # how Replicator was last let take a frame; None once it was stopped
        self._held = contextlib.ExitStack()
        self._settings: SettingsScope | None = None
        self._folder: Path | None = None
        self._scenes = 0
        self._before: str | None = None
        """Address of the stage that was open before the first of ours."""
        self._ours = ""
        """End of the address of the one we opened last."""
        self._stage: Usd.Stage | None = None
        self._layer: CaptureLayer | None = None
        self._products: Products | None = None
        self._closing: Any = None  # an observation of stages lasts as long as this

    def describe(self) -> dict[str, Any]:
        """Versions, picture, modes and settings: what decides the look of a frame.

        RTX gathers samples over time and in parallel: frames drawn twice are alike, not equal bit by bit.
        """
        return {
            "name": self.name,
            **rtx.versions(),
            "picture": "HdrColor, our sensor" if self.picture == "hdr" else "LdrColor, RTX tone curve",
            "gain": self.gain,
            "real_time": rtx.real_time_mode(),
            "path_tracing": PATH_TRACING,
            "subframes": dict(gathered_frames()),
            "settings": rtx.capture_settings(),
            "numpy": np.__version__,
        }

    def load(self, stage: Usd.Stage) -> Usd.Stage:
        """Open a stage in the app, unless it is the open one.

        Returns:
            The open stage: edit that one.

        Raises:
            RuntimeError: It does not open.
        """
        return run_through(self._load(stage, rtx.Owner()))

    async def load_async(self, stage: Usd.Stage) -> Usd.Stage:
        """`load` beside an app that runs by itself.

        A stage in memory is written to a file in a thread; OpenUSD keeps the interpreter to itself meanwhile, 0.2 to
        0.5 s for a scene of preset v3.
        """
        return await self._load(stage, self._guest)

    def render(
        self, width: int, height: int, *, quality: Quality = "default", outputs: frozenset[str] = frozenset(),
        samples: int | None = None,
    ) -> Frame:  # fmt: skip
        """Render the stage's camera (`Renderer.render`); with a number of samples by path tracing (`mode_of`).

        Raises:
            InputError: A size, quality or number of samples that is not allowed, no stage, or a lens this Kit does not
                have.
            RuntimeError: Replicator returned nothing, or not what was asked for.
        """
        return run_through(self._render(width, height, quality, samples, outputs, rtx.Owner()))

    async def render_async(
        self, width: int, height: int, *, quality: Quality = "default", outputs: frozenset[str] = frozenset(),
        samples: int | None = None,
    ) -> Frame:  # fmt: skip
        """`render` beside an app that runs by itself."""
        return await self._render(width, height, quality, samples, outputs, self._guest)

    def mask(self, width: int, height: int) -> np.ndarray:
        """Draw the classes the stage's camera sees (`Renderer.mask`)."""
        return run_through(self._mask(width, height, rtx.Owner()))

    async def mask_async(self, width: int, height: int) -> np.ndarray:
        """`mask` beside an app that runs by itself."""
        return await self._mask(width, height, self._guest)

    async def radiance_async(
        self, width: int, height: int, *, quality: Quality = "default", subframes: int = 0
    ) -> np.ndarray:
        """Render the linear radiance the sensor would see, before exposure, stars and noise.

        Args:
            width: Picture width [px].
            height: Picture height [px].
            quality: Render mode.
            subframes: Frames RTX gathers; 0 for those of the quality.

        Returns:
            float32, shape [H, W], in units of the sun's irradiance per steradian.

        Raises:
            InputError, RuntimeError: As `render`; the former also where the picture is the viewport's own.
        """
        if self.picture != "hdr":
            raise InputError("picture", self.picture, "hdr: radiance is linear")
        async with self._closed_on_failure():
            _, own = self._prepare(width, height, quality)
            taken = await self._take(width, height, {schema.CAMERA: {"hdr", *LABELS}}, subframes or own, self._guest)
        return annotations.radiance(taken[schema.CAMERA]["hdr"], self.gain)

    async def aside(self, work: Callable[[], _T]) -> _T:
        """Do slow work that touches nothing of the app that runs by itself."""
        return await self._guest.aside(work)

    async def update(self) -> None:
        """Wait for the next frame of the app that runs by itself."""
        await self._guest.update()

    def check(self) -> None:
        """Check that the stage is still the open one: a user may open another at any time.

        Raises:
            InputError: None was loaded.
            RuntimeError: It was closed.
        """
        if self._layer is None:
            raise InputError("stage", None, "a stage given to load() first")
        opened = rtx.open_stage_now()
        if not self._stage or not opened or opened.GetRootLayer() != self._stage.GetRootLayer():
            raise RuntimeError(rtx.CLOSED)

    def close(self) -> None:
        """Give back settings and stage as they were; annotators are detached, the render product is destroyed.

        In an app that runs by itself Replicator stops some frames later.
        """
        stepped = self._stepped
        if isinstance(stepped, rtx.Guest):
            self._stepped = None
        run_through(self.close_async())
        if isinstance(stepped, rtx.Guest):
            rtx.finish_later([*rtx.capture_settings(), *PATH_TRACING])

    async def close_async(self) -> None:
        """`close`, and wait until Replicator has stopped."""
        self._settings = self._folder = self._closing = None
        with self._held:  # whatever fails, the rest is given back too
            self._let_go_of_stage()
            stepped, self._stepped = self._stepped, None
            if stepped is not None:
                await stepped.finish()  # before our settings go: Replicator has kept them, and would write them again

    async def restore_async(self) -> None:
        """Close, and open again the stage that was open before the first `load_async`.

        One without file becomes a new one; where the user has opened another meanwhile, that one stays.

        Raises:
            RuntimeError: It does not open.
        """
        await self.close_async()
        before, self._before = self._before, None
        if before is not None and rtx.stage_url().endswith(self._ours):
            await self._guest.open_stage("" if before.startswith("anon:") else before)

    async def _load(self, stage: Usd.Stage, pace: rtx.Pace) -> Usd.Stage:
        async with self._closed_on_failure():
            self._let_go_of_stage()
            self._hold_settings()
            opened = rtx.open_stage_now()
            root = stage.GetRootLayer()
            if opened is None or opened.GetRootLayer() != root:
                path = self._next_path()
                await pace.aside(lambda: _export(root, path))
                if self._before is None:
                    self._before = rtx.stage_url()
                opened = await pace.open_stage(path.as_posix())
                self._ours = f"{path.parent.name}/{path.name}"
                self._forget_others(path)
            self._stage, self._layer = opened, CaptureLayer(opened)
            for _ in range(WARM_UP):
                await pace.update()
            self._layer.put_out_lamps()
            return opened

    @contextlib.asynccontextmanager
    async def _closed_on_failure(self) -> AsyncIterator[None]:
        """Close this where the block does not come to its end, for whatever reason."""
        try:
            yield
        except (asyncio.CancelledError, GeneratorExit):  # nothing may be waited for any more
            self.close()
            raise
        except BaseException:
            await self.close_async()
            raise

    async def _render(
        self, width: int, height: int, quality: Quality, samples: int | None, outputs: frozenset[str], pace: rtx.Pace
    ) -> Frame:
        check_outputs(self, sorted(outputs))
        async with self._closed_on_failure():
            view, subframes = self._prepare(width, height, quality, samples)
            wanted = {schema.CAMERA: {self.picture, *LABELS, *(outputs - {*PAIR})}}
            right = self._prepare_right(view, width, height) if outputs & {*PAIR} else None
            if "right" in outputs:
                wanted[schema.CAMERA_RIGHT] = {self.picture, *LABELS}
            taken = await self._take(width, height, wanted, subframes, pace)
        arrays = annotations.settled(taken[schema.CAMERA])
        if right is not None and "right" in outputs:
            arrays["right"] = self._picture(taken[schema.CAMERA_RIGHT], right.view)
        if right is not None and "disparity" in outputs:
            arrays["disparity"] = disparity(arrays["depth"], view.camera.lens(width, height), right.baseline_m)
        return Frame(self._picture(arrays, view), arrays["mask"], {name: arrays[name] for name in outputs})

    def _picture(self, arrays: dict[str, np.ndarray], view: View) -> np.ndarray:
        """Picture of what a camera's annotators returned, uint8, shape [H, W, 3]."""
        if self.picture == "ldr":
            return np.ascontiguousarray(arrays["ldr"][..., :3])
        radiance = annotations.radiance(arrays["hdr"], self.gain)
        add_stars(radiance, view, arrays["mask"] == SKY)
        return np.ascontiguousarray(develop_view(radiance, view))

    async def _mask(self, width: int, height: int, pace: rtx.Pace) -> np.ndarray:
        async with self._closed_on_failure():
            self._prepare(width, height, "draft")
            return (await self._take(width, height, {schema.CAMERA: {*LABELS}}, 1, pace))[schema.CAMERA]["mask"]

    def _prepare(self, width: int, height: int, quality: Quality, samples: int | None = None) -> tuple[View, int]:
        """Put lens, neutral exposure and render mode in place; the view on the stage, and the frames to gather."""
        if quality not in SUBFRAMES:
            raise InputError("quality", quality, ", ".join(SUBFRAMES))
        for field, value in (("width", width), ("height", height)):
            if not 1 <= value <= 8192:
                raise InputError(field, value, "1 … 8192 pixels")
        if samples is not None and (samples < 1 or samples & (samples - 1)):
            raise InputError("samples", samples, "a power of two")
        self.check()
        assert self._stage is not None and self._layer is not None and self._settings is not None
        if not self._stage.GetPrimAtPath(schema.CAMERA):
            raise InputError("stage", self._stage.GetRootLayer().identifier, f"a stage with {schema.CAMERA}")
        view = self._equip(schema.CAMERA, read_view(self._stage, ()), width, height)
        mode, subframes = mode_of(quality, samples)
        self._settings.set(rtx.capture_settings() | mode)  # opening a stage brings settings of its own
        return view, subframes

    def _prepare_right(self, left: View, width: int, height: int) -> RightCamera:
        """Read what the right camera sees, and put its lens and neutral exposure in place."""
        assert self._stage is not None
        right = read_right(self._stage, left)
        return right._replace(view=self._equip(schema.CAMERA_RIGHT, right.view, width, height))

    def _equip(self, path: str, view: View, width: int, height: int) -> View:
        """Put a camera's lens and neutral exposure in place; its view with the exposure that the stage has for it."""
        assert self._stage is not None and self._layer is not None
        camera = self._stage.GetPrimAtPath(path)
        exposure = self._layer.own_exposure(camera)
        self._layer.bend(camera, view.camera.lens(width, height))
        if self.picture == "hdr":
            self._layer.expose_neutrally(camera)
        return dataclasses.replace(view, sensor=dataclasses.replace(view.sensor, exposure_ev=exposure))

    async def _take(
        self, width: int, height: int, wanted: Mapping[str, set[str]], subframes: int, pace: rtx.Pace
    ) -> dict[str, dict[str, np.ndarray]]:
        """Take a frame: arrays by camera and by our names of the annotators."""
        if self._products is not None and self._products.size != (width, height):
            self._let_go_of_products()
        if self._products is None:
            self._products = Products((width, height))
        products = self._products
        if products.attach(wanted):
            await self._step(subframes, pace)  # shows what was on screen before, or nothing
        problem = ""
        for _ in range(TRIES):
            await self._step(subframes, pace)
            arrays, problem = products.read(wanted)
            if not problem:
                return arrays
        raise RuntimeError(f"Replicator {problem}, after {TRIES} frames")

    async def _step(self, subframes: int, pace: rtx.Pace) -> None:
        """Let Replicator take a frame; from then on it is to be stopped."""
        self.check()
        if isinstance(pace, rtx.Guest):  # a step that is given up has begun
            self._stepped = pace
        await pace.step(subframes)
        self._stepped = pace
        self.check()

    def _hold_settings(self) -> None:
        if self._settings is None:
            self._settings = SettingsScope(rtx.capture_settings(), keep=PATH_TRACING)
            self._held.callback(self._settings.close)
            # what outlives its stage keeps its memory, and would be taken off the next one
            self._closing = rtx.observe_stage("CLOSING", lambda _: self._let_go_of_products())

    def _let_go_of_products(self) -> None:
        products, self._products = self._products, None
        if products is not None:
            products.close()

    def _let_go_of_stage(self) -> None:
        layer, self._stage, self._layer = self._layer, None, None
        try:
            self._let_go_of_products()
        finally:
            if layer is not None:
                layer.remove()

    def _next_path(self) -> Path:
        """File of the next scene: a new name each time, for OpenUSD keeps layers by theirs."""
        if self._folder is None:
            self._folder = self._held.enter_context(scratch_folder())
        self._scenes += 1
        return self._folder / f"scene_{self._scenes:05d}.usdc"

    def _forget_others(self, path: Path) -> None:
        for other in path.parent.iterdir():
            if other != path:
                discard(other)


def _export(root: Sdf.Layer, path: Path) -> None:
    if not root.Export(str(path)):
        raise RuntimeError(f"{path}: cannot be written")
