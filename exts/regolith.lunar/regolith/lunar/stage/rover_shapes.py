"""What the rover looks like: triangles by body and material, in the frame of the body. Numbers: `stage.rover_viper`."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from regolith.lunar.stage import rover_viper as viper
from regolith.lunar.stage.mesh import TriMesh
from regolith.lunar.stage.rover_solids import beam, block, box, foil, merge, mirrored, plate, tube, turned
from regolith.lunar.stage.spec import rng

Parts = dict[str, list[TriMesh]]
"""Name of a material to solids of it."""

BOTTOM_M, TOP_M = 0.765, 0.684
"""Half the width of the panels' skirt at its bottom and at its top [m]: they lean in by 6°."""

SKIRT_M = (0.60, 1.40)
"""Bottom and top of the panels above the ground [m]."""

RIM_M = (0.745, 0.664)
"""Half the width of a panel at its bottom and at its top [m]; the corners between panels are cut off."""

CELL_M = (0.080, 0.040)
"""Width and height of a solar cell [m]."""

CELL_GAP_M = 0.004
"""Gap between solar cells [m]."""

GROUSERS = 24
"""Grousers of a wheel."""

GROUSER_M = 0.022
"""Height of a grouser [m], within the wheel's radius."""


def _side(turn: int, out: float) -> np.ndarray:
    """A side of the skirt, moved outwards [m]: corners anticlockwise from outside, shape [4, 3].

    Args:
        turn: Quarter turns from the front, anticlockwise from above.
        out: Distance from the skirt [m].
    """
    low, high = SKIRT_M
    (wide, narrow), (x0, x1) = RIM_M, (BOTTOM_M, TOP_M)
    corners = np.array([[x0, -wide, low], [x0, wide, low], [x1, narrow, high], [x1, -narrow, high]])
    corners[:, 0] += out
    cos, sin = (round(f(turn * math.pi / 2)) for f in (math.cos, math.sin))
    return corners @ np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])


def _inset(quad: np.ndarray, left: float, right: float, low: float, high: float) -> np.ndarray:
    """Part of a quad between fractions of its width and of its height, shape [4, 3]."""
    a, b, c, d = quad
    at = [(left, low), (right, low), (right, high), (left, high)]
    return np.array([(1 - t) * ((1 - s) * a + s * b) + t * ((1 - s) * d + s * c) for s, t in at])


def _cells(quad: np.ndarray) -> list[TriMesh]:
    """Solar cells on a panel, each a quad: as many in every row as the shortest has room for."""
    a, b, c, d = quad
    up = 0.5 * ((d - a) + (c - b))
    height = float(np.linalg.norm(up))
    up, along = up / height, (b - a) / np.linalg.norm(b - a)
    across, over = CELL_M[0] + CELL_GAP_M, CELL_M[1] + CELL_GAP_M
    columns, rows = int((2.0 * RIM_M[1] - 0.03) / across), int((height - 0.03) / over)
    first = 0.5 * (a + b) - 0.5 * (columns * across - CELL_GAP_M) * along + 0.5 * (height - rows * over) * up
    cell = np.array([np.zeros(3), CELL_M[0] * along, CELL_M[0] * along + CELL_M[1] * up, CELL_M[1] * up])
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    places = [first + column * across * along + row * over * up for row in range(rows) for column in range(columns)]
    return [TriMesh(place + cell, faces) for place in places]


def _body() -> Parts:
    """Warm box: panels on three sides, foil ahead and at the cut corners, radiator on top."""
    random = rng(0, "rover", "foil")
    low, high = SKIRT_M
    parts: Parts = {"Kapton": [], "Panel": [], "Cell": [], "White": [], "Metal": []}
    for turn in (1, 2, 3):
        quad = _side(turn, 0.0)
        parts["Panel"].append(plate(quad, 0.018))
        parts["Cell"] += _cells(_side(turn, 0.002))
    front = _side(0, -0.016)
    parts["Kapton"].append(foil(front, 0.035, 0.009, random))
    for share in (0.02, 0.34, 0.66, 0.98):  # tapes that hold the blanket
        parts["Metal"].append(plate(_inset(_side(0, 0.0), share - 0.009, share + 0.009, 0.0, 1.0), 0.012))
    for share in (0.02, 0.5, 0.97):
        parts["Metal"].append(plate(_inset(_side(0, 0.0), 0.0, 1.0, share - 0.014, share + 0.014), 0.012))
    for turn in range(4):  # the cut corner to the left of each side
        here, after = _side(turn, -0.008), _side((turn + 1) % 4, -0.008)
        parts["Kapton"].append(foil(np.array([here[1], after[0], after[3], here[2]]), 0.04, 0.002, random))
    under = np.array([[-0.70, 0.70, low], [0.70, 0.70, low], [0.70, -0.70, low], [-0.70, -0.70, low]])
    parts["Kapton"].append(foil(under, 0.08, 0.006, random))
    rim = 0.675
    parts["White"].append(block(np.concatenate([_deck(rim, high - 0.01), _deck(rim - 0.012, high + 0.012)])))
    for x in (-0.36, 0.18):  # radiators stand off the deck
        parts["White"].append(box((x - 0.24, -0.56, high + 0.02), (x + 0.22, -0.16, high + 0.04)))
        parts["White"].append(box((x - 0.24, 0.16, high + 0.02), (x + 0.22, 0.56, high + 0.04)))
    return parts


def _deck(half: float, z: float) -> np.ndarray:
    return np.array([[-half, -half, z], [half, -half, z], [half, half, z], [-half, half, z]])


def _frame() -> Parts:
    """Lower frame between the wheels: a box of foil with its cross beams, and the drill through its middle."""
    random = rng(0, "rover", "frame")
    length, width, low, high = viper.FRAME_M
    x, y = 0.5 * length, 0.5 * width - 0.02
    corners = np.array([[x, -y, low], [x, y, low], [x, y, high], [x, -y, high]])
    cycle = [np.array([x, -y]), np.array([x, y]), np.array([-x, y]), np.array([-x, -y])]
    parts: Parts = {"Kapton": [], "Metal": [], "Dark": []}
    for a, b in zip(cycle, cycle[1:] + cycle[:1], strict=True):
        quad = np.array([[*a, low], [*b, low], [*b, high], [*a, high]])
        parts["Kapton"].append(foil(quad, 0.05, 0.005, random))
    z = low + 0.002
    foot = np.array([[-x, y, z], [x, y, z], [x, -y, z], [-x, -y, z]])
    parts["Kapton"].append(foil(foot, 0.06, 0.004, random))
    for end in (-1, 1):  # pivots of the arms
        for side in (-1, 1):
            cx, cy, z = end * viper.AXLE_X_M, side * viper.PIVOT_Y_M, viper.WHEEL_RADIUS_M
            parts["Metal"].append(box((cx - 0.10, cy - 0.03, z - 0.08), (cx + 0.10, cy + 0.01, corners[0, 2] + 0.16)))
            parts["Metal"].append(tube((cx - 0.11, cy, z), (cx + 0.11, cy, z), 0.028, 12))
    parts["Metal"].append(tube((0.03, 0.0, low), (0.03, 0.0, 0.20), 0.045, 16))
    parts["Dark"].append(tube((0.03, 0.0, 0.20), (0.03, 0.0, 0.17), 0.07, 20))
    return parts


def _deck_things() -> Parts:
    """Housing of the drill, star trackers and boxes on the deck."""
    top = SKIRT_M[1]
    parts: Parts = {"Kapton": [], "White": [], "Dark": [], "Metal": []}
    low, high = np.array([-0.08, -0.11]), np.array([0.16, 0.11])
    foot = np.array([[low[0], low[1]], [high[0], low[1]], [high[0], high[1]], [low[0], high[1]]])
    centre = foot.mean(axis=0)
    crown = centre + 0.78 * (foot - centre)
    for square, z, other, w in ((foot, top, foot, top + 0.30), (foot, top + 0.301, crown, top + 0.36)):
        corners = [np.column_stack([square, np.full(4, z)]), np.column_stack([other, np.full(4, w)])]
        parts["White"].append(block(np.concatenate(corners)))
    for y in (-0.40, 0.40):  # star trackers look up and aft
        foot_at, mouth = np.array([-0.52, y, top + 0.02]), np.array([-0.60, y, top + 0.16])
        parts["White"].append(tube(foot_at, mouth, 0.035, 16, end_radius=0.062))
        parts["Dark"].append(tube(mouth - 0.08 * (mouth - foot_at), mouth + 0.006 * (mouth - foot_at), 0.054, 16))
    parts["Kapton"].append(box((-0.30, -0.07, top), (-0.16, 0.07, top + 0.10)))
    return parts


def _mast() -> Parts:
    """Mast, head with NavCams and lamps, and the antennas over it."""
    x, half, top = viper.MAST_M
    left = viper.MOUNTS["navcam_left"].place_m
    head, lens = left[2], left[0]
    parts: Parts = {"Kapton": [], "White": [], "Dark": [], "Metal": [], "Lamp": [], "Glass": []}
    parts["White"].append(tube((x, 0.0, 1.0), (x, 0.0, head + 0.14), half, 20))
    parts["White"].append(box((x, -0.09, 1.05), (x + 0.10, 0.09, SKIRT_M[1] + 0.03)))  # holds the mast ahead
    parts["Metal"].append(tube((x, 0.0, SKIRT_M[1] + 0.03), (x, 0.0, SKIRT_M[1] + 0.10), 0.075, 24, end_radius=0.055))
    parts["Dark"].append(box((x + 0.06, -0.05, 1.10), (x + 0.103, 0.05, 1.20)))
    for z, radius, height in ((head - 0.16, 0.075, 0.05), (head - 0.02, 0.072, 0.10), (head + 0.10, 0.066, 0.04)):
        parts["Metal"].append(tube((x, 0.0, z), (x, 0.0, z + height), radius, 24))
    front = lens - 0.012
    parts["White"].append(box((front - 0.085, -0.27, head - 0.055), (front, 0.27, head + 0.055)))
    parts["White"].append(box((x - 0.02, -0.09, head - 0.045), (front - 0.085, 0.09, head + 0.045)))
    for y in (-left[1], left[1]):
        parts["Dark"].append(tube((front, y, head), (front + 0.010, y, head), 0.040, 20))
        parts["Glass"].append(tube((front + 0.010, y, head), (front + 0.011, y, head), 0.026, 20))
    for y in (-0.085, 0.085):
        parts["Metal"].append(tube((front - 0.03, y, head), (front + 0.008, y, head), 0.046, 24))
        parts["Lamp"].append(tube((front + 0.008, y, head), (front + 0.009, y, head), 0.038, 24))
    gimbal = head + 0.14
    parts["Metal"].append(tube((x, 0.0, gimbal - 0.01), (x, 0.0, gimbal + 0.06), 0.034, 16))
    parts["Metal"].append(tube((x, -0.06, gimbal + 0.09), (x, 0.06, gimbal + 0.09), 0.036, 16))
    dish = (x - 0.01, 0.0, gimbal + 0.12)
    aim = (-0.32, 0.0, 0.95)  # the Earth stands low over the pole; stowed, it looks up
    parts["White"].append(
        turned([(0.0, 0.0), (0.0, 0.03), (0.045, 0.105), (0.05, 0.11), (0.05, 0.10), (0.02, 0.0)], dish, aim, 28)
    )
    parts["Metal"].append(tube((x + 0.09, 0.0, head + 0.06), (x + 0.09, 0.0, top), 0.010, 10))
    parts["White"].append(tube((x + 0.09, 0.0, top), (x + 0.09, 0.0, viper.HEIGHT_M), 0.022, 14))
    return parts


def _cameras() -> Parts:
    """Housings of HazCams and AftCams, each behind its lens, and the lamps beside the HazCams ahead."""
    parts: Parts = {"Dark": [], "Glass": [], "Metal": [], "Lamp": []}
    for name, mount in viper.MOUNTS.items():
        if name.startswith("navcam"):
            continue
        yaw, pitch = math.radians(mount.yaw_deg), math.radians(mount.pitch_deg)
        axis = np.array([math.cos(pitch) * math.cos(yaw), math.cos(pitch) * math.sin(yaw), math.sin(pitch)])
        lens = np.asarray(mount.place_m)
        if lens[2] < SKIRT_M[0]:  # a bracket under the skirt
            root = (0.91 * lens[0], lens[1], SKIRT_M[0])
            parts["Metal"].append(beam(lens - 0.06 * axis, root, 0.03, 0.012, (1.0, 0.0, 0.0)))
        parts["Metal"].append(beam(lens - 0.075 * axis, lens - 0.020 * axis, 0.055, 0.055))
        parts["Dark"].append(tube(lens - 0.020 * axis, lens - 0.006 * axis, 0.022, 16))
        parts["Glass"].append(tube(lens - 0.006 * axis, lens - 0.005 * axis, 0.014, 16))
    return parts


def _joined(*groups: Parts) -> dict[str, TriMesh]:
    names = sorted({name for group in groups for name, solids in group.items() if solids})
    return {name: merge(solid for group in groups for solid in group.get(name, ())) for name in names}


def chassis() -> dict[str, TriMesh]:
    """Material to mesh of the chassis with all that is fixed to it."""
    return _joined(_body(), _frame(), _deck_things(), _mast(), _cameras())


def wheel() -> dict[str, TriMesh]:
    """Material to mesh of a left wheel about its centre, axle along Y, its hub to the left."""
    half, radius = 0.5 * viper.WHEEL_WIDTH_M, viper.WHEEL_RADIUS_M - GROUSER_M
    inner, skin = radius - 0.03, radius - 0.006
    rim = [(-half, inner), (-half, radius), (half, radius), (half, inner)]
    rim += [(half - 0.006, inner), (half - 0.006, skin), (0.006 - half, skin), (0.006 - half, inner), (-half, inner)]
    solids = [turned(rim, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 48)]
    for number in range(GROUSERS):
        angle = 2.0 * math.pi * number / GROUSERS
        out = np.array([math.cos(angle), 0.0, math.sin(angle)])
        start, end = radius * out - (0.0, half - 0.004, 0.0), radius * out + (0.0, half - 0.004, 0.0)
        middle = 0.5 * GROUSER_M * out
        solids.append(beam(start + middle, end + middle, 0.007, GROUSER_M, out))
    for number in range(10):
        angle = 2.0 * math.pi * (number + 0.5) / 10
        out = np.array([math.cos(angle), 0.0, math.sin(angle)])
        hub, tyre = 0.05 * out + (0.0, 0.055, 0.0), skin * out + (0.0, 0.015, 0.0)
        solids.append(beam(hub, tyre, 0.034, 0.008, (0.0, 1.0, 0.0)))
    cap = [(-0.06, 0.0), (-0.06, 0.062), (0.06, 0.062), (0.078, 0.045), (0.078, 0.0)]
    solids.append(turned(cap, (0.0, 0.0, 0.0), (0.0, 1.0, 0.0), 24))
    return {"Metal": merge(solids)}


def steering() -> dict[str, TriMesh]:
    """Material to mesh of a left upright about its steering axis at the axle's height."""
    inward = viper.AXLE_Y_M - viper.STEERING_Y_M
    motor = tube((0.0, 0.0, 0.07), (0.0, 0.0, 0.20), 0.045, 20)
    post = box((-0.05, -0.035, -0.075), (0.05, 0.03, 0.075))
    axle = tube((0.0, 0.0, 0.0), (0.0, inward - 0.05, 0.0), 0.05, 20)
    drive = tube((0.0, inward - 0.06, 0.0), (0.0, inward + 0.02, 0.0), 0.056, 20)
    return {"Metal": merge([post, axle, drive]), "White": merge([motor])}


def suspension() -> dict[str, TriMesh]:
    """Material to mesh of a left double arm about its pivot."""
    reach = viper.REACH_M
    solids = []
    for z, spread in ((0.055, 0.075), (-0.055, 0.09)):  # upper and lower wishbone
        for x in (-spread, spread):
            solids.append(beam((x, 0.0, z), (0.25 * x, reach - 0.03, z), 0.034, 0.028))
        solids.append(tube((0.0, reach - 0.03, z - 0.02), (0.0, reach - 0.03, z + 0.02), 0.034, 16))
    strut = tube((0.0, 0.05, 0.05), (0.0, reach - 0.06, -0.045), 0.022, 14)
    cover = tube((0.0, 0.05, 0.05), (0.0, 0.19, -0.012), 0.034, 16)
    return {"Metal": merge([*solids, strut]), "White": merge([cover])}


CORNER_SHAPES: dict[str, Callable[[], dict[str, TriMesh]]] = {
    "suspension": suspension,
    "steering": steering,
    "wheel": wheel,
}
"""Part of a corner to its look on the left."""


def corner_shapes(part: str, *, left: bool) -> dict[str, TriMesh]:
    """Material to mesh of a part of a corner on a side of the rover."""
    shapes = CORNER_SHAPES[part]()
    return shapes if left else {name: mirrored(shape) for name, shape in shapes.items()}
