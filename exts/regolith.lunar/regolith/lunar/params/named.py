"""Values that come by a name: of a place's photometry, of a map's at a site, of a real camera.

A named set stands in for each of its parameters that is not given. What it gives is kept as values of these parameters,
so that the name is needed once: files, contracts and stages hold the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from regolith.lunar.params.cameras import CAMERAS
from regolith.lunar.params.fields import Site, as_text
from regolith.lunar.params.places import PLACES, read_hapke_map

NAMED = ("ground.place", "ground.hapke_map", "ground.site", "camera.model")
"""Parameters that stand for values of others."""


def named_values(given: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what named sets give.

    Args:
        given: Dotted name to value, typed or text, of all that is given.
        before: The same of what `NAMED` were so far.

    Returns:
        Dotted name to value of the parameters of every set that `given` names, those left out that it gives itself.

    Raises:
        InputError: The map cannot be read at the site.
    """
    texts = {name: as_text(value) for name, value in {**(before or {}), **given}.items() if name in NAMED}
    found: dict[str, Any] = {}
    if (
        given.keys() & {"ground.hapke_map", "ground.site"}
        and texts.get("ground.hapke_map")
        and texts.get("ground.site")
    ):
        found |= _of_map(texts["ground.hapke_map"], texts["ground.site"], given)
    elif (place := PLACES.get(texts.get("ground.place", ""))) and "ground.place" in given:
        found |= place.values() | {"ground.hapke_map": ""}
    if (camera := CAMERAS.get(texts.get("camera.model", ""))) and "camera.model" in given:
        found |= camera.settings
    return {name: value for name, value in found.items() if name not in given}


def _of_map(path: str, site: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What a map gives at a site; it is not read where all of that is given."""
    wanted = PLACES["mare"].values().keys()
    if wanted <= given.keys():
        return {}
    try:
        lat, lon = (float(part) for part in site.split(","))
        place = Site(lat, lon)
    except ValueError:  # refused by its own field, with what is allowed
        return {}
    return read_hapke_map(path, place).values() | {"ground.place": "none"}
