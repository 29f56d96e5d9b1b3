"""Prints the public names of the Python SDK: exports, members of classes, keyword arguments."""

import ast
import inspect
import textwrap
from collections.abc import Iterator

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
    yield from arguments(name, kind)
    inherited = {each for base in kind.__mro__ if not base.__module__.startswith("pawl") for each in dir(base)}
    fields = getattr(kind, "__dataclass_fields__", {})
    for member in sorted({*dir(kind), *attributes(kind), *fields} - inherited):
        if member.startswith("_"):
            continue
        yield f"{name}.{member}"
        found = getattr(kind, member, None)
        if inspect.isfunction(found):
            yield from arguments(f"{name}.{member}", found)


def main() -> None:
    for name in pawl.__all__:
        print(name)
        value = getattr(pawl, name)
        for line in members(name, value) if isinstance(value, type) else arguments(name, value):
            print(line)


main()
