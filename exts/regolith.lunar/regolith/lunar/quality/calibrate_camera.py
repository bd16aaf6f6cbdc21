"""`regolith calibrate camera`: narrow a preset's camera to what photographs show of a real one.

It writes `camera.yaml`, a parameter file that names the preset and what the photographs narrow of it, for `--params` of
every verb; and `camera.json`:

| field | |
|---|---|
| `images`, `photographs`, `left_out` | where they lie, how many were measured, which files were not |
| `preset` | name of the preset that is narrowed |
| `curves` | responses that were assumed, the likeliest first: `encoding`, `gamma`, `film` |
| `found` | parameter to what the photographs tell of it |
| `sun` | of each photograph with a mask `azimuth_deg`, anticlockwise from the camera's heading, and `elevation_deg` |
| `params` | name of the parameter file |
| `notes` | what cannot be told of a file for certain |

and each thing found has

| field | |
|---|---|
| `status` | `identified`; `bound`, told from one side only; `unknown`, and left as the preset has it |
| `note` | what it rests on, or what is missing |
| `estimate`, `interval` | value and 95 % interval, null for an open end; of `domain.exposure_ev`, |
| | `domain.sun_elevation_deg` and `sensor.jpeg_quality` the range over the pictures |
| `samples` | things it was measured on |
| `written` | range in the parameter file, null where the preset's stays |
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from regolith.lunar.files import AnyPath, shown_name, write_bytes, write_json
from regolith.lunar.jobs.events import Emit
from regolith.lunar.jobs.progress import show
from regolith.lunar.params import (
    InputError,
    Interval,
    Params,
    Verb,
    change_params,
    check_values,
    field_extra,
    load_preset,
    quantity,
    sole_folder,
)
from regolith.lunar.params.fields import find_field
from regolith.lunar.params.training import split_folders
from regolith.lunar.perception.apollo_masks import APOLLO, draw_masks, find_masks
from regolith.lunar.perception.folders import Survey, only_mask, survey
from regolith.lunar.perception.photos import find_photos, read_mask
from regolith.lunar.quality.camera.blocks import Levels, joined_levels, repeated_levels
from regolith.lunar.quality.camera.found import Found
from regolith.lunar.quality.camera.photographs import Photograph, read_photograph
from regolith.lunar.quality.camera.response import Curve, curves_of
from regolith.lunar.quality.camera.tally import Setting, Tally
from regolith.lunar.quality.camera.tone import ToneFound, find_tone

RESULT, PARAMS = "camera.json", "camera.yaml"
STACK_MAX = 32
"""Most exposures of one scene that are looked at."""
FULL_SCALE, READ_NOISE, READ_SHARE = "noise.full_scale_e", "sensor.read_noise_e", "noise.read_share"


class CalibrateCamera(Verb):
    """Narrow the ranges of a preset's camera to what photographs show of a real one."""

    images: Path = quantity(..., "Folder of photographs of one camera, or one photograph.", positional=True)
    masks: Path | None = quantity(
        None,
        "Folder of true classes, NAME.png or NAME_mask.png for each photograph that has one: 0 ground, 1 rock, 2 sky, "
        "255 ignore; or `apollo`, the shipped masks of Apollo photographs. Shadows of rocks then tell the sun.",
    )
    preset: str = quantity("v4", "Preset whose ranges are narrowed, and hold where the photographs tell nothing.")
    repeats: Path | None = quantity(
        None, "Folder of repeated exposures of one still scene, which tell noise from texture; several with commas."
    )
    brackets: Path | None = quantity(
        None, "Folder of exposures of one still scene in steps (--bracket-ev), which tell gamma and film."
    )
    bracket_ev: str = quantity("", "Exposure of each of the brackets in EV, by name, counted from any; commas between.")
    cropped: bool = quantity(
        False, "The photographs are parts of frames, which show neither vignetting nor the crosses of a Réseau plate."
    )
    fov_deg: float | None = quantity(
        None, "Horizontal field of view; left out, the preset's range.", unit="deg", ge=5, le=140, step=1
    )
    pitch_deg: float | None = quantity(
        None, "Pitch of the camera, negative looks down; left out, the preset's range.", unit="deg", ge=-89, le=45,
        step=0.5,
    )  # fmt: skip
    out: Path = quantity(Path("out/calibrate-camera"), f"Folder of {PARAMS} and {RESULT}.")
    events: bool = quantity(False, "Print one JSON event a line on stdout instead of a progress bar.")

    def run(self) -> dict[str, Any]:
        """Measure, write both files and return the result."""
        with show(self.events, "calibrate camera", "photographs") as emit:
            return calibrate_camera(
                self.images,
                self.out,
                masks=self.masks,
                preset=self.preset,
                repeats=self.repeats,
                brackets=self.brackets,
                bracket_ev=self.bracket_ev,
                cropped=self.cropped,
                fov_deg=self.fov_deg,
                pitch_deg=self.pitch_deg,
                emit=emit,
            )

    def summary(self, result: dict[str, Any]) -> str:
        """Give a line for each parameter, and where the file is."""
        lines = [f"{result['photographs']} photographs, preset {result['preset']}"]
        for name, row in result["found"].items():
            lines.append(f"{name:<26} {row['status']:<11} {say_range(row):<24} {row['note']}")
        for row in result["sun"]:
            azimuth, elevation = row["azimuth_deg"], row["elevation_deg"]
            lines.append(f"{row['image']}: sun azimuth {say_range(azimuth)}, elevation {say_range(elevation)}")
        lines += [f"note: {note}" for note in result["notes"]]
        return "\n".join([*lines, str(self.out / PARAMS), str(self.out / RESULT)])


def say_range(row: Mapping[str, Any]) -> str:
    """What is told of a value: its estimate and interval, or the end that is known."""
    if row["interval"] is None:
        return "–"
    low, high = row["interval"]
    if low is None:
        return f"at most {high:.4g}"
    return f"at least {low:.4g}" if high is None else f"{row['estimate']:.4g} ({low:.4g} … {high:.4g})"


def calibrate_camera(
    images: AnyPath,
    out: AnyPath,
    *,
    masks: AnyPath | None = None,
    preset: str = "v4",
    repeats: AnyPath | None = None,
    brackets: AnyPath | None = None,
    bracket_ev: str = "",
    cropped: bool = False,
    fov_deg: float | None = None,
    pitch_deg: float | None = None,
    emit: Emit = lambda event: None,
) -> dict[str, Any]:
    """Estimate the sensor model from photographs, and write what a preset's ranges are narrowed to.

    Args:
        images: Folder of photographs of one camera, or one photograph.
        out: Folder of `camera.yaml` and `camera.json`.
        masks: Folder of true classes of some of the photographs, or `apollo`; None for none.
        preset: Name of the preset.
        repeats: Folder of repeated exposures of one still scene, or several with commas between.
        brackets: Folder of exposures of one still scene in steps.
        bracket_ev: Exposure of each of them, by name, counted from any, commas between [EV].
        cropped: Whether the photographs are parts of frames.
        fov_deg: Horizontal field of view [deg]; None for the preset's range.
        pitch_deg: Pitch of the camera, negative looks down [deg]; None for the preset's range.
        emit: Receives `progress` events.

    Returns:
        What is in `camera.json`, as this module documents it.

    Raises:
        InputError: An argument that does not fit, no photograph, or one that cannot be used.
    """
    check_values(CalibrateCamera, fov_deg=fov_deg, pitch_deg=pitch_deg, cropped=cropped)
    params = load_preset(preset)
    steps = _numbers(bracket_ev)
    if bool(steps) != (brackets is not None):
        raise InputError("bracket_ev", bracket_ev or None, "given with --brackets, one number for each of its pictures")
    with sole_folder("out", Path(out)) as folder:
        files = _survey(Path(images), masks)
        notes: list[str] = []
        tone = None if brackets is None else find_tone(
            _stack("brackets", Path(brackets), notes), steps, params.sensor.encoding
        )  # fmt: skip
        curves = curves_of(params) if tone is None else _curves_found(params, tone)
        levels = None if repeats is None else _repeated(Path(repeats), notes)
        tally = Tally(Setting.of(params, curves, whole=not cropped, fov_deg=fov_deg, pitch_deg=pitch_deg))
        _measure(tally, files, masks, notes, emit)
        found = tally.found(params, levels) | _tone_words(params, tone)
        written = narrowed(params, found)
        result = _words(images, files, params, curves, found, written)
        result |= {"sun": tally.sun_words(), "params": PARAMS, "notes": notes}
        write_bytes(folder / PARAMS, params_text(params, written).encode())
        write_json(folder / RESULT, result)
    return result


def _words(
    images: AnyPath,
    files: Survey,
    params: Params,
    curves: Sequence[Curve],
    found: Mapping[str, Found],
    written: Mapping[str, Interval | float],
) -> dict[str, Any]:
    """What was looked at, what was assumed, what was found, as plain values."""
    return {
        "images": str(images),
        "photographs": len(files.photos),
        "left_out": [{"file": shown_name(item.path), "reason": item.reason} for item in files.left_out],
        "preset": params.preset,
        "curves": [dataclasses.asdict(curve) for curve in curves],
        "found": {name: row.words() | {"written": _as_pair(written.get(name))} for name, row in found.items()},
    }


def _numbers(text: str) -> list[float]:
    try:
        values = [float(part) for part in text.split(",")] if text.strip() else []
    except ValueError:
        values = [math.nan]
    if not all(map(math.isfinite, values)):
        raise InputError("bracket_ev", text, "numbers with commas between, such as -2,-1,0,1")
    return values


def _survey(images: Path, masks: AnyPath | None) -> Survey:
    beside = None if masks is None or str(masks) == APOLLO else Path(masks)
    if beside is not None and not beside.is_dir():
        raise InputError("masks", str(beside), f"a folder of masks, or `{APOLLO}`")
    return survey(images, beside)


def _measure(tally: Tally, files: Survey, masks: AnyPath | None, notes: list[str], emit: Emit) -> None:
    """Measure all photographs, one after the other."""
    for number, path in enumerate(files.photos):
        emit({"event": "progress", "done": number, "total": len(files.photos)})
        tally.add(_labelled(path, files, masks, notes))
    emit({"event": "progress", "done": len(files.photos), "total": len(files.photos)})


def _labelled(path: Path, files: Survey, masks: AnyPath | None, notes: list[str]) -> Photograph:
    """Read a photograph with its mask, where there is one."""
    photo = read_photograph(path, notes)
    shape = (photo.saved.shape[0], photo.saved.shape[1])
    if masks is not None and str(masks) == APOLLO:
        known = find_masks(path.stem)
        return dataclasses.replace(photo, classes=draw_masks(known, path.stem, shape)) if known else photo
    if not files.masks.get(path):
        return photo
    return dataclasses.replace(photo, classes=read_mask(only_mask(path, files.masks[path]), shape))


def _stack(field: str, folder: Path, notes: list[str]) -> list[Photograph]:
    """Read exposures of one scene.

    Raises:
        InputError: Fewer than two or more than `STACK_MAX`, or of several sizes or depths.
    """
    try:
        paths = find_photos(folder)
    except InputError as error:
        raise InputError(field, error.value, error.allowed) from None
    if not 2 <= len(paths) <= STACK_MAX:
        raise InputError(field, f"{folder}: {len(paths)} pictures", f"2 … {STACK_MAX} exposures of one scene")
    stack = [read_photograph(path, notes) for path in paths]
    if len({(photo.saved.shape, photo.white) for photo in stack}) > 1:
        raise InputError(field, str(folder), "pictures of one size and bit depth")
    return stack


def _repeated(folders: Path, notes: list[str]) -> Levels:
    """Variance by brightness of all folders of repeated exposures."""
    return joined_levels([repeated_levels(_stack("repeats", folder, notes)) for folder in split_folders(folders)])


def _curves_found(params: Params, tone: ToneFound) -> list[Curve]:
    """Responses that exposures in steps allow; what they do not tell is as the preset has it."""
    changes = {
        f"sensor.{name}": _clipped(f"sensor.{name}", found.interval)
        for name, found in (("gamma", tone.gamma), ("film", tone.film))
        if found.interval is not None
    }
    return curves_of(change_params(params, changes))


def _tone_words(params: Params, tone: ToneFound | None) -> dict[str, Found]:
    if tone is not None:
        return {"sensor.gamma": tone.gamma, "sensor.film": tone.film}
    return {
        f"sensor.{name}": Found(
            "unknown", f"needs exposures of one scene in known steps (--brackets); {range_} is taken for granted"
        )
        for name, range_ in (("gamma", params.sensor.gamma), ("film", params.sensor.film))
    }


def narrowed(params: Params, found: Mapping[str, Found]) -> dict[str, Interval | float]:
    """Parameters that photographs narrow, by dotted name.

    What is identified is written as found; of a bound, what it leaves of the preset's range. Gain stands for the
    electrons at full scale: `sensor.full_well_e` is the most there may be, and the range of `sensor.gain_db` takes it
    down to the least. Where they are not told, but read noise over full scale is, that share of the preset's own
    electrons is written, if its gain is one value.

    Args:
        params: Of the preset.
        found: What photographs tell.
    """
    written: dict[str, Interval | float] = {}
    for name, row in found.items():
        if name in (FULL_SCALE, READ_NOISE, READ_SHARE) or row.interval is None or row.status == "unknown":
            continue
        low, high = row.interval
        if row.status == "bound":
            group, field = name.split(".")
            here = getattr(getattr(params, group), field)
            low, high = max(low, here.lo), min(high, here.hi)
            if low > high or (low, high) == (here.lo, here.hi):
                continue
        written[name] = _clipped(name, (low, high))
    full, read, share = found[FULL_SCALE], found[READ_NOISE], found[READ_SHARE]
    sensor = params.sensor
    if full.status == read.status == "identified" and full.interval is not None and read.interval is not None:
        least, most = full.interval
        written["sensor.full_well_e"] = round(most, 1)
        written["sensor.gain_db"] = _clipped("sensor.gain_db", (0.0, 20.0 * math.log10(most / least)))
        written[READ_NOISE] = _clipped(READ_NOISE, read.interval)
    elif share.status == "identified" and share.interval is not None and sensor.gain_db.lo == sensor.gain_db.hi:
        electrons = sensor.full_well_e * 10.0 ** (-sensor.gain_db.lo / 20.0)
        if electrons > 0.0:
            written[READ_NOISE] = _clipped(READ_NOISE, (share.interval[0] * electrons, share.interval[1] * electrons))
    return written


def _clipped(name: str, interval: tuple[float, float]) -> Interval:
    """An interval within the limits of a parameter, to four decimals."""
    field = find_field(Params, tuple(name.split(".")))
    assert field is not None
    extra = field_extra(field)
    low, high = (round(min(max(end, extra["ge"]), extra["le"]), 4) for end in interval)
    return Interval(low, high)


def _as_pair(value: Interval | float | None) -> list[float] | None:
    if value is None:
        return None
    return [value.lo, value.hi] if isinstance(value, Interval) else [value, value]


def params_text(params: Params, written: Mapping[str, Interval | float]) -> str:
    """A parameter file of what is narrowed, which names its preset, as YAML.

    Raises:
        InputError: A value does not fit; nothing is to be written then.
    """
    change_params(params, written)
    data: dict[str, Any] = {"preset": params.preset}
    for name, value in written.items():
        group, field = name.split(".")
        data.setdefault(group, {})[field] = [value.lo, value.hi] if isinstance(value, Interval) else value
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True)
