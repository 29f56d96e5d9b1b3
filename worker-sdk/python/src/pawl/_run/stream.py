"""How the items that a step yields become its result."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

from ..errors import UsageError
from .stream_event import Nesting, StreamEvent

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


class Items(_Reducer):
    """What a stream yields: events, and the items of which its result is made."""

    def __init__(self, reduce: Reduce, name: str) -> None:
        super().__init__(reduce, name)
        self._nesting: Nesting | None = None
        # Of the stream's own agent.
        self._output: tuple[Any] | None = None

    def take(self, item: Any) -> Any:
        """Returns what is to be sent: the item, or the event with its parent."""
        if not isinstance(item, StreamEvent):
            self.add(item)
            return item
        if self._nesting is None:
            self._nesting = Nesting()
        placed, outermost = self._nesting.place(item)
        data = placed.data
        if outermost and placed.type == "agent.completed" and isinstance(data, Mapping):
            self._output = (data["output"],) if "output" in data else self._output
        return placed

    def result(self) -> Any:
        if self._reduce == "join" and self._output is not None:
            return self._output[0]
        return super().result()
