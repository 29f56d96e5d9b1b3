"""What pydantic knows of types, where a program has it installed; nothing of it is loaded otherwise."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from collections.abc import Callable
from typing import Any

from ..errors import UsageError


@functools.cache
def is_installed() -> bool:
    return importlib.util.find_spec("pydantic") is not None


def is_model(kind: Any) -> bool:
    """Whether it is a pydantic model's class."""
    return (
        isinstance(kind, type) and hasattr(kind, "model_validate") and hasattr(kind, "model_dump")
    )


@functools.lru_cache(1_000)
def _dumps_by_alias(kind: Any) -> bool:
    """Whether what it writes under its aliases is also read under them."""
    return all(
        field.serialization_alias in (None, field.alias, field.validation_alias)
        for field in kind.model_fields.values()
    )


def dump(value: Any) -> dict[str, Any]:
    """A model's data, of which it can be made again: what is computed or made for others is left out,
    and what is excluded for others is not.
    """
    kind: Any = type(value)
    by_alias = _dumps_by_alias(kind)
    data: dict[str, Any] = value.model_dump(
        by_alias=by_alias, round_trip=True, serialize_as_any=True, warnings=False
    )
    for name, field in kind.model_fields.items():
        if field.exclude:
            data[field.alias if by_alias and field.alias else name] = getattr(value, name)
    return data


def values_of(kind: Any, data: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Name, type and value of a model's fields that the data has."""
    found = []
    for name, field in kind.model_fields.items():
        for key in (name, field.alias):
            if key in data:
                found.append((name, field.annotation, data[key]))
                break
    return found


def as_plain(value: Any) -> Any:
    """A value of some other type that pydantic can write as JSON, such as a path or a URL; None where
    it cannot.
    """
    if not is_installed():
        return None
    import pydantic_core

    try:
        return pydantic_core.to_jsonable_python(value, serialize_unknown=False)
    except Exception:
        return None


def validator(kind: Any) -> Callable[[Any], Any] | None:
    """Makes a value of the type from data; None where pydantic does not know the type."""
    if not is_installed():
        return None
    import pydantic

    try:
        adapter = pydantic.TypeAdapter(kind)
    except Exception:
        return None
    if "by_name" in inspect.signature(adapter.validate_python).parameters:
        return lambda data: adapter.validate_python(data, by_name=True, by_alias=True)
    return adapter.validate_python


def json_schema_of(kind: Any) -> dict[str, Any] | None:
    """A pydantic model's JSON Schema; None for other types."""
    if not is_model(kind):
        return None
    schema = kind.model_json_schema()
    if not isinstance(schema, dict):
        raise UsageError(f"{kind.__name__}.model_json_schema() is not an object")
    return schema
