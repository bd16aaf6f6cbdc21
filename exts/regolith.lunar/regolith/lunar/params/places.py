"""Published photometry of lunar ground: of a few places by name, of others from a map.

Hapke's law as `regolith.lunar.reflectance` has it, without the coherent surge and without macroscopic roughness: there
stands why.

A map is one of LROC's WAC Hapke parameter maps (Sato et al. 2014, doi:10.1002/2013JE004580; PDS product
WAC_HAPKEPARAMMAP): a raster in a lunar projection whose bands are w, b, c, B_C0, h_C, B_S0, h_S, θ̄ and φ.
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

import numpy as np

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.fields import Interval, Site
from regolith.lunar.params.rasters import Pixels, open_raster

PlaceName = Literal["none", "mare", "highland", "fresh-ejecta"]

MAP_BANDS = 9
"""Bands of a map."""

LIMITS = {"w": (0.0, 1.0), "b": (0.0, 0.9), "c": (-1.0, 1.0), "B_S0": (0.0, 3.0), "h_S": (0.001, 0.5)}
"""Smallest and largest value of each parameter of the law."""


class HapkeSet(NamedTuple):
    """Parameters of Hapke's law."""

    w: float
    """Single-scattering albedo."""
    b: float
    """Width of the Henyey–Greenstein lobes."""
    c: float
    """Balance of the lobes, positive for backscatter."""
    b0: float
    """Amplitude of the shadow-hiding surge, B_S0."""
    h: float
    """Angular width of the surge, h_S."""

    @property
    def albedo(self) -> float:
        """Normal albedo."""
        from regolith.lunar.reflectance import normal_albedo

        return normal_albedo(self.w, self.b, self.c, self.b0)

    def values(self) -> dict[str, Any]:
        """What parameters are for this ground: dotted name to value."""
        drawn = {"hapke_b": self.b, "hapke_c": self.c, "hapke_b0": self.b0, "hapke_h": self.h}
        ground = {f"ground.{name}": Interval(value) for name, value in drawn.items()}
        return {"ground.photometry": "hapke", "domain.albedo": Interval(round(self.albedo, 4)), **ground}


PLACES: dict[str, HapkeSet] = {
    "mare": HapkeSet(w=0.250, b=0.263, c=0.083, b0=2.00, h=0.047),
    "highland": HapkeSet(w=0.458, b=0.229, c=0.410, b0=1.63, h=0.070),
    "fresh-ejecta": HapkeSet(w=0.486, b=0.189, c=0.866, b0=1.51, h=0.035),
}
"""Medians of the WAC maps at 643 nm (Sato et al. 2014): of maria, of the far side's highlands, of Tycho's ejecta."""

OLD_HIGHLAND = HapkeSet(w=0.404, b=0.234, c=0.359, b0=1.68, h=0.061)
"""The same of the near side's southern highlands, among which Tycho lies."""


def fresh_ratio() -> float:
    """Normal albedo of fresh material over that of the mature ground it lies on: Tycho's ejecta and `OLD_HIGHLAND`."""
    return PLACES["fresh-ejecta"].albedo / OLD_HIGHLAND.albedo


def read_hapke_map(path: str, site: Site) -> HapkeSet:
    """Read a map at a place, in the pixel it lies in.

    Args:
        path: Map, in a format of `params.rasters.DRIVERS`.
        site: Place on the Moon.

    Returns:
        w, b, c, B_S0 and h_S. B_C0, h_C, θ̄ and φ are left out (`regolith.lunar.reflectance`).

    Raises:
        InputError: rasterio is missing, the file is no such map, does not reach the place or has no data there, or a
            value is none of the law's.
    """
    with open_raster("ground.hapke_map", path, "a map") as raster:
        if raster.count != MAP_BANDS:
            allowed = f"a map of {MAP_BANDS} bands (w, b, c, B_C0, h_C, B_S0, h_S, theta, phi); it has {raster.count}"
            raise InputError("ground.hapke_map", path, allowed)
        pixels = Pixels(raster, "ground.hapke_map", path, site)
        place = pixels(np.array([site.lat_deg]), np.array([site.lon_deg]))
        row, column = (math.floor(float(part[0]) + 0.5) for part in place)
        if not (0 <= row < raster.height and 0 <= column < raster.width):
            raise InputError("ground.site", str(site), f"a place in ground.hapke_map, {pixels.bounds()}")
        found = raster.read(window=((row, row + 1), (column, column + 1)), masked=True).reshape(-1)
    if bool(found.mask.any() if found.mask.shape else found.mask) or not all(map(math.isfinite, found.data.tolist())):
        raise InputError("ground.site", str(site), "a place where ground.hapke_map has data")
    w, b, c, _, _, b0, h, _, _ = (round(float(value), 6) for value in found)
    for (name, (lo, hi)), value in zip(LIMITS.items(), (w, b, c, b0, h), strict=True):
        if not lo <= value <= hi:
            allowed = f"a place where the map's {name}, here {value:g}, is in {lo:g} … {hi:g}"
            raise InputError("ground.site", str(site), allowed)
    return HapkeSet(w, b, c, b0, h)
