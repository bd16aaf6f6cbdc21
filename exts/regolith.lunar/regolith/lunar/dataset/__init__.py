"""Datasets: layout, writing, generation and verification."""
