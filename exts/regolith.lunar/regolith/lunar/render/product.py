"""Render products of the stage's cameras, the annotators on them, and whether what these return is a frame yet."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from regolith.lunar.labels import SKY
from regolith.lunar.render import annotations, rtx
from regolith.lunar.stage import schema

ANNOTATORS: dict[str, tuple[str, dict[str, Any], int]] = {
    "hdr": ("HdrColor", {}, 4),
    "ldr": ("rgb", {}, 4),
    "mask": ("semantic_segmentation", {"colorize": False}, 0),
    "depth": ("distance_to_camera", {}, 0),
    "normals": ("normals", {}, 3),
    "instance": ("instance_segmentation", {"colorize": False}, 0),
}
"""Our name to Replicator's, how it is set up, and the channels to keep."""

PRODUCTS = {schema.CAMERA: "regolith", schema.CAMERA_RIGHT: "regolith_right"}
"""Camera to the name of its render product."""

MISLABELLED = 0.01
"""Largest share of a picture that may be sky by its label and something by its depth: pixels on a horizon, should
their centres move between the two, are less."""


class Product:
    """The render product of a camera."""

    def __init__(self, camera: str, size: tuple[int, int]) -> None:
        """Make it on the stage that is open.

        Args:
            camera: Prim path.
            size: (width, height) [px].
        """
        self.size = size
        self.names: set[str] = set()
        """What is attached, by our names."""
        self._annotators: dict[str, Any] = {}
        self._held = contextlib.ExitStack()
        product = rtx.make_product(camera, size, PRODUCTS[camera])
        self._held.callback(product.destroy)
        self._product = product

    def attach(self, names: set[str]) -> None:
        """Attach those annotators, by our names, that are not yet; they are detached before the product goes."""
        for name in sorted(names - self.names):
            theirs, options, _ = ANNOTATORS[name]
            annotator = rtx.attach_annotator(theirs, self._product, options)
            self._held.callback(annotator.detach)
            self._annotators[name] = annotator
            self.names.add(name)

    def read(self, names: Iterable[str]) -> tuple[dict[str, np.ndarray], str]:
        """Copy what annotators returned.

        The first frames of a stage may have nothing in them, no names to their ids, or zeros, which read as sky.

        Args:
            names: Ours.

        Returns:
            Arrays by name, and what Replicator does that makes them no frame; empty where they are one.

        Raises:
            rtx.GraphLostError: The stage has gone.
        """
        arrays: dict[str, np.ndarray] = {}
        lacking = []
        for name in sorted(names):
            theirs, _, channels = ANNOTATORS[name]
            found = rtx.read_annotator(self._annotators[name])
            data, table = (found["data"], found["info"].get("idToLabels")) if isinstance(found, dict) else (found, None)
            if not np.size(data) or (name == "depth" and not np.any(data)):
                lacking.append(theirs)
            elif name in ("mask", "instance") and not table:
                lacking.append(f"{theirs} (no idToLabels)")
            else:
                arrays[name] = _decoded(name, annotations.image(data, *self.size, channels), table or {})
        if lacking:
            return arrays, f"returned nothing for {', '.join(lacking)}"
        if {"mask", "depth"} <= arrays.keys():
            share = float(np.mean((arrays["mask"] == SKY) & np.isfinite(arrays["depth"])))
            if share > MISLABELLED:
                return arrays, f"labelled {share:.0%} of the picture sky where something is at a distance"
        return arrays, ""

    def close(self) -> None:
        """Detach and destroy; a second time nothing."""
        self._held.close()


class Products:
    """The render products of the cameras that frames are taken of; all of them are drawn at each step."""

    def __init__(self, size: tuple[int, int]) -> None:
        """Hold none yet.

        Args:
            size: (width, height) of every picture [px].
        """
        self.size = size
        self._held: dict[str, Product] = {}

    def attach(self, wanted: Mapping[str, set[str]]) -> bool:
        """Attach what is not there yet, and let go of cameras that are no longer wanted; whether anything is new.

        Args:
            wanted: Camera to its annotators, by our names.
        """
        for camera in self._held.keys() - wanted.keys():
            self._held.pop(camera).close()
        new = False
        for camera, names in wanted.items():
            if camera not in self._held:
                self._held[camera] = Product(camera, self.size)
            if not names <= self._held[camera].names:
                self._held[camera].attach(names)
                new = True
        return new

    def read(self, wanted: Mapping[str, set[str]]) -> tuple[dict[str, dict[str, np.ndarray]], str]:
        """Copy what annotators returned.

        Args:
            wanted: Camera to its annotators, by our names.

        Returns:
            Camera to arrays by name, and what Replicator does that makes one of them no frame; empty where all are.

        Raises:
            rtx.GraphLostError: The stage has gone.
        """
        found = {camera: self._held[camera].read(names) for camera, names in wanted.items()}
        problems = [problem for _, problem in found.values() if problem]
        return {camera: arrays for camera, (arrays, _) in found.items()}, "; ".join(problems)

    def close(self) -> None:
        """Detach and destroy all; a second time nothing."""
        with contextlib.ExitStack() as closing:  # whatever fails, the others go too
            while self._held:
                closing.callback(self._held.popitem()[1].close)


def _decoded(name: str, array: np.ndarray, table: dict[Any, Any]) -> np.ndarray:
    if name == "mask":
        return annotations.classes(array, table)
    return annotations.instances(array, table) if name == "instance" else array
