"""The expressions of programs, and the variables that they name."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from pawl import StepContext, current


class Scope:
    """Variables are shared by all blocks of a run; the item is not."""

    def __init__(self, variables: dict[str, Any] | None = None, item: Any = None) -> None:
        self._variables = {} if variables is None else variables
        self._item = item

    def with_item(self, item: Any) -> Scope:
        return Scope(self._variables, item)

    def set(self, name: Any, value: Any) -> None:
        if isinstance(name, str):
            self._variables[name] = value

    def evaluate(self, expression: Any) -> Any:
        if isinstance(expression, list):
            return [self.evaluate(one) for one in expression]
        if not isinstance(expression, dict):
            return expression
        if len(expression) == 1:
            [(name, argument)] = expression.items()
            if name.startswith("$"):
                return self._special(name, argument)
        return {key: self.evaluate(value) for key, value in expression.items()}

    def _special(self, name: str, argument: Any) -> Any:
        match name:
            case "$":
                return self._variable(argument)
            case "$attempt":
                return attempt()
            case "$key":
                here = current()
                return here.idempotency_key if isinstance(here, StepContext) else None
            case "$void":
                return None
            case "$bytes":
                return base64.b64decode(argument)
            case "$date":
                return datetime.fromisoformat(argument)
            case "$bigint":
                return int(argument)
            case "$language":
                return "python"
        raise ValueError(f"There is no expression {name}.")

    def _variable(self, path: str) -> Any:
        name, *members = path.split(".")
        value = self._item if name == "item" else self._variables.get(name)
        for member in members:
            value = value.get(member) if isinstance(value, Mapping) else None
        return value


def attempt() -> int:
    """Of the step that the caller is in."""
    here = current()
    return here.attempt if isinstance(here, StepContext) else 1


def to_json(value: Any) -> Any:
    """A program's result, as plain JSON."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, datetime):
        moment = value.astimezone(UTC).isoformat(timespec="milliseconds")
        return {"$date": moment.replace("+00:00", "Z")}
    if isinstance(value, int) and abs(value) >= 2**53:
        return {"$bigint": str(value)}
    if isinstance(value, list):
        return [to_json(one) for one in value]
    if isinstance(value, dict):
        return {key: to_json(one) for key, one in value.items()}
    return value
