"""Look at one place near the south pole through a lunar day, under the sun that stood or will stand there.

- a site and a time put the sun where it is then: skyfield's DE421, and the Moon's own turn
- with a height model of the Moon (`--dem`, GeoTIFF or PDS3) the ground and its horizon are that place's own
- one scene serves every picture: only the sun moves, once around the horizon in 29.5 days

    python examples/15_a_day_at_the_south_pole.py --out out/14
"""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path

import tyro

import regolith.lunar as rl
from regolith.lunar.params import Site, UtcSpan
from regolith.lunar.perception.overlay import contact_sheet
from regolith.lunar.stage.ephemeris import sky_at

DAY = timedelta(days=29.53)
"""From noon to noon."""

PLAIN = {
    "terrain.rms_slope_deg": 0.4, "terrain.hill_height_m": 10, "craters.density": 0.1, "rocks.abundance": 0.004,
    "domain.exposure_ev": -3, "domain.height_m": 3, "domain.pitch_deg": -7, "domain.roll_deg": 0, "domain.fov_deg": 80,
    "domain.heading_deg": 20, "sensor.sun_compensation_ev": 0,
}  # fmt: skip
"""Ground so level that a sun one degree up reaches it, exposed for what faces the sun."""


def main(
    out: Path = Path("out/14"),
    preset: str = "v3",
    site: str = "-89.5,222.0",
    start: str = "2026-12-10T00:00",
    dem: Path | None = None,
    dem_scale: float | None = None,
    pictures: int = 8,
    size: int = 320,
) -> None:
    """Draw the strip.

    Args:
        out: Folder to write.
        preset: Preset to start from.
        site: Latitude and longitude [deg]; the sun has to be up there all day.
        start: Time of the first picture, UTC.
        dem: Height model that shows the site.
        dem_scale: Metres per number of it, where the file does not say so.
        pictures: Pictures of the day.
        size: Width of a picture [px].
    """
    place = {"ground.site": site, "ground.dem": dem, "ground.dem_scale": dem_scale}
    params = rl.change_params(rl.load_preset(preset), PLAIN | place)
    scene = rl.build_scene(params)
    where, begin = Site.model_validate(site), UtcSpan.model_validate(start).start
    strip = []
    with contextlib.closing(rl.open_renderer()) as renderer:
        stage = renderer.load(rl.author_stage(scene))
        for number in range(pictures):
            time = begin + number / pictures * DAY
            then = rl.change_params(params, {"domain.time": UtcSpan(time)})
            spec = rl.draw_frame(then, scene)
            rl.apply_frame(stage, spec, params=then, width=size, height=3 * size // 4)
            sun, earth = sky_at(where, time)
            print(f"{spec.utc}: sun {sun.elevation_deg:.2f}° above the horizon, the Earth {earth.elevation_deg:.2f}°")
            strip.append((renderer.render(size, 3 * size // 4).rgb, f"{time:%d %b %H:%M}  sun {sun.azimuth_deg:.0f}°"))
    out.mkdir(parents=True, exist_ok=True)
    contact_sheet(strip, columns=4, cell=size).save(out / "picture.jpg", quality=80)
    print(out / "picture.jpg")


if __name__ == "__main__":
    tyro.cli(main)
