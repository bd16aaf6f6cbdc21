"""Double of omni.replicator.core.create."""

from __future__ import annotations

import omni.usd

PRODUCTS: list[RenderProduct] = []
LATE: list[str] = []
"""What was still there when its stage closed: its textures stay, and its destruction edits the next stage."""


class RenderProduct:
    """A camera's picture of a size, on the stage that was open when it was made."""

    __slots__ = ("camera", "destroyed", "path", "resolution", "root")

    def __init__(self, camera: str, resolution: tuple[int, int], name: str) -> None:
        stage = omni.usd.get_context().get_stage()
        if stage is None or not stage.GetPrimAtPath(camera):
            raise ValueError(f"no camera at {camera}")
        self.camera, self.resolution, self.root = camera, resolution, stage.GetRootLayer().identifier
        self.path = f"/Render/{name}"
        self.destroyed = False
        PRODUCTS.append(self)

    def destroy(self) -> None:
        if self.destroyed:
            raise RuntimeError(f"{self.path} was destroyed already")
        self.destroyed = True
        PRODUCTS.remove(self)


def render_product(
    camera: str, resolution: tuple[int, int], force_new: bool = False, name: str | None = None
) -> RenderProduct:
    for product in PRODUCTS:
        if not force_new and (product.camera, product.resolution) == (camera, resolution):
            return product
    return RenderProduct(camera, resolution, name or "Replicator")


def _stage_closing() -> None:
    LATE.extend(f"{product.path} when its stage closed" for product in PRODUCTS)


omni.usd.CLOSING.append(_stage_closing)
