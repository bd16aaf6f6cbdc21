"""What is measured of photographs, one after the other, and what they tell together."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from regolith.lunar.params import Params
from regolith.lunar.quality.camera.blocks import Blocks, Levels, flat_levels, measure_blocks
from regolith.lunar.quality.camera.edges import Edge, choose, find_blur, find_edges
from regolith.lunar.quality.camera.found import Found, hull, unknown
from regolith.lunar.quality.camera.jpeg import find_jpeg
from regolith.lunar.quality.camera.level import find_exposure, find_saturation, ground_level
from regolith.lunar.quality.camera.noise import find_noise
from regolith.lunar.quality.camera.photographs import Photograph
from regolith.lunar.quality.camera.plate import find_reseau, opacity
from regolith.lunar.quality.camera.response import Curve
from regolith.lunar.quality.camera.shadows import SunFound, View, find_sun
from regolith.lunar.quality.camera.spots import count_hot, find_hot_pixels
from regolith.lunar.quality.camera.vignetting import fall_off, find_vignetting

CROPPED = "parts of frames do not show where the lens's axis is"
ELSEWHERE = {
    "sensor.lens_k1": "needs lines that are straight in the scene",
    "sensor.lens_k2": "needs lines that are straight in the scene",
    "sensor.flare": "needs a black target in a bright surround (ISO 18844)",
    "sensor.encoding": "is assumed: a curve and an exponent on it look alike",
    "light.sun_temperature_k": "is told from white balance by nothing in the pictures",
}
"""What photographs of ground do not tell, and why."""


@dataclasses.dataclass(frozen=True)
class Setting:
    """What is taken for granted of the camera."""

    curves: Sequence[Curve]
    """Responses it may have, the likeliest first."""
    fovs_deg: Sequence[float]
    """Horizontal fields of view it may have [deg]."""
    pitches_deg: Sequence[float]
    """Pitches it may have been held at [deg]."""
    whole: bool
    """Whether the photographs are whole frames."""

    @classmethod
    def of(
        cls, params: Params, curves: Sequence[Curve], *, whole: bool, fov_deg: float | None, pitch_deg: float | None
    ) -> Setting:
        """Take what is not given from a preset's ranges: their middles and ends."""

        def ends(name: str, given: float | None) -> list[float]:
            drawn = getattr(params.domain, name)
            return list(dict.fromkeys([drawn.center, drawn.lo, drawn.hi])) if given is None else [given]

        return cls(curves, ends("fov_deg", fov_deg), ends("pitch_deg", pitch_deg), whole)


class Tally:
    """Measures photographs one by one; keeps no picture."""

    def __init__(self, setting: Setting) -> None:
        """Begin with none."""
        self._setting = setting
        self._blocks: list[Blocks | None] = []
        self._edges: list[Edge] = []
        self._tables: list[np.ndarray | None] = []
        self._grey: list[bool] = []
        self._grounds: dict[Curve, list[float | None]] = defaultdict(list)
        self._hot: dict[Curve, list[tuple[int, int]]] = defaultdict(list)
        self._crosses: dict[Curve, list[tuple[float, float] | None]] = defaultdict(list)
        self._powers: dict[tuple[Curve, float], list[float | None]] = defaultdict(list)
        self.suns: dict[str, SunFound] = {}
        """Sun direction of each photograph that has a mask."""

    def add(self, photo: Photograph) -> None:
        """Measure a photograph."""
        setting = self._setting
        self._blocks.append(measure_blocks(photo))
        self._edges += find_edges(photo, setting.curves[0])
        self._tables.append(photo.steps)
        self._grey.append(photo.grey)
        for curve in setting.curves:
            linear = photo.linear(curve)
            self._grounds[curve].append(ground_level(linear, photo.classes))
            if photo.steps is None:
                self._hot[curve].append(count_hot(linear))
            if setting.whole:
                self._crosses[curve].append(opacity(linear))
                for fov in setting.fovs_deg:
                    self._powers[curve, fov].append(fall_off(photo, linear, fov))
        if photo.classes is not None:
            self.suns[photo.name] = self._sun(photo.linear(setting.curves[0]), photo.classes)

    def _sun(self, linear: np.ndarray, classes: np.ndarray) -> SunFound:
        """Sun direction over the views the camera may have had."""
        views = itertools.product(self._setting.pitches_deg, self._setting.fovs_deg)
        rows = [find_sun(linear, classes, View(pitch, fov)) for pitch, fov in views]
        azimuths = _told([row.azimuth_deg for row in rows])
        first = azimuths[0].estimate
        if first is not None:  # all within half a turn of the first, so that the hull does not go round
            azimuths = [_near(found, first) for found in azimuths]
        return SunFound(hull(azimuths), hull(_told([row.elevation_deg for row in rows])))

    def found(self, params: Params, levels: Levels | str | None) -> dict[str, Found]:
        """What the photographs tell of each parameter, by its dotted name.

        The noise is `noise.full_scale_e`, electrons at linear value 1 at the gain they were taken with,
        `sensor.read_noise_e`, and `noise.read_share`, the one over the other.

        Args:
            params: Of the preset.
            levels: Variance by brightness of repeated exposures; None to take it from the photographs.
        """
        curves, fovs = self._setting.curves, self._setting.fovs_deg
        noise = [find_noise(flat_levels(self._blocks) if levels is None else levels, curve) for curve in curves]
        edges = choose(self._edges)
        psf = hull(find_blur(edges, curve) for curve in curves)
        key = params.sensor.exposure_key
        cropped = unknown(CROPPED)
        return {
            "noise.full_scale_e": hull(row.full_scale_e for row in noise),
            "sensor.read_noise_e": hull(row.read_noise_e for row in noise),
            "noise.read_share": hull(row.read_share for row in noise),
            "sensor.psf_px": psf,
            "sensor.vignetting": hull(
                find_vignetting(self._powers[curve, fov], fov) for curve in curves for fov in fovs
            )
            if self._setting.whole
            else cropped,
            "sensor.hot_pixels": hull(find_hot_pixels(self._hot[curve], psf) for curve in curves),
            "sensor.reseau": hull(find_reseau(self._crosses[curve]) for curve in curves)
            if self._setting.whole
            else cropped,
            "sensor.saturation": find_saturation(self._grey),
            "sensor.jpeg_quality": find_jpeg(self._tables),
            "domain.exposure_ev": hull(find_exposure(self._grounds[curve], key) for curve in curves),
            "domain.sun_elevation_deg": self._elevation(),
        } | {name: unknown(why) for name, why in ELSEWHERE.items()}

    def _elevation(self) -> Found:
        """Range of the sun's elevation over the photographs."""
        rows = [sun.elevation_deg for sun in self.suns.values() if sun.elevation_deg.status != "unknown"]
        if not rows:
            return unknown(
                "no photograph has labelled rocks with shadows enough" if self.suns else "needs masks of rocks"
            )
        whole = hull(rows)
        note = f"shadows in {len(rows)} photographs, on ground that is taken for level"
        return dataclasses.replace(whole, note=note, samples=sum(row.samples for row in rows))

    def sun_words(self) -> list[dict[str, Any]]:
        """Sun direction of each labelled photograph as plain values."""
        return [
            {"image": name, "azimuth_deg": sun.azimuth_deg.words(), "elevation_deg": sun.elevation_deg.words()}
            for name, sun in self.suns.items()
        ]


def _told(rows: Sequence[Found]) -> list[Found]:
    """What is told by the views that tell something, where that is half of them: a wrong one often tells nothing."""
    told = [row for row in rows if row.status != "unknown"]
    return told if 2 * len(told) >= len(rows) else [next(row for row in rows if row.status == "unknown")]


def _near(found: Found, place: float) -> Found:
    """Turn an azimuth by whole turns to within half a turn of a place [deg]."""
    if found.estimate is None or found.interval is None:
        return found
    turn = 360.0 * round((place - found.estimate) / 360.0)
    low, high = found.interval
    return dataclasses.replace(found, estimate=found.estimate + turn, interval=(low + turn, high + turn))
