"""The frames of a film, chosen: camera, sun and rover of each, on one scene of a split."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from regolith.lunar.dataset.contract import first_difference
from regolith.lunar.dataset.views import Views
from regolith.lunar.files import file_digest
from regolith.lunar.flythrough.asked import FRAMES_MAX, FlythroughParams
from regolith.lunar.flythrough.clear import check_off_rover, clear_way
from regolith.lunar.flythrough.keyframes import Keyframes, read_keyframes
from regolith.lunar.flythrough.surroundings import parameters_shown, read_surroundings
from regolith.lunar.flythrough.way import Way, about_rover, over_waypoints, through_keys, unwrapped
from regolith.lunar.params import InputError, Interval, Params, UtcSpan
from regolith.lunar.physics.asked import read_places
from regolith.lunar.physics.ledger import Driven, find_driven
from regolith.lunar.physics.pictures import ROW
from regolith.lunar.physics.stance import stance_at
from regolith.lunar.randomize import draw_scene, frame_intervals, frame_seed, lit_frame, narrowed
from regolith.lunar.stage.camera import mounted
from regolith.lunar.stage.ephemeris import sky_at
from regolith.lunar.stage.lens import check_lens
from regolith.lunar.stage.scene import Surroundings
from regolith.lunar.stage.spec import FrameSpec, Stance

AIM_M = 0.95
"""Height on the rover that a camera looks at [m]: the middle of its body."""
CAMERA = ("heading_deg", "pitch_deg", "roll_deg", "fov_deg", "height_m")
"""Values of a frame that a camera's way decides."""
SUN = ("sun_elevation_deg", "sun_azimuth_deg")
SCENE_GROUPS = ("terrain", "craters", "relief", "rocks", "ground", "randomize")
"""Parameters that decide a scene."""
STILLS = 4
"""Stills where no times are named."""


@dataclasses.dataclass(frozen=True)
class Shots:
    """What a film shows: N frames, and what it is made with."""

    params: Params
    """Of the film's frames."""
    seed: int
    split: str
    specs: tuple[FrameSpec, ...]
    about: dict[str, Any]
    """What they were chosen by, for the contract."""
    stances: tuple[Stance, ...] = ()
    """How the rover stands, N of them, where one drives."""

    @property
    def views(self) -> Views:
        """The film's frames."""
        return Views(self.specs, self.about)

    def stills(self, numbers: Sequence[int]) -> Views:
        """Some of the film's frames, to be drawn larger."""
        return Views(tuple(self._renumbered(self.specs[number], new) for new, number in enumerate(numbers)), self.about)

    def rides(self, view: str) -> tuple[Params, Views]:
        """What a camera of the rover sees at each frame, and the parameters it is drawn with."""
        params = ridden(self.params, view)
        specs = (mounted(spec, view, stance) for spec, stance in zip(self.specs, self.stances, strict=True))
        return params, Views(tuple(specs), {**self.about, "view": view})

    def _renumbered(self, spec: FrameSpec, index: int) -> FrameSpec:
        return dataclasses.replace(spec, index=index, seed=frame_seed(self.seed, self.split, index))


def ridden(params: Params, view: str) -> Params:
    """Parameters of a camera on the rover."""
    return params.model_copy(update={"camera": params.camera.model_copy(update={"rig": "viper", "view": view})})


def choose_shots(asked: FlythroughParams) -> Shots:
    """Choose the frames of a film.

    Raises:
        InputError: No way of the camera is asked for, one that cannot be read or does not fit the scene; a drive that
            is none, is over another scene, or is over before the film begins.
    """
    keyframes = None if asked.path is None else read_keyframes(asked.path)
    driven = None if asked.drive is None else find_driven(asked.drive, "drive")
    params, rides = asked.params, asked.params.camera.rig != "mast"
    if keyframes is None and driven is None and asked.waypoints is None:
        raise InputError("path", None, "keyframes, or else --waypoints or --drive")
    if rides and driven is None:
        raise InputError("camera.rig", params.camera.rig, "mast, or viper with --drive: the rover carries the camera")
    if rides and keyframes is not None:
        raise InputError("path", str(asked.path), "none beside --camera.rig: the rover carries the camera")
    if keyframes is not None and keyframes.aim == "rover" and driven is None:
        raise InputError("aim", "rover", "keys where there is no --drive")
    seed, split, scene = asked.seed, asked.split, asked.scene
    if driven is not None:
        seed, split, scene = driven.seed, driven.split, driven.scene
        if not rides:
            params = params.model_copy(update={"rover": params.rover.model_copy(update={"model": "viper"})})
        if driven.stage is not None and asked.executor == "isaac":
            raise InputError("executor", "isaac", "another, with a drive over --stage: its fine ground is not meshes")
        _check_scene(driven, params)
    seconds = asked.seconds if keyframes is None else keyframes.seconds
    time_s = frame_times(seconds, asked.fps)
    count = len(time_s)
    stances = [] if driven is None else drive_stances(driven, asked.start_s + asked.speed * time_s)
    lit = lit_frame(params, seed, split, scene)
    about = {"made_by": "flythrough", "chosen": list(CAMERA)}
    if driven is not None:
        about["drive_sha256"] = file_digest(driven.trajectory)
        if driven.stage is not None:
            about |= {"stage": str(driven.stage), "stage_sha256": driven.stage_sha256}
    if rides:
        carried = [mounted(lit, params.camera.view, stance) for stance in stances]
        way = None
    else:
        if driven is not None and driven.stage is not None:
            around = read_surroundings(driven.stage, params)
        else:
            around = _built(params, seed, split, scene)
        way, carried = _way(asked, around, keyframes, stances, time_s), [lit] * count
    sun, utc = _sun(asked, params, split, way, count)
    if sun is not None:
        about["chosen"] += SUN
    specs = []
    for index, spec in enumerate(carried):
        values, stance = dict(spec.values), stances[index] if stances else None
        if sun is not None:
            values |= dict(zip(SUN, (float(sun[index, 0]), float(sun[index, 1] % 360.0)), strict=True))
        if way is not None:
            x, y, z = way.eye_m[index].tolist()
            values |= view_values(way, index)
            stance = stance and dataclasses.replace(stance, carries=False)
            spec = dataclasses.replace(spec, camera_x_m=x, camera_y_m=y, camera_z_m=z)  # noqa: PLW2901
        specs.append(
            dataclasses.replace(
                spec,
                index=index,
                seed=frame_seed(seed, split, index),
                values=values,
                rover=stance,
                time_s=float(time_s[index]),
                utc=utc[index] if utc else (spec.utc if sun is None else None),
            )
        )
    _check_lenses(asked, params, split, specs)
    return Shots(params, seed, split, tuple(specs), about, tuple(stances))


def frame_times(seconds: float, fps: int) -> np.ndarray:
    """Times of a film's frames [s], float64 [N]: the last is one frame before its end.

    Raises:
        InputError: A film of fewer than two frames, or of too many.
    """
    count = round(seconds * fps)
    if not 2 <= count <= FRAMES_MAX:
        raise InputError("seconds", seconds, f"2 … {FRAMES_MAX} frames; these are {count}")
    return np.arange(count) / fps


def keyed_way(scene: Surroundings, keyframes: Keyframes, fps: int, *, ease: bool) -> Way:
    """The way of a film on keyframes where no rover drives, clear of ground and rocks.

    Raises:
        InputError: As `frame_times` and `keep_clear`.
    """
    way = through_keys(keyframes, frame_times(keyframes.seconds, fps), scene.terrain.height, ease=ease)
    return clear_way(scene, way, fps)


def still_numbers(asked: FlythroughParams, count: int) -> list[int]:
    """Numbers of the film's frames that are stills.

    Raises:
        InputError: A time that is none of the film.
    """
    if asked.stills is None:
        return sorted({round((part + 0.5) * count / STILLS - 0.5) for part in range(STILLS)})
    if asked.stills.strip() in ("", "none"):
        return []
    numbers = []
    for word in asked.stills.split(","):
        try:
            number = round(float(word) * asked.fps)
        except (ValueError, OverflowError):
            number = -1
        if not 0 <= number < count:
            raise InputError("stills", word.strip(), f"times in the film, 0 … {(count - 1) / asked.fps:.4g} s")
        numbers.append(number)
    return sorted(set(numbers))


def drive_stances(driven: Driven, time_s: np.ndarray) -> list[Stance]:
    """How the rover stands at times of a drive [s]; between two rows of the trajectory, between them.

    Raises:
        InputError: The drive cannot be read, or is over before the last time.
    """
    try:
        with np.load(driven.trajectory, allow_pickle=False) as file:
            rows = {name: np.asarray(file[name], np.float64) for name in ROW}
    except (OSError, ValueError, KeyError) as error:
        raise InputError("drive", str(driven.trajectory), f"a trajectory of `regolith traverse` ({error})") from None
    at = rows["time_s"]
    if time_s[-1] > at[-1]:
        over = f"a film of at most {(at[-1] - time_s[0]):.4g} s of the drive, which ends at {at[-1]:.4g} s"
        raise InputError("start_s", round(float(time_s[0]), 3), f"{over}: earlier, shorter (--seconds) or slower")
    turn = Slerp(at, Rotation.from_quat(rows["orientation"], scalar_first=True))(time_s).as_quat(scalar_first=True)

    def between(name: str) -> np.ndarray:
        return np.stack([np.interp(time_s, at, column) for column in rows[name].T], axis=1)

    joined = {name: between(name) for name in ROW if name not in ("time_s", "orientation")} | {"orientation": turn}
    return [stance_at({name: column[index] for name, column in joined.items()}) for index in range(len(time_s))]


def _built(params: Params, seed: int, split: str, number: int) -> Surroundings:
    """A scene of a split."""
    from regolith.lunar.stage.author import build_scene

    return build_scene(narrowed(params, split), draw_scene(params, seed, split, number))


def _way(
    asked: FlythroughParams,
    scene: Surroundings,
    keyframes: Keyframes | None,
    stances: list[Stance],
    time_s: np.ndarray,
) -> Way:
    """The way of a camera that nobody carries, clear of ground, rocks and rover."""
    ground = scene.terrain.height
    aim = np.array([[each.x_m, each.y_m, each.z_m + AIM_M] for each in stances]) if stances else None
    if keyframes is not None and aim is None:
        return keyed_way(scene, keyframes, asked.fps, ease=asked.ease)
    if keyframes is not None:
        way = through_keys(keyframes, time_s, ground, ease=asked.ease, rover_m=aim)
    elif aim is not None:
        heading = unwrapped(np.array([stance.heading_deg for stance in stances]))
        way = about_rover(
            aim, heading, ground, distance_m=asked.distance_m, height_m=asked.height_m, bearing_deg=asked.bearing_deg,
            sweep_deg=asked.sweep_deg, turning=asked.follow == "chase", fov_deg=asked.fov_deg, fps=asked.fps,
        )  # fmt: skip
    else:
        way = over_waypoints(
            read_places(asked.waypoints or ""), len(time_s), ground, height_m=asked.height_m,
            pitch_deg=asked.pitch_deg, fov_deg=asked.fov_deg, fps=asked.fps,
        )  # fmt: skip
    way = clear_way(scene, way, asked.fps)
    if stances:
        check_off_rover(scene, way.eye_m, stances, time_s)
    return way


def view_values(way: Way, index: int) -> dict[str, float]:
    """Values of frame `index` of a way, clear of the ground, by their names in `CAMERA`."""
    assert way.height_m is not None
    columns = (way.heading_deg % 360.0, way.pitch_deg, way.roll_deg, way.fov_deg, way.height_m)
    return {name: float(column[index]) for name, column in zip(CAMERA, columns, strict=True)}


def _sun(
    asked: FlythroughParams, params: Params, split: str, way: Way | None, count: int
) -> tuple[np.ndarray | None, list[str] | None]:
    """Elevation and azimuth of the sun by frame [deg], shape [N, 2], and its times; None where it stays the scene's."""
    u = np.linspace(0.0, 1.0, count)[:, None]
    if asked.sun is not None:
        try:
            ends = np.array([[float(part) for part in end.split(",")] for end in asked.sun.split(";")])
            fits = ends.shape in ((1, 2), (2, 2)) and np.isfinite(ends).all() and (abs(ends) <= 3600.0).all()
            fits = fits and ((ends[:, 0] >= 0.0) & (ends[:, 0] <= 90.0)).all()
        except ValueError:
            ends, fits = np.zeros((1, 2)), False
        if not fits:
            raise InputError("sun", asked.sun, "ELEVATION,AZIMUTH in degrees, elevation 0 … 90, or two with ; between")
        return ends[0] + u * (ends[-1] - ends[0]), None
    if way is not None and way.sun_deg is not None:
        return way.sun_deg, None
    narrow = narrowed(params, split)
    span = (narrow.test_domain if split == "test_photoreal" else narrow.domain).time
    site = params.ground.site
    if span is None or site is None or span.start == span.end:
        return None, None
    times = [span.at(float(each)) for each in u[:, 0]]
    suns = [sky_at(site, time).sun for time in times]
    return np.array([[sun.elevation_deg, sun.azimuth_deg] for sun in suns]), [str(UtcSpan(time)) for time in times]


def _check_scene(driven: Driven, params: Params) -> None:
    """Refuse parameters of another scene than the drive's: of the split, or by what the stage file says of itself."""
    own = params.model_dump(mode="json")
    theirs = driven.parameters if driven.stage is None else parameters_shown(driven.stage)
    if theirs is None:
        return
    for group in SCENE_GROUPS:
        if (found := first_difference(theirs.get(group), own[group], group)) is not None:
            field, old, new = found
            raise InputError(field, new, f"{old!r}, as the scene of the drive has it")


def _check_lenses(asked: FlythroughParams, params: Params, split: str, specs: Sequence[FrameSpec]) -> None:
    """Refuse a lens that folds at the widest view of a film."""
    ranges = frame_intervals(params, split)
    widest = max(spec["fov_deg"] for spec in specs)
    for size in (asked.size, asked.still_size):
        check_lens(ranges | {"fov_deg": Interval(widest)}, size.width, size.height)
