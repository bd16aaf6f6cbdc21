"""Thinning of heightfields: whole, within its budget, and never off by more than what hangs on a vertex."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from regolith.lunar.studio.scene_rtin import network, tolerance_for, vertex_errors


def terrain(level: int, seed: int) -> np.ndarray:
    side = np.linspace(0.0, 1.0, 2**level + 1)
    rough = np.random.default_rng(seed).normal(size=(len(side), len(side)))
    return np.sin(5.0 * side)[:, None] * np.cos(8.0 * side)[None, :] + 0.05 * rough


def places(nodes: np.ndarray, side: int) -> np.ndarray:
    return np.column_stack([nodes % side, nodes // side]).astype(float)


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 5), st.integers(0, 99), st.integers(2, 2100))
def test_triangles_cover_the_square_once_without_cracks(level: int, seed: int, triangles: int) -> None:
    z = terrain(level, seed)
    side, cells = len(z), len(z) - 1
    errors = vertex_errors(z, np.ones_like(z))
    nodes, faces = network(errors, tolerance_for(errors, triangles))
    assert 2 <= len(faces) <= max(triangles, 2)
    xy = places(nodes, side)
    a, b, c = xy[faces].transpose(1, 0, 2)
    twice = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    assert (twice > 0.0).all()
    assert twice.sum() == 2.0 * cells**2
    edges = np.sort(faces[:, [0, 1, 1, 2, 2, 0]].reshape(-1, 2), axis=1)
    edges, uses = np.unique(edges, axis=0, return_counts=True)
    assert uses.max() <= 2
    ends = xy[edges[uses == 1]]  # an edge used once lies on the border; anywhere else it is a crack
    on_border = [(ends[..., axis] == value).all(axis=1) for axis in (0, 1) for value in (0, cells)]
    assert np.any(on_border, axis=0).all()


@given(st.integers(1, 5), st.integers(0, 99))
def test_nothing_left_out_gives_every_height_back(level: int, seed: int) -> None:
    z = terrain(level, seed)
    errors = vertex_errors(z, np.ones_like(z))
    assert errors[1:-1, 1:-1].min() > 0.0
    nodes, faces = network(errors, 0.0)
    assert len(nodes) == z.size
    assert len(faces) == 2 * (len(z) - 1) ** 2


def test_a_plane_is_two_triangles_and_a_peak_is_kept() -> None:
    rows, columns = np.mgrid[0:33, 0:33].astype(float)
    plane = 0.3 * rows - 0.2 * columns
    assert len(network(vertex_errors(plane, np.ones_like(plane)), 1e-9)[1]) == 2
    plane[7, 20] += 1.0
    nodes, _ = network(vertex_errors(plane, np.ones_like(plane)), 0.1)
    assert 7 * 33 + 20 in nodes
    assert len(nodes) < 120


def test_weight_decides_where_triangles_go() -> None:
    z = terrain(6, 1)
    weight = np.full_like(z, 0.02)
    weight[:33, :33] = 1.0
    errors = vertex_errors(z, weight)
    nodes, _ = network(errors, tolerance_for(errors, 1500))
    corner = (places(nodes, 65) < 33).all(axis=1).mean()
    assert corner > 0.7


@given(st.integers(2, 6), st.integers(0, 9))
def test_an_error_is_no_less_than_those_hanging_on_it(level: int, seed: int) -> None:
    z = terrain(level, seed)
    errors = vertex_errors(z, np.ones_like(z))
    step = len(z) - 1
    while step >= 2:
        half = step // 2
        centre = errors[half::step, half::step]
        for side in (errors[::step, half::step][:-1], errors[::step, half::step][1:],
                     errors[half::step, ::step][:, :-1], errors[half::step, ::step][:, 1:]):  # fmt: skip
            assert (centre >= side).all()
        step = half
