"""Benchmark of `regolith calibrate camera`: errors against known cameras, and how often its intervals hold.

    python benchmarks/bench_calibrate.py [--json FILE] [--runs 100] [--seed 0] [--frames SPLIT]

Each run draws a camera, develops six pictures of 384 × 288 px of a plain world (`camera_scenes`) with it, and measures
them as the verb does with the response known; every fifth also with that of `v4`'s ranges. Repeated exposures of one
scene and exposures in steps come beside them. With --frames the frames of a split drawn by the renderer are measured
too, for their sun and their exposure.
"""

from __future__ import annotations

import argparse
import json
import math
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from camera_scenes import exposures, photograph, scene

from regolith.lunar.dataset.contract import Contract
from regolith.lunar.dataset.split_reader import open_split
from regolith.lunar.params import Params, change_params, load_preset
from regolith.lunar.quality.camera.blocks import repeated_levels
from regolith.lunar.quality.camera.found import Found
from regolith.lunar.quality.camera.level import ground_level
from regolith.lunar.quality.camera.noise import find_noise
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.quality.camera.response import Curve, curves_of
from regolith.lunar.quality.camera.shadows import View, find_sun
from regolith.lunar.quality.camera.tally import Setting, Tally
from regolith.lunar.quality.camera.tone import find_tone
from regolith.lunar.render.sensor import Sensor

PICTURES, FOV_DEG = 6, 60.0
STEPS_EV = [-2.0, -1.0, 0.0, 1.0]
Rows = dict[str, list[tuple[float, Found]]]
"""Quantity to its true value and what was found, run by run."""


def draw_camera(random: np.random.Generator) -> Sensor:
    """Draw a camera from the ranges of `v4`, wider where that is blunt."""
    return Sensor(
        full_well_e=math.exp(random.uniform(math.log(2000.0), math.log(20000.0))),
        read_noise_e=random.uniform(4.0, 22.0),
        psf_px=random.uniform(0.3, 1.6),
        vignetting=random.uniform(0.0, 1.5),
        hot_pixels=random.uniform(0.0, 200.0),
        reseau=random.uniform(0.0, 1.0),
        film=random.uniform(0.0, 1.0),
        gamma=random.uniform(0.8, 1.15),
        noise_seed=int(random.integers(1 << 30)),
    )


def pinned(sensor: Sensor) -> Params:
    """Preset whose response is the camera's."""
    return change_params(load_preset("v4"), {"sensor.gamma": sensor.gamma, "sensor.film": sensor.film})


def measure(run: int, seed: int, known: Rows, assumed: Rows) -> None:
    """Measure the pictures of one camera."""
    random = np.random.default_rng([seed, run])
    sensor = draw_camera(random)
    truth = {
        "noise.full_scale_e": sensor.full_well_e, "sensor.read_noise_e": sensor.read_noise_e,
        "noise.read_share": sensor.read_noise_e / sensor.full_well_e,
        "sensor.psf_px": sensor.psf_px, "sensor.vignetting": sensor.vignetting,
        "sensor.hot_pixels": sensor.hot_pixels, "sensor.reseau": sensor.reseau,
    }  # fmt: skip
    scenes = [scene(int(random.integers(1 << 30))) for _ in range(PICTURES)]
    for params, rows in ((pinned(sensor), known), (load_preset("v4"), assumed)):
        if rows is assumed and run % 5:
            continue
        tally = Tally(Setting.of(params, curves_of(params), whole=True, fov_deg=FOV_DEG, pitch_deg=None))
        for k, light in enumerate(scenes):
            tally.add(photograph(light, _with_seed(sensor, k), fov_deg=FOV_DEG))
        found = tally.found(params, None)
        for name, value in truth.items():
            rows[name].append((value, found[name]))
    curve = Curve("srgb", sensor.gamma, sensor.film)
    noise = find_noise(repeated_levels(exposures(scenes[0], sensor, [0.0] * 4)), curve)
    known["noise.full_scale_e, 4 exposures"].append((sensor.full_well_e, noise.full_scale_e))
    known["sensor.read_noise_e, 4 exposures"].append((sensor.read_noise_e, noise.read_noise_e))
    tone = find_tone(exposures(scenes[0], sensor, STEPS_EV), STEPS_EV, "srgb")
    known["sensor.gamma, 4 steps"].append((sensor.gamma, tone.gamma))
    known["sensor.film, 4 steps"].append((sensor.film, tone.film))


def _with_seed(sensor: Sensor, number: int) -> Sensor:
    return Sensor(**{**vars(sensor), "noise_seed": sensor.noise_seed + number})


def measure_frames(folder: Path, rows: Rows) -> dict[str, float]:
    """Measure the frames of a split; return how far the ground lies from what its exposure says [EV].

    Of the camera all that does not vary from frame to frame is compared.
    """
    params, split = Contract.read(folder).params, open_split(folder)
    key, offsets = params.sensor.exposure_key, []
    tally = Tally(Setting.of(params, curves_of(params), whole=True, fov_deg=None, pitch_deg=None))
    for frame in split:
        spec = frame.spec
        saved = frame.rgb[..., 1].astype(np.float32) / np.float32(255.0)
        tally.add(Photograph(f"{frame.index}", saved, 255.0, grey=True))
        linear = Curve(params.sensor.encoding, spec["gamma"], spec["film"]).decode(saved)
        sun = find_sun(linear, frame.mask, View(spec["pitch_deg"], spec["fov_deg"]))
        azimuth = (spec["sun_azimuth_deg"] - spec["heading_deg"] + 180.0) % 360.0 - 180.0
        if sun.azimuth_deg.estimate is not None:
            azimuth += 360.0 * round((sun.azimuth_deg.estimate - azimuth) / 360.0)
        rows["sun azimuth [deg]"].append((azimuth, sun.azimuth_deg))
        rows["sun elevation [deg]"].append((spec["sun_elevation_deg"], sun.elevation_deg))
        level = ground_level(linear, frame.mask)
        if level is not None:
            offsets.append(math.log2(level / key) - spec["exposure_ev"])
    found = tally.found(params, None)
    truth = {name: getattr(params.sensor, name) for name in ("psf_px", "vignetting", "hot_pixels", "reseau")}
    for name, drawn in truth.items():
        if drawn.lo == drawn.hi:
            rows[f"sensor.{name}"].append((drawn.lo, found[f"sensor.{name}"]))
    if params.sensor.gain_db.lo == params.sensor.gain_db.hi == 0.0:
        rows["noise.full_scale_e"].append((params.sensor.full_well_e, found["noise.full_scale_e"]))
    return {"mean": float(np.mean(offsets)), "std": float(np.std(offsets)), "frames": len(offsets)}


def summarised(rows: Rows) -> list[dict[str, Any]]:
    """Print and return a row for each quantity: how often it was told, its median error, how often intervals hold."""
    table = []
    for name, pairs in rows.items():
        told = [(truth, found) for truth, found in pairs if found.status == "identified" and found.interval is not None]
        bounds = [(truth, found) for truth, found in pairs if found.status == "bound" and found.interval is not None]
        row: dict[str, Any] = {"name": name, "runs": len(pairs), "identified": len(told), "bounds": len(bounds)}
        for key, of in (("hold", told), ("bounds_hold", bounds)):
            row[key] = sum(_holds(truth, found) for truth, found in of) / len(of) if of else None
        errors = [abs(found.estimate - truth) for truth, found in told if found.estimate is not None]
        widths = [found.interval[1] - found.interval[0] for _, found in told if found.interval is not None]
        row |= {
            "error": float(np.median(errors)) if errors else None,
            "p90": float(np.quantile(errors, 0.9)) if errors else None,
        }
        row["width"] = float(np.median(widths)) if widths else None
        table.append(row)
        print(_line(row), flush=True)
    return table


def _holds(truth: float, found: Found) -> bool:
    assert found.interval is not None
    return found.interval[0] <= truth <= found.interval[1]


def _line(row: Mapping[str, Any]) -> str:
    def say(value: float | None, form: str) -> str:
        return "–" if value is None else format(value, form)

    return (
        f"{row['name']:<36} told {row['identified']:>3} of {row['runs']:<3} hold {say(row['hold'], '.0%'):>5}  error "
        f"{say(row['error'], '.3g'):>6} (p90 {say(row['p90'], '.3g')})  width {say(row['width'], '.3g'):>6}  "
        f"bounds {row['bounds']:>3} hold {say(row['bounds_hold'], '.0%')}"
    )


def main() -> int:
    """Measure, print the tables, write them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    parser.add_argument("--runs", type=int, default=100, help="cameras that are drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the cameras")
    parser.add_argument("--frames", type=Path, help="split of rendered frames")
    options = parser.parse_args()
    known: Rows = defaultdict(list)
    assumed: Rows = defaultdict(list)
    for run in range(options.runs):
        measure(run, options.seed, known, assumed)
    result: dict[str, Any] = {"runs": options.runs, "seed": options.seed}
    for title, rows in (("response known", known), ("response of v4's ranges", assumed)):
        print(title)
        result[title] = summarised(rows)
    if options.frames:
        frames: Rows = defaultdict(list)
        result["exposure"] = measure_frames(options.frames, frames)
        print(f"frames of {options.frames}; ground less exposure: {result['exposure']}")
        result["frames"] = summarised(frames)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
