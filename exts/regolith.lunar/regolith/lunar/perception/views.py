"""Views of a picture: at which sizes a model looks, and how its answers become one."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

from regolith.lunar.params import InputError

SIZE_PX = 512
"""Default long side a picture is brought to."""
Views = Literal["none", "flip", "flip-scale", "pyramid", "fine"]
"""Views of a picture whose probabilities are averaged."""
TTA_HELP = (
    "Views averaged: none, the picture with its mirror image (flip), both at three sizes (flip-scale), or the picture "
    "at four sizes down to a quarter, where boulders that fill it are seen whole (pyramid), or "
    "enlarged by half, where small rocks are seen (fine)."
)
PHOTO_MIN_PX, PHOTO_MAX_PX = 64, 8192
"""Long sides a photograph can be brought to [px]."""


class ViewSet(NamedTuple):
    """How often a picture is looked at, and how the answers become one."""

    sizes: dict[float, float]
    """Size relative to the working size, to its weight."""
    mirror: bool = False
    """Whether the mirror image is looked at too."""
    of_logits: bool = False
    """Whether the mean is that of logits and not of probabilities: a view that is sure outvotes one that is not."""


VIEWS: dict[Views, ViewSet] = {
    "none": ViewSet({1.0: 1}),
    "flip": ViewSet({1.0: 1}, mirror=True),
    "flip-scale": ViewSet({0.75: 1, 1.0: 1, 1.5: 1}, mirror=True),
    "pyramid": ViewSet({0.25: 2, 0.5: 0.5, 1.0: 1, 1.5: 1.5}, of_logits=True),
    "fine": ViewSet({1.5: 1}),
}
"""A rock too small for the network at one size may be seen at a larger one, a boulder that fills the picture at a
smaller."""


def check_views(field: str, views: object) -> None:
    """Refuse what is no name of views.

    Raises:
        InputError: It is none.
    """
    if views not in get_args(Views):
        raise InputError(field, views, ", ".join(get_args(Views)))
