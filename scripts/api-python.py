"""Prints the public surface of the package `pawl` as lines, one declaration each."""

from __future__ import annotations

import griffe

package = griffe.load("pawl", search_paths=["worker-sdk/python/src"], resolve_aliases=True)


def signature(function: griffe.Function) -> str:
    """A function with its parameters and result, as it is written."""
    return function.signature(return_type=True)


def show(name: str, member: griffe.Object | griffe.Alias) -> None:
    """Prints one public name, and of a class its public members."""
    if member.is_function:
        word = "async def" if "async" in member.labels else "def"
        print(f"{word} {name}{signature(member)[len(member.name) :]}")
    elif member.is_class:
        bases = ", ".join(str(base) for base in member.bases)
        print(f"class {name}({bases})")
        for key, inner in sorted(member.all_members.items()):
            own = inner.target if inner.is_alias and not inner.inherited else inner
            if key == "__init__" or not key.startswith("_"):
                show(f"{name}.{key}", own)
    else:
        print(f"{name}: {getattr(member, 'annotation', None)}")


exports = [str(name).strip("'\"") for name in package.exports or []]
for export in sorted(exports):
    shown = package[export]
    show(export, shown.final_target if shown.is_alias else shown)
