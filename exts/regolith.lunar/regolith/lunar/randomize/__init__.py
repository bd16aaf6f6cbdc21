"""Randomizers: parameters and (seed, split, index) to the values of a scene and a frame."""

from regolith.lunar.randomize.draw import (
    APART,
    SCENE_VALUES,
    SPLITS,
    Split,
    aim_frame,
    draw_dynamics,
    draw_frame,
    draw_scene,
    draw_values,
    frame_intervals,
    frame_seed,
    narrowed,
    outside,
    scene_intervals,
    scene_number,
    traverse_intervals,
)

__all__ = [
    "APART",
    "SCENE_VALUES",
    "SPLITS",
    "Split",
    "aim_frame",
    "draw_dynamics",
    "draw_frame",
    "draw_scene",
    "draw_values",
    "frame_intervals",
    "frame_seed",
    "narrowed",
    "outside",
    "scene_intervals",
    "scene_number",
    "traverse_intervals",
]
