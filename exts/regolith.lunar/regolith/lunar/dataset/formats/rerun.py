"""Rerun: `OUT/SPLIT.rrd`, a recording for the Rerun viewer (`rerun SPLIT.rrd`).

On the timeline `frame` the pinhole camera stands in the stage's world [m, z up] with picture, classes, depth (of splits
that keep it: distance along the ray, which the viewer takes as along the axis) and rock numbers; `sun` is a direction
towards the sun; `spec/NAME` plots each value that a frame was drawn from. The picture is the bytes of its file. A lens
that distorts is shown as one that does not: Rerun knows none.
"""

from __future__ import annotations

import errno
import importlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.dataset.layout import FrameRecord
from regolith.lunar.dataset.outputs import file_name
from regolith.lunar.dataset.pointcloud import FrameCamera
from regolith.lunar.labels import CLASSES, IGNORE
from regolith.lunar.params import InputError

COLORS = {"regolith": (64, 190, 96), "rock": (235, 52, 40), "sky": (20, 22, 34)}
"""Classes as the viewer shows them."""
CAMERA, SUN = "world/camera", "world/sun"


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write a recording of each split.

    Raises:
        InputError: A split was not generated: its frames have no camera.
        OSError: A recording could not be written.
    """
    rr: Any = importlib.import_module("rerun")
    for source in sources:
        if source.contract.imported:
            raise InputError("folder", str(source.folder), "splits that were generated: others have no camera")
    for source in sources:
        recording = rr.RecordingStream("regolith_lunar", recording_id=source.contract.digest)
        path = out / f"{source.name}.rrd"
        recording.save(path)
        _log_static(rr, recording)
        for record in source.records:
            recording.set_time("frame", sequence=record.index)
            _log_frame(rr, recording, source, record)
            step()
        _log_spec(rr, recording, source)
        try:
            recording.flush()
        except RuntimeError as error:
            with path.open("ab") as file:  # Rerun does not say what the disk did: it says so again
                file.write(b"\0")
            raise OSError(errno.EIO, f"Rerun did not write it ({error})", str(path)) from None
        recording.disconnect()


def _log_static(rr: Any, recording: Any) -> None:
    names = [(CLASSES[name], name, color) for name, color in COLORS.items()]
    recording.log("world", rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)
    recording.log("/", rr.AnnotationContext([*names, (IGNORE, "ignore", (128, 128, 128))]), static=True)


def _log_frame(rr: Any, recording: Any, source: Source, record: FrameRecord) -> None:
    view = FrameCamera.from_spec(record.spec, source.width, source.height)
    pose, matrix = view.camera_to_world, view.lens.matrix
    recording.log(CAMERA, rr.Transform3D(translation=pose[:3, 3], mat3x3=pose[:3, :3]))
    recording.log(
        CAMERA,
        rr.Pinhole(
            image_from_camera=matrix, resolution=[source.width, source.height], camera_xyz=rr.ViewCoordinates.RDF
        ),
    )
    source.array("rgb", record)  # whole, and as it was written
    picture = (source.folder / file_name("rgb", record.index)).read_bytes()
    recording.log(f"{CAMERA}/rgb", rr.EncodedImage(contents=picture, media_type="image/png"))
    recording.log(f"{CAMERA}/classes", rr.SegmentationImage(source.array("mask", record)))
    if source.has("depth"):
        depth = source.array("depth", record)
        recording.log(f"{CAMERA}/depth", rr.DepthImage(np.where(np.isfinite(depth), depth, 0), meter=1.0))
    if source.has("instance"):
        recording.log(f"{CAMERA}/instance", rr.SegmentationImage(source.array("instance", record)))
    azimuth, elevation = (math.radians(record.spec[f"sun_{name}_deg"]) for name in ("azimuth", "elevation"))
    towards = [
        math.cos(elevation) * math.cos(azimuth), math.cos(elevation) * math.sin(azimuth), math.sin(elevation),
    ]  # fmt: skip
    recording.log(SUN, rr.Arrows3D(origins=[pose[:3, 3]], vectors=[towards], colors=[(255, 214, 120)]))


def _log_spec(rr: Any, recording: Any, source: Source) -> None:
    """Plot the values frames were drawn from, a column each."""
    values: dict[str, dict[int, float]] = {}
    for record in source.records:
        for name, value in record.spec.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                values.setdefault(name, {})[record.index] = float(value)
    for name, column in values.items():
        times = rr.TimeColumn("frame", sequence=list(column))
        recording.send_columns(
            f"spec/{name}", indexes=[times], columns=rr.Scalars.columns(scalars=list(column.values()))
        )
