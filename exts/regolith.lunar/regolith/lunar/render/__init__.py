"""Renderers: a USD stage in, labelled frames out."""
