"""What is entered in the panel, and the last valid models that come of it. No state: every step returns a new one."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from regolith.lunar.panel.forms import SOURCES, FormSource, Section, strip_optional
from regolith.lunar.params import (
    Group,
    InputError,
    Params,
    as_text,
    describe_allowed,
    field_extra,
    is_group,
    validate_text,
)
from regolith.lunar.params.named import NAMED, named_values

Refuse = Callable[[str, Any], str]
"""Path of a field and a value to what is allowed there instead; empty where the value is."""


def allow(path: str, value: Any) -> str:
    """Refuse nothing."""
    return ""


PRESET = "preset"
"""Path of the preset's name, which has no field."""


@dataclasses.dataclass(frozen=True)
class Values:
    """Everything entered, valid or not."""

    entered: Mapping[str, Any]
    """Path to what is entered, typed where it is valid."""
    good: Mapping[str, Any]
    """Path to the value that counts: the entered one, or the last that was allowed."""
    models: Mapping[str, Group | None]
    """Prefix of each source to its model; None while something it cannot do without is missing."""
    messages: Mapping[str, str]
    """Path to why what is entered there is not allowed."""
    base: Mapping[str, Any]
    """Path to what a reset gives."""

    @property
    def params(self) -> Params:
        """The parameters that count."""
        params = self.models[""]
        assert isinstance(params, Params)
        return params

    def problem(self, *prefixes: str) -> str:
        """First message of the fields of some sources, empty where all of them are allowed.

        Args:
            prefixes: Of the sources; the empty one is that of `Params`.
        """
        return next((self.messages[path] for path in self.problems(*prefixes)), "")

    def problems(self, *prefixes: str) -> list[str]:
        """Paths of the fields of some sources whose values are not allowed, in the order of the fields."""
        forms = [form for form in _FORMS if form.source.prefix in prefixes]
        return [path for form in forms for path in form.infos if path in self.messages]


@dataclasses.dataclass(frozen=True)
class _Form:
    """The fields of one source."""

    source: FormSource
    infos: Mapping[str, FieldInfo]
    """Panel path to field of the model."""


def _form(source: FormSource) -> _Form:
    infos: dict[str, FieldInfo] = {}
    for name, info in source.model.model_fields.items():
        path = f"{source.prefix}.{name}" if source.prefix else name
        if is_group(info.annotation):
            infos |= {f"{path}.{key}": inner for key, inner in type(info.default).model_fields.items()}
        elif name not in source.hidden or path == PRESET:
            infos[path] = info
    return _Form(source, infos)


_FORMS = tuple(_form(source) for source in SOURCES)
_FORM_OF = {path: form for form in _FORMS for path in form.infos}


def start_values(sections: Iterable[Section], params: Params, defaults: Mapping[str, Any]) -> Values:
    """Return the state a panel starts in.

    Args:
        sections: Its sections.
        params: Its parameters.
        defaults: Path to what takes the place of a field's own default.
    """
    base = {field.path: field.default for section in sections for field in section.fields}
    base |= flatten(params) | dict(defaults)
    empty = Values(base, base, {form.source.prefix: None for form in _FORMS}, {}, base)
    return enter(empty, base)


def flatten(params: Params) -> dict[str, Any]:
    """Path to value of every parameter, the preset's name among them."""
    found: dict[str, Any] = {}
    for name in Params.model_fields:
        value = getattr(params, name)
        if isinstance(value, Group):
            found |= {f"{name}.{key}": getattr(value, key) for key in type(value).model_fields}
        else:
            found[name] = value
    return found


def enter(values: Values, changes: Mapping[str, Any], *, refuse: Refuse = allow) -> Values:
    """Enter values: each model with all of them that are allowed, and a message where one is not.

    Never fails: a value that is not allowed stays entered, with the command line's line as its message, and the last
    allowed one counts until something makes it valid. A place, a map or a real camera brings its values along
    (`params.named`).

    Args:
        values: What is entered so far.
        changes: Path to what is entered there now.
        refuse: What is not allowed beside what the models refuse.

    Raises:
        KeyError: No field has that path.
    """
    entered = dict(values.entered)
    touched: dict[int, list[str]] = {}
    names = {path: entered[path] for path in NAMED if _differ(entered[path], values.good[path])} | dict(changes)
    try:
        brought = named_values(names, entered)
    except InputError as error:
        brought, refuse = {}, _refusing(error, names, refuse)
    for path, value in {**brought, **changes}.items():
        form = _FORM_OF[path]
        entered[path] = _read(form.infos[path], value)
        touched.setdefault(_FORMS.index(form), []).append(path)
    good, models, messages = dict(values.good), dict(values.models), dict(values.messages)
    for index, paths in touched.items():
        form = _FORMS[index]
        for path in form.infos:
            messages.pop(path, None)
        model, accepted, problems = _check(form, entered, good, paths, refuse)
        prefix = form.source.prefix
        models[prefix] = model
        messages |= problems
        for path, value in accepted.items():
            if path not in problems and entered[path] is not value:
                entered[path] = value  # typed: a text that was typed in becomes a number
            good[path] = value
    return Values(entered, good, models, messages, values.base)


def _refusing(error: InputError, changes: Mapping[str, Any], refuse: Refuse) -> Refuse:
    """Refuse what a map cannot give too: the field the error names, or the other of the two where only that changed."""
    blamed = error.field if error.field in changes else next(path for path in NAMED if path in changes)
    return lambda path, value: error.allowed if path == blamed else refuse(path, value)


def _read(info: FieldInfo, value: Any) -> Any:
    """Bring what a widget gives to what is kept: blank is None where something may be left out, `~` is the home."""
    annotation, optional = strip_optional(info.annotation)
    if isinstance(value, (list, tuple)):
        value = ",".join(as_text(part) for part in value)
    if isinstance(value, str):
        value = value.strip()
        if not value and (optional or annotation is not str or info.default is PydanticUndefined):
            return None
    if annotation is Path and isinstance(value, (str, Path)):
        return Path(value).expanduser() if "\0" not in str(value) and not _no_home(str(value)) else str(value)
    return value


def _no_home(text: str) -> bool:
    """Whether a path names a user's home that is not there."""
    try:
        Path(text).expanduser()
    except RuntimeError:
        return True
    return False


def _check(
    form: _Form, entered: Mapping[str, Any], good: Mapping[str, Any], edited: Iterable[str], refuse: Refuse
) -> tuple[Group | None, dict[str, Any], dict[str, str]]:
    """Validate what is entered, and put the last allowed value in the place of what is not.

    Returns:
        The model, None where something required is missing; path to the value that counts; path to message.
    """
    values = {path: entered[path] for path in form.infos}
    pending = {path for path in values if _differ(values[path], good[path])} | set(edited)
    problems: dict[str, str] = {}
    missing: set[str] = set()
    for path, info in form.infos.items():
        value, optional = values[path], strip_optional(info.annotation)[1]
        allowed = refuse(path, value) if value is not None else "" if optional else describe_allowed(info)
        if allowed:
            given = None if value is None else str(value)
            problems[path] = str(InputError(_own_name(form, path), given, allowed))
            values[path] = good[path]
            if good[path] is None and not optional:
                missing.add(path)
    while True:
        try:
            model = validate_text(form.source.model, _texts(form, values, missing))
            break
        except InputError as error:
            path = f"{form.source.prefix}.{error.field}" if form.source.prefix else error.field
            problems[path] = str(error)
            if path in values and path not in missing and _differ(values[path], good[path]):
                values[path] = good[path]
                missing |= (
                    {path} if good[path] is None and not strip_optional(form.infos[path].annotation)[1] else set()
                )
                continue
            # a rule between fields of a group names one that was left alone: what was edited gives way
            differing = [other for other in pending if _differ(values[other], good[other])]
            others = [other for other in differing if other.rpartition(".")[0] == path.rpartition(".")[0]] or differing
            if not others:
                raise  # what counted until now is not allowed: no edit can be the reason
            problems |= {other: str(error) for other in others}
            values |= {other: good[other] for other in others}
    typed = {path: _value(form, model, path) for path in form.infos if path not in missing}
    return (None if missing else model), typed | dict.fromkeys(missing), problems


def _differ(one: Any, other: Any) -> bool:
    return type(one) is not type(other) or one != other


def _own_name(form: _Form, path: str) -> str:
    """Path inside the source's model, as the command line names it."""
    return path.removeprefix(f"{form.source.prefix}.") if form.source.prefix else path


def _texts(form: _Form, values: Mapping[str, Any], missing: set[str]) -> dict[str, Any]:
    """Nested texts of the values, as the command line's parser has them; blank ones are left out."""
    texts: dict[str, Any] = {}
    for path, info in form.infos.items():
        value = values[path]
        text = _some_allowed(info) if path in missing else as_text(value)
        if value is None and path not in missing:
            continue
        *groups, name = _own_name(form, path).split(".")
        place = texts
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = text
    return texts


def _some_allowed(info: FieldInfo) -> str:
    """Some allowed value of a required field, so that the others can be checked while it is missing."""
    annotation, _ = strip_optional(info.annotation)
    choices = get_args(annotation)
    if choices:
        return str(choices[0])
    return as_text(field_extra(info).get("ge") or 1) if annotation in (int, float) else "missing"


def _value(form: _Form, model: Group, path: str) -> Any:
    value: Any = model
    for name in _own_name(form, path).split("."):
        value = getattr(value, name)
    return value
