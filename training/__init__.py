"""Headless companion: training and export. The only room where torch lives."""
