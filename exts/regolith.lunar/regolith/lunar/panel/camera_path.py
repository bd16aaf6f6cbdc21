"""The camera's path of a film: its keys, edited as any field is, and the camera at a time of it."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

from regolith.lunar.dataset.splits import counted
from regolith.lunar.flythrough.keyframes import (
    KEYS_MAX,
    KEYS_MIN,
    SUN,
    Key,
    Keyframes,
    plain_keys,
    read_keyframes,
    save_keyframes,
)
from regolith.lunar.flythrough.shots import keyed_way, view_values
from regolith.lunar.flythrough.way import Way
from regolith.lunar.panel.aim import PLACE
from regolith.lunar.panel.context import PanelContext, say
from regolith.lunar.panel.editor import ParameterEditor
from regolith.lunar.panel.frame_builder import Built
from regolith.lunar.panel.host import Eye
from regolith.lunar.panel.settings import KEYS, read_keys
from regolith.lunar.panel.stage_work import NO_STAGE, StageWork
from regolith.lunar.params import InputError, validate

KEY_S = 2.0
"""Time from the last key to one that is added [s]."""
PLAY_HZ = 10.0
"""Most views shown per second while the path is played."""
DECIMALS = 3
"""Of the numbers of a key that is made of a view: a millimetre, a thousandth of a degree."""
ANGLES = ("heading_deg", "pitch_deg", "roll_deg", "fov_deg")


@dataclasses.dataclass(frozen=True)
class _Asked:
    """What a way is made of."""

    keys: str
    ease: bool
    fps: int
    scene: tuple[Any, ...]
    clearance_m: float


class CameraPath:
    """Keys, way and the place on it; the keys are the field `KEYS`, with its undo. All on the host's main thread."""

    def __init__(self, context: PanelContext, editor: ParameterEditor, stage: StageWork) -> None:
        """Make it.

        Args:
            context: Of the panel.
            editor: Takes the keys.
            stage: What is shown, and aimed.
        """
        self._context, self._editor, self._stage = context, editor, stage
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="regolith-path")
        self._making: tuple[_Asked, Future[Way]] | None = None
        self._made: tuple[_Asked, Way | InputError] | None = None
        self._due = False
        """Whether the view at `time_s` is still to be shown."""
        self._began: tuple[float, float] | None = None
        """When play began and where [s]; None while nothing is played."""
        self._played_s = 0.0
        self._told: Any = None
        self.field = KEYS
        """Path of the field of the keys."""
        self.time_s = 0.0
        """Where on the path the view is [s]."""
        self.file: Path | None = None
        """File the keys were read from or written to last."""

    # -- what is there ------------------------------------------------------------------------------------------------

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys as entered, also where they make no path; those that count where one is beyond its limits."""
        values = self._context.values
        try:
            return read_keys(values.entered[KEYS])
        except InputError:
            return read_keys(values.good[KEYS])

    @property
    def keyframes(self) -> Keyframes | None:
        """The keys that count; None for fewer than two."""
        return _keyframes(self._context.values.good[KEYS])

    @property
    def seconds(self) -> float:
        """Length of the film [s]; 0 where the keys make no path."""
        keyframes = self.keyframes
        return 0.0 if keyframes is None else keyframes.seconds

    @property
    def step_s(self) -> float:
        """Time from frame to frame of the film [s]."""
        return 1.0 / self._context.values.good["film.fps"]

    @property
    def playing(self) -> bool:
        """Whether the path is being played."""
        return self._began is not None

    @property
    def way(self) -> Way | None:
        """The film's camera frame by frame, as `regolith flythrough` has it; None before it is known."""
        made = self._found
        return made if isinstance(made, Way) else None

    @property
    def stops(self) -> list[Eye]:
        """What the film shows at each key; empty before the way is known."""
        keyframes, way = self.keyframes, self.way
        if keyframes is None or way is None:
            return []
        frames = [self._frame(way, key.time_s) for key in keyframes.keys]
        columns = (way.heading_deg, way.pitch_deg, way.roll_deg, way.fov_deg)
        return [Eye(tuple(way.eye_m[n].tolist()), *(float(column[n]) for column in columns)) for n in frames]

    @property
    def aspect(self) -> float:
        """Width of the film over its height."""
        size = self._context.values.good["film.size"]
        return size.width / size.height

    @property
    def _found(self) -> Way | InputError | None:
        """What came of the keys, or why nothing did; None while that is not known."""
        return self._made[1] if self._made is not None and self._made[0] == self._asked else None

    def problem(self) -> str:
        """Why the keys make no film; empty where they do, as far as is known."""
        values = self._context.values
        if values.problem("way"):
            return values.problem("way")
        if self.keyframes is None:
            return f"add a key at each of two views or more: a path has {KEYS_MIN} … {KEYS_MAX}"
        return self._carried() or (str(self._found) if isinstance(self._found, InputError) else "")

    def view_problem(self) -> str:
        """Why no key can be made of the present view; empty where one can."""
        return self._carried() or (NO_STAGE if self._stage.spec is None else "")

    def _carried(self) -> str:
        """Why the camera cannot fly; empty where it can."""
        rig = self._context.values.params.camera.rig
        return "" if rig == "mast" else str(InputError("camera.rig", rig, "mast: the rover carries every other camera"))

    def scrub_problem(self) -> str:
        """Why there is no moving along the path; empty where there is."""
        return self.problem() or self.view_problem()

    @property
    def words(self) -> str:
        """How long the film is, or what it lacks."""
        count, keyframes = len(self.keys), self.keyframes
        if keyframes is None:
            return "Aim the camera, and add a key at its view." if not count else "One key: a path has two or more."
        frames = round(keyframes.seconds / self.step_s)
        return f"{counted(count, 'key')}, {keyframes.seconds:g} s, {counted(frames, 'frame')}"

    @property
    def message(self) -> str:
        """What is wrong with the keys, in a line; empty while they are no path yet."""
        return "" if len(self.keys) < KEYS_MIN else self.problem()

    # -- keys ---------------------------------------------------------------------------------------------------------

    def add(self) -> None:
        """Add a key at the present view, some time after the last one."""
        keys = self.keys
        time_s = keys[-1].time_s + KEY_S if keys else 0.0
        self._enter_view(lambda key: (*keys, key), time_s)

    def replace(self, index: int) -> None:
        """Put a key where the view is now; it keeps its time."""
        keys = self.keys
        self._enter_view(lambda key: (*keys[:index], key, *keys[index + 1 :]), keys[index].time_s)

    def remove(self, index: int) -> None:
        """Take a key away; with the first one the film begins at the next."""
        left = [key for number, key in enumerate(self.keys) if number != index]
        begin = left[0].time_s if left else 0.0
        self._enter(key.model_copy(update={"time_s": round(key.time_s - begin, DECIMALS)}) for key in left)

    def with_time(self, index: int, time_s: float) -> str:
        """What the field is with another time of a key [s]."""
        keys = list(self.keys)
        keys[index] = keys[index].model_copy(update={"time_s": round(time_s, DECIMALS)})
        return write_keys(keys)

    def read(self, path: Path) -> None:
        """Take the keys of a file, as one undo step; the user is told where they cannot be used."""
        try:
            keyframes = read_keyframes(path)
            if keyframes.aim != "keys":
                raise InputError("aim", keyframes.aim, "keys, for no rover drives on the stage")
        except InputError as error:
            self._context.host.notify(str(error), "error")
            return
        self.file = path
        self._enter(keyframes.keys)

    def write(self, path: Path) -> None:
        """Write the keys that count as a file of `regolith flythrough --path`; the user is told where that fails."""
        assert self.keyframes is not None
        try:
            self._context.check_inside("path", path)
            path.parent.mkdir(parents=True, exist_ok=True)
            save_keyframes(self.keyframes, path)
        except (InputError, OSError) as error:
            self._context.host.notify(say(error), "error")
            return
        self.file = path
        self._context.host.notify(f"Camera path written: {path.name}")

    def _enter(self, keys: Iterable[Key]) -> None:
        self._editor.commit(KEYS, write_keys(keys))

    def _enter_view(self, into: Callable[[Key], Iterable[Key]], time_s: float) -> None:
        self.stop()
        try:
            self._enter(into(self._view(time_s)))
        except InputError as error:
            self._context.host.notify(str(error), "error")
            return
        self.time_s = time_s
        self._context.changed("path")

    def _view(self, time_s: float) -> Key:
        """A key at the view the user has.

        Raises:
            InputError: No key can be there.
        """
        spec, eye = self._stage.spec, self._context.host.eye()
        assert spec is not None
        seen = {name: spec[name] for name in (*PLACE, *ANGLES)} if eye is None else self._stage.seen_from(eye)
        sun = {name: spec[name] for name in SUN} if self._context.values.good["way.sun_in_keys"] else {}
        tidied = {name: round(float(value), DECIMALS) for name, value in (seen | sun).items()}
        place = {"x_m": tidied.pop("camera_x_m"), "y_m": tidied.pop("camera_y_m")}
        return validate(Key, {"time_s": time_s} | place | tidied)

    # -- the view on the path -----------------------------------------------------------------------------------------

    def go(self, index: int) -> None:
        """Aim the camera as a key has it."""
        self.stop()
        keys = self.keys[: index + 1]
        key = keys[-1]
        self.time_s = key.time_s
        if key.all_of(ANGLES[:2]):
            values = {name: getattr(key, name) for name in ("height_m", *ANGLES[:3])}
            values |= {"camera_x_m": key.x_m, "camera_y_m": key.y_m}
            for name in ("fov_deg", *SUN):  # what is left out is that of a key before
                named = [value for key in keys if (value := getattr(key, name)) is not None]
                values |= {name: named[-1]} if named else {}
            self._aim(values)
        else:
            self._due = True
        self._context.changed("path")

    def scrub(self, time_s: float) -> None:
        """Aim the camera as the film has it at a time [s], as soon as that is known."""
        if math.isfinite(time_s):
            self._began = None
            self._move(time_s)

    def play(self) -> None:
        """Move the camera along the path in the film's own time, from where it is or, at its end, from the start."""
        at = self.time_s if self.time_s < self.seconds - self.step_s else 0.0
        self._began, self._played_s = (self._context.clock(), at), -1.0
        self._context.host.look_through()
        self._move(at)

    def stop(self) -> None:
        """Stop where it is."""
        if self._began is not None:
            self._began = None
            self._context.changed("path")

    def _move(self, time_s: float) -> None:
        self.time_s = min(max(time_s, 0.0), self.seconds)
        self._due = True
        self._show()
        self._context.changed("path")

    def _show(self) -> None:
        """Show the view that is due, once the way is known."""
        way = self.way
        if not self._due or way is None or self._stage.built is None:
            return
        self._due = False
        frame = self._frame(way, self.time_s)
        values = view_values(way, frame)
        if way.sun_deg is not None:
            values |= dict(zip(SUN, way.sun_deg[frame].tolist(), strict=True))
        self._aim({"camera_x_m": float(way.eye_m[frame, 0]), "camera_y_m": float(way.eye_m[frame, 1])} | values)

    def _frame(self, way: Way, time_s: float) -> int:
        """Number of the frame at a time; after the last one, that."""
        return min(round(time_s / self.step_s), len(way.eye_m) - 1)

    def _aim(self, values: dict[str, float]) -> None:
        self._context.host.look_through()
        try:
            self._stage.aim(values, limited=False)
        except InputError as error:
            self.stop()
            self._context.host.notify(str(error), "warning")

    # -- time passes --------------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Make the way of newer keys on a thread, play on, show what is due."""
        self._make()
        self.time_s = min(self.time_s, self.seconds)
        if self._began is not None:
            if self.scrub_problem():
                self.stop()
            elif self.way is not None:
                self._play_on(*self._began)
        self._show()
        told = (self._made and self._made[0], self.scrub_problem())
        if told != self._told:
            self._told = told
            self._context.changed("path")

    def _play_on(self, began: float, start_s: float) -> None:
        now = self._context.clock()
        time_s = start_s + now - began
        if time_s >= self.seconds:
            self._began = None
            self._move(self.seconds)
        elif now - self._played_s >= 1.0 / PLAY_HZ:
            self._played_s = now
            self._move(time_s)

    @property
    def _asked(self) -> _Asked | None:
        """What the way is to be made of; None where there is nothing to make one of."""
        good, built = self._context.values.good, self._stage.built
        if built is None or self.keyframes is None:
            return None
        clearance = built.scene.params.camera.clearance_m
        return _Asked(good[KEYS], good["film.ease"], good["film.fps"], built.key, clearance)

    def _make(self) -> None:
        if self._making is not None and self._making[1].done():
            asked, future = self._making
            self._making = None
            try:
                self._made = asked, future.result()
            except InputError as error:
                self._made = asked, error
        asked, built, keyframes = self._asked, self._stage.built, self.keyframes
        if self._making is None and asked is not None and (self._made is None or self._made[0] != asked):
            assert built is not None and keyframes is not None
            self._making = asked, self._pool.submit(_make_way, built, keyframes, asked)

    def close(self) -> None:
        """End the worker."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _make_way(built: Built, keyframes: Keyframes, asked: _Asked) -> Way:
    return keyed_way(built.scene, keyframes, asked.fps, ease=asked.ease)


@functools.lru_cache(maxsize=8)
def _keyframes(text: str) -> Keyframes | None:
    keys = read_keys(text)
    return Keyframes(keys=list(keys)) if len(keys) >= KEYS_MIN else None


def write_keys(keys: Iterable[Key]) -> str:
    """Keys as the field has them."""
    plain = plain_keys(keys)
    return json.dumps(plain) if plain else ""
