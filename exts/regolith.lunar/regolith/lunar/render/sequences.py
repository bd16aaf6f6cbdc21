"""Sample sequences in Dr.Jit: hashes, Owen-scrambled Sobol points."""

from __future__ import annotations

from typing import Any

import drjit as dr  # noqa: TID253 — the kernel alone imports this module, late
import mitsuba as mi  # noqa: TID253


def mixed(*words: Any) -> Any:
    """Mix uint32 words with the multipliers of PCG (Jarzynski & Olano 2020, Hash Functions for GPU Rendering)."""
    state: Any = 0x9E3779B9
    for word in words:
        state = (state ^ word) * 747796405 + 2891336453
        state = state ^ (state >> 16)
        state = state * 277803737
        state = state ^ (state >> 15)
    return state


def _permute(x: Any, seed: Any) -> Any:
    """Laine-Karras permutation, which Owen-scrambles reversed bits (Burley 2020, Hash-based Owen Scrambling)."""
    x = x + seed
    for factor in (0x6C50B47C, 0xB82F1E52, 0xC7AFE638, 0x8D22F6E6):
        x = x ^ (x * factor)
    return x


def _unit(x: Any) -> Any:
    return mi.Float(x >> 8) * 2.0**-24


def sobol_pair(index: Any, seed: Any) -> tuple[Any, Any]:
    """Owen-scrambled Sobol points, dimensions 0 and 1, in [0, 1)."""
    second = index
    for mask, shift in ((0xAAAAAAAA, 1), (0xCCCCCCCC, 2), (0xF0F0F0F0, 4), (0xFF00FF00, 8), (0xFFFF0000, 16)):
        second = second ^ ((second & mask) >> shift)  # Pascal's matrix modulo 2
    return (
        _unit(dr.brev(_permute(index, mixed(seed, 1)))),
        _unit(dr.brev(_permute(second, mixed(seed, 2)))),
    )


def shuffled(index: Any, seed: Any) -> Any:
    """Owen-shuffled index: another pairing of the same points."""
    return dr.brev(_permute(dr.brev(index), seed))
