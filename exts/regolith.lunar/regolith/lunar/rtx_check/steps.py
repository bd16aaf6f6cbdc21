"""The steps of a check that run anywhere in Isaac Sim: `STEPS`; the headless check has `HEADLESS`, the app its own.

A new step is an async function of the `Context` that returns `Seen` or raises `StepFailed`, and a row in `STEPS`; a
measurement takes its renderer from `looking.drawing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import platform
import time
from typing import TYPE_CHECKING, Any

from regolith.lunar.rtx_check.checklist import Context, Seen, Step, StepFailed
from regolith.lunar.rtx_check.looking import (
    FRAMES,
    SEED,
    SPLIT,
    author,
    drawing,
    exported_masks,
    read_gpus,
    save_picture,
    shining_lights,
    watched_settings,
)

if TYPE_CHECKING:
    import numpy as np

DARK = 6
"""Largest 8-bit value that counts as black."""
MEASURED = 20
"""Frames whose speed and memory are measured."""
GROWTH_BYTES = 1 << 30
"""Growth of this process's memory over `MEASURED` frames of one size that is a leak [bytes]."""
ENDED_S = 10.0
"""Longest time for a frame to end once its stage was closed [s]."""


async def see_versions(context: Context) -> Seen:
    """Versions of everything that a fault could hang on."""
    import numpy as np

    from regolith.lunar.render import rtx

    gpus = await rtx.Guest().aside(read_gpus)
    found: dict[str, Any] = {
        **rtx.versions(),
        "app": rtx.app_version(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "log": rtx.log_file(),
        "gpus": gpus,
    }
    device = ", ".join(dict.fromkeys(f"{gpu['name']}, driver {gpu['driver']}" for gpu in gpus))
    text = f"app {found['app']}, Kit {found['kit']}, Replicator {found['replicator']}, {device}"
    if rtx.kit_version() not in rtx.ISAAC_SIM.values():
        known = ", ".join("{}.{}".format(*kit) for kit in rtx.ISAAC_SIM.values())
        raise StepFailed(f"{text}; this tool is written for Kit {known}", **found)
    if found["replicator"] == "none":
        raise StepFailed(f"{text}: omni.replicator.core is not enabled", **found)
    return Seen(text, found)


async def see_new_stage(context: Context) -> Seen:
    """A new stage, and the settings of before the first frame."""
    from regolith.lunar.render import rtx

    await rtx.Guest().open_stage("")
    context.settings = watched_settings()
    return Seen(f"opened, {len(context.settings)} settings noted", {"settings": dict(context.settings)})


async def see_black_sky(context: Context) -> Seen:
    """What the viewport would show of our stage, twice, with a new stage between."""
    import numpy as np

    from regolith.lunar.labels import SKY
    from regolith.lunar.perception.overlay import draw_overlay
    from regolith.lunar.render import rtx

    values: dict[str, Any] = {}
    for _ in range(2):
        await rtx.Guest().open_stage("")
        async with drawing(context, picture="ldr") as (renderer, stage):
            lights = shining_lights(stage)
            frame = await renderer.render_async(context.size, context.size)
        context.picture, context.mask = frame.rgb, frame.mask
        save_picture(context.folder / "rgb.png", frame.rgb)
        save_picture(context.folder / "mask_overlay.png", draw_overlay(frame.rgb, frame.mask))
        sky = frame.mask == SKY
        if sky.all() or not sky.any():
            raise StepFailed(f"{100 * sky.mean():.0f} % of the picture is labelled sky")
        values = {
            "lights": lights,
            "sky_share": float(sky.mean()),
            "sky_p95": float(np.percentile(frame.rgb[sky], 95)),
            "ground_mean": float(frame.rgb[~sky].mean()),
        }
        seen = f"sky {values['sky_p95']:.0f}, ground {values['ground_mean']:.0f} of 255, lights {', '.join(lights)}"
        if len(lights) != 1 or values["sky_p95"] > DARK or values["ground_mean"] <= 2 * DARK:
            raise StepFailed(f"{seen}; should be at most {DARK}, more than {2 * DARK}, and one", **values)
    return Seen(seen, values)


async def see_equal_exports(context: Context) -> Seen:
    """Two exports with one seed."""
    from regolith.lunar.dataset.app_run import generate_async
    from regolith.lunar.render.replicator import ReplicatorRenderer

    started = time.monotonic()
    for name in ("one", "two"):
        await generate_async(
            context.params,
            context.scratch / name,
            split=SPLIT,
            frames=FRAMES,
            width=context.size,
            height=context.size,
            seed=SEED,
            renderer=ReplicatorRenderer(),
        )
    seconds = (time.monotonic() - started) / (2 * FRAMES)
    off = [
        int((one != two).sum())
        for one, two in zip(exported_masks(context, "one"), exported_masks(context, "two"), strict=True)
    ]
    values = {"pixels_that_differ": off, "seconds_per_frame": seconds}
    if any(off):
        raise StepFailed(f"masks of one seed differ in {max(off)} of {context.size**2} pixels", **values)
    return Seen(f"{FRAMES} frames twice, masks equal, {seconds:.1f} s a frame with building the scenes", values)


async def see_verified(context: Context) -> Seen:
    """What `regolith verify` says of the first export."""
    from regolith.lunar.dataset.verify import verify
    from regolith.lunar.render import rtx

    found = await rtx.Guest().aside(lambda: verify(context.scratch / "one" / SPLIT))
    problems = found["problems"]
    values = {"problems": problems[:20]}
    if problems:
        first = problems[0]
        raise StepFailed(
            f"{len(problems)} problems; {first['check']} at {first['where']}: {first['problem']}", **values
        )
    return Seen(f"{found['frames']} frames, no problem", values)


async def see_complete_labels(context: Context) -> Seen:
    """Every pixel of the first export has a class, and each class is met."""
    import numpy as np

    from regolith.lunar.labels import count_classes

    counts = count_classes(np.stack(exported_masks(context, "one")))
    seen = ", ".join(f"{name} {count}" for name, count in counts.items())
    if counts["ignore"]:
        raise StepFailed(f"{counts['ignore']} pixels without a class: {seen}", pixels=counts)
    if missing := [name for name, count in counts.items() if not count and name != "ignore"]:
        raise StepFailed(f"no pixel of {', '.join(missing)}: {seen}", pixels=counts)
    return Seen(f"pixels: {seen}", {"pixels": counts})


async def see_exposure(context: Context) -> Seen:
    """A grey plane under three suns against the formula: `HdrColor` is radiance in UsdLux's units."""
    from regolith.lunar.render.first_run import GREY_TOLERANCE, measure_grey

    async with drawing(context) as (renderer, _):
        ratios = [grey.ratio for grey in await measure_grey(renderer)]
    values = {"ratios": ratios}
    seen = f"measured over expected: {', '.join(f'{ratio:.3f}' for ratio in ratios)}"
    if max(ratios) > (1.0 + GREY_TOLERANCE) * min(ratios):
        raise StepFailed(f"{seen}; should be the same, so something exposes by itself", **values)
    if any(abs(ratio - 1.0) > GREY_TOLERANCE for ratio in ratios):
        raise StepFailed(f"{seen}; a --gain of {len(ratios) / sum(ratios):.3g} would make them 1", **values)
    return Seen(seen, values)


async def see_settled(context: Context) -> Seen:
    """How near pictures gathered over fewer frames are to one gathered over many."""
    from regolith.lunar.render.first_run import SETTLED_DB, SUBFRAMES, measure_subframes
    from regolith.lunar.render.rtx_quality import gathered_frames

    async with drawing(context) as (renderer, _):
        found = await measure_subframes(renderer, author(context)[0], size=(context.size, context.size))
    used = max(count for count in SUBFRAMES if count <= gathered_frames()["default"])
    seen = f"PSNR by frames gathered: {', '.join(f'{count}: {value:.1f} dB' for count, value in found.items())}"
    values = {"psnr_db": {str(count): value if math.isfinite(value) else None for count, value in found.items()}}
    if found[used] < SETTLED_DB:
        raise StepFailed(f"{seen}; {used}, as by default, should have {SETTLED_DB:.0f}", **values)
    return Seen(seen, values)


async def see_closing_ends_a_frame(context: Context) -> Seen:
    """A stage opened while a frame is taken of another."""
    from regolith.lunar.render import rtx

    pace = rtx.Guest()
    async with drawing(context) as (renderer, _):
        frame = asyncio.ensure_future(renderer.render_async(context.size, context.size))
        try:
            for _ in range(2):  # its first step has begun
                await pace.update()
            await pace.open_stage("")
            started = time.monotonic()
            await asyncio.wait({frame}, timeout=ENDED_S)
            seconds = time.monotonic() - started
            if not frame.done():
                raise StepFailed(f"a frame whose stage was closed had not ended after {ENDED_S:.0f} s")
            error = frame.exception()
        finally:
            frame.cancel()
            await asyncio.wait({frame}, timeout=ENDED_S)  # it lets go of the app before its renderer does
    if error is None:
        raise StepFailed("a frame came of a stage that was closed meanwhile")
    if str(error) != rtx.CLOSED:
        raise error
    return Seen(f"the frame ended after {seconds:.1f} s: {error}", {"seconds": seconds})


async def see_inference(context: Context) -> Seen:
    """The shipped model on a picture of the stage."""
    import numpy as np

    from regolith.lunar.machine import ONNXRUNTIME
    from regolith.lunar.perception.overlay import draw_overlay
    from regolith.lunar.perception.session import Segmenter
    from regolith.lunar.render import rtx

    gray = np.full((context.size, context.size, 3), 96, np.uint8)
    picture = gray if context.picture is None else context.picture

    def segment() -> tuple[np.ndarray, str, str, float]:
        import onnxruntime

        model = Segmenter("default")
        model.predict(picture)
        started = time.perf_counter()
        mask = model.predict(picture).mask
        milliseconds = 1e3 * (time.perf_counter() - started)
        return mask, model.provider.removesuffix("ExecutionProvider"), onnxruntime.__version__, milliseconds

    try:
        mask, provider, version, milliseconds = await rtx.Guest().aside(segment)
    except ModuleNotFoundError as error:
        if error.name != "onnxruntime":
            raise
        return Seen(f"no onnxruntime: no live preview. {ONNXRUNTIME}", state="absent")
    save_picture(context.folder / "prediction_overlay.png", draw_overlay(picture, mask))
    values = {"onnxruntime": version, "provider": provider, "milliseconds": milliseconds}
    return Seen(f"onnxruntime {version} on {provider}, {milliseconds:.0f} ms a picture", values)


async def see_speed(context: Context) -> Seen:
    """Frames a second, and what memory does meanwhile."""
    import psutil

    from regolith.lunar.render import rtx

    process, pace = psutil.Process(os.getpid()), rtx.Guest()
    async with drawing(context) as (renderer, _):
        await renderer.render_async(context.size, context.size)
        resident, used = process.memory_info().rss, await pace.aside(read_gpus)
        started = time.monotonic()
        for _ in range(MEASURED):
            await renderer.render_async(context.size, context.size)
        rate = MEASURED / (time.monotonic() - started)
        growth, after = process.memory_info().rss - resident, await pace.aside(read_gpus)
    values = {"frames_per_s": rate, "resident_bytes": resident, "growth_bytes": growth, "gpus": [used, after]}
    gpu = ", ".join(
        f"{was['used_mib']} to {now['used_mib']} MiB of {now['total_mib']}"
        for was, now in zip(used, after, strict=True)
    )
    seen = f"{rate:.1f} frames/s of {context.size} px, memory grew {growth / 1e6:.0f} MB, GPU {gpu}"
    if growth > GROWTH_BYTES:
        raise StepFailed(f"{seen}; should grow less than {GROWTH_BYTES / 1e6:.0f} MB in {MEASURED} frames", **values)
    return Seen(seen, values)


async def see_headless_frame(context: Context) -> Seen:
    """A frame as `regolith generate --executor isaac` draws it: the process drives the app, and never waits."""
    from regolith.lunar.labels import IGNORE
    from regolith.lunar.render.replicator import ReplicatorRenderer

    with contextlib.closing(ReplicatorRenderer()) as renderer:
        renderer.load(author(context)[0])
        mask = renderer.mask(context.size, context.size)
    if (mask == IGNORE).any():
        raise StepFailed(f"{(mask == IGNORE).sum()} pixels without a class")
    if context.mask is None:
        return Seen("labels complete; there is no other mask to compare with")
    off = int((mask != context.mask).sum())
    if off:
        raise StepFailed(f"the mask differs from the one drawn in the app's loop in {off} pixels")
    return Seen("the mask equals the one drawn in the app's loop")


async def see_settings_given_back(context: Context) -> Seen:
    """Settings, once a new stage is open again."""
    from regolith.lunar.render import rtx

    if not context.settings:
        raise StepFailed("nobody noted what they were before")
    await rtx.Guest().open_stage("")
    now = watched_settings()
    changed = {path: [was, now[path]] for path, was in context.settings.items() if now[path] != was}
    if changed:
        seen = ", ".join(f"{path} was {was!r}, is {now!r}" for path, (was, now) in changed.items())
        raise StepFailed(seen, changed=changed)
    return Seen(f"{len(now)} settings as before")


STEPS = (
    Step("versions", "Kit and Replicator of versions this tool is written for, a GPU", see_versions, 20.0),
    Step("new stage", "a new stage opens", see_new_stage, 30.0),
    Step("black sky", "a stage drawn twice: black sky, lit ground, one light", see_black_sky, 240.0),
    Step("export", "two exports with one seed have equal masks", see_equal_exports, 120.0),
    Step("verify", "`regolith verify` finds no problem in the export", see_verified, 30.0),
    Step("labels", "every pixel of the export has a class, and none is missing", see_complete_labels, 15.0),
    Step("exposure", "a grey plane measures what the formula says", see_exposure, 45.0),
    Step("settled", "as many frames are gathered for one by default as it takes", see_settled, 90.0),
    Step("closing", "a stage opened during a frame ends the frame", see_closing_ends_a_frame, 45.0),
    Step("inference", "the shipped model segments a picture", see_inference, 45.0),
    Step("speed", "frames a second, and memory that stays level", see_speed, 60.0),
)  # fmt: skip
"""In this order: a later step may look at what an earlier one left. """

LAST = Step("settings", "the app's settings are as they were before", see_settings_given_back, 30.0)
"""Comes after all others."""

HEADLESS = (
    *STEPS,
    Step(
        "headless", "a frame drawn as `regolith generate --executor isaac` does", see_headless_frame, 60.0, drives=True
    ),
    LAST,
)
"""Steps of the check without a window."""
