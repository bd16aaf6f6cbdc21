"""Write a stage to disk: one binary file, or readable text beside a binary file of its long arrays."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from pxr import Sdf, Tf, Usd

from regolith.lunar.files import AnyPath, file_digest, follow_link, naming, replacing, temporary_beside
from regolith.lunar.params.errors import FULL, InputError, one_line
from regolith.lunar.params.outputs import refusing

TEXT_ARRAY_MAX = 64
"""Longest array a text layer keeps; longer ones belong in a binary layer (OpenUSD's ASCII performance rule)."""
DIGITS = 12
"""Digits of the SHA-256 of a binary layer in its name."""


def save_stage(stage: Usd.Stage, path: AnyPath) -> list[Path]:
    """Write a stage's root layer; each file appears whole or not at all.

    `.usdc` and `.usd` are one binary file. `.usda` is text that a person can read and compare; the arrays of its meshes
    are in the sublayer `NAME.geometry-DIGEST.usdc` beside it. Its name says what it holds, so that a text written over
    an older one never shows the other's arrays: the older ones go once the text is there. Where no asset path leads to
    the sublayer (OpenUSD takes a backslash for a folder, and no control characters), the arrays stay in the text.

    Args:
        stage: Stage to write.
        path: File; the ending picks text or binary.

    Returns:
        The files written.

    Raises:
        InputError: Another ending, or a file that cannot be written.
    """
    path = follow_link(Path(path))  # the sublayer lies beside the file itself
    if path.suffix not in (".usda", ".usdc", ".usd"):
        raise InputError("out", str(path), "a file name ending in .usda, .usdc or .usd")
    if any(0xD800 <= ord(letter) < 0xE000 for letter in str(path)):
        raise InputError("out", str(path), "a path in UTF-8: OpenUSD takes no other")
    if not path.parent.is_dir():
        raise InputError("out", str(path), "a file in an existing folder")
    root = stage.GetRootLayer()
    if path.suffix != ".usda" or re.search(r"[\x00-\x1f\x7f-\x9f\\]", path.absolute().as_posix()):
        _export(root, path)
        return [path]
    text, arrays = split_arrays(root)
    geometry = _export_named(arrays, path)
    text.subLayerPaths.append(f"./{geometry.name}")
    _export(text, path)
    ours = re.compile(rf"{re.escape(path.stem)}\.geometry-[0-9a-f]{{{DIGITS}}}\.usdc")
    for file in list(path.parent.iterdir()):
        if ours.fullmatch(file.name) and f"./{file.name}" not in text.subLayerPaths:
            with contextlib.suppress(OSError):  # in the way of nobody
                file.unlink()
    return [path, geometry]


def split_arrays(layer: Sdf.Layer) -> tuple[Sdf.Layer, Sdf.Layer]:
    """Split a layer in two: one without arrays longer than `TEXT_ARRAY_MAX`, and one with nothing but them."""
    text, arrays = Sdf.Layer.CreateAnonymous(".usda"), Sdf.Layer.CreateAnonymous(".usdc")
    text.TransferContent(layer)
    paths: list[Sdf.Path] = []

    def collect(path: Sdf.Path | str) -> None:
        path = Sdf.Path(str(path))
        spec = layer.GetAttributeAtPath(path) if path.IsPropertyPath() else None
        if spec and spec.typeName.isArray and spec.HasDefaultValue() and len(spec.default) > TEXT_ARRAY_MAX:
            paths.append(path)

    layer.Traverse(Sdf.Path.absoluteRootPath, collect)
    with Sdf.ChangeBlock():
        for path in sorted(paths):
            Sdf.CreatePrimInLayer(arrays, path.GetPrimPath())
            Sdf.CopySpec(layer, path, arrays, path)
            prim = text.GetPrimAtPath(path.GetPrimPath())
            prim.RemoveProperty(text.GetAttributeAtPath(path))
    return text, arrays


def _export(layer: Sdf.Layer, path: Path) -> None:
    with refusing("out", path, "file"), replacing(path) as temporary:
        _write(layer, temporary, path)


def _export_named(layer: Sdf.Layer, path: Path) -> Path:
    """Write the arrays of a text stage under the name of what they are, and return that."""
    part = temporary_beside(path.with_suffix(".geometry.usdc"))
    with refusing("out", path, "file"), naming(path, part):
        try:
            _write(layer, part, path)
            geometry = path.with_name(f"{path.stem}.geometry-{file_digest(part)[:DIGITS]}.usdc")
            with replacing(geometry) as temporary:
                part.replace(temporary)
        finally:
            part.unlink(missing_ok=True)
    return geometry


def _write(layer: Sdf.Layer, file: Path, path: Path) -> None:
    try:
        written, why = layer.Export(str(file)), "OpenUSD does not say why"
    except Tf.ErrorException as error:
        written, why = False, str(error)
    if not written:  # a full disk among others: OpenUSD tells no errors apart
        raise InputError("out", str(path), f"a file that can be written ({one_line(why, 90)}); {FULL}")
