"""Real cameras by name: what is published of their optics and sensors, as values of parameters.

What is not published, or could not be read, is left as the preset has it. Sources, by camera:

apollo-hasselblad
    Hasselblad 500 EL data camera of the lunar surface, Zeiss Biogon 5.6/60 mm, Réseau plate of 5 × 5 crosses 10 mm
    apart (NASA, Apollo 11 Hasselblad cameras; Lunar Surface Journal). Pictures on the 70 mm film are 53 mm square
    (second-hand; the plate itself is 54 mm, and its crosses are drawn for that). Zeiss calls the lens's symmetry the
    reason of its correction for distortion: none here. Chosen: vignetting by the natural cos⁴, the whole film curve,
    and a grain like the shot noise of 30000 electrons, 1.4 % at middle grey, for fine-grained film (Panatomic-X,
    Ektachrome).
yutu-pcam
    Panoramic camera of Chang'e-3's rover (Yang et al. 2015, Research in Astronomy and Astrophysics 15(11), abstract):
    50 mm, 19.7° × 14.5°, best signal-to-noise ratio 44 dB (158 = √25100), static modulation transfer 0.33. From these
    the width of the sensor, a full well of 25100 electrons, and, taken at Nyquist, a point spread of √(-ln 0.33 / 2)
    pixels. 2352 × 1728 pixels (second-hand, of its sister on Yutu-2).
polar-stereo
    Left camera of the pair of NASA's POLAR Stereo Dataset (Wong et al. 2017); its calibration (second-hand, as public
    code quotes it): 1936 × 1216 pixels, focal length 2068 pixels, k1 -0.108, k2 0.158, baseline 301.6 mm. k2 is held
    to the 0.15 that `sensor.lens_k2` may be: 0.9 pixels in the corners.
viper-navcam, viper-hazcam
    Left cameras on VIPER (`stage.rover_viper` has what is published of their views, and what is chosen): square sensors
    of 2048 pixels and 12 bits (second-hand, of `vipersci`, NASA's software of the science team).
"""

from __future__ import annotations

import math
from typing import Any, Literal, NamedTuple

from regolith.lunar.params.fields import Interval, PictureSize

CameraModel = Literal["none", "apollo-hasselblad", "yutu-pcam", "polar-stereo", "viper-navcam", "viper-hazcam"]


class RealCamera(NamedTuple):
    """A real camera."""

    pixels: PictureSize
    """Picture as it comes from the camera; of film, any square."""
    settings: dict[str, Any]
    """Dotted name of a parameter to its value."""

    def size(self, side: int) -> PictureSize:
        """Picture of the camera's shape whose longer side has so many pixels."""
        scale = side / max(self.pixels.width, self.pixels.height)
        return PictureSize(round(scale * self.pixels.width), round(scale * self.pixels.height))


_MAST = {"camera.rig": "mast", "camera.baseline_m": 0.0}
_PLAIN = {
    "sensor.lens_k1": Interval(0),
    "sensor.lens_k2": Interval(0),
    "sensor.film": Interval(0),
    "sensor.reseau": Interval(0),
}


def _fov_deg(width: float, focal: float) -> Interval:
    """Horizontal field of view [deg] of a sensor's width and a focal length in one unit."""
    return Interval(round(math.degrees(2.0 * math.atan(0.5 * width / focal)), 2))


CAMERAS: dict[str, RealCamera] = {
    "apollo-hasselblad": RealCamera(
        PictureSize(4096),
        _MAST
        | _PLAIN
        | {
            "domain.fov_deg": _fov_deg(53.0, 60.0),
            "camera.aperture_mm": 53.0,
            "sensor.full_well_e": 30000.0,
            "sensor.read_noise_e": Interval(0),
            "sensor.gain_db": Interval(0),
            "sensor.hot_pixels": Interval(0),
            "sensor.vignetting": Interval(1),
            "sensor.film": Interval(1),
            "sensor.reseau": Interval(1),
            "sensor.jpeg_quality": Interval(100),
        },
    ),
    "yutu-pcam": RealCamera(
        PictureSize(2352, 1728),
        _MAST
        | _PLAIN
        | {
            "domain.fov_deg": Interval(19.7),
            "camera.aperture_mm": round(100.0 * math.tan(math.radians(0.5 * 19.7)), 2),
            "sensor.full_well_e": 25100.0,
            "sensor.gain_db": Interval(0),
            "sensor.psf_px": Interval(round(math.sqrt(-0.5 * math.log(0.33)), 3)),
        },
    ),
    "polar-stereo": RealCamera(
        PictureSize(1936, 1216),
        _MAST
        | _PLAIN
        | {
            "domain.fov_deg": _fov_deg(1936.0, 2068.0),
            "camera.baseline_m": 0.3016,
            "sensor.lens_k1": Interval(-0.108),
            "sensor.lens_k2": Interval(0.15),
        },
    ),
    "viper-navcam": RealCamera(
        PictureSize(2048), {**_MAST, **_PLAIN, "camera.rig": "viper", "camera.view": "navcam_left"}
    ),
    "viper-hazcam": RealCamera(
        PictureSize(2048), {**_MAST, **_PLAIN, "camera.rig": "viper", "camera.view": "hazcam_front_left"}
    ),
}
"""Camera by its name in `camera.model`."""
