"""Scene compiler: a USD stage's geometry and labels as packed tables.

Only numpy and `pxr`: the tables serve the fused kernel and the fallback alike. Meshes whose points come from the
same authored attribute (rocks that reference one prototype) are stored once and placed many times.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from pxr import Usd, UsdGeom
from scipy import sparse

from regolith.lunar.labels import CLASSES, IGNORE, ROCK, TAXONOMY
from regolith.lunar.params import InputError
from regolith.lunar.stage import relief, schema
from regolith.lunar.stage.mesh import TriMesh, area_normals, length, vertex_normals
from regolith.lunar.stage.reading import NOTHING, hidden, read_ground, read_mesh

CREASE_COS = 0.82
"""Cosine of the largest angle (35°) between two rock facets that are shaded as one smooth surface."""

MATERIAL_FAMILY = "materialBind"
"""Family of the subsets of faces that bind materials of their own (`UsdShade.Tokens.materialBind`)."""


@dataclasses.dataclass(frozen=True)
class Shape:
    """A mesh in its own frame with shading normals."""

    points: np.ndarray
    """float32, shape [V, 3]."""
    faces: np.ndarray
    """uint32, shape [F, 3]."""
    normals: np.ndarray
    """Unit shading normal of each vertex, float32, shape [V, 3]."""
    flat: bool
    """Whether facets are shaded flat, without the normals."""


@dataclasses.dataclass(frozen=True)
class Unshaded:
    """A mesh in its own frame, and how it is to be shaded."""

    mesh: TriMesh
    shading: Literal["authored", "smooth", "creased", "flat"]
    """Vertex normals as authored, averaged over all faces, averaged over faces that nearly agree, or none."""
    normals: np.ndarray | None = None
    """Authored vertex normals of any length, shape [V, 3]."""

    def shaded(self) -> Shape:
        """Give the mesh its normals. Faces keep their order and the positions of their corners."""
        points, faces = self.mesh.points, self.mesh.faces
        if self.shading == "creased":
            return creased(points, faces)
        if self.shading == "flat":
            normals = np.zeros_like(points)
        elif self.normals is not None:
            normals = np.array(self.normals, np.float32)
            normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        else:
            normals = vertex_normals(points, faces)
        return Shape(points, faces.astype(np.uint32), normals, flat=self.shading == "flat")


@dataclasses.dataclass(frozen=True)
class Placed:
    """One placed shape: what a pixel can hit."""

    path: str
    shape: int
    matrix: np.ndarray
    """Local to world for row vectors, float64, shape [4, 4]."""
    label: int
    material: int
    instance: int
    """Rock number + 1, 0 for what is not a rock."""
    patches: np.ndarray | None = None
    """Material number of each face, uint8, shape [F], where subsets of faces have their own."""
    moves: bool = False
    """Whether it is a part of the rover, which stands elsewhere in every frame."""


@dataclasses.dataclass(frozen=True)
class Geometry:
    """What a stage places, before its shapes are shaded: all that tracing rays needs."""

    shapes: tuple[Unshaded, ...]
    objects: tuple[Placed, ...]
    materials: tuple[str, ...]
    """Prim path of each material number; the first, "", stands for none."""

    @property
    def triangles(self) -> int:
        """Triangles stored."""
        return sum(len(shape.mesh.faces) for shape in self.shapes)

    @property
    def fixed(self) -> dict[int, Placed]:
        """Shape to the object that places it, of those placed once and for good."""
        return fixed(self.objects)

    def shaded(self) -> SceneTables:
        """Shade every shape."""
        return SceneTables(tuple(shape.shaded() for shape in self.shapes), self.objects, self.materials)


@dataclasses.dataclass(frozen=True)
class SceneTables:
    """The compiled scene."""

    shapes: tuple[Shape, ...]
    objects: tuple[Placed, ...]
    materials: tuple[str, ...]
    """Prim path of each material number; the first, "", stands for none."""

    @property
    def fixed(self) -> dict[int, Placed]:
        """Shape to the object that places it, of those placed once and for good."""
        return fixed(self.objects)


def fixed(objects: tuple[Placed, ...]) -> dict[int, Placed]:
    """Shape to the object that places it, of those placed once and for good."""
    uses = Counter(placed.shape for placed in objects)
    return {placed.shape: placed for placed in objects if uses[placed.shape] == 1 and not placed.moves}


def creased(points: np.ndarray, faces: np.ndarray) -> Shape:
    """Shade a faceted solid smooth within facets that nearly agree and crisp across its edges.

    Each face corner takes the mean of the normals of those faces around its vertex that lie within 35° of its own
    face; corners of one vertex with the same normal share a vertex of the result.
    """
    area = area_normals(np.ascontiguousarray(points.T, np.float64), faces)
    unit = area / np.maximum(length(area), 1e-30)
    corner_vertex = faces.ravel()
    corners = len(corner_vertex)
    around = sparse.csr_matrix(  # faces around each vertex, and the corners they have there
        (np.arange(corners, dtype=np.int32), corner_vertex, np.arange(0, corners + 1, 3, dtype=np.int32)),
        shape=(len(faces), len(points)),
    ).tocsc()
    degree = np.diff(around.indptr)
    first, count = around.indptr.take(corner_vertex), degree.take(corner_vertex)
    own = np.repeat(unit, 3, axis=1)
    normals = np.zeros((3, corners))
    for step in range(int(degree.max(initial=0))):  # step-th face around every corner's vertex
        other = around.indices.take(np.minimum(first + step, corners - 1))
        x, y, z = unit.take(other, axis=1)
        agree = (step < count) & (x * own[0] + y * own[1] + z * own[2] >= CREASE_COS)
        normals += np.where(agree, area.take(other, axis=1), 0.0)
    normals /= np.maximum(length(normals), 1e-30)
    x, y, z = np.round(normals * 500.0 + 500.0).astype(np.int64)
    key = ((corner_vertex.astype(np.int64) * 1024 + x) * 1024 + y) * 1024 + z
    order = np.asarray(around.data, np.intp)  # sorted by vertex, the first part of the key
    order = order[np.argsort(key[order], kind="stable")]
    fresh = np.diff(key[order], prepend=-1) != 0
    chosen = order[fresh]
    shared = np.empty(corners, np.uint32)
    shared[order] = np.cumsum(fresh) - 1
    return Shape(
        points=np.ascontiguousarray(points[corner_vertex[chosen]], np.float32),
        faces=shared.reshape(-1, 3),
        normals=np.ascontiguousarray(normals[:, chosen].T, np.float32),
        flat=False,
    )


def _unshaded(prim: Usd.Prim, mesh: TriMesh, label: int) -> Unshaded:
    """Choose shading normals: the authored ones, smooth for ground, flat for pebbles, crisp for solids."""
    if prim.GetPath() == schema.PEBBLES:
        return Unshaded(mesh, "flat")
    geom = UsdGeom.Mesh(prim)
    authored = geom.GetNormalsAttr().Get()
    if authored and geom.GetNormalsInterpolation() == UsdGeom.Tokens.vertex and len(authored) == len(mesh.points):
        return Unshaded(mesh, "authored", np.array(authored, np.float32))
    return Unshaded(mesh, "smooth" if label == CLASSES["regolith"] else "creased")


def _source(prim: Usd.Prim) -> tuple[str, ...]:
    """Identify where a mesh's geometry is authored: equal for prims that reference one prototype."""
    mesh = UsdGeom.Mesh(prim)
    key: list[str] = []
    for attribute in (mesh.GetPointsAttr(), mesh.GetFaceVertexIndicesAttr(), mesh.GetNormalsAttr()):
        stack = attribute.GetPropertyStack(Usd.TimeCode.Default())
        key.append(f"{stack[0].layer.identifier}:{stack[0].path}" if stack else "")
    return tuple(key)


def _label(prim: Usd.Prim) -> int | None:
    attribute = prim.GetAttribute(f"semantics:labels:{TAXONOMY}")  # of UsdSemantics.LabelsAPI
    if not attribute or not attribute.HasValue():
        return None
    names = attribute.Get() or []
    return next((CLASSES[str(name)] for name in names if str(name) in CLASSES), IGNORE)


def _binding(prim: Usd.Prim) -> str | None:
    relationship = prim.GetRelationship("material:binding")
    targets = relationship.GetTargets() if relationship else []
    return str(targets[0]) if targets else None


class _Reader:
    """Walks a stage once and collects shapes and objects."""

    def __init__(self, stage: Usd.Stage) -> None:
        self.stage = stage
        self.cache = UsdGeom.XformCache()
        self.shapes: list[Unshaded] = []
        self.objects: list[Placed] = []
        self.materials: dict[str, int] = {"": 0}
        self.by_source: dict[tuple[Any, ...], int] = {}
        self.rocks = 0

    def run(self) -> Geometry:
        inherited: dict[str, tuple[int, str]] = {"/": (IGNORE, "")}
        ground = self._ground_prims()
        predicate = Usd.TraverseInstanceProxies(Usd.PrimIsActive & Usd.PrimIsDefined & ~Usd.PrimIsAbstract)
        walk = iter(Usd.PrimRange(self.stage.GetPseudoRoot(), predicate))
        for prim in walk:
            path = prim.GetPath()
            if path.IsAbsoluteRootPath():
                continue
            if hidden(prim):
                walk.PruneChildren()
                continue
            label, material = inherited[str(path.GetParentPath())]
            own, bound = _label(prim), _binding(prim)
            label, material = label if own is None else own, material if bound is None else bound
            inherited[str(path)] = (label, material)
            if str(path) in ground:
                if str(path) == schema.TERRAIN:
                    self._add_ground(prim, label, material)
            elif UsdGeom.Mesh(prim):
                self._add_mesh(prim, label, material)
        return Geometry(tuple(self.shapes), tuple(self.objects), tuple(self.materials))

    def _ground_prims(self) -> set[str]:
        """Meshes that the relief replaces: the terrain grid and the far mesh, where Terrain carries its grid."""
        terrain = self.stage.GetPrimAtPath(schema.TERRAIN)
        if not terrain or not terrain.GetAttribute(schema.GRID_SHAPE).HasValue():
            return set()
        return {schema.TERRAIN, schema.FAR}

    def _place(self, prim: Usd.Prim, shape: int, label: int, material: str) -> None:
        number = self.materials.setdefault(material, len(self.materials))
        if label == ROCK:
            self.rocks += 1
            if self.rocks > np.iinfo(np.uint16).max:
                raise InputError(
                    "rocks.abundance", str(prim.GetPath()), "at most 65535 labelled rocks, the instance ids"
                )
        self.objects.append(
            Placed(
                path=str(prim.GetPath()),
                shape=shape,
                matrix=np.array(self.cache.GetLocalToWorldTransform(prim), np.float64),
                label=label,
                material=number,
                instance=self.rocks if label == ROCK else 0,
                patches=self._patches(prim, number, len(self.shapes[shape].mesh.faces)),
                moves=prim.GetPath().HasPrefix(schema.ROVER),
            )
        )

    def _patches(self, prim: Usd.Prim, material: int, faces: int) -> np.ndarray | None:
        """Materials that `GeomSubset`s of a triangle mesh bind to some of its faces."""
        patches: np.ndarray | None = None
        for subset in UsdGeom.Subset.GetGeomSubsets(UsdGeom.Imageable(prim), UsdGeom.Tokens.face, MATERIAL_FAMILY):
            bound, index = _binding(subset.GetPrim()), np.array(subset.GetIndicesAttr().Get(), np.int64)
            if bound is None or not len(index):
                continue
            if index.min() < 0 or index.max() >= faces:
                raise InputError(f"{subset.GetPath()}.indices", int(index.max()), f"0 … {faces - 1}, all triangles")
            patches = np.full(faces, material, np.uint8) if patches is None else patches
            patches[index] = self.materials.setdefault(bound, len(self.materials))
        return patches

    def _add_mesh(self, prim: Usd.Prim, label: int, material: str) -> None:
        key = (*_source(prim), label == CLASSES["regolith"])
        if key not in self.by_source:
            mesh = read_mesh(prim)
            if not len(mesh.faces):
                return
            self.by_source[key] = len(self.shapes)
            self.shapes.append(_unshaded(prim, mesh, label))
        self._place(prim, self.by_source[key], label, material)

    def _add_ground(self, prim: Usd.Prim, label: int, material: str) -> None:
        """Tessellate the ground from its grid and relief recipe."""
        ground = read_ground(self.stage)
        self.shapes.append(Unshaded(relief.ground_mesh(ground.grid, ground.recipe, ground.far), "smooth"))
        self._place(prim, len(self.shapes) - 1, label, material)
        pebbles = relief.pebbles(ground.grid, ground.recipe) if ground.recipe is not None else NOTHING
        if len(pebbles.faces):
            self.shapes.append(Unshaded(pebbles, "flat"))
            self._place(prim, len(self.shapes) - 1, label, material)


def read_placements(stage: Usd.Stage, paths: Iterable[str]) -> np.ndarray:
    """Local-to-world matrices of prims for row vectors, float64, shape [paths, 4, 4]."""
    cache = UsdGeom.XformCache()
    found = [np.array(cache.GetLocalToWorldTransform(stage.GetPrimAtPath(path)), np.float64) for path in paths]
    return np.array(found).reshape(-1, 4, 4)


def read_geometry(stage: Usd.Stage) -> Geometry:
    """Read the drawable meshes of a stage, without shading them.

    Raises:
        InputError: The stage holds no mesh, or a mesh is malformed.
    """
    geometry = _Reader(stage).run()
    if not geometry.objects:
        raise InputError("stage", stage.GetRootLayer().identifier, "a stage with at least one visible mesh")
    return geometry


def compile_stage(stage: Usd.Stage) -> SceneTables:
    """Compile the drawable meshes of a stage.

    Raises:
        InputError: The stage holds no mesh, or a mesh is malformed.
    """
    return read_geometry(stage).shaded()
