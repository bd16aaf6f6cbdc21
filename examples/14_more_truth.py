"""Draw what a rover's planner asks of a picture: shadow, craters, slope and hazards, exact from the stage.

- each is a switch of the group `dataset`; its files lie beside picture and mask
- slope and step are of the disc under a rover: how wide it is and what it takes are parameters too
- what is shaded, steep or in a crater is known per pixel, so that frames can be counted, chosen or learned from

    python examples/14_more_truth.py --out out/14
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tyro

import regolith.lunar as rl
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.report.truth import OUTPUTS, colour_truth


def main(
    out: Path = Path("out/14"), preset: str = "v3", steepest: float = 15.0, frames: int = 12, size: int = 320
) -> None:
    """Generate frames with more truth and show the one with the most hazards.

    Args:
        out: Folder to write; the dataset lands in OUT/data.
        preset: Preset to start from.
        steepest: Slope above which ground is a hazard [deg].
        frames: Frames to draw.
        size: Side of a picture [px].
    """
    asked = dict.fromkeys((f"dataset.{name}" for name in OUTPUTS), True) | {"dataset.hazard_slope_deg": steepest}
    params = rl.change_params(rl.load_preset(preset), asked)
    rl.generate(params, out / "data", split="val", frames=frames, width=size, height=size)

    def risky(frame) -> int:
        return int(np.isin(frame.hazard, (1, 2, 3)).sum())

    frame = max(rl.open_split(out / "data/val"), key=risky)
    shadow, crater, slope, hazard = frame.shadow, frame.crater, frame.slope, frame.hazard
    assert shadow is not None and crater is not None and slope is not None and hazard is not None
    ground = hazard < 255
    print(
        f"frame {frame.index}: of the ground {np.mean(shadow[ground] > 0):.0%} lies in shadow, "
        f"{np.mean(crater[ground] > 0):.0%} in {len(np.unique(crater[crater > 0]))} craters, "
        f"{np.mean(slope[ground] > steepest):.0%} is too steep, {np.mean(hazard[ground] & 2 > 0):.0%} has a step"
    )
    sheet = [(frame.rgb, f"frame {frame.index}")]
    for name, values in zip(OUTPUTS, (shadow, crater, slope, hazard), strict=True):
        sheet.append((colour_truth(name, values, frame.rgb), name))
    contact_sheet(sheet, columns=5, cell=size).save(out / "picture.jpg", quality=80)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
