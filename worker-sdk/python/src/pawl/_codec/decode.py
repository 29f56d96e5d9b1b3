"""JSON values with tags back to what they stand for."""

from __future__ import annotations

import base64
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..errors import RecordedError, TerminalError
from .encode import TAG


def _damaged(tag: object) -> TerminalError:
    return TerminalError(
        f"a recorded value has a part of type {tag!r} that this SDK version does not know; "
        "upgrade pawl-sdk"
    )


def _pairs(value: object, tag: str) -> list[tuple[Any, Any]]:
    if not isinstance(value, list):
        raise _damaged(tag)
    return [(pair[0], pair[1]) for pair in value]


def _error(value: object) -> RecordedError:
    parts: dict[str, Any] = value if isinstance(value, dict) else {}
    stack = parts.get("stack")
    error = RecordedError(
        str(parts.get("name")), str(parts.get("message")), stack if isinstance(stack, str) else ""
    )
    cause = revive(parts.get("cause"))
    if isinstance(cause, BaseException):
        error.__cause__ = cause
    return error


def _as_key(value: Any) -> Any:
    """As it can be a key or in a set, where that is possible: lists as tuples, sets as frozensets."""
    if isinstance(value, list):
        return tuple(_as_key(item) for item in value)
    return frozenset(value) if isinstance(value, set) else value


def _is_hashable(value: object) -> bool:
    try:
        hash(value)
    except TypeError:
        return False
    return True


def _map(value: object) -> Any:
    """A dict; pairs where a key cannot be one in Python."""
    pairs = [(revive(key), revive(item)) for key, item in _pairs(value, "map")]
    keyed = [(_as_key(key), item) for key, item in pairs]
    return dict(keyed) if all(_is_hashable(key) for key, _ in keyed) else pairs


def _set(value: object) -> Any:
    """A set; a list where an item cannot be in one in Python."""
    if not isinstance(value, list):
        raise _damaged("set")
    items = [revive(item) for item in value]
    keyed = [_as_key(item) for item in items]
    return set(keyed) if all(map(_is_hashable, keyed)) else items


def _duration(value: Any, micros: Any) -> timedelta:
    """`micros` completes what a number of milliseconds cannot say exactly."""
    return timedelta(milliseconds=value) + timedelta(microseconds=micros or 0)


def _tagged(tag: object, value: Any, micros: Any) -> Any:
    match tag:
        case "undefined":
            return None
        case "number":
            return float(value)
        case "bigint":
            return int(value)
        case "date":
            return None if value is None else datetime.fromisoformat(value)
        case "bytes":
            return base64.b64decode(value)
        case "map":
            return _map(value)
        case "set":
            return _set(value)
        case "error":
            return _error(value)
        case "object":
            return {str(key): revive(item) for key, item in _pairs(value, "object")}
        case "decimal":
            return Decimal(value)
        case "uuid":
            return UUID(value)
        case "duration":
            return _duration(value, micros)
        case "local-datetime":
            return datetime.fromisoformat(value)
        case "local-date":
            return date.fromisoformat(value)
        case "local-time":
            return time.fromisoformat(value)
    raise _damaged(tag)


def revive(value: Any) -> Any:
    """Replaces tagged objects by what they stand for; changes its argument."""
    if isinstance(value, list):
        for i, item in enumerate(value):
            if isinstance(item, list | dict):
                value[i] = revive(item)
        return value
    if not isinstance(value, dict):
        return value
    if TAG in value:
        return _tagged(value[TAG], value.get("value"), value.get("micros"))
    for key, item in value.items():
        if isinstance(item, list | dict):
            value[key] = revive(item)
    return value
