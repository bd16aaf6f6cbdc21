"""Randomizers: parameters and (seed, split, index) to the values of a scene and a frame."""
