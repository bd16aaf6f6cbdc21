"""Names of a lunar stage's prims and attributes: the contract between authoring and every renderer.

A stage is Z up, in metres, default prim `/World`:

```
/World                      Xform, kind "assembly"
  Ground                    Xform, label regolith; the relief recipe as `regolith:relief:*` attributes; where asked for
                              the craters as `regolith:craters`, a rover's demands as `regolith:footprint:*`
    Terrain                 Mesh, the square working area: a regular grid (`regolith:grid:*`)
    Far                     Mesh, the relief out to the horizon; shares Terrain's border vertices
    Fillets                 Mesh, regolith banked against the foot of rocks; where there is relief
    Pebbles                 Mesh, clasts below the smallest rock; only where the fine ground is baked
  Rocks                     Scope, binds the rock material
    rock_00000 …            Mesh by internal reference to one prototype, label rock, own transform
      Dust, Bright, Dark    GeomSubset of faces with a material of their own; where rocks have dust or inclusions
  Looks                     Scope
    Regolith, Rock          Material: UsdPreviewSurface, photometry as `regolith:photometry:*` attributes
    BrightClast, DarkClast  the same, of inclusions in rocks, where there are any
    Rock0 …                 the same, of rocks less mature than most, freshest first; where maturity is drawn
  Sun                       DistantLight, normalized: intensity is the irradiance facing the sun
  Earth                     DistantLight, normalized, as the Sun; only where asked for
  Stars                     Points without label or light, only where asked for
  Camera                    Camera: intrinsics, pose, exposure (EV), `regolith:sensor:*`
    Right                   Camera: the right one of a stereo pair, along the left one's +X; where there is one
  PhysicsScene              PhysicsScene: lunar gravity along -Z; only where there is a rover, as are the two below
  Traction                  Material with PhysicsMaterialAPI: friction of wheels, chassis, ground and rocks
  Rover                     Xform, kind "component", no label; origin on the ground under the chassis, +X ahead, +Y left
    chassis                 Xform, a rigid body and the articulation's root; its frame is the rover's
    suspension_fl …         Xform, rigid bodies beside the chassis, never in it: an arm, an upright and a wheel
    steering_fl …             at each of fl, fr, rl, rr; where the rover stands level their axes are the rover's
    wheel_fl …
    joints                  Scope
      suspension_fl …       PhysicsRevoluteJoint about X, chassis to arm; position drive
      steering_fl …         PhysicsRevoluteJoint about Z, arm to upright; position drive
      drive_fl …            PhysicsRevoluteJoint about Y, upright to wheel; velocity drive
    Looks                   Scope of the rover's materials
/Prototypes                 class prim (never drawn): shape_00_lod0 … Mesh, unit diameter, origin at the centre
```

When the fine ground is baked (`regolith:relief:baked` is true) Terrain is the complete triangle mesh, fine rings
and far relief included: it carries no grid attributes and there is no Far. Otherwise a renderer adds the relief by
`stage.relief` from the recipe.
Labels sit on Ground and on each rock, never nested; what has no labelled ancestor is unlabelled, the rover too.
Beside a rover the ground's Terrain and the prototypes of rocks collide (CollisionAPI; rocks as their convex hulls).
"""

from __future__ import annotations

from typing import NamedTuple

SCHEMA_VERSION = 1
"""Version of the stage layout, in `customLayerData["regolith"]["schema"]`."""

WORLD = "/World"
GROUND = "/World/Ground"
TERRAIN = "/World/Ground/Terrain"
FAR = "/World/Ground/Far"
FILLETS = "/World/Ground/Fillets"
PEBBLES = "/World/Ground/Pebbles"
ROCKS = "/World/Rocks"
LOOKS = "/World/Looks"
LOOK_GROUND = "/World/Looks/Regolith"
LOOK_ROCK = "/World/Looks/Rock"
LOOK_BRIGHT = "/World/Looks/BrightClast"
LOOK_DARK = "/World/Looks/DarkClast"
LOOKS_FRESH = tuple(f"/World/Looks/Rock{step}" for step in range(8))
"""Materials of rocks by maturity, fresh ones first: step k is that of a maturity of k / 8; LOOK_ROCK is that of 1."""
SUN = "/World/Sun"
EARTH = "/World/Earth"
STARS = "/World/Stars"
CAMERA = "/World/Camera"
CAMERA_RIGHT = "/World/Camera/Right"
PROTOTYPES = "/Prototypes"
PHYSICS_SCENE = "/World/PhysicsScene"
TRACTION = "/World/Traction"
ROVER = "/World/Rover"
ROVER_CHASSIS = "/World/Rover/chassis"
ROVER_JOINTS = "/World/Rover/joints"
ROVER_LOOKS = "/World/Rover/Looks"

CORNERS = {"fl": (1, 1), "fr": (1, -1), "rl": (-1, 1), "rr": (-1, -1)}
"""Corner of the rover to the signs of its x and y."""

JOINTS = {"suspension": "suspension", "steering": "steering", "drive": "wheel"}
"""Joint of a corner to the body it moves, from the chassis outwards."""


DYNAMICS = "regolith:dynamics:"
"""Prefix on Rover of what no physics schema has, where it is not neutral: `ACTUATION`."""

ACTUATION: dict[str, tuple[str, str]] = {
    "action_gain": ("actionGain", "Speed a wheel's drive aims at over the speed commanded."),
    "action_delay_steps": ("actionDelaySteps", "Steps of 20 ms between a command and its effect."),
    "action_noise": ("actionNoise", "Standard deviation of actions over the largest action."),
    "proprioception_noise": ("proprioceptionNoise", "Standard deviation of readings over the largest reading."),
}
"""What lies between a controller and the drives, and between motion and what it reads: name of the parameter to name
(double, prefixed) and documentation on Rover."""


def rover_body(part: str, corner: str) -> str:
    """Path of a body of a corner: part `suspension`, `steering` or `wheel`."""
    return f"{ROVER}/{part}_{corner}"


def rover_joint(joint: str, corner: str) -> str:
    """Path of a joint of a corner: `suspension`, `steering` or `drive`."""
    return f"{ROVER_JOINTS}/{joint}_{corner}"


LAYER_DATA = "regolith"
"""Key in `customLayerData`: {schema: int, version: str, seed: int, scene: str} of the geometry; `scene` is JSON of the
`SceneSpec`."""

SHOWN = "regolith"
"""Key in the `customData` of /World: {preset: str, parameters: str, frame: str} of the frame the stage shows, kept with
it by `edit.apply_frame`; `parameters` is the canonical JSON of `params.dump_params`, `frame` that of the `FrameSpec`.
It is no layer data: a change of those tells every rock, by its internal reference."""

GRID_SHAPE = "regolith:grid:shape"
"""int2 on Terrain: vertices (rows along +Y, columns along +X); vertex k is row k // columns, column k % columns."""

GRID_CELL = "regolith:grid:cell"
"""double on Terrain: spacing of the grid [m]; the grid is centred on the origin."""

CRATERS = "regolith:craters"
"""double4[] on Ground: x, y, rim-to-rim diameter [m] and freshness of each crater of the grid and of the far relief,
in the order they were laid; only where the output crater is asked for."""

FOOTPRINT = "regolith:footprint:"
"""Prefix on Ground of what a rover asks of it, where slope or hazard is asked for: `FOOTPRINT_VALUES`."""

FOOTPRINT_VALUES: dict[str, tuple[str, str]] = {
    "footprint_m": ("radius", "Radius of the disc over which slope and step are taken [m]."),
    "hazard_slope_deg": ("slope", "Slope above which ground is a hazard [deg]."),
    "hazard_step_m": ("step", "Step above which ground is a hazard [m]."),
}
"""What a rover asks of the ground: name of the parameter to name (double, prefixed) and documentation on Ground."""

RELIEF = "regolith:relief:"
"""Prefix of the relief recipe on Ground; one attribute a field of `stage.relief.ReliefRecipe`."""

PHOTOMETRY = "regolith:photometry:"
"""Prefix on the materials: model (token lambert | hapke), albedo (normal albedo), `PHOTOMETRY_VALUES`, bump (strength
of the footprint-locked shading relief), seed (of mottling and bump)."""


class PhotometryValue(NamedTuple):
    """A value of a surface's photometry on its material."""

    name: str
    """Of the attribute (double, prefixed), and of the value in the shader."""
    absent: float
    """Value where a material has no such attribute."""
    doc: str
    """Documentation of the attribute."""


PHOTOMETRY_VALUES: dict[str, PhotometryValue] = {
    "hapke_b": PhotometryValue("b", 0.25, "Width of the double Henyey–Greenstein lobes (Sato et al. 2014)."),
    "hapke_c": PhotometryValue("c", 0.35, "Balance of the lobes in [-1, 1], positive for backscatter."),
    "hapke_b0": PhotometryValue("b0", 1.8, "Amplitude of the shadow-hiding opposition surge."),
    "hapke_h": PhotometryValue("h", 0.07, "Angular width of the opposition surge."),
    "mottling": PhotometryValue("mottling", 0.0, "RMS of the albedo's relative variation over the surface."),
}
"""Photometry drawn per frame, by the name of its parameter, on every material: a new value is a field of
`params.GroundParams` and a row here, and the shader (`render.shading`) has it by its name."""

CLAST_RATIO = "regolith:clast:ratio"
"""double on the materials of inclusions and of less mature rocks: their albedo over the rock's."""

SENSOR = "regolith:sensor:"
"""Prefix on Camera: resolution (int2), fullWell [e-], encoding (token), noiseSeed (int64), and `SENSOR_VALUES`."""

SENSOR_VALUES: dict[str, tuple[str, str]] = {
    "gain_db": ("gain", "Analogue gain at held brightness [dB]: divides the electrons at value 1."),
    "read_noise_e": ("readNoise", "RMS read noise [e-]."),
    "psf_px": ("psf", "Standard deviation of the point spread function [px]."),
    "lens_k1": ("k1", "Radial distortion k1 of OpenCV's pinhole model; focalLength stays that of the pinhole."),
    "lens_k2": ("k2", "Radial distortion k2 of OpenCV's pinhole model."),
    "vignetting": ("vignetting", "Power of the cos⁴ law by which the picture darkens off its centre, 0 for none."),
    "flare": ("flare", "Share of the light scattered over the picture as veiling glare."),
    "hot_pixels": ("hotPixels", "Hot pixels [1/Mpx]."),
    "film": ("film", "Weight of a photographic film's curve against the straight response."),
    "gamma": ("gamma", "Exponent on the encoded values."),
    "saturation": ("saturation", "Share of the scene's colour left in the picture, 0 for grey."),
    "reseau": ("reseau", "Opacity of the crosses of a Réseau plate."),
    "jpeg_quality": ("jpegQuality", "JPEG quality the picture passes through, rounded; 100 for none."),
}
"""Sensor values drawn per frame: name of the parameter to name (double, prefixed) and documentation on Camera."""

ROCK_DIAMETER = "regolith:rock:diameter"
"""double on a rock: largest horizontal extent [m]; its size in the size–frequency distribution."""

ROCK_BURIAL = "regolith:rock:burial"
"""double on a rock: share of its height below the local ground."""
