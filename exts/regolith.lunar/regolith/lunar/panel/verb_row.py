"""What the panel knows of a verb that it runs: a row, of which fields, work and buttons are made."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, get_args

from regolith.lunar.panel.work import Table
from regolith.lunar.params import PresetVerb, Verb


def _no_table(result: Any) -> Table:
    return ()


@dataclasses.dataclass(frozen=True)
class VerbRow:
    """A verb that the panel runs as a companion."""

    key: str
    """Of its work and its button; what its fields' paths begin with."""
    verb: str
    """Its name on the command line."""
    model: type[Verb]
    title: str
    """Heading of its fields, and name of its work."""
    label: str
    """Of its button."""
    tooltip: str
    unit: str
    """What its progress counts; empty where it tells of none."""
    describe: Callable[[Any], str]
    """Says in a line what its result is."""
    places: Mapping[str, str]
    """Field to path below the panel's data folder that takes the place of the verb's own default."""
    values: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """The same of fields that are no paths."""
    splits: tuple[str, ...] = ("synth",)
    """Fields that take one split; other folders and files it reads only have to be there."""
    files: tuple[str, ...] = ()
    """Fields that take a file; other paths are folders."""
    marks: tuple[tuple[str, ...], str] = ((), "")
    """Switches, and the folder that is also written where one of them is on."""
    page: str = ""
    """Page it writes into its folder."""
    trains: bool = False
    """Whether it needs the interpreter of training."""
    section: str = "quality"
    """Section its fields are in."""
    without: frozenset[str] = frozenset()
    """Fields that the panel decides by itself, or leaves to the command line."""
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Kind of the artifacts that are shown while it runs to what they are called: PNGs in the folder `out`."""
    table: Callable[[Any], Table] = _no_table
    """Makes a table of its result."""
    ranges: str | None = None
    """Parameter file it writes: its name in the folder `out`, empty where `out` is that file; None for none."""

    @property
    def report(self) -> str:
        """Key of the button that opens its page."""
        return f"{self.key}_report"

    @property
    def take(self) -> str:
        """Key of the button that takes the ranges it has found."""
        return f"{self.key}_take"

    @property
    def buttons(self) -> tuple[str, ...]:
        """Keys of its buttons, in their order."""
        return self.key, *((self.report,) if self.page else ()), *(() if self.ranges is None else (self.take,))

    @property
    def starts_from_params(self) -> bool:
        """Whether it takes the panel's parameters."""
        return issubclass(self.model, PresetVerb)

    @property
    def hidden(self) -> frozenset[str]:
        """Fields of no use in the panel, those with a single choice, and the model where it is the panel's own."""
        base = PresetVerb if self.starts_from_params else Verb
        fields = self.model.model_fields.items()
        single = {name for name, info in fields if len(get_args(info.annotation)) == 1}
        own = {"model"} if self.takes_model else set()
        return frozenset(base.model_fields) | {"events", "threads"} | single | own | self.without

    @property
    def takes_model(self) -> bool:
        """Whether the panel's model is the one it looks with; that of `select` is a checkpoint."""
        return "model" in self.model.model_fields and not self.trains
