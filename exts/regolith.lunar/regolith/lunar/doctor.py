"""`regolith doctor`: what this machine can do, and what to install for the rest."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regolith.lunar.machine_checks import Check, check_isaac, check_machine
from regolith.lunar.params import CheckError, InputError, Verb, quantity

if TYPE_CHECKING:
    from rich.table import Table

NODES_NAMED = 3
"""Nodes named at the head of a column; the rest are counted."""
MARKS = {"ok": ("✓", "green"), "absent": ("–", "dim"), "failed": ("✗", "red")}
"""Mark of each state, and its style."""


class Doctor(Verb):
    """Say what this machine can do and what to install for the rest; exit code 1 where the main job would stop."""

    folder: Path = quantity(Path(), "Folder whose disk is tried: where datasets shall go.")
    ray: str | None = quantity(None, "Address of a Ray cluster whose nodes are compared; `local` starts one here.")
    isaac: Path | None = quantity(None, "Folder of an Isaac Sim whose version is looked at.")

    def run(self) -> dict[str, Any]:
        """Try everything; raises `CheckError` where something the main job needs does not work."""
        if not self.folder.is_dir():
            raise InputError("folder", str(self.folder), "a folder")
        checks = [] if self.isaac is None else [check_isaac(self.isaac)]
        nodes = {} if self.ray is None else describe_cluster(self.ray)
        checks = [*check_machine(self.folder), *checks, *([check_nodes(nodes)] if self.ray is not None else [])]
        result = {"checks": [dataclasses.asdict(check) for check in checks], "nodes": nodes}
        stopping = [check.name for check in checks if check.stops]
        if stopping:
            raise CheckError(f"what is needed does not work: {', '.join(stopping)}", result)
        return result

    def summary(self, result: dict[str, Any]) -> str:
        """Tabulate what was tried and, of a cluster, what its nodes draw with."""
        from rich.console import Console

        console = Console()
        with console.capture() as capture:
            console.print(_check_table(result["checks"]))
            if result["nodes"]:
                console.print()
                console.print(_node_table(result["nodes"]))
        return capture.get().rstrip("\n")


def describe_cluster(address: str) -> dict[str, dict[str, Any]]:
    """Ask every node of a Ray cluster what it draws with.

    Args:
        address: As `ray.init` takes it.

    Raises:
        InputError: No Ray here, or no cluster there; a node without a renderer.
    """
    from regolith.lunar.dataset.ray_executor import RayCluster

    with contextlib.closing(RayCluster(address)) as cluster:
        return cluster.describe_nodes()


def check_nodes(nodes: dict[str, dict[str, Any]]) -> Check:
    """Whether the nodes of a cluster draw the same bytes, as `generate` asks of them."""
    from regolith.lunar.dataset.ray_executor import differing_node

    name, difference = "Ray nodes", differing_node(nodes)
    if not nodes:
        return Check(name, "failed", "none with a core to draw on", "nodes that take tasks", needed=True)
    if difference is None:
        return Check(name, "ok", f"{len(nodes)}, all draw the same bytes", needed=True)
    node, field, other, value = difference
    found = f"{field} is {value!r} on {node}, {other!r} on {next(iter(nodes))}"
    return Check(name, "failed", found, "the same versions on every node: generate refuses them", needed=True)


def _check_table(checks: list[dict[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("", "what", box=None, pad_edge=False, header_style="bold")
    table.add_column("here", overflow="fold")
    for check in checks:
        mark, style = MARKS[check["state"]]
        found = Text(check["found"], "red" if check["state"] == "failed" else "")
        if check["advice"]:
            found.append(f"\n→ {check['advice']}", "yellow")
        table.add_row(Text(mark, style), check["name"], found)
    return table


def _node_table(nodes: dict[str, dict[str, Any]]) -> Table:
    """Fields down, nodes across; nodes that agree in everything share a column."""
    from rich.table import Table
    from rich.text import Text

    alike: list[tuple[dict[str, str], list[str]]] = []
    for name, node in nodes.items():
        flat = {"regolith": node["regolith"], "python": node["python"], **node["renderer"]}
        same = next((names for fields, names in alike if fields == flat), None)
        if same is None:
            alike.append((flat, [name]))
        else:
            same.append(name)
    heads = []
    for _, names in alike:
        more = f"\nand {len(names) - NODES_NAMED} more" if len(names) > NODES_NAMED else ""
        heads.append("\n".join(names[:NODES_NAMED]) + more)
    table = Table("", *heads, box=None, pad_edge=False, header_style="bold")
    for field in dict.fromkeys(field for fields, _ in alike for field in fields):
        values = [fields.get(field, "") for fields, _ in alike]
        style = "red" if len(set(values)) > 1 and field != "python" else ""
        table.add_row(field, *(Text(str(value), style) for value in values))
    return table
