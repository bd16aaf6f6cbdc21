"""Draw stereo pairs with exact disparity, and lay the right picture over the left one by it.

- a baseline puts a second camera beside the first; its picture and the disparity are outputs one switches on
- depth is focal length · baseline / disparity: what a stereo method finds is held to it
- where the right picture, moved by the disparity, differs from the left one, something hid the point from it

    python examples/13_stereo_pair.py --out out/13
"""

from __future__ import annotations

from pathlib import Path

import matplotlib
import numpy as np
import tyro
from scipy import ndimage

import regolith.lunar as rl
from regolith.lunar.dataset.pointcloud import FrameCamera
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.stage.stereo import right_positions


def main(
    out: Path = Path("out/13"), preset: str = "v3", baseline: float = 0.4, frames: int = 8, size: int = 320
) -> None:
    """Generate stereo pairs and show one.

    Args:
        out: Folder to write; the dataset lands in OUT/data.
        preset: Preset to start from.
        baseline: Distance of the two cameras [m].
        frames: Frames to draw.
        size: Side of a picture [px].
    """
    pair = {"camera.baseline_m": baseline, "dataset.right": True, "dataset.disparity": True}
    params = rl.change_params(rl.load_preset(preset), pair)
    rl.generate(params, out / "data", split="val", frames=frames, width=size, height=size)

    frame = max(rl.open_split(out / "data/val"), key=lambda frame: frame.counts["rock"])
    right, disparity = frame.right, frame.disparity
    assert right is not None and disparity is not None
    lens = FrameCamera.from_spec(frame.spec, size, size).lens
    ground = disparity > 0.0
    nearest = lens.focal_px * baseline / disparity.max()
    print(f"frame {frame.index}: up to {disparity.max():.1f} px of disparity, the nearest point {nearest:.2f} m ahead")

    column, row = np.moveaxis(right_positions(disparity, lens) - 0.5, -1, 0)
    moved = np.stack([ndimage.map_coordinates(right[..., k], [row, column], order=1) for k in range(3)], axis=-1)
    inside = ground & (column >= 0) & (column <= size - 1)
    off = np.abs(moved.astype(int) - frame.rgb).max(axis=-1)
    print(f"half of the ground in both pictures is the same to {np.median(off[inside]):.0f} of 255 levels")

    colours = matplotlib.colormaps["viridis"](disparity / disparity.max(), bytes=True)[..., :3]
    sheet = [
        (frame.rgb, f"left, frame {frame.index}"),
        (right, "right"),
        (np.where(ground[..., None], colours, 0), f"disparity, 0 to {disparity.max():.0f} px"),
        (np.where(inside[..., None], moved, 0), "right, moved by the disparity"),
    ]
    contact_sheet(sheet, columns=4, cell=size).save(out / "picture.jpg", quality=80)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
