"""How a workflow's input becomes its arguments, and back.

A workflow with one parameter that stands for an object (a dataclass, a pydantic model, a TypedDict,
a dict), that has no annotation, or that is named `input`, gets the input itself. Otherwise the input
is an object with a member for each parameter: `async def pipeline(source: str, limit: int = 10)` takes
{"source": …, "limit": …}.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import typing
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .._codec.models import is_model, json_schema_of
from .._codec.typed import build_as, builder, hints_of, restore
from ..errors import InvalidValueError, UsageError
from .call import takes_context

_OBJECTS = (dict, collections.abc.Mapping, collections.abc.MutableMapping, Any, object)


def _is_object(kind: Any) -> bool:
    origin = typing.get_origin(kind) or kind
    return (
        origin in _OBJECTS
        or is_model(origin)
        or typing.is_typeddict(origin)
        or (isinstance(origin, type) and dataclasses.is_dataclass(origin))
    )


def _members_of(kind: Any) -> list[str] | None:
    """The members of an object type, where they are known."""
    if is_model(kind):
        return list(kind.model_fields)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return [field.name for field in dataclasses.fields(kind)]
    return list(hints_of(kind)) if typing.is_typeddict(kind) else None


def _required_members_of(kind: Any) -> list[str]:
    """The members that a dataclass cannot be made without."""
    if not (isinstance(kind, type) and dataclasses.is_dataclass(kind)):
        return []
    missing = dataclasses.MISSING
    return [
        field.name
        for field in dataclasses.fields(kind)
        if field.init and field.default is missing and field.default_factory is missing
    ]


def _schema_requiring(members: list[str], is_object: bool = True) -> dict[str, Any] | None:
    if not members:
        return None
    return {**({"type": "object"} if is_object else {}), "required": members}


class InputSignature:
    def __init__(self, name: str, fn: Callable[..., Any]) -> None:
        self._what = f'the input of workflow "{name}"'
        self.takes_context = takes_context(fn)
        parameters = list(inspect.signature(fn).parameters.values())[self.takes_context :]
        for parameter in parameters:
            if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                raise UsageError(
                    f'workflow "{name}" takes *{parameter.name}; name its parameters, since its '
                    "input is an object with a member for each"
                )
        self._signature = inspect.Signature(parameters)
        hints = hints_of(fn)
        self._kinds = {each.name: hints.get(each.name, Any) for each in parameters}
        self._builds = {name: builder(kind) for name, kind in self._kinds.items()}
        self._open = any(each.kind is inspect.Parameter.VAR_KEYWORD for each in parameters)
        only = parameters[0] if len(parameters) == 1 and not self._open else None
        #: The parameter that gets the input itself.
        self.whole = (
            only.name
            if only is not None and (only.name == "input" or _is_object(self._kinds[only.name]))
            else None
        )

    @property
    def parses(self) -> bool:
        """Whether its arguments may be something else than what was sent."""
        return any(build is not None for build in self._builds.values())

    def sent_as(self, arguments: Mapping[str, Any]) -> Any:
        """The input that would have been sent for these arguments."""
        if self.whole is not None:
            return arguments.get(self.whole)
        return dict(arguments) or None

    @property
    def json_schema(self) -> dict[str, Any] | None:
        """What the server checks before it starts a run: a model's schema, else what may not be missing."""
        if self.whole is not None:
            kind = self._kinds[self.whole]
            members = _required_members_of(kind) if self._is_required(self.whole) else []
            return json_schema_of(kind) or _schema_requiring(members)
        required = [name for name in self._kinds if self._is_required(name)]
        # The only argument may also be the input itself.
        return _schema_requiring(required, is_object=self._open or len(self._kinds) > 1)

    @property
    def template_names(self) -> list[str] | None:
        """What a run id template may name; None where that is not known."""
        if self._open:
            return None
        if self.whole is None:
            return list(self._kinds)
        members = _members_of(self._kinds[self.whole])
        return None if members is None else [self.whole, *members]

    def input_of(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The input that these arguments make; TypeError where they do not fit."""
        bound = self._signature.bind(*args, **kwargs)
        if self.whole is not None:
            return bound.arguments.get(self.whole)
        members = dict(bound.arguments)
        for parameter in self._signature.parameters.values():
            if parameter.kind is inspect.Parameter.VAR_KEYWORD:
                members.update(members.pop(parameter.name, {}))
        return members or None

    def template_values(self, input: Any) -> dict[str, Any]:
        """The values that a run id template may name."""
        if self.whole is None:
            defaults = {
                name: parameter.default
                for name, parameter in self._signature.parameters.items()
                if parameter.default is not inspect.Parameter.empty
            }
            return {**defaults, **(input if isinstance(input, dict) else {})}
        if isinstance(input, Mapping):
            return dict(input)
        members = _members_of(type(input)) or []
        return {self.whole: input, **{name: getattr(input, name) for name in members}}

    def arguments_of(self, data: Any, again: bool = False) -> dict[str, Any]:
        """Arguments by name from recorded data; InvalidValueError where they do not fit. `again`: they
        did when the run started, and rules that are stricter by now do not count.
        """
        if self.whole is not None:
            parameter = self._signature.parameters[self.whole]
            if data is None and parameter.default is not inspect.Parameter.empty:
                return {}
            return {self.whole: self._build(self.whole, data, self._what, again)}
        if not self._kinds:
            return {}
        if not isinstance(data, dict):
            if data is None:
                data = {}
            elif len(self._kinds) == 1 and not self._open:
                data = {next(iter(self._kinds)): data}
            else:
                wanted = ", ".join(self._kinds)
                raise InvalidValueError(self._what, [f"is not an object with the members {wanted}"])
        self._check_members(data)
        return {
            name: self._build(name, value, f'"{name}" of {self._what}', again)
            for name, value in data.items()
        }

    def _build(self, name: str, value: Any, what: str, again: bool) -> Any:
        try:
            return build_as(self._builds.get(name), value, what)
        except InvalidValueError:
            if not again:
                raise
            return restore(self._kinds[name], value)

    def _check_members(self, data: Mapping[str, Any]) -> None:
        problems = (
            []
            if self._open
            else [f"there is no {name}" for name in data.keys() - self._kinds.keys()]
        )
        problems += [
            f"{name} is missing"
            for name in self._kinds
            if name not in data and self._is_required(name)
        ]
        if problems:
            raise InvalidValueError(self._what, problems)

    def _is_required(self, name: str) -> bool:
        parameter = self._signature.parameters[name]
        is_rest = parameter.kind is inspect.Parameter.VAR_KEYWORD
        return parameter.default is inspect.Parameter.empty and not is_rest
