"""What other installed packages add, found by entry points: renderers and export formats.

A package adds one by a line of its `pyproject.toml`:

    [project.entry-points."regolith.lunar.formats"]
    contours = "my_package.contours:write"

Their names are choices like our own, on the command line and in the panels. Names are read from the packages' metadata;
a plug-in is imported only when it is used, so that one that is broken breaks nothing else.
"""

from __future__ import annotations

import contextlib
import functools
from importlib import metadata
from typing import Any, Literal, get_args

from regolith.lunar.params.errors import InputError

PluginGroup = Literal["regolith.lunar.renderers", "regolith.lunar.formats"]
"""Entry-point groups: `renderers` are called with `threads` and return a `render.Renderer`; `formats` are a
`dataset.formats.target.Write`."""


@functools.cache
def _scan() -> dict[str, dict[str, list[metadata.EntryPoint]]]:
    """Group to name to entry points of what installed packages add; several packages may use one name."""
    found: dict[str, dict[str, list[metadata.EntryPoint]]] = {group: {} for group in get_args(PluginGroup)}
    seen: set[str] = set()
    for distribution in metadata.distributions():
        with contextlib.suppress(Exception):  # metadata that cannot be read add nothing, and break nothing
            text = distribution.read_text("entry_points.txt") or ""
            groups = [group for group in found if group in text]
            if not groups or distribution.name in seen:  # the first on the path is the one that is imported
                continue
            seen.add(distribution.name)
            for group in groups:
                for entry in distribution.entry_points.select(group=group):
                    found[group].setdefault(entry.name, []).append(entry)
    return found


def plugin_names(group: PluginGroup, own: tuple[str, ...]) -> tuple[str, ...]:
    """Names that plug-ins add to a group, sorted; one of our own is not among them."""
    return tuple(name for name in sorted(_scan()[group]) if name not in own)


def load_plugin(group: PluginGroup, name: str, *, field: str) -> Any:
    """Import a plug-in and return what its entry point names: something that can be called.

    Args:
        group: Entry-point group.
        name: Its name, one of `plugin_names`.
        field: Parameter that named it, for errors.

    Raises:
        InputError: Two packages have that name, or the plug-in cannot be imported, or called.
    """
    entry, *others = _scan()[group][name]
    if others:
        packages = ", ".join(sorted(package_of(entry) for entry in (entry, *others)))
        raise InputError(field, name, f"a name that one package has; {packages} have it")
    try:
        plugin = entry.load()
    except (Exception, SystemExit) as error:
        line = " ".join(str(error).split())
        why = f"{type(error).__name__}: {line}" if line else type(error).__name__
        raise not_working(field, name, package_of(entry), why) from error
    if not callable(plugin):
        raise not_working(field, name, package_of(entry), f"{entry.value} cannot be called")
    return plugin


def package_of(entry: metadata.EntryPoint) -> str:
    """Name and version of the package an entry point is from."""
    return f"{entry.dist.name} {entry.dist.version}" if entry.dist is not None else entry.value


def not_working(field: str, name: str, package: str, why: str) -> InputError:
    """Make the one line about a plug-in that does not do what it should."""
    return InputError(field, name, f"a plug-in that works; that of {package} does not ({why})")
