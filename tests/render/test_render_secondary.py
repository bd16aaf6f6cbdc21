"""Light that is not straight from the sun: earthshine, and one bounce into shadows."""

from __future__ import annotations

import math

import numpy as np
import pytest
from pxr import Gf, Usd, UsdLux, UsdShade
from render_stage import _material, _mesh, aim_camera, aim_sun, make_stage

from regolith.lunar.labels import ROCK
from regolith.lunar.params.capture import FULL_EARTHSHINE
from regolith.lunar.reflectance import NUMPY_OPS, hapke, single_scattering_albedo
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.stage import schema

SHARE = 0.01
"""Earthshine over sunlight: a hundred Earths, for float32 beside the sun."""


def add_earth(stage: Usd.Stage, *, elevation: float, azimuth: float, share: float = SHARE) -> None:
    """Light a stage by an Earth as well."""
    earth = UsdLux.DistantLight.Define(stage, schema.EARTH)
    earth.CreateAngleAttr(1.9)
    earth.CreateIntensityAttr(share * math.pi)
    earth.CreateNormalizeAttr(True)
    earth.AddRotateXYZOp().Set(Gf.Vec3f(0.0, 90.0 - elevation, azimuth))


def test_a_full_earth_gives_a_ten_thousandth_of_sunlight() -> None:
    """0.367 (6371 / 384400)²."""
    assert pytest.approx(1.008e-4, rel=0.001) == FULL_EARTHSHINE


def test_earthshine_adds_its_share_where_the_sun_shines_too(renderer: MitsubaRenderer) -> None:
    """Level Lambert ground: irradiances times sines of elevation; without an Earth nothing changes."""
    stage = make_stage(rocks=0)
    renderer.load(stage)
    aim_sun(stage, elevation=30.0, azimuth=60.0)
    aim_camera(stage, pitch=-60.0, fov=20.0)
    sun = renderer.radiance(24, 24, quality="draft", samples=8)
    add_earth(stage, elevation=50.0, azimuth=200.0)
    both = renderer.radiance(24, 24, quality="draft", samples=8)
    ratio = SHARE * math.sin(math.radians(50.0)) / math.sin(math.radians(30.0))
    np.testing.assert_allclose(both / sun - 1.0, ratio, rtol=0.02)


def test_the_earth_lights_shadows_of_the_sun_and_casts_its_own(renderer: MitsubaRenderer) -> None:
    """The side of a rock in its own shadow; ground that the rock hides from the Earth has sunlight alone."""
    stage = make_stage(rocks=1)
    renderer.load(stage)
    aim_sun(stage, elevation=25.0, azimuth=0.0)
    aim_camera(stage, pitch=-8.0)
    sun = renderer.radiance(96, 64, quality="draft")
    mask = renderer.render(96, 64, quality="draft").mask
    add_earth(stage, elevation=15.0, azimuth=110.0)
    both = renderer.radiance(96, 64, quality="draft")
    dark = (mask == ROCK) & (sun == 0.0)
    assert dark.sum() > 50
    lit = both[dark]
    assert np.median(lit) > 0.0
    assert lit.max() < SHARE * 0.3  # its normal albedo is 0.24, its irradiance SHARE times π
    ground = (sun > 0.0) & (mask != ROCK)
    hidden = ground & (np.abs(both / np.maximum(sun, 1e-9) - 1.0) < 1e-6)
    assert 5 < hidden.sum() < ground.sum() / 4, "the rock's shadow from the Earth"


@pytest.mark.parametrize("model", ["lambert", "hapke"])
@pytest.mark.parametrize("quality", ["default", "reference"])
def test_one_bounce_lights_a_shadow_as_the_form_factor_says(fused: MitsubaRenderer, model: str, quality: str) -> None:
    """The underside of a plate over sunlit ground sees nothing but that ground.

    Lambert: it is as bright as the ground, times its albedo. Hapke: the integral of both laws over the hemisphere.
    """
    albedo, elevation = 0.2, 20.0
    stage = make_stage(model=model, albedo=albedo, rocks=0)
    half, height = 0.15, 0.5
    corners = np.array([[-half, -half, height], [half, -half, height], [half, half, height], [-half, half, height]])
    plate = _mesh(stage, "/World/Plate", corners, np.array([[0, 3, 2, 1]]))
    UsdShade.MaterialBindingAPI.Apply(plate.GetPrim()).Bind(
        _material(stage, "/World/Looks/Plate", model=model, albedo=albedo)
    )
    fused.load(stage)
    aim_sun(stage, elevation=elevation, azimuth=0.0)
    aim_camera(stage, pitch=90.0, position=(0.0, 0.0, 0.2), fov=10.0)
    found = float(fused.radiance(32, 32, quality=quality).mean())  # type: ignore[arg-type]
    sine = math.sin(math.radians(elevation))
    wanted = albedo * albedo * sine if model == "lambert" else bounced(albedo, sine)
    assert found == pytest.approx(wanted, rel=0.04)


def bounced(albedo: float, mu0: float) -> float:
    """Radiance straight down from level Hapke ground that sees level sunlit Hapke ground, by quadrature."""
    soil = {name: schema.PHOTOMETRY_VALUES[f"hapke_{name}"].absent for name in ("b", "c", "b0", "h")}
    w = single_scattering_albedo(albedo, soil["b"], soil["c"], soil["b0"])
    mu, weight = np.polynomial.legendre.leggauss(48)
    mu, weight = 0.5 * (mu[:, None] + 1.0), 0.5 * weight[:, None]
    azimuth = (np.arange(128) + 0.5) * (2.0 * np.pi / 128)
    cos_g = mu0 * mu + np.sqrt((1.0 - mu0**2) * (1.0 - mu**2)) * np.cos(azimuth)
    ground = math.pi * hapke(NUMPY_OPS, mu0, mu, cos_g, w, **soil)
    under = hapke(NUMPY_OPS, mu, 1.0, mu, w, **soil)
    return float((ground * under * weight).sum() * (2.0 * np.pi / 128))
