"""Ten pairs of pictures: a scene without and with something that preset `v5` adds, same seed, camera and light.

    python benchmarks/scene_pairs.py --out pairs.webp [--only 3,7] [--size 480x320]

What is left out is what `study_ingredients.py` leaves out; the last pairs are v4 and v5 as they stand. Minutes on one
core.
"""

from __future__ import annotations

import argparse
import contextlib
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont
from study_ingredients import INGREDIENTS

from regolith.lunar.params import Params, PictureSize, change_params, load_preset
from regolith.lunar.randomize import draw_frame, draw_scene, narrowed
from regolith.lunar.render import open_renderer
from regolith.lunar.stage.author import author_stage, build_scene
from regolith.lunar.stage.edit import apply_frame

SPLIT = "train_dr"
SEEN = {"sensor.film": 0.5, "sensor.reseau": 0.0, "sensor.gain_db": 0.0, "domain.exposure_ev": 0.0}
"""What both pictures of a pair have, so that they differ by one thing."""
PAIRS: tuple[tuple[str, int, dict[str, Any]], ...] = (
    ("far", 3, {"domain.pitch_deg": -4.0}),
    ("far", 11, {"domain.pitch_deg": -4.0}),
    ("reach", 5, {"domain.pitch_deg": -8.0, "domain.sun_elevation_deg": 12.0}),
    ("reach", 8, {"domain.pitch_deg": -8.0, "domain.sun_elevation_deg": 15.0}),
    ("tracks", 6, {"relief.wheel_tracks": 3.0, "domain.pitch_deg": -12.0, "domain.sun_elevation_deg": 14.0}),
    ("tracks", 9, {"relief.footprint_trails": 6.0, "domain.pitch_deg": -12.0, "domain.sun_elevation_deg": 14.0}),
    ("debris", 2, {"rocks.abundance": 0.04, "domain.sun_elevation_deg": 15.0}),
    ("photometry", 4, {"ground.hapke_c": 0.8, "rocks.maturity": 0.2, "domain.sun_elevation_deg": 20.0}),
    ("all", 1, {}),
    ("all", 7, {}),
)
"""Ingredient, seed, and what besides both pictures have (of the ingredient's own: the right one alone)."""


def picture(params: Params, seed: int, size: PictureSize) -> Image.Image:
    """Picture of the first frame of a seed."""
    scene = build_scene(narrowed(params, SPLIT), draw_scene(params, seed, SPLIT, 0))
    stage = author_stage(scene)
    apply_frame(stage, params, draw_frame(params, seed, SPLIT, 0, scene), size.width, size.height)
    with contextlib.closing(open_renderer("auto")) as renderer:
        renderer.load(stage)
        return Image.fromarray(renderer.render(size.width, size.height).rgb)


def pair(number: int, size: PictureSize) -> Image.Image:
    """One pair side by side, with a line that says what differs."""
    name, seed, seen = PAIRS[number]
    title, without = INGREDIENTS["v5"][name]
    whole = change_params(load_preset("v5"), SEEN | seen)
    sides = [picture(params, seed, size) for params in (change_params(whole, without), whole)]
    sheet = Image.new("RGB", (2 * size.width + 4, size.height + 22), "white")
    for side, taken in enumerate(sides):
        sheet.paste(taken, (side * (size.width + 4), 22))
    words = f"v4, v5 (seed {seed})" if name == "all" else f"without, with: {title} (seed {seed})"
    ImageDraw.Draw(sheet).text((2, 3), words, "black", ImageFont.load_default(14))
    return sheet


def main() -> None:
    """Draw the pairs, two in a row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    parser.add_argument("--only", type=lambda text: [int(part) for part in text.split(",")], default=None)
    parser.add_argument("--size", type=PictureSize.model_validate, default=PictureSize(480, 320), help="of a picture")
    args = parser.parse_args()
    numbers = range(len(PAIRS)) if args.only is None else args.only
    drawn = [pair(number, args.size) for number in numbers]
    width, height = drawn[0].size
    rows = -(-len(drawn) // 2)
    sheet = Image.new("RGB", (2 * width + 8, rows * (height + 4) - 4), "white")
    for place, one in enumerate(drawn):
        sheet.paste(one, (place % 2 * (width + 8), place // 2 * (height + 4)))
    sheet.save(args.out, quality=80, method=6)


if __name__ == "__main__":
    main()
