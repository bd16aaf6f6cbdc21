"""From radiance to a view's picture: stars, then the sensor with its lens; the same for every renderer."""

from __future__ import annotations

import numpy as np

from regolith.lunar.render.sensor import develop
from regolith.lunar.render.view import View

STAR_RADIANCE = 0.6
"""Linear pixel value of the brightest star, before exposure scaling (stars saturate with the exposure they need)."""


def star_pixels(view: View, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Pixels that stars fall in, if nothing hides them: numbers, row by row, int64, and radiance, float32."""
    camera = view.camera
    local = view.stars[:, :3] @ (camera.axes * [[1.0], [-1.0], [1.0]]).T  # right, down, forward
    at = np.floor(camera.lens(width, height).project(local))
    inside = ((at >= 0) & (at < (width, height))).all(axis=1)  # never NaN: out of the lens's sight
    column, row = at[inside].astype(np.int64).T
    value = (view.stars[inside, 3] * STAR_RADIANCE * 2.0**-view.sensor.exposure_ev).astype(np.float32)
    return row * width + column, value


def add_stars(radiance: np.ndarray, view: View, sky: np.ndarray) -> None:
    """Add a view's stars, in place; each lights the one pixel it falls in.

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        view: What the picture shows.
        sky: Whether each pixel's centre is sky, bool, shape [H, W].
    """
    height, width = radiance.shape
    pixel, value = star_pixels(view, width, height)
    seen = sky.ravel()[pixel]
    np.maximum.at(radiance.reshape(-1), pixel[seen], value[seen])


def develop_view(radiance: np.ndarray, view: View) -> np.ndarray:
    """Picture of a radiance, as the view's sensor saves it.

    Args:
        radiance: Linear radiance, float32, shape [H, W].
        view: What the picture shows.

    Returns:
        uint8, shape [H, W, 3].
    """
    height, width = radiance.shape
    right, up, forward = view.camera.axes @ (view.sun.direction * view.sun.irradiance)
    return develop(radiance, view.sensor, lens=view.camera.lens(width, height), sun=np.array([right, -up, forward]))
