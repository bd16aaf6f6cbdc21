"""Renderers: a USD stage in, labelled frames out."""

from regolith.lunar.render.base import Frame, Renderer


def open_renderer(backend: str = "auto", *, threads: int | None = None) -> Renderer:
    """Open the embedded renderer.

    Args:
        backend: `auto`, `llvm`, `scalar` or `cuda`.
        threads: Threads to use; None for all cores.

    Raises:
        InputError: The back end asked for does not work here.
    """
    from regolith.lunar.render.mitsuba import MitsubaRenderer

    return MitsubaRenderer(backend, threads=threads)


__all__ = ["Frame", "Renderer", "open_renderer"]
