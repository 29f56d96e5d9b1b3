"""Events as the items of a stream: what agents and models report while they work."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final, Literal

from .._lib.text import uuid7
from ..errors import UsageError
from .keys import check_name, check_text

#: How long live output is kept: `ephemeral`, for those who watch at that moment; `buffered`, until the
#: result of its step supersedes it; `durable`, as long as the run's journal.
Keep = Literal["ephemeral", "buffered", "durable"]

# Last words of types that open and close something.
_OPENS: Final = ("started", "start")
_CLOSES: Final = ("completed", "stop", "failed", "cancelled")
_INDEX_MAX: Final = 2**31 - 1


@dataclass(slots=True)
class StreamEvent:
    """An event of live output; as an item of a stream it goes out under its own type. Made by `event`."""

    type: str
    data: Any = None
    #: Default: `buffered`.
    keep: Keep | None = None
    #: Distinguishes parallel streams of one step.
    content_index: int = 0
    #: Names it, so that others can name it as their parent; unique within the run.
    id: str = ""
    #: The event that it belongs to. Default: the span, branch or step around it.
    parent: str = ""


def event(
    type: str,
    data: Any = None,
    *,
    keep: Keep | None = None,
    content_index: int = 0,
    id: str = "",
    parent: str = "",
) -> StreamEvent:
    """What a step or agent yields to send an event: `yield event("lm.message.delta", text)`. It goes out
    live, and is not a part of the step's result, except that `agent.completed` has it as its `output`.

    An event without a `parent` belongs to what is open in its stream: one of a family, such as
    `tool.call.delta`, to the latest `tool.call.started`, until `tool.call.completed`; all others to the
    innermost agent between `agent.started` and `agent.completed`. Where several of a family are open at
    once, give them an `id`, and name it as the `parent` of what belongs to them.
    """
    check_name("an event type", type)
    check_text(f'the parent of an event "{type}"', parent)
    check_text(f'the id of an event "{type}"', id)
    if keep not in (None, "ephemeral", "buffered", "durable"):
        raise UsageError(f'keep is "ephemeral", "buffered" or "durable"; it is {keep!r}')
    if not isinstance(content_index, int) or not 0 <= content_index <= _INDEX_MAX:
        raise UsageError(f"content_index is a whole number from 0; it is {content_index!r}")
    return StreamEvent(type, data, keep, content_index, id, parent)


@dataclass(slots=True)
class _Open:
    family: str
    id: str
    #: The agent around it.
    agent: str


class Nesting:
    """Finds parents of the events of one stream, in their order."""

    def __init__(self) -> None:
        # What was opened without an id; the innermost is the last.
        self._open: list[_Open] = []
        # The agents around those agents that named themselves.
        self._named: dict[str, str] = {}

    def place(self, given: StreamEvent) -> tuple[StreamEvent, bool]:
        """The event with its parent; and whether it is of the stream itself, in no agent."""
        family, _, word = given.type.rpartition(".")
        if word in _OPENS:
            return self._start(family, given)
        if word in _CLOSES:
            return self._end(family, given)
        latest = self._latest(family)
        parent = given.parent or ("" if latest is None else latest.id) or self._agent()
        return replace(given, parent=parent), parent == ""

    def _start(self, family: str, given: StreamEvent) -> tuple[StreamEvent, bool]:
        parent = given.parent or self._agent()
        own = given.id or uuid7()
        # Who names it names it as the parent, too.
        if not given.id:
            self._open.append(_Open(family, own, parent))
        if family == "agent":
            self._named[own] = parent
        return replace(given, id=own, parent=parent), parent == ""

    def _end(self, family: str, given: StreamEvent) -> tuple[StreamEvent, bool]:
        ended = (
            next((each for each in self._open if each.id == given.parent), None)
            if given.parent
            else self._latest(family)
        )
        if ended is not None:
            self._open.remove(ended)
        parent = given.parent or ("" if ended is None else ended.id) or self._agent()
        outermost = parent == "" or self._named.get(parent) == ""
        return replace(given, parent=parent), outermost

    def _latest(self, family: str) -> _Open | None:
        found = [each for each in self._open if family and each.family == family]
        return found[-1] if found else None

    def _agent(self) -> str:
        latest = self._latest("agent")
        return "" if latest is None else latest.id
