"""Recorded data back to the types that annotations name: dataclasses, pydantic models, enums …

Only what plain data cannot be by itself is built; everything else is handed out as it was recorded.
Where pydantic is installed, a model validates itself.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import types
import typing
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from ..errors import InvalidValueError, UsageError

#: Makes a value of some type from recorded data; ValueError and TypeError where it does not fit.
Build = Callable[[Any], Any]

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable)
_SETS = (set, frozenset)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
_FROM_TEXT: dict[Any, Build] = {
    UUID: lambda value: value if isinstance(value, UUID) else UUID(value),
    Decimal: lambda value: value if isinstance(value, Decimal) else Decimal(str(value)),
    datetime: lambda value: value if isinstance(value, datetime) else datetime.fromisoformat(value),
    date: lambda value: value if isinstance(value, date) else date.fromisoformat(value),
    time: lambda value: value if isinstance(value, time) else time.fromisoformat(value),
    timedelta: lambda value: (
        value if isinstance(value, timedelta) else timedelta(milliseconds=value)
    ),
}
_cache: dict[Any, Build | None] = {}


def is_model(kind: Any) -> bool:
    """Whether it is a pydantic model's class."""
    return isinstance(kind, type) and hasattr(kind, "model_validate")


def builder(kind: Any) -> Build | None:
    """How to make such a value from recorded data; None where the data is it already."""
    try:
        if kind in _cache:
            return _cache[kind]
    except TypeError:
        return _make(kind)
    # A type that contains itself finds this one.
    _cache[kind] = lambda value: resolved(value)
    build = _make(kind)
    _cache[kind] = build

    def resolved(value: Any) -> Any:
        return value if build is None else build(value)

    return build


def _make(kind: Any) -> Build | None:
    if kind is None or kind is Any or isinstance(kind, str | typing.TypeVar):
        return None
    origin = typing.get_origin(kind)
    if origin is not None:
        return _make_generic(kind, origin, typing.get_args(kind))
    if kind in _FROM_TEXT:
        return _FROM_TEXT[kind]
    if is_model(kind):
        return _instance_or(kind, kind.model_validate)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type):
        return _dataclass(kind)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _instance_or(kind, kind)
    if typing.is_typeddict(kind):
        return _members({name: builder(hint) for name, hint in hints_of(kind).items()})
    if kind in (tuple, set, frozenset):
        return _instance_or(kind, kind)
    return None


def _instance_or(kind: type, build: Build) -> Build:
    return lambda value: value if isinstance(value, kind) else build(value)


def _make_generic(kind: Any, origin: Any, args: tuple[Any, ...]) -> Build | None:
    if origin is typing.Annotated:
        return builder(args[0])
    if origin in (typing.Union, types.UnionType):
        return _union(args)
    if is_model(origin):
        return _instance_or(origin, kind.model_validate)
    if origin is tuple:
        return _tuple(args)
    item = builder(args[0]) if args else None
    if origin in _SETS:
        return lambda value: origin(value if item is None else map(item, value))
    if origin in _LISTS:
        return None if item is None else lambda value: [item(each) for each in value]
    if origin in _DICTS and len(args) == 2:
        key, value_of = item, builder(args[1])
        if key is None and value_of is None:
            return None
        return lambda value: {
            (k if key is None else key(k)): (v if value_of is None else value_of(v))
            for k, v in value.items()
        }
    return None


def _tuple(args: tuple[Any, ...]) -> Build:
    if len(args) == 2 and args[1] is Ellipsis:
        each = builder(args[0])
        return lambda value: tuple(value if each is None else map(each, value))
    builds = [builder(arg) for arg in args]

    def build(value: Any) -> Any:
        if len(value) != len(builds):
            raise ValueError(f"has {len(value)} members instead of {len(builds)}")
        return tuple(
            item if make is None else make(item) for make, item in zip(builds, value, strict=True)
        )

    return build


def _union(args: tuple[Any, ...]) -> Build | None:
    """The first member that fits; data that needs no building fits as it is."""
    builds = [builder(arg) for arg in args if arg is not type(None)]
    plain = any(build is None for build in builds)
    makers = [build for build in builds if build is not None]
    if not makers:
        return None

    def build(value: Any) -> Any:
        if value is None:
            return None
        problem: Exception | None = None
        for make in makers:
            try:
                return make(value)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                problem = error
        if plain or problem is None:
            return value
        raise problem

    return build


def _members(builds: dict[str, Build | None]) -> Build | None:
    if all(build is None for build in builds.values()):
        return None

    def build(value: Any) -> Any:
        result = dict(value)
        for name, make in builds.items():
            if make is not None and name in result:
                result[name] = make(result[name])
        return result

    return build


def _dataclass(kind: Any) -> Build:
    hints = hints_of(kind)
    fields = {field.name: builder(hints.get(field.name)) for field in dataclasses.fields(kind)}
    initial = {field.name for field in dataclasses.fields(kind) if field.init}

    def build(value: Any) -> Any:
        if isinstance(value, kind):
            return value
        if not isinstance(value, dict):
            raise TypeError(f"is {type(value).__name__} instead of {kind.__name__}")
        unknown = value.keys() - fields.keys()
        if unknown:
            raise ValueError(f"{kind.__name__} has no {', '.join(sorted(unknown))}")
        made = {
            name: item if (make := fields[name]) is None else make(item)
            for name, item in value.items()
        }
        instance = kind(**{name: item for name, item in made.items() if name in initial})
        for name in made.keys() - initial:
            object.__setattr__(instance, name, made[name])
        return instance

    return build


def hints_of(target: Any) -> dict[str, Any]:
    """Its annotations, resolved; those that cannot be resolved are left out."""
    try:
        return typing.get_type_hints(target, include_extras=True)
    except Exception:  # an annotation is any expression
        found = getattr(target, "__annotations__", {})
        return {name: hint for name, hint in found.items() if not isinstance(hint, str)}


def build_as(build: Build | None, value: Any, what: str) -> Any:
    """Builds, and says what does not fit."""
    if build is None:
        return value
    try:
        return build(value)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidValueError(what, _problems(error)) from error


def _problems(error: Exception) -> list[str]:
    errors = getattr(error, "errors", None)
    if not callable(errors):
        return [str(error) or type(error).__name__]
    return [
        f"{'.'.join(str(part) for part in problem.get('loc', ()))}: {problem.get('msg', '')}"
        for problem in errors()
    ]


def json_schema_of(kind: Any) -> dict[str, Any] | None:
    """A pydantic model's JSON Schema; None for other types."""
    if not is_model(kind):
        return None
    schema = kind.model_json_schema()
    if not isinstance(schema, dict):
        raise UsageError(f"{kind.__name__}.model_json_schema() is no object")
    return schema
