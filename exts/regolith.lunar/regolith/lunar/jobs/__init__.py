"""Companion processes: events, launch, progress and cancel."""
