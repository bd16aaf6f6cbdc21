"""Lunar stages, labelled frames and measured transfer for rover hazard perception."""

__version__ = "0.1.0"
