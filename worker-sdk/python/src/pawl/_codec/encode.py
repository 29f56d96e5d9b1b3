"""Values to JSON values.

What plain JSON has becomes JSON (`json`). A value that contains anything else that survives a
recording becomes JSON with tagged objects (`json+pawl`):

    {"$pawl": "date", "value": "2026-01-31T12:00:00.000Z"}

In `json+pawl` an ordinary object with a key `$pawl` is itself tagged (`object`), so nothing that
user code holds can be mistaken for a tag. In `json` no tag is ever looked for.

docs/protocol.md lists the tags. Tuples become lists, as JSON has it; dataclasses, pydantic models
and enums become plain data, and are built again from it where a type annotation says so.
"""

from __future__ import annotations

import base64
import dataclasses
import json
import math
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from .._lib.limits import VALUE_DEPTH_MAX
from .._lib.text import shown, well_formed
from ..errors import RecordedError, SerializationError, TerminalError
from . import models

TAG: Final = "$pawl"
INT_MAX: Final = 2**53 - 1
_PLAIN: Final = (bool, type(None))

to_text = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


def to_bytes(value: object) -> bytes:
    """JSON values as UTF-8 JSON."""
    return to_text(value).encode()


def moment_text(moment: datetime) -> str:
    utc = moment.astimezone(UTC)
    digits = "milliseconds" if utc.microsecond % 1_000 == 0 else "microseconds"
    return utc.replace(tzinfo=None).isoformat(timespec=digits) + "Z"


#: Where a value is, from the inside out; rendered only for errors.
Path = tuple["Path", str | int] | None


def _rendered(path: Path) -> str:
    text = ""
    while path is not None:
        path, key = path
        if isinstance(key, int):
            text = f"[{key}]{text}"
        elif key.startswith("<"):
            text = key + text
        else:
            text = (f".{key}" if key.isidentifier() else f"[{to_text(key)}]") + text
    return text


class Conversion:
    """One value on its way: what it met is noted."""

    __slots__ = ("escape", "kinds", "lookalike", "tagged", "typed", "what")

    def __init__(self, what: str, escape: bool, typed: bool) -> None:
        self.what = what
        self.escape = escape
        # Instances of classes are built again by the reader.
        self.typed = typed
        self.tagged = False
        self.lookalike = False
        # The classes of the instances that have become plain data.
        self.kinds: list[type] = []

    def refuse(self, path: Path, problem: str) -> SerializationError:
        return SerializationError(self.what, _rendered(path), problem)

    def tag(self, tag: str, value: object = None) -> dict[str, Any]:
        self.tagged = True
        return {TAG: tag} if value is None else {TAG: tag, "value": value}

    def convert(self, value: object, path: Path, depth: int) -> object:
        kind = type(value)
        if kind is str:
            assert isinstance(value, str)
            return value if value.isascii() else well_formed(value)
        if kind in _PLAIN:
            return value
        if kind is int:
            assert isinstance(value, int)
            return value if -INT_MAX <= value <= INT_MAX else self.tag("bigint", str(value))
        if kind is float:
            assert isinstance(value, float)
            return value if math.isfinite(value) else self.tag("number", _float_text(value))
        if depth > VALUE_DEPTH_MAX:
            raise self.refuse(
                None, f"refers to itself, or is nested deeper than {VALUE_DEPTH_MAX} levels"
            )
        if kind is list or kind is tuple:
            assert isinstance(value, list | tuple)
            return [self.convert(item, (path, i), depth + 1) for i, item in enumerate(value)]
        if kind is dict:
            assert isinstance(value, dict)
            return self.convert_dict(value, path, depth + 1)
        return self.convert_other(value, path, depth + 1)

    def convert_dict(self, value: Mapping[Any, object], path: Path, depth: int) -> object:
        members: list[tuple[str, object]] = []
        for key, item in value.items():
            if type(key) is not str:
                return self.convert_map(value, path, depth)
            if key == TAG:
                self.lookalike = True
            name = key if key.isascii() else well_formed(key)
            plain = type(item) is str and item.isascii()
            members.append((name, item if plain else self.convert(item, (path, key), depth)))
        if self.escape and TAG in value:
            return self.tag("object", [[key, item] for key, item in members])
        return dict(members)

    def convert_map(self, value: Mapping[Any, object], path: Path, depth: int) -> object:
        if all(isinstance(key, str) for key in value):
            return self.convert_dict({str(key): item for key, item in value.items()}, path, depth)
        return self.tag(
            "map",
            [
                [
                    self.convert(key, (path, f"<key {i}>"), depth),
                    self.convert(item, (path, f"<value {i}>"), depth),
                ]
                for i, (key, item) in enumerate(value.items())
            ],
        )

    def convert_other(self, value: object, path: Path, depth: int) -> object:
        match value:
            case bytes() | bytearray() | memoryview():
                return self.tag("bytes", base64.b64encode(bytes(value)).decode())
            case Enum():
                self.note(value, path)
                return self.convert(value.value, path, depth)
            case str():
                return well_formed(str.__str__(value))
            case int():
                return self.convert(int(value), path, depth)
            case float():
                return self.convert(float(value), path, depth)
            case set() | frozenset():
                items = [self.convert(item, (path, "<item>"), depth) for item in value]
                # The order of a set is not that of the next process.
                return self.tag("set", sorted(items, key=to_text))
            case datetime() | date() | time() | timedelta():
                return self.convert_time(value)
            case Decimal():
                return self.tag("decimal", str(value))
            case UUID():
                return self.tag("uuid", str(value))
            case BaseException():
                return self.convert_error(value, path, depth)
            case Mapping():
                return self.convert_dict(value, path, depth)
            case list() | tuple():
                if hasattr(type(value), "_fields"):
                    self.note(value, path)
                return self.convert(list(value), path, depth)
        return self.convert_model(value, path, depth)

    def convert_time(self, value: date | time | timedelta) -> object:
        if isinstance(value, datetime):
            if value.tzinfo is not None:
                return self.tag("date", moment_text(value))
            return self.tag("local-datetime", value.isoformat())
        if isinstance(value, timedelta):
            return self.convert_duration(value)
        return self.tag(
            "local-date" if isinstance(value, date) else "local-time", value.isoformat()
        )

    def convert_duration(self, value: timedelta) -> object:
        ms = value / timedelta(milliseconds=1)
        try:
            exact = timedelta(milliseconds=ms) == value
        except OverflowError:
            exact = False
        if exact:
            return self.tag("duration", ms)
        whole = value // timedelta(milliseconds=1)
        micros = (value - timedelta(milliseconds=whole)) // timedelta(microseconds=1)
        tagged = self.tag("duration", whole)
        return tagged if micros == 0 else {**tagged, "micros": micros}

    def convert_error(self, error: BaseException, path: Path, depth: int) -> object:
        recorded = isinstance(error, RecordedError)
        name = error.type if isinstance(error, RecordedError) else type(error).__name__
        message = shown(
            lambda: error.args[0] if recorded else error, "an error without a readable message"
        )
        parts: dict[str, object] = {"name": well_formed(name), "message": message}
        if error.__cause__ is not None:
            parts["cause"] = self.convert(error.__cause__, (path, "cause"), depth)
        return self.tag("error", parts)

    def convert_model(self, value: object, path: Path, depth: int) -> object:
        name = type(value).__name__
        if hasattr(value, "get_secret_value"):
            raise self.refuse(path, f"is a {name}; a secret must not be recorded")
        if models.is_model(type(value)):
            self.note(value, path)
            return self.convert(models.dump(value), path, depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            self.note(value, path)
            fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
            return self.convert_dict(fields, path, depth)
        if hasattr(value, "__await__"):
            raise self.refuse(path, "is still to be awaited; await it first")
        if callable(value):
            raise self.refuse(path, "is a function; record data only")
        plain = models.as_plain(value)
        if plain is not None:
            self.note(value, path)
            return self.convert(plain, path, depth)
        raise self.refuse(
            path,
            f"is an instance of {name}, whose class would be lost; return plain data, a dataclass "
            "or a pydantic model",
        )

    def note(self, value: object, path: Path) -> None:
        """An instance of a class is about to become plain data."""
        self.kinds.append(type(value))
        if self.typed:
            return
        name = type(value).__name__
        raise self.refuse(
            path,
            f"is a {name}, and nothing says that it is to be a {name} again in a replay; annotate "
            f"the function's result (-> {name}), or pass returns={name}",
        )


def _float_text(value: float) -> str:
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def to_json(value: object, what: str, typed: bool) -> tuple[object, Conversion]:
    """Turns a value into JSON values; the conversion says what it met.

    `what` names the value in errors; `typed`: instances of classes are built again later.
    """
    first = Conversion(what, escape=False, typed=typed)
    try:
        converted = first.convert(value, None, 0)
        if first.tagged and first.lookalike:
            first.escape = True
            converted = first.convert(value, None, 0)
    except TerminalError:
        raise
    except BaseException as error:
        # Of a property, a serializer, a comparison: trying the step again would not help.
        problem = f"cannot be read: {type(error).__name__}: {shown(error.__str__, 'no message')}"
        raise SerializationError(what, "", problem) from error
    return converted, first
