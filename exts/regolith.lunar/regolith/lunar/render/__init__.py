"""Renderers: a USD stage in, labelled frames out."""

from typing import Any

from regolith.lunar.params.errors import InputError
from regolith.lunar.params.models import BACKENDS
from regolith.lunar.params.plugins import load_plugin, not_working, plugin_names
from regolith.lunar.render.base import Frame, Renderer

NEEDED = ("name", "baked", "describe", "load", "render", "mask", "close")
"""What a renderer has (`render.base.Renderer`)."""


def open_renderer(backend: str = "auto", *, threads: int | None = None) -> Renderer:
    """Open a renderer.

    Args:
        backend: Back end of the embedded renderer: `auto` for the fastest that works here, `llvm`, `scalar` or `cuda`;
            or the name of a renderer that an installed package adds (entry points `regolith.lunar.renderers`).
        threads: Threads to use; None for all cores.

    Returns:
        The renderer: `load` a stage, then `render` what its camera sees; `close` it at the end.

    Raises:
        InputError: The back end asked for does not work here, or the plug-in does not.
    """
    if backend in plugin_names("regolith.lunar.renderers", BACKENDS):
        return _open_plugin(backend, threads)
    from regolith.lunar.render.mitsuba import MitsubaRenderer

    return MitsubaRenderer(backend, threads=threads)


def _open_plugin(name: str, threads: int | None) -> Renderer:
    """Open a renderer of another package, and see that it is one."""
    field = "render.backend"
    opener = load_plugin("regolith.lunar.renderers", name, field=field)
    package = getattr(opener, "__module__", name)
    try:
        renderer: Any = opener(threads=threads)
    except InputError:
        raise
    except Exception as error:
        raise not_working(field, name, package, f"{type(error).__name__}: {error}") from error
    missing = [attribute for attribute in NEEDED if not hasattr(renderer, attribute)]
    if missing:
        raise not_working(field, name, package, f"its renderer has no {', '.join(missing)}")
    return renderer


__all__ = ["Frame", "Renderer", "open_renderer"]
