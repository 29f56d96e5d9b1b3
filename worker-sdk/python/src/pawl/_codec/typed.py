"""Recorded data back to the types that annotations name: dataclasses, pydantic models, enums …

Only what plain data cannot be by itself is built; everything else is handed out as it was recorded.
Structure is followed here; models, unions and whatever else a type says are pydantic's, where it is
installed, and done as well as can be where it is not. Before a result is recorded it is built once
from what is to be recorded, so that it is known to be the same in a replay.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

from ..errors import InvalidValueError, SerializationError
from . import models
from .encode import to_json
from .payload import Encoded

#: Makes a value of some type from recorded data; raises whatever the type raises where it does not fit.
Build = Callable[[Any], Any]

_LISTS = (list, collections.abc.Sequence, collections.abc.Iterable, collections.abc.Collection)
_SETS = (set, frozenset)
_DICTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping)
#: What data is by itself, and what is handed out as it was recorded.
_PLAIN = (str, bool, int, float, bytes, bytearray, list, dict, type(None), BaseException)
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
_CACHED_MAX = 1_000
_cache: dict[Any, Build | None] = {}


class Unbuildable:
    """The type is a class of which no value can be made from data."""

    def __init__(self, kind: type) -> None:
        self.name = kind.__name__

    def __call__(self, value: Any) -> Any:
        return value


def builder(kind: Any) -> Build | None:
    """How to make such a value from recorded data; None where the data is it already."""
    try:
        if kind in _cache:
            return _cache[kind]
    except TypeError:
        return _make(kind)
    if len(_cache) >= _CACHED_MAX:
        # Classes that are made in functions are new ones each time.
        _cache.clear()
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
    if isinstance(kind, typing.NewType):
        return builder(kind.__supertype__)
    if type(kind).__name__ == "TypeAliasType":
        return builder(kind.__value__)
    origin = typing.get_origin(kind)
    if origin is not None:
        return _make_generic(kind, origin, typing.get_args(kind))
    if kind in _FROM_TEXT:
        return _FROM_TEXT[kind]
    return _make_class(kind) if isinstance(kind, type) else models.validator(kind)


def _make_class(kind: type) -> Build | None:
    if models.is_model(kind):
        return _instance_or(kind, models.validator(kind) or kind.model_validate)  # type: ignore[attr-defined]
    if hasattr(kind, "__pydantic_validator__"):
        return _instance_or(kind, models.validator(kind) or kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass(kind, {})
    if issubclass(kind, Enum):
        return _instance_or(kind, kind)
    if typing.is_typeddict(kind):
        return _members({name: builder(hint) for name, hint in hints_of(kind).items()})
    if issubclass(kind, tuple) and hasattr(kind, "_fields"):
        return _named_tuple(kind)
    if kind in (tuple, set, frozenset):
        return _instance_or(kind, kind)
    if kind is object or issubclass(kind, _PLAIN) or _is_abstract(kind):
        return None
    return models.validator(kind) or Unbuildable(kind)


def _is_abstract(kind: type) -> bool:
    """It says what a value can do and not what it is."""
    return inspect.isabstract(kind) or getattr(kind, "_is_protocol", False) is True


def _instance_or(kind: type, build: Build) -> Build:
    return lambda value: value if isinstance(value, kind) else build(value)


def _make_generic(kind: Any, origin: Any, args: tuple[Any, ...]) -> Build | None:
    if origin is typing.Annotated:
        return models.validator(kind) if builder(args[0]) is not None else None
    if origin is typing.Literal:
        return _literal(args)
    if origin in (typing.Union, types.UnionType):
        return _union(kind, args)
    if origin in (collections.abc.Coroutine, collections.abc.Awaitable):
        return builder(args[-1])
    if models.is_model(origin):
        return _instance_or(origin, models.validator(kind) or kind.model_validate)
    if dataclasses.is_dataclass(origin) and isinstance(origin, type):
        names = getattr(origin, "__parameters__", ())
        return _dataclass(origin, dict(zip(names, args, strict=False)))
    if origin is tuple:
        return _tuple(args)
    item = builder(args[0]) if args else None
    if origin in _SETS:
        return lambda value: origin(value if item is None else map(item, value))
    if origin in _LISTS:
        return None if item is None else lambda value: [item(each) for each in value]
    if origin in _DICTS and len(args) == 2:
        return _dict(item, builder(args[1]))
    return None


def _dict(key: Build | None, item: Build | None) -> Build | None:
    if key is None and item is None:
        return None

    def build(value: Any) -> Any:
        # Pairs: the keys are not keys before they are built.
        pairs = value.items() if isinstance(value, Mapping) else value
        return {(k if key is None else key(k)): (v if item is None else item(v)) for k, v in pairs}

    return build


def _literal(args: tuple[Any, ...]) -> Build | None:
    named = {each.value: each for each in args if isinstance(each, Enum)}
    if not named:
        return None
    return lambda value: named.get(value, value)


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


def _named_tuple(kind: Any) -> Build:
    hints = hints_of(kind)
    make = _tuple(tuple(hints.get(name, Any) for name in kind._fields))

    def build(value: Any) -> Any:
        if isinstance(value, Mapping):
            value = [value[name] for name in kind._fields]
        return kind._make(make(value))

    return _instance_or(kind, build)


def _union(kind: Any, args: tuple[Any, ...]) -> Build | None:
    members = [arg for arg in args if arg is not type(None)]
    makers = [make for make in map(builder, members) if make is not None]
    if not makers:
        return None
    choose = models.validator(kind) if len(members) > 1 else None
    if choose is None:
        choose = _first_that_fits(members, makers)
    return lambda value: None if value is None else choose(value)


def _first_that_fits(members: list[Any], makers: list[Build]) -> Build:
    """As pydantic does it in the main: what a value is already comes before what it could be made into;
    then what loses nothing.
    """
    exact = tuple(
        typing.get_origin(each) or each
        for each in members
        if each in _FROM_TEXT or builder(each) is None
    )
    plain = any(builder(each) is None for each in members)

    def build(value: Any) -> Any:
        if type(value) in exact:
            return value
        fitting: list[Any] = []
        problem: Exception | None = None
        for make in makers:
            try:
                made = make(value)
            except Exception as error:
                problem = error
                continue
            if to_json(made, "", True)[0] == to_json(value, "", True)[0]:
                return made
            fitting.append(made)
        if plain or problem is None:
            return value
        if fitting:
            return fitting[0]
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


def _dataclass(kind: Any, parameters: dict[Any, Any]) -> Build:
    hints = hints_of(kind)
    fields = {
        field.name: builder(_with_arguments(hints.get(field.name), parameters))
        for field in dataclasses.fields(kind)
    }
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


def _with_arguments(hint: Any, parameters: dict[Any, Any]) -> Any:
    """A hint of a generic class with the class's arguments in the place of its type variables."""
    if isinstance(hint, typing.TypeVar):
        return parameters.get(hint, Any)
    own = getattr(hint, "__parameters__", ())
    if not parameters or not own or isinstance(hint, type):
        return hint
    return hint[tuple(parameters.get(each, Any) for each in own)]


def restore(kind: Any, data: Any) -> Any:
    """As well as can be, an instance of a class from data that fitted it once: without its rules."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    if isinstance(data, dict) and models.is_model(kind):
        values = models.values_of(kind, data)
        return kind.model_construct(**{name: _either(hint, item) for name, hint, item in values})
    if isinstance(data, dict) and dataclasses.is_dataclass(kind) and isinstance(kind, type):
        instance = object.__new__(kind)
        hints = hints_of(kind)
        for name, item in data.items():
            object.__setattr__(instance, name, _either(hints.get(name), item))
        return instance
    return data


def _either(kind: Any, data: Any) -> Any:
    try:
        return build_as(builder(kind), data, "it")
    except InvalidValueError:
        return restore(kind, data)


def hints_of(target: Any) -> dict[str, Any]:
    """Its annotations, resolved; those that cannot be resolved are left out."""
    cells = getattr(target, "__closure__", None) or ()
    names = getattr(getattr(target, "__code__", None), "co_freevars", ())
    try:
        local = {name: cell.cell_contents for name, cell in zip(names, cells, strict=True)}
        return typing.get_type_hints(target, localns=local or None, include_extras=True)
    except Exception:  # an annotation is any expression
        found = getattr(target, "__annotations__", {})
        return {name: hint for name, hint in found.items() if not isinstance(hint, str)}


def build_as(build: Build | None, value: Any, what: str) -> Any:
    """Builds, and says what does not fit. What the type's own code raises is its way to say so."""
    if build is None:
        return value
    try:
        return build(value)
    except BaseException as error:
        raise InvalidValueError(what, _problems(error)) from error


def _problems(error: BaseException) -> list[str]:
    try:
        errors = getattr(error, "errors", None)
        if callable(errors):
            return [
                f"{'.'.join(str(part) for part in problem.get('loc', ()))}: {problem.get('msg', '')}"
                for problem in errors()
            ]
        return [str(error) or type(error).__name__]
    except BaseException:
        return [type(error).__name__]


def rebuilt(build: Build | None, encoded: Encoded, what: str) -> Any:
    """What a replay will be given. InvalidValueError where it cannot be built, SerializationError where
    that would be something else than what was recorded.
    """
    value = build_as(build, encoded.decoded(), what)
    if not encoded.kinds or build is None:
        return value
    again, conversion = to_json(value, what, True)
    if Counter(conversion.kinds) != Counter(encoded.kinds):
        was = _names(Counter(encoded.kinds) - Counter(conversion.kinds))
        is_ = _names(Counter(conversion.kinds) - Counter(encoded.kinds))
        raise SerializationError(
            what,
            "",
            f"has {was or 'parts'} that would be {is_ or 'plain data'} in a replay; make its type say "
            "which one it is",
        )
    if again != encoded.json:
        raise SerializationError(
            what,
            "",
            "would not be the same in a replay: making it again from what is recorded changes it (a "
            "validator, a default or an initializer of its class)",
        )
    return value


def _names(kinds: Counter[type]) -> str:
    return ", ".join(sorted(kind.__name__ for kind in kinds))
