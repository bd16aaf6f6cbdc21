"""What the record of a run keeps of a verb: its name and its values, which the verb's own model reads again.

A workspace may come from somebody else: nothing that is executed is kept or believed. Interpreter, environment and
whatever names a program or another machine are the choice of whoever starts the run.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from regolith.lunar.params import InputError, PresetVerb, Verb, as_text, validate_text

V = TypeVar("V", bound=Verb)

LOCAL = frozenset({"address", "command"})
"""Fields that name what is executed, or the machine it is executed on."""
UNKEPT = LOCAL | {*PresetVerb.model_fields, "events"}


def record_verb(name: str, verb: Verb) -> dict[str, Any]:
    """Return what a record keeps of a verb, plain JSON.

    Args:
        name: The verb, as on the command line.
        verb: Its values.
    """
    values = {field: getattr(verb, field) for field in type(verb).model_fields if field not in UNKEPT}
    return {"verb": name, "values": {field: as_text(value) for field, value in values.items() if value is not None}}


def read_verb(details: Mapping[str, Any], name: str, model: type[V]) -> V:
    """Read a verb of a record.

    Args:
        details: As `record_verb` made them, or as somebody else did.
        name: The verb that is allowed.
        model: Its model.

    Raises:
        InputError: Another verb, or a field or value that is not allowed.
    """
    if "verb" not in details:
        raise InputError("run: verb", None, f"{name}, with its values; what an earlier version noted is to start anew")
    if details["verb"] != name:
        raise InputError("run: verb", details["verb"], name)
    values = details.get("values")
    if not isinstance(values, dict) or not all(isinstance(text, str) for text in values.values()):
        raise InputError("run: values", values, "texts by the names of fields")
    kept = [field for field in model.model_fields if field not in UNKEPT]
    for field in values:
        if field not in kept:
            raise InputError(f"run: {field}", values[field], f"no field of a record; {', '.join(kept)} are")
    return validate_text(model, values)
