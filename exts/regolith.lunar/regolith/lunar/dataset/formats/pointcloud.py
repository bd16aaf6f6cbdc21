"""Point clouds: `OUT/SPLIT/points_00000.npz`, the arrays of `dataset.pointcloud.point_cloud`."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from regolith.lunar.dataset.formats.source import Source, Step
from regolith.lunar.dataset.pointcloud import FrameCamera, point_cloud
from regolith.lunar.params import InputError


def write(sources: Sequence[Source], out: Path, step: Step) -> None:
    """Write splits as point clouds.

    Raises:
        InputError: A split has no depth, or was not generated.
    """
    for source in sources:
        if not source.has("depth"):
            raise InputError("dataset.depth", False, f"true, when {source.name} is generated: points come from depth")
    for source in sources:
        folder = out / source.name
        folder.mkdir()
        outputs = ["rgb", "mask", "depth", *(["instance"] if source.has("instance") else [])]
        for record in source.records:
            arrays = {output: source.array(output, record) for output in outputs}
            view = FrameCamera.from_spec(record.spec, source.width, source.height)
            save_arrays(folder / f"points_{record.index:05d}.npz", point_cloud(arrays, view))
            step()


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write a `.npz` whose bytes depend on nothing but the arrays, as `numpy.savez`'s depend on the clock."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, array in arrays.items():
            info = zipfile.ZipInfo(f"{name}.npy", date_time=(1980, 1, 1, 0, 0, 0))
            with archive.open(info, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
