"""How the items that a step yields become its result."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from ..errors import UsageError

#: `join` concatenates texts, `collect` makes a list, `last` takes the last item (or None), a
#: function gets the list. The same for no, one and many items.
Reduce = Literal["join", "collect", "last"] | Callable[[list[Any]], Any]


class _Reducer:
    def __init__(self, reduce: Reduce, name: str) -> None:
        self._reduce = reduce
        self._name = name
        self._items: list[Any] = []

    def add(self, item: Any) -> None:
        if self._reduce == "join" and not isinstance(item, str):
            raise UsageError(
                f'step "{self._name}" yields values that are not texts; say with '
                'reduce="collect", "last" or a function what its result is'
            )
        if self._reduce == "last":
            self._items.clear()
        self._items.append(item)

    def result(self) -> Any:
        if self._reduce == "join":
            return "".join(self._items)
        if self._reduce == "last":
            return self._items[-1] if self._items else None
        return self._items if self._reduce == "collect" else self._reduce(self._items)


def reducer_of(reduce: Reduce, name: str) -> _Reducer:
    return _Reducer(reduce, name)
