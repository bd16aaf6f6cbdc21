"""The command line: `regolith VERB …`.

A verb is a `Verb` model with a `run` method. tyro parses the flags as text from a mirror of the model, so that
one validation, pydantic's with our messages, serves files, panels and the command line alike.
"""

from __future__ import annotations

import dataclasses
import difflib
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import tyro
from pydantic_core import PydanticUndefined

from regolith.lunar import __version__
from regolith.lunar.files import descriptor_of, naming, write_json, writes_through
from regolith.lunar.jobs.events import silence
from regolith.lunar.machine import ready_streams
from regolith.lunar.params import (
    CheckError,
    Group,
    InputError,
    Interval,
    Params,
    PictureSize,
    PresetVerb,
    Site,
    UtcSpan,
    Verb,
    as_text,
    change_params,
    describe_allowed,
    field_extra,
    is_group,
    one_line,
    validate_text,
)
from regolith.lunar.params.errors import LINE_MAX
from regolith.lunar.params.outputs import check_name, check_writable, refusing
from regolith.lunar.verbs import VERBS


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 check failed, 2 bad input, 130 interrupted.

    A reader of our output who goes away changes nothing of it, unless the verb had to stop for that: then 1.
    """
    ready_streams()
    try:
        return _main(list(sys.argv[1:] if argv is None else argv))
    finally:
        _flush()


def _main(args: list[str]) -> int:
    debug = "--debug" in args
    try:
        return _dispatch(args)
    except InputError as error:
        if debug:
            raise
        print(f"regolith: {error}", file=sys.stderr)
        return 2
    except CheckError as error:
        if debug:
            raise
        print("\n".join(map(_bounded, f"regolith: {error}".splitlines())), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("regolith: interrupted; run the same command again to go on", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output went away in the middle of the work
        silence()
        return 1
    except Exception as error:
        if debug:
            raise
        refused = InputError.from_system(error) if isinstance(error, OSError) else None
        if refused is not None:
            print(f"regolith: {refused}", file=sys.stderr)
            return 2
        line = one_line(f"{type(error).__name__}: {error}", LINE_MAX - len(_SHOW))
        print(f"regolith: {line}{_SHOW}", file=sys.stderr)
        return 1


_SHOW = " (--debug shows the traceback)"


def _bounded(line: str) -> str:
    """A line of several that tell what does not hold; its indent stays."""
    return line[: len(line) - len(line.lstrip(" "))] + one_line(line)


def _dispatch(args: list[str]) -> int:
    if not args or args[0] in ("-h", "--help"):
        _say(_overview())
        return 0
    if args[0] == "--version":
        print(f"regolith.lunar {__version__}")
        return 0
    name, rest = _split_verb(args)
    module, attribute, _ = VERBS[name]
    verb = parse_verb(getattr(importlib.import_module(module), attribute), name, rest)
    if verb is None:  # help was asked for and shown
        return 0
    for name, value in verb:
        if isinstance(value, Path):
            check_name(_flag(verb, name), value)
    streamed = _streamed(verb)
    if verb.json_file is not None:
        check_writable("json", verb.json_file)
    failed: CheckError | None = None
    try:
        result = verb.run()
    except CheckError as error:
        if error.result is None:
            raise
        result, failed = error.result, error
    if verb.json_file is not None:
        with refusing("json", verb.json_file, "file"):
            if not writes_through(verb.json_file):
                verb.json_file.parent.mkdir(parents=True, exist_ok=True)
            write_json(verb.json_file, result)
    with naming(Path("standard output")):  # rich flushes it
        text = verb.summary(result)
    if text and streamed:
        print(text, file=sys.stderr)
    elif text and not getattr(verb, "events", False):
        _say(text)
    if failed is not None:
        raise failed
    return 0


def _say(text: str) -> None:
    """Print what there is to say, to whom it may still concern: the work is done either way."""
    try:
        with naming(Path("standard output")):
            print(text, flush=True)
    except BrokenPipeError:
        silence()


def _flush() -> None:
    try:
        sys.stdout.flush()
    except OSError:  # what could not be written was said to be lost where it was written
        silence()


def _streamed(verb: Verb) -> bool:
    """Whether one of the verb's files goes to standard output, where then nothing else may be said.

    Raises:
        InputError: Events shall go there too, or two files.
    """
    found = [name for name, value in verb if isinstance(value, Path) and descriptor_of(value) == 1]
    if found and (getattr(verb, "events", False) or len(found) > 1):
        raise InputError(
            _flag(verb, found[0]), str(getattr(verb, found[0])), "a file, where something else goes to standard output"
        )
    return bool(found)


def _flag(verb: Verb, name: str) -> str:
    return field_extra(type(verb).model_fields[name]).get("flag") or name


def _overview() -> str:
    width = max(map(len, VERBS))
    lines = [
        f"regolith.lunar {__version__}: lunar stages, labelled frames, measured transfer",
        "",
        "usage: regolith VERB …",
        "",
    ]
    lines += [f"  {name:<{width}}  {VERBS[name][2]}" for name in VERBS]
    lines += ["", "regolith VERB --help shows every parameter with its unit, default and limits."]
    return "\n".join(lines)


def _split_verb(args: list[str]) -> tuple[str, list[str]]:
    for words in (2, 1):
        name = " ".join(args[:words])
        if name in VERBS:
            return name, args[words:]
    family = [name for name in VERBS if name.startswith(args[0] + " ")]
    if family:
        if set(args[1:]) & {"-h", "--help"} or len(args) == 1:
            _say("\n".join(f"regolith {name}: {VERBS[name][2]}" for name in family))
            raise SystemExit(0 if len(args) > 1 else 2)
        raise InputError("verb", " ".join(args[:2]), ", ".join(family))
    near = difflib.get_close_matches(args[0], dict.fromkeys(verb.split()[0] for verb in VERBS))
    listed = "one of those `regolith --help` lists"
    raise InputError("verb", args[0], f"{listed}, such as {' or '.join(near)}" if near else listed)


def parse_verb(model: type[Verb], name: str, args: list[str]) -> Verb | None:
    """Parse a verb's arguments; None where help was asked for and shown.

    Raises:
        InputError: The first argument that does not fit, named with its value and what is allowed.
    """
    base, begun = model.start(_given(args, model.start_flags)) if issubclass(model, PresetVerb) else (None, {})
    mirror = _mirror(model, base, begun)
    if set(args) & {"-h", "--help"}:
        try:
            tyro.cli(mirror, prog=f"regolith {name}", description=VERBS[name][2], args=args)
        except SystemExit:
            return None
        except BrokenPipeError:
            silence()
            return None
    try:
        parsed, unknown = tyro.cli(
            mirror, prog=f"regolith {name}", args=args, return_unknown_args=True, console_outputs=False
        )
    except SystemExit:
        raise _missing_value(args) from None
    if unknown:
        raise _unknown(unknown[0], mirror)
    values = begun | _changed(parsed, mirror())
    own = {key: value for key, value in values.items() if key in model.model_fields}
    verb = validate_text(model, own)
    if base is not None and isinstance(verb, PresetVerb):
        overrides = {key: value for key, value in values.items() if key not in own}
        verb = verb.with_params(change_params(base, _dotted(overrides)))
    return verb


def _given(args: list[str], flags: Sequence[str]) -> dict[str, str]:
    """Texts of some flags ahead of parsing, the last where one is given twice."""
    found: dict[str, str] = {}
    for index, arg in enumerate(args):
        for flag in flags:
            if arg == f"--{flag}" and index + 1 < len(args):
                found[flag] = args[index + 1]
            elif arg.startswith(f"--{flag}="):
                found[flag] = arg.split("=", 1)[1]
    return found


def _dotted(values: dict[str, Any]) -> dict[str, Any]:
    """Dotted name to text of nested texts."""
    return {f"{group}.{name}": text for group, fields in values.items() for name, text in fields.items()}


def _mirror(model: type[Group], base: Params | None, begun: dict[str, str]) -> type[Any]:
    """Make the dataclass of texts tyro parses for a model, with `begun` as defaults; of `base` also its groups."""
    own = sorted(model.model_fields, key=lambda name: name in Verb.model_fields)  # what every verb takes comes last
    fields = [_mirror_field(name, model.model_fields[name], begun.get(name, PydanticUndefined)) for name in own]
    if base is not None:
        for name, field in Params.model_fields.items():
            if is_group(field.annotation):
                fields.append(_mirror_group(name, getattr(base, name)))
    return dataclasses.make_dataclass(model.__name__, fields)


def _mirror_group(name: str, group: Group) -> tuple[str, Any, Any]:
    model = type(group)
    fields = [_mirror_field(key, field, getattr(group, key)) for key, field in model.model_fields.items()]
    made = dataclasses.make_dataclass(model.__name__, fields)
    annotation = Annotated[made, tyro.conf.arg(help=(model.__doc__ or "").strip())]
    return name, annotation, dataclasses.field(default_factory=made)


def _mirror_field(name: str, field: Any, value: Any = PydanticUndefined) -> tuple[str, Any, Any]:
    extra = field_extra(field)
    default = field.default if value is PydanticUndefined else value
    flag = extra.get("flag") or None
    if field.annotation is bool and value is PydanticUndefined:  # a verb's switch
        annotation: Any = Annotated[
            tyro.conf.FlagCreatePairsOff[bool], tyro.conf.arg(name=flag, help=field.description)
        ]
        return name, annotation, dataclasses.field(default=bool(default))
    required = default is PydanticUndefined
    text = "" if required else as_text(default)
    hint = "(required)" if required else f"(default: {text.replace('.0,', ',').removesuffix('.0') or 'none'})"
    allowed = describe_allowed(field)
    annotation = Annotated[
        str,
        tyro.conf.arg(
            name=flag, metavar=_metavar(field), help=f"{field.description} [{allowed}]", help_behavior_hint=hint
        ),
    ]
    positional = bool(extra.get("positional"))
    if positional:
        annotation = tyro.conf.Positional[annotation]
    return name, annotation, dataclasses.field(default=text, metadata={"positional": positional})


def _metavar(field: Any) -> str:
    if field.annotation is Interval:
        return "LO,HI"
    if field.annotation in (PictureSize, PictureSize | None):
        return "SIZE"
    if field.annotation == Site | None:
        return "LAT,LON"
    if field.annotation == UtcSpan | None:
        return "TIME"
    words = {int: "INT", float: "NUMBER", bool: "BOOL", str: "TEXT"}
    allowed = describe_allowed(field)
    if field.annotation in words:
        return words[field.annotation]
    return "PATH" if allowed.startswith("path") else "CHOICE" if "," in allowed else "VALUE"


def _changed(parsed: Any, default: Any) -> dict[str, Any]:
    """Return the fields that differ from the default, as nested text."""
    values: dict[str, Any] = {}
    for field in dataclasses.fields(parsed):
        value, was = getattr(parsed, field.name), getattr(default, field.name)
        if dataclasses.is_dataclass(value):
            nested = _changed(value, was)
            if nested:
                values[field.name] = nested
        elif value != was:
            values[field.name] = as_text(value)
    return values


def _flags(mirror: type[Any], prefix: str = "--") -> list[str]:
    """What the command line takes by name, as it is typed, and without dashes what it takes by place."""
    flags: list[str] = []
    for name, field in ((field.name, field) for field in dataclasses.fields(mirror)):
        factory = field.default_factory
        if isinstance(factory, type):
            flags += _flags(factory, f"{prefix}{name}.")
        else:
            flags.append((prefix if not field.metadata.get("positional") else "") + name.replace("_", "-"))
    return flags


def _unknown(arg: str, mirror: type[Any]) -> InputError:
    if not arg.startswith("-"):
        return InputError("arguments", arg, "no further argument here")
    flag = arg.split("=", maxsplit=1)[0]
    flags, name = _flags(mirror), flag.lstrip("-").replace("_", "-")
    if name in flags:
        hint = f"{name} is given by its place, without --{name}"
    else:
        close = difflib.get_close_matches(f"--{name}", [known for known in flags if known.startswith("--")], n=1)
        hint = f"did you mean {close[0]}?" if close else "see --help"
    return InputError(flag.lstrip("-"), arg, f"no such flag; {hint}")


def _missing_value(args: list[str]) -> InputError:
    for index, arg in enumerate(args):
        if arg.startswith("--") and "=" not in arg and (index + 1 == len(args) or args[index + 1].startswith("--")):
            return InputError(arg.lstrip("-"), None, "a value after the flag; see --help")
    return InputError("arguments", " ".join(args), "flags as shown by --help")


if __name__ == "__main__":
    sys.exit(main())
