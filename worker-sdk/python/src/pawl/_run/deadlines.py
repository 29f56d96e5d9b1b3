"""The language's own deadlines around durable waits: `asyncio.timeout`, `asyncio.wait_for`, and
`asyncio.wait` with a timeout. They go by the clock of one execution: after a suspension they begin anew
or never fire, and a replay may go the other way. So they are refused, where they are found.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    from .run import Run

_Task = asyncio.Task[Any]


def refusal(name: str) -> UsageError:
    return UsageError(
        f'the wait "{name}" stands within asyncio.timeout, asyncio.wait_for or asyncio.wait with a '
        "timeout, which no replay can follow: give the wait itself a timeout (timeout=…), or let it race "
        "with ctx.sleep in ctx.race"
    )


def is_around(run: Run, task: _Task | None) -> bool:
    """Whether a deadline is running that would end what the task waits for. Loops that do not show their
    timers are not looked into; there it is noticed when it fires.
    """
    waiting = list(_waiting(run, task))
    # Those that run, and those that have just ended.
    timers = [*getattr(run.loop, "_scheduled", ()), *getattr(run.loop, "_ready", ())]
    return any(_concerns(handle, each) for handle in timers for each in waiting)


def _waiting(run: Run, task: _Task | None) -> Iterator[_Task]:
    """The task, and those that wait for it in ctx.all and the like."""
    while task is not None:
        yield task
        task = run.branch_parents.get(task)


def _concerns(handle: Any, task: _Task) -> bool:
    callback = getattr(handle, "_callback", None)
    if callback is None or handle.cancelled():
        return False
    owner = getattr(callback, "__self__", None)
    if isinstance(owner, asyncio.Timeout):
        waiting = getattr(owner, "_task", None)
        return waiting is task or (waiting is not None and _awaits(waiting, task, 8))
    if getattr(callback, "__name__", "") != "_release_waiter":
        return False
    return any(handle._args[0] in referred for referred in _callbacks(task))


def _awaits(waiting: Any, task: _Task, depth: int) -> bool:
    future = getattr(waiting, "_fut_waiter", None)
    if future is None or depth == 0:
        return False
    children = getattr(future, "_children", None) or [future]
    return any(each is task or _awaits(each, task, depth - 1) for each in children)


def _callbacks(task: _Task) -> Iterator[tuple[Any, ...]]:
    """What the callbacks of a task refer to: the futures of those who wait for it."""
    for callback, *_ in getattr(task, "_callbacks", None) or ():
        yield getattr(callback, "args", ())
        yield tuple(cell.cell_contents for cell in getattr(callback, "__closure__", None) or ())


def has_ended(run: Run, task: _Task | None) -> bool:
    """Whether it was a deadline that has just cancelled the task."""
    return any(_was_ended(each) for each in _waiting(run, task))


def _was_ended(task: _Task) -> bool:
    for callback, *_ in getattr(task, "_callbacks", None) or ():
        function = getattr(callback, "func", None)
        if getattr(function, "__name__", "") == "_release_waiter":
            return True
    return any(
        isinstance(referrer, asyncio.Timeout) and referrer.expired()
        for referrer in gc.get_referrers(task)
    )
