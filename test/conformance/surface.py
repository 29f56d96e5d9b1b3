"""Prints the public names of the Python SDK: exports, members of classes, keyword arguments."""

import ast
import inspect
import textwrap
from collections.abc import Iterator
from typing import Generic

import pawl

_NAMED = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)


def arguments(name: str, function: object) -> Iterator[str]:
    """Those with a default: the others are what it is about."""
    try:
        parameters = inspect.signature(function).parameters.values()  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return
    for each in parameters:
        if each.kind in _NAMED and each.default is not inspect.Parameter.empty:
            yield f"{name}({each.name})"


def attributes(kind: type) -> Iterator[str]:
    """What its constructors set."""
    for each in kind.__mro__:
        if not each.__module__.startswith("pawl") or "__init__" not in vars(each):
            continue
        try:
            tree = ast.parse(textwrap.dedent(inspect.getsource(each.__init__)))
        except OSError:  # made by dataclass, whose fields are members
            continue
        for node in ast.walk(tree):
            is_own = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
            if is_own and isinstance(node.value, ast.Name) and node.value.id == "self":
                yield node.attr


def members(name: str, kind: type) -> Iterator[str]:
    """Members that come from an exported base belong to that one."""
    bases = [
        base
        for base in kind.__mro__[1:]
        if base.__module__ == "builtins" or base.__name__ in pawl.__all__
    ]
    inherited = {each for base in [*bases, Generic] for each in [*dir(base), *attributes(base)]}
    fields = getattr(kind, "__dataclass_fields__", {})
    found = {*dir(kind), *attributes(kind), *fields} - inherited
    given = {f"{name}({each})" for each in found | inherited}
    if not issubclass(kind, BaseException):
        yield from (each for each in arguments(name, kind) if each not in given)
    for member in sorted(each for each in found if not each.startswith("_")):
        yield f"{name}.{member}"
        value = getattr(kind, member, None)
        if inspect.isfunction(value):
            yield from arguments(f"{name}.{member}", value)


def main() -> None:
    for name in pawl.__all__:
        print(name)
        value = getattr(pawl, name)
        for line in members(name, value) if isinstance(value, type) else arguments(name, value):
            print(line)


main()
