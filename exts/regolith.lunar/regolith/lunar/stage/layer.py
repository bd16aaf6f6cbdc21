"""Sdf-level authoring: specs written straight into a layer, without composition in between."""

from __future__ import annotations

import ast
import inspect
import itertools
import textwrap
from collections.abc import Iterable
from typing import Any

import numpy as np
from pxr import Sdf, Vt

from regolith.lunar.labels import TAXONOMY
from regolith.lunar.stage.mesh import TriMesh, vertex_normals

FACES_AT_ONCE = 1 << 14
"""Faces whose normals are computed together: a working set that stays in the cache."""


def prim(
    layer: Sdf.Layer,
    path: str,
    type_name: str,
    *,
    specifier: Sdf.Specifier = Sdf.SpecifierDef,
    schemas: Iterable[str] = (),
    doc: str = "",
) -> Sdf.PrimSpec:
    """Define a prim under its already defined parent.

    Args:
        layer: Layer to write to.
        path: Prim path.
        type_name: Schema type; empty for none.
        specifier: def, over or class.
        schemas: Applied API schemas, instance name after a colon.
        doc: Documentation of the prim.
    """
    at = Sdf.Path(path)
    parent = at.GetParentPath()
    owner = layer.pseudoRoot if parent == Sdf.Path.absoluteRootPath else layer.GetPrimAtPath(parent)
    return child(owner, at.name, type_name, specifier=specifier, schemas=schemas, doc=doc)


def child(
    owner: Sdf.PrimSpec,
    name: str,
    type_name: str,
    *,
    specifier: Sdf.Specifier = Sdf.SpecifierDef,
    schemas: Iterable[str] = (),
    doc: str = "",
) -> Sdf.PrimSpec:
    """Define a prim under a parent at hand; the arguments are those of `prim`."""
    spec = Sdf.PrimSpec(owner, name, specifier, type_name)
    names = list(schemas)
    if names:
        spec.SetInfo("apiSchemas", Sdf.TokenListOp.Create(prependedItems=names))
    if doc:
        spec.documentation = doc
    return spec


def field_docs(kind: type) -> dict[str, str]:
    """Return the docstring under each field of a dataclass, on one line."""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    docs: dict[str, str] = {}
    for field, text in itertools.pairwise(body.body):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            docs[ast.unparse(field.target)] = " ".join(str(text.value.value).split())
    return docs


def attribute(
    spec: Sdf.PrimSpec,
    name: str,
    type_name: Sdf.ValueTypeName,
    value: Any = None,
    *,
    doc: str = "",
    uniform: bool = False,
    custom: bool = False,
) -> Sdf.AttributeSpec:
    """Define an attribute and its default value.

    Args:
        spec: Prim to define it on.
        name: Attribute name.
        type_name: Value type.
        value: Default value; None leaves it unset.
        doc: Documentation of the attribute.
        uniform: Whether it cannot vary over time.
        custom: Whether no schema declares it.
    """
    variability = Sdf.VariabilityUniform if uniform else Sdf.VariabilityVarying
    attr = Sdf.AttributeSpec(spec, name, type_name, variability, custom)
    if value is not None:
        attr.default = value
    if doc:
        attr.documentation = doc
    return attr


def label(spec: Sdf.PrimSpec, name: str) -> None:
    """Set the semantic label of a prim that applies `SemanticsLabelsAPI:class`."""
    attribute(spec, f"semantics:labels:{TAXONOMY}", Sdf.ValueTypeNames.TokenArray, Vt.TokenArray([name]))


def bind(spec: Sdf.PrimSpec, material: str) -> None:
    """Bind a material on a prim that applies `MaterialBindingAPI`."""
    relationship = Sdf.RelationshipSpec(spec, "material:binding", False)
    relationship.targetPathList.explicitItems = [Sdf.Path(material)]


def mesh(spec: Sdf.PrimSpec, shape: TriMesh | tuple[np.ndarray, np.ndarray], *, smooth: bool = False) -> None:
    """Write a polygon mesh without subdivision, one normal a face: it is drawn as faceted as it is.

    Args:
        spec: Mesh prim.
        shape: Triangles, or points [V, 3] and faces of any one corner count, shape [F, K].
        smooth: Write one normal a vertex of the triangles instead.
    """
    points, faces = (shape.points, shape.faces) if isinstance(shape, TriMesh) else shape
    types = Sdf.ValueTypeNames
    points = np.ascontiguousarray(points, np.float32)
    counts = np.full(len(faces), faces.shape[1], np.int32)
    columns = np.ascontiguousarray(points.T)
    extent = np.stack([columns.min(axis=1), columns.max(axis=1)])
    attribute(spec, "points", types.Point3fArray, Vt.Vec3fArray.FromNumpy(points))
    attribute(spec, "faceVertexCounts", types.IntArray, Vt.IntArray.FromNumpy(counts))
    indices = np.ascontiguousarray(faces, np.int32).ravel()
    attribute(spec, "faceVertexIndices", types.IntArray, Vt.IntArray.FromNumpy(indices))
    unit = vertex_normals(points, faces) if smooth else face_normals(points, faces)
    normals = attribute(spec, "normals", types.Normal3fArray, Vt.Vec3fArray.FromNumpy(unit))
    normals.SetInfo("interpolation", "vertex" if smooth else "uniform")
    attribute(spec, "subdivisionScheme", types.Token, "none", uniform=True)
    attribute(spec, "extent", types.Float3Array, Vt.Vec3fArray.FromNumpy(extent))


def face_normals(points: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Unit normals of triangles or quads, rounded to 1e-4, float32, shape [F, 3]; +Z for a face without area."""
    columns = np.ascontiguousarray(points.T, np.float64)
    normals = np.empty((len(faces), 3), np.float32)
    for start in range(0, len(faces), FACES_AT_ONCE):
        part = slice(start, start + FACES_AT_ONCE)
        normals[part] = _facing(columns, np.ascontiguousarray(faces[part].T)).round(4).T
    return normals


def _facing(columns: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Unit normals, shape [3, F], of facets with corners of shape [3 or 4, F]; points by coordinate, shape [3, V]."""
    ends = ((0, 1), (0, 2)) if len(corners) == 3 else ((0, 2), (1, 3))  # two sides, or the diagonals
    (ux, uy, uz), (vx, vy, vz) = ([x.take(corners[b]) - x.take(corners[a]) for x in columns] for a, b in ends)
    normal = np.stack([uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx])
    length = np.sqrt(normal[0] * normal[0] + normal[1] * normal[1] + normal[2] * normal[2])
    normal /= np.where(length > 0.0, length, 1.0)
    normal[2, length == 0.0] = 1.0
    return normal
