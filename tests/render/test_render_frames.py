"""Frames of the small stage: light, shadows, labels, noise, determinism, quality."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from pxr import Gf, Sdf, Usd, UsdGeom, UsdShade
from render_stage import aim_camera, aim_sun, make_stage, set_sensor

from regolith.lunar.labels import REGOLITH, ROCK, SKY, count_classes
from regolith.lunar.params import InputError
from regolith.lunar.render.base import AtOnce, sampling
from regolith.lunar.render.mitsuba import MitsubaRenderer
from regolith.lunar.stage import schema
from regolith.lunar.stage.lens import Lens

EVERYTHING: frozenset[str] = frozenset(["depth", "instance", "normals"])


def linear(rgb: np.ndarray) -> np.ndarray:
    """Undo the sRGB curve."""
    x = rgb[..., 0] / 255.0
    return np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of two 8-bit pictures [dB]."""
    return 10 * math.log10(255**2 / max(float(np.mean((a.astype(float) - b.astype(float)) ** 2)), 1e-9))


def test_level_ground_has_the_radiance_of_its_law(renderer: MitsubaRenderer) -> None:
    """Lambert: albedo · sin(elevation), since the irradiance is π; doubling by one stop of exposure."""
    stage = make_stage(rocks=0)
    renderer.load(stage)
    for elevation, exposure in ((20.0, 2.0), (60.0, 0.0)):
        aim_sun(stage, elevation=elevation, azimuth=10.0)
        aim_camera(stage, pitch=-60.0, exposure=exposure)
        frame = renderer.render(48, 32, quality="draft")
        expected = 0.2 * math.sin(math.radians(elevation)) * 2**exposure
        assert linear(frame.rgb).mean() == pytest.approx(expected, rel=0.01)
        assert count_classes(frame.mask) == {"regolith": 48 * 32, "rock": 0, "sky": 0, "ignore": 0}


def test_depth_and_normal_of_a_level_plane(renderer: MitsubaRenderer) -> None:
    """Depth is the distance along the ray, the normal points up."""
    stage = make_stage(rocks=0)
    renderer.load(stage)
    aim_camera(stage, pitch=-90.0, position=(0.0, 0.0, 2.0), fov=60.0)
    frame = renderer.render(40, 40, quality="draft", outputs=EVERYTHING)
    assert frame.depth is not None
    assert frame.normals is not None
    x = ((np.arange(40) + 0.5) / 40 * 2 - 1) * math.tan(math.radians(30))
    expected = 2.0 * np.sqrt(1 + x[None] ** 2 + x[:, None] ** 2)
    np.testing.assert_allclose(frame.depth, expected, rtol=1e-5)
    np.testing.assert_allclose(frame.normals, np.broadcast_to([0, 0, 1], (40, 40, 3)), atol=1e-5)


def test_labels_alone_are_those_of_the_frame(renderer: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Without light the same classes come out, and need a stage as much."""
    with pytest.raises(InputError, match="load"):
        renderer.mask(64, 48)
    renderer.load(stage)
    labels = renderer.mask(64, 48)
    assert labels.dtype == np.uint8
    assert set(np.unique(labels)) == {REGOLITH, ROCK, SKY}
    np.testing.assert_array_equal(labels, renderer.render(64, 48, quality="draft").mask)


@pytest.mark.parametrize(("k1", "k2", "fov"), [(-0.25, 0.06, 60.0), (0.3, -0.02, 84.0)])
def test_depth_through_a_bent_lens(renderer: MitsubaRenderer, k1: float, k2: float, fov: float) -> None:
    """On a level plane the ray of `Lens.rays` is as long as the depth, and the light is that of the plane."""
    stage = make_stage(rocks=0)
    renderer.load(stage)
    aim_camera(stage, pitch=-90.0, position=(0.0, 0.0, 1.0), fov=fov, k1=k1, k2=k2)
    frame = renderer.render(40, 24, quality="draft", outputs=EVERYTHING)
    lens = Lens.from_fov(fov, 40, 24, k1=k1, k2=k2)
    rays = lens.rays(*np.meshgrid(np.arange(40) + 0.5, np.arange(24) + 0.5))
    assert frame.depth is not None
    assert frame.normals is not None
    np.testing.assert_allclose(frame.depth, np.linalg.norm(rays, axis=-1), rtol=2e-5)
    np.testing.assert_allclose(frame.normals, np.broadcast_to([0, 0, 1], (24, 40, 3)), atol=1e-5)
    assert linear(frame.rgb).mean() == pytest.approx(0.2 * math.sin(math.radians(20.0)) * 4.0, rel=0.01)


def test_back_ends_agree_through_a_bent_lens() -> None:
    """Same labels, and the same picture up to noise."""
    stage = make_stage(model="hapke", bump=0.4)
    aim_camera(stage, k1=-0.2, k2=0.04, fov=70.0)
    frames = []
    for backend in ("llvm", "scalar"):
        renderer = MitsubaRenderer(backend)
        renderer.load(stage)
        frames.append(renderer.render(80, 60, quality="default", outputs=EVERYTHING))
        np.testing.assert_array_equal(renderer.mask(80, 60), frames[-1].mask)
        renderer.close()
    a, b = frames
    assert (a.mask == b.mask).mean() >= 0.999
    assert psnr(a.rgb, b.rgb) > 26.0
    assert a.rgb.mean() == pytest.approx(b.rgb.mean(), rel=0.02)


def test_a_lens_that_folds_is_refused(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """The line names the attributes; a narrower picture of the same lens is drawn."""
    fused.load(stage)
    aim_camera(stage, fov=84.0, k1=-0.17)
    with pytest.raises(InputError, match="regolith:sensor:k1"):
        fused.render(48, 48)
    aim_camera(stage, fov=60.0, k1=-0.17)
    assert fused.mask(48, 48).shape == (48, 48)


def test_shadows_point_away_from_the_sun(renderer: MitsubaRenderer) -> None:
    """Seen from above, the dark ground lies on the far side of the rock, as long as the sun is low."""
    stage = make_stage(rocks=1)  # at (4, 0, 0.2), 0.5 m high above its centre
    renderer.load(stage)
    aim_camera(stage, pitch=-90.0, position=(4.0, 0.0, 6.0), fov=60.0, exposure=0.0)
    for azimuth in (0.0, 90.0, 215.0):
        aim_sun(stage, elevation=25.0, azimuth=azimuth)
        frame = renderer.render(96, 96, quality="draft")
        dark = (linear(frame.rgb) < 0.01) & (frame.mask == REGOLITH)
        row, column = np.nonzero(dark)
        assert len(row) > 30
        # Looking straight down with heading 0: up in the picture is +X, left is +Y.
        away = np.array([-(row.mean() - 47.5), -(column.mean() - 47.5)])
        toward_sun = np.array([math.cos(math.radians(azimuth)), math.sin(math.radians(azimuth))])
        assert away @ toward_sun / np.linalg.norm(away) < -0.97
        reach = (
            -(np.stack([-(row - 47.5), -(column - 47.5)], 1) @ toward_sun).min() * (2 * 6 * math.tan(math.pi / 6)) / 96
        )
        assert reach == pytest.approx(0.7 / math.tan(math.radians(25.0)), rel=0.15)


def test_sky_is_black_and_only_where_nothing_is(renderer: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Pixels well inside the sky are exactly 0; labels hold exactly the three classes."""
    renderer.load(stage)
    frame = renderer.render(64, 48, quality="default", outputs=EVERYTHING)
    assert (frame.rgb[:10] == 0).all()
    assert (frame.mask[:10] == SKY).all()
    assert frame.instance is not None
    assert ((frame.instance > 0) == (frame.mask == ROCK)).all()
    assert count_classes(frame.mask)["ignore"] == 0


def test_stars_only_on_the_sky(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Stars light sky pixels alone and change no label."""
    fused.load(stage)
    before = fused.render(64, 48, quality="draft")
    stars = UsdGeom.Points.Define(stage, schema.STARS)
    grid = [(4000.0, float(y), float(z)) for y in range(-2000, 2001, 200) for z in range(-2000, 2001, 200)]
    stars.CreatePointsAttr([Gf.Vec3f(*p) for p in grid])
    after = fused.render(64, 48, quality="draft")
    changed = (before.rgb != after.rgb).any(axis=2)
    assert changed.sum() > 20
    assert (before.mask[changed] == SKY).all()
    assert (before.mask == after.mask).all()


@pytest.mark.parametrize("k1", [0.0, -0.2])
def test_a_star_is_where_the_lens_shows_it(fused: MitsubaRenderer, stage: Usd.Stage, k1: float) -> None:
    """Each lit pixel is the one whose ray meets its star."""
    fused.load(stage)
    aim_camera(stage, pitch=20.0, k1=k1)
    points = UsdGeom.Points.Define(stage, schema.STARS)
    lens = Lens.from_fov(60.0, 64, 48, k1=k1)
    pixels = np.array([[3, 2], [32, 5], [60, 7], [20, 20]])
    c, s = math.cos(math.radians(20.0)), math.sin(math.radians(20.0))
    right, down, forward = np.array([[0, -1, 0], [s, 0, -c], [c, 0, s]])
    rays = lens.rays(pixels[:, 0] + 0.4, pixels[:, 1] + 0.6) @ np.stack([right, down, forward])
    points.CreatePointsAttr([Gf.Vec3f(*(4000.0 * ray + (0, 0, 1.6)).tolist()) for ray in rays])
    lit = fused.render(64, 48, quality="draft").rgb[..., 0] > 0
    lit[30:] = False  # the horizon, and what is below it
    assert sorted(np.argwhere(lit)[:, ::-1].tolist()) == sorted(pixels.tolist())


def test_preview_and_radiance_are_the_draft_picture(renderer: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Without the label pass the same bytes come out, stars included."""
    renderer.load(stage)
    stars = UsdGeom.Points.Define(stage, schema.STARS)
    grid = [(4000.0, float(y), float(z)) for y in range(-2000, 2001, 200) for z in range(-2000, 2001, 200)]
    stars.CreatePointsAttr([Gf.Vec3f(*p) for p in grid])
    for samples in (1, 4):
        draft = renderer.render(64, 48, quality="draft", samples=samples).rgb
        np.testing.assert_array_equal(renderer.preview(64, 48, samples=samples), draft)
    stage.RemovePrim(schema.STARS)
    plain = renderer.preview(64, 48, samples=4)
    assert (plain != draft).any(axis=2).sum() > 20
    np.testing.assert_array_equal(plain, renderer.render(64, 48, quality="draft").rgb)
    linear_default = renderer.radiance(64, 48)
    assert linear_default.shape == (48, 64)
    assert linear_default.mean() > renderer.radiance(64, 48, quality="draft").mean()


def test_materials_take_effect_without_reloading(renderer: MitsubaRenderer) -> None:
    """Doubling the ground's albedo doubles its radiance."""
    stage = make_stage(rocks=0, model="hapke", albedo=0.1)
    renderer.load(stage)
    aim_camera(stage, pitch=-60.0, exposure=2.5)
    first = linear(renderer.render(32, 24, quality="draft").rgb).mean()
    stage.GetAttributeAtPath(f"{schema.LOOK_GROUND}.{schema.PHOTOMETRY}albedo").Set(0.2)
    second = linear(renderer.render(32, 24, quality="draft").rgb).mean()
    assert second / first == pytest.approx(2.0, rel=0.2)


def test_colour_is_the_stage_s(fused: MitsubaRenderer) -> None:
    """Saturated, the ground has the colour of its preview material under the sun's; grey, luminance alone."""
    stage = make_stage(rocks=0)
    fused.load(stage)
    aim_camera(stage, pitch=-60.0, exposure=2.0)
    grey = linear(fused.render(24, 16, quality="draft").rgb)
    stage.GetPrimAtPath(schema.SUN).GetAttribute("inputs:color").Set(Gf.Vec3f(1.3, 0.95, 0.6135734))  # luminance 1
    shader = UsdShade.Shader.Define(stage, f"{schema.LOOK_GROUND}/Surface")
    shader.CreateInput("diffuseColor", Sdf.ValueTypeNames.Color3f).Set(Gf.Vec3f(0.2, 0.18, 0.15))
    assert (fused.render(24, 16, quality="draft").rgb == fused.render(24, 16, quality="draft").rgb[..., :1]).all()
    set_sensor(stage, saturation=1.0)
    rgb = fused.render(24, 16, quality="draft").rgb
    channels = np.stack([linear(rgb[..., k : k + 1]).mean() for k in range(3)])
    expected = np.array([1.3 * 0.2, 0.95 * 0.18, 0.6135734 * 0.15])
    np.testing.assert_allclose(channels / channels[1], expected / expected[1], rtol=0.02)
    assert channels @ (0.2126, 0.7152, 0.0722) == pytest.approx(grey.mean(), rel=0.02)


def test_sensor_values_are_read_off_the_stage(renderer: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Each attribute of the camera changes the picture, and no label."""
    renderer.load(stage)
    set_sensor(stage, fullWell=3000.0, readNoise=10.0)
    plain = renderer.render(48, 32, quality="draft")
    strong = {"gain": 20.0, "psf": 1.5, "vignetting": 1.0, "flare": 0.1, "hotPixels": 5000.0, "film": 1.0,
              "gamma": 1.5, "reseau": 1.0, "jpegQuality": 20.0}  # fmt: skip
    for name, value in strong.items():
        set_sensor(stage, **{name: value})
        changed = renderer.render(48, 32, quality="draft")
        assert (changed.rgb != plain.rgb).any(), name
        assert (changed.mask == plain.mask).all(), name
        stage.GetPrimAtPath(schema.CAMERA).RemoveProperty(schema.SENSOR + name)
    np.testing.assert_array_equal(renderer.render(48, 32, quality="draft").rgb, plain.rgb)


def test_opposition_spot_is_where_the_sun_stands_behind(renderer: MitsubaRenderer) -> None:
    """With the sun behind the camera the antisolar point is the brightest ground of a Hapke plain."""
    stage = make_stage(rocks=0, model="hapke")
    renderer.load(stage)
    aim_sun(stage, elevation=30.0, azimuth=180.0)
    aim_camera(stage, heading=0.0, pitch=-30.0, position=(0.0, 0.0, 1.6), exposure=1.0)
    picture = linear(renderer.render(65, 65, quality="draft").rgb)
    row, column = np.unravel_index(picture.argmax(), picture.shape)
    assert abs(row - 32) <= 3
    assert abs(column - 32) <= 3
    assert picture.max() / np.median(picture) > 1.3


def test_the_bounce_lights_shadows(renderer: MitsubaRenderer) -> None:
    """The shaded side of a rock is black in direct light, not with one bounce."""
    stage = make_stage(rocks=1)
    renderer.load(stage)
    aim_sun(stage, elevation=25.0, azimuth=0.0)
    aim_camera(stage, pitch=-8.0, exposure=3.0)
    draft, default = (linear(renderer.render(96, 64, quality=q).rgb) for q in ("draft", "default"))
    rock = renderer.render(96, 64, quality="draft").mask == ROCK
    shaded = rock & (draft < 0.002)
    assert shaded.sum() > 50
    assert default[shaded].mean() > 0.02
    assert default[shaded].mean() < 0.5 * default[~shaded & (draft > 0)].mean()


def test_quality_approaches_the_reference(fused: MitsubaRenderer) -> None:
    """Default is closer to the brute-force reference than draft, and close enough."""
    stage = make_stage(model="hapke", bump=0.5)
    fused.load(stage)
    reference = fused.render(128, 96, quality="reference").rgb
    default = psnr(fused.render(128, 96, quality="default").rgb, reference)
    draft = psnr(fused.render(128, 96, quality="draft").rgb, reference)
    assert default > 30.0
    assert default > draft + 1.0
    assert draft > 22.0


def test_the_scalar_back_end_agrees_with_the_kernel() -> None:
    """Same labels on at least 99.9 % of pixels, and the same picture up to noise."""
    stage = make_stage(model="hapke", bump=0.4)
    frames = []
    for backend in ("llvm", "scalar"):
        renderer = MitsubaRenderer(backend)
        renderer.load(stage)
        frames.append(renderer.render(160, 120, quality="default", outputs=EVERYTHING))
        renderer.close()
    a, b = frames
    assert (a.mask == b.mask).mean() >= 0.999
    assert (a.instance == b.instance).mean() >= 0.999
    assert psnr(a.rgb, b.rgb) > 26.0
    assert a.rgb.mean() == pytest.approx(b.rgb.mean(), rel=0.02)


def test_a_mirrored_or_stretched_rock_keeps_its_outside() -> None:
    """Negative scale flips winding; shading must not."""
    stage = make_stage(rocks=2)
    renderer = MitsubaRenderer("llvm")
    aim_sun(stage, elevation=25.0, azimuth=180.0)
    aim_camera(stage, pitch=-8.0, exposure=1.5)
    pictures = []
    for sign in (1.0, -1.0):
        stage.GetAttributeAtPath(f"{schema.ROCKS}/rock_00000.xformOp:scale").Set(Gf.Vec3f(0.5, sign * 0.5, 0.5))
        renderer.load(stage)
        pictures.append(renderer.render(96, 64, quality="draft", samples=16).rgb)
    assert psnr(*pictures) > 33.0


def test_noise_depends_on_its_seed_alone(renderer: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Another seed changes the noise, not the labels."""
    from pxr import Sdf

    camera = stage.GetPrimAtPath(schema.CAMERA)
    camera.CreateAttribute(schema.SENSOR + "fullWell", Sdf.ValueTypeNames.Double).Set(3000.0)
    camera.CreateAttribute(schema.SENSOR + "readNoise", Sdf.ValueTypeNames.Double).Set(10.0)
    seed = camera.CreateAttribute(schema.SENSOR + "noiseSeed", Sdf.ValueTypeNames.Int64)
    renderer.load(stage)
    seed.Set(1)
    a, b = renderer.render(48, 32, quality="draft"), renderer.render(48, 32, quality="draft")
    seed.Set(2**40 + 5)
    c = renderer.render(48, 32, quality="draft")
    assert (a.rgb == b.rgb).all()
    assert (a.rgb != c.rgb).any()
    assert (a.mask == c.mask).all()


def test_bad_requests_are_refused(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Unknown quality, impossible sizes, no stage: one line that names the field."""
    with pytest.raises(InputError, match="load"):
        fused.render(32, 32)
    fused.load(stage)
    for arguments, field in (({"quality": "best"}, "quality"), ({"samples": 3}, "samples")):
        with pytest.raises(InputError, match=field):
            fused.render(32, 32, **arguments)  # pyright: ignore[reportArgumentType]
    with pytest.raises(InputError, match="width"):
        fused.render(0, 32)
    with pytest.raises(InputError, match="threads"):
        MitsubaRenderer("llvm", threads=0)


def test_describe_names_what_decides_the_bytes(renderer: MitsubaRenderer) -> None:
    """Name, versions, back end, CPU class."""
    words = renderer.describe()
    assert words["name"] == "mitsuba"
    assert words["backend"] == renderer.backend
    assert words["mitsuba"].startswith("3.")
    assert bool(words["llvm"]) == (renderer.backend == "llvm")
    assert words["cpu"]


def test_another_view_or_upload_compiles_nothing(fused: MitsubaRenderer, stage: Usd.Stage) -> None:
    """Wherever numpy put the tables: kernels are the same, so that later frames, scenes and processes find them."""
    import drjit as dr

    fused.load(stage)
    fused.render(32, 32)
    kept = []
    for number in range(8):
        kept.append(np.empty(16 * number + 1, np.uint8))  # so that what comes next lies elsewhere
        fused.load(stage)
        aim_sun(stage, elevation=20.0 + number, azimuth=10.0)
        with dr.scoped_set_flag(dr.JitFlag.KernelHistory, True):
            fused.render(32, 32)
            kernels = [one for one in dr.kernel_history() if one["type"] == dr.KernelType.JIT]
        assert len(kernels) >= 3 and all(one["cache_hit"] and not one["cache_disk"] for one in kernels)


def test_more_samples_are_nearer_to_many(fused: MitsubaRenderer) -> None:
    """In quality default, noise of bounced light among it; the quality's own number is what it is without one."""
    stage = make_stage(model="hapke", bump=0.4)
    aim_camera(stage, pitch=-20.0)
    fused.load(stage)
    many = fused.radiance(64, 48, samples=1024)
    off = [float(np.sqrt(np.mean((fused.radiance(64, 48, samples=count) - many) ** 2))) for count in (8, 64, 256)]
    assert off[0] > 2.0 * off[1] and off[1] > 1.5 * off[2]
    np.testing.assert_array_equal(fused.radiance(64, 48, samples=8), fused.radiance(64, 48))


def test_bounced_light_is_finer_with_more_samples(fused: MitsubaRenderer) -> None:
    """Under a sun below the rocks' tops, what the shade of a rock gets is nearer to that of brute force."""
    stage = make_stage(rocks=1)
    aim_sun(stage, elevation=25.0, azimuth=0.0)
    aim_camera(stage, pitch=-90.0, position=(3.2, 0.0, 3.0), fov=30.0)
    fused.load(stage)
    direct, full = (fused.radiance(96, 96, quality=quality, samples=256) for quality in ("draft", "reference"))
    shade = (direct == 0.0) & (full > 0.0)
    assert shade.sum() > 100
    few, more = (float(np.abs(fused.radiance(96, 96, samples=count) - full)[shade].mean()) for count in (8, 1024))
    assert more < few < full[shade].mean()


def test_a_renderer_that_takes_no_number_of_samples_is_not_asked_for_one(fused: MitsubaRenderer) -> None:
    """One as packages may have added it; the field is named before anything is drawn."""

    class Plain:
        baked = False

        def render(self, width: int, height: int, *, quality: str = "default", outputs: Any = frozenset()) -> None:
            raise AssertionError

    plain: Any = Plain()
    assert sampling(AtOnce(plain), 0) == {} and sampling(AtOnce(fused), 64) == {"samples": 64}
    with pytest.raises(InputError, match=r"render\.samples: 64 is not allowed; allowed: 0: this renderer"):
        sampling(AtOnce(plain), 64)
