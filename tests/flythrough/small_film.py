"""Flags of a scene and of a film that are drawn in moments."""

SCENE = (
    "--preset", "v1", "--relief.enabled", "false", "--terrain.cell-m", "0.5", "--terrain.far-radius-m", "200",
    "--rocks.diameter-min-m", "0.3", "--rocks.far-radius-m", "0", "--rocks.shape-count", "2",
    "--rocks.subdivision", "3", "--render.quality", "draft",
)  # fmt: skip
SMALL = ("--size", "160x90", "--still-size", "192x108", "--inset-px", "64", "--fps", "4", "--events")
