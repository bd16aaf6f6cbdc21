"""A drive as a map: the ground from above as hillshade, rocks, the way planned, the way driven, what was touched."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy.ndimage import gaussian_filter
from scipy.spatial import ConvexHull

from regolith.lunar.physics.world import Shape
from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage.terrain import Terrain

SIZE_PX = 384
"""Side of the map [px]; its legend comes below."""
LEGEND_PX = 26
FINER = 2
"""Lines are drawn so many times larger, and averaged."""
CELLS = 256
"""Heights read along a side."""
MARGIN_M = 3.0
"""Ground shown beyond start and goal [m]."""
LIGHT = np.array([-1.0, 1.0, 1.0]) / math.sqrt(3.0)
"""From where the hillshade is lit, as maps are: from the upper left."""
STEEP = 2.0
"""Heights over what they are, so that gentle ground shows."""

GROUND, ROCK, TOUCHED = (118, 114, 108), (206, 178, 132), (242, 84, 66)
PLANNED, DRIVEN, ROVER = (255, 200, 60), (92, 184, 255), (255, 255, 255)
INK, PAPER = (214, 212, 205), (30, 29, 27)
SCALES_M = (1, 2, 5, 10, 20, 50, 100, 200)

Polygon = list[tuple[float, float]]


class Sketch:
    """The map of one stage, about the places a drive goes between; pictures are north up, +X to the right."""

    def __init__(self, terrain: Terrain, rocks: Iterable[Shape], places: np.ndarray) -> None:
        """Shade the ground.

        Args:
            terrain: Ground.
            rocks: Rocks as hulls in the world frame.
            places: What has to be on the map, shape [N, 2] [m].
        """
        low, high = places.min(axis=0), places.max(axis=0)
        self._middle = 0.5 * (low + high)
        self.half_m = 0.5 * float((high - low).max()) + MARGIN_M
        """Half the side of the map [m]."""
        self._ground = Image.fromarray(self._shade(terrain)).resize(
            (FINER * SIZE_PX, FINER * SIZE_PX), Image.Resampling.BICUBIC
        )
        self._rocks = dict(self._footprints(rocks))
        for outline in self._rocks.values():
            ImageDraw.Draw(self._ground).polygon(outline, fill=ROCK, outline=PAPER)

    def _shade(self, terrain: Terrain) -> np.ndarray:
        """Hillshade of the ground, uint8, shape [CELLS, CELLS, 3]; its border goes on where the ground ends."""
        grid = terrain.grid
        axis = np.linspace(-self.half_m, self.half_m, CELLS)
        x = np.clip(self._middle[0] + axis, -grid.half_x, grid.half_x)
        y = np.clip(self._middle[1] - axis, -grid.half_y, grid.half_y)
        cell = axis[1] - axis[0]
        z = STEEP * gaussian_filter(np.asarray(terrain.height(x[None, :], y[:, None]), np.float64), 0.8)
        down, right = np.gradient(z, cell)
        facing = (-right * LIGHT[0] + down * LIGHT[1] + LIGHT[2]) / np.sqrt(right**2 + down**2 + 1.0)
        bright = np.clip(facing / LIGHT[2], 0.25, 1.9)[..., None]
        return np.clip(bright * GROUND, 0.0, 255.0).astype(np.uint8)

    def _footprints(self, rocks: Iterable[Shape]) -> Iterable[tuple[str, Polygon]]:
        for rock in rocks:
            assert rock.points is not None
            corners = (rock.points + rock.pose.position)[:, :2]
            if (np.abs(corners - self._middle).min(axis=0) < self.half_m).all():
                yield rock.path, self._at(corners[ConvexHull(corners).vertices])

    def _at(self, places: np.ndarray) -> Polygon:
        """Places [m], shape [N, 2], on the enlarged picture [px]."""
        scale = FINER * 0.5 * SIZE_PX / self.half_m
        away = (np.asarray(places, np.float64).reshape(-1, 2) - self._middle) * (scale, -scale)
        return [(float(x), float(y)) for x, y in away + FINER * 0.5 * SIZE_PX]

    def draw(self, route: np.ndarray, driven: np.ndarray, heading: float, touched: Iterable[str]) -> bytes:
        """Draw the map.

        Args:
            route: Corners of the way planned, shape [N, 2] [m].
            driven: Places the rover has been to, the last where it is, shape [M, 2] [m].
            heading: Of the rover, anticlockwise from +X [rad].
            touched: Prims of the rocks it has touched.

        Returns:
            A PNG.
        """
        picture = self._ground.copy()
        pen = ImageDraw.Draw(picture)
        for path in touched:
            if path in self._rocks:
                pen.polygon(self._rocks[path], fill=TOUCHED, outline=PAPER)
        pen.line(self._at(route), fill=PLANNED, width=3 * FINER, joint="curve")
        (start_x, start_y), (goal_x, goal_y) = self._at(route[[0, -1]])
        small, large = 3 * FINER, 7 * FINER
        pen.ellipse((start_x - small, start_y - small, start_x + small, start_y + small), fill=PLANNED)
        pen.ellipse((goal_x - large, goal_y - large, goal_x + large, goal_y + large), outline=PLANNED, width=2 * FINER)
        if len(driven) > 1:
            pen.line(self._at(driven), fill=DRIVEN, width=4 * FINER, joint="curve")
        pen.polygon(self._at(_outline(driven[-1], heading)), outline=ROVER, width=2 * FINER)
        map_ = picture.resize((SIZE_PX, SIZE_PX), Image.Resampling.LANCZOS)
        whole = Image.new("RGB", (SIZE_PX, SIZE_PX + LEGEND_PX), PAPER)
        whole.paste(map_)
        self._write_legend(ImageDraw.Draw(whole))
        data = io.BytesIO()
        whole.save(data, "PNG")
        return data.getvalue()

    def _write_legend(self, pen: ImageDraw.ImageDraw) -> None:
        font, middle, x = ImageFont.load_default(12), SIZE_PX + LEGEND_PX // 2, 8
        for word, colour in (("planned", PLANNED), ("driven", DRIVEN), ("rock", ROCK), ("touched", TOUCHED)):
            pen.rectangle((x, middle - 4, x + 8, middle + 4), fill=colour)
            pen.text((x + 13, middle), word, fill=INK, font=font, anchor="lm")
            x += 13 + int(pen.textlength(word, font=font)) + 12
        length = max(scale for scale in SCALES_M if scale == SCALES_M[0] or scale < 0.4 * self.half_m)
        wide = 0.5 * SIZE_PX * length / self.half_m
        pen.text((SIZE_PX - 16 - wide, middle), f"{length} m", fill=INK, font=font, anchor="rm")
        pen.line((SIZE_PX - 10 - wide, middle, SIZE_PX - 10, middle), fill=INK, width=2)
        for end in (SIZE_PX - 10 - wide, SIZE_PX - 10):
            pen.line((end, middle - 4, end, middle + 4), fill=INK, width=2)


def _outline(place: np.ndarray, heading: float) -> np.ndarray:
    """The rover from above, pointed ahead, shape [5, 2] [m]."""
    ahead = np.array([math.cos(heading), math.sin(heading)])
    left = np.array([-ahead[1], ahead[0]])
    x, y = 0.5 * viper.LENGTH_M, 0.5 * viper.WIDTH_M
    corners = ((-x, y), (-x, -y), (x, -y), (1.6 * x, 0.0), (x, y))
    return np.array([place + along * ahead + aside * left for along, aside in corners])
