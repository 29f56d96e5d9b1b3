"""Run ids from templates: "order-{order_id}" over the workflow's parameters or its input's members.

Values are escaped, so that what comes between two variables cannot be part of a value: two different
inputs never make the same id by shifting characters from one variable to the next.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from ._lib import limits
from ._lib.text import escape_chars, exceeds_bytes
from .errors import UsageError

_LITERAL = re.compile(r"[A-Za-z0-9\-_.:~/@]*")
_VARIABLE = re.compile(r"\{([^{}]+)\}")


class RunIdTemplate:
    def __init__(self, template: str, declared: Collection[str] | None) -> None:
        """`declared`: the variables that there are, where they are known."""
        self.template = template
        parts = _VARIABLE.split(template)
        self.literals = parts[::2]
        self.variables = parts[1::2]
        self._check(declared)
        between = "".join(dict.fromkeys("".join(self.literals[1:-1])))
        separators = f"|[{re.escape(between)}]" if between else ""
        self._reserved = re.compile(rf"[^A-Za-z0-9\-_.~]{separators}")

    def _check(self, declared: Collection[str] | None) -> None:
        template = self.template
        for literal in self.literals:
            if not _LITERAL.fullmatch(literal):
                raise UsageError(
                    f'the run id template "{template}" has a part "{literal}"; only '
                    "{variables}, letters, digits and -_.:~/@ are allowed"
                )
        if not self.variables:
            raise UsageError(
                f'the run id template "{template}" has no variable, so that there could only ever '
                f'be one run; write for example "{template}-{{id}}"'
            )
        if "" in self.literals[1:-1]:
            raise UsageError(
                f'the run id template "{template}" has two variables next to each other; put '
                'something between them, or "1","23" and "12","3" would make one id'
            )
        unknown = [name for name in self.variables if declared is not None and name not in declared]
        if unknown:
            raise UsageError(
                f'the run id template "{template}" names {{{"}, {".join(unknown)}}}, which the input '
                f"does not have; it has {', '.join(declared or ()) or 'nothing'}"
            )

    def _text(self, name: str, values: Mapping[str, Any]) -> str:
        value = values.get(name)
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, str | int) and value != "":
            return str(value)
        if isinstance(value, float) and math.isfinite(value):
            return str(int(value)) if value.is_integer() else repr(value)
        seen = (
            "is missing" if name not in values else "is empty" if value == "" else f"is {value!r}"
        )
        raise UsageError(
            f'the run id "{self.template}" needs "{name}" to be a text, number or boolean, but it '
            f"{seen}; or give a run_id yourself"
        )

    def render(self, values: Mapping[str, Any]) -> str:
        """UsageError where a variable has no usable value."""
        id = self.literals[0]
        for name, literal in zip(self.variables, self.literals[1:], strict=True):
            id += escape_chars(self._text(name, values), self._reserved) + literal
        if exceeds_bytes(id, limits.RUN_ID_BYTES_MAX):
            raise UsageError(
                f'the run id "{id[:60]}…" has {len(id)} characters, {limits.RUN_ID_BYTES_MAX} are '
                "possible; give a run_id yourself"
            )
        return id
