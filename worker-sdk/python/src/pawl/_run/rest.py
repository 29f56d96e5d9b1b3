"""When the code of a run rests: nothing of it is left for the event loop to call at once.

A loop of asyncio's own shows what it is about to call. Others (uvloop) do not: there the run's tasks are
looked at, and it rests once none of them has moved for some rounds of the loop, which callbacks between
futures take.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import Any
from weakref import WeakKeyDictionary, WeakSet

# As many callbacks may stand between a future and the task that waits for it.
_STILL_ROUNDS = 12

_watched: WeakKeyDictionary[asyncio.AbstractEventLoop, bool] = WeakKeyDictionary()


class Rest:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_flow: Callable[[Context], bool],
        rest_of: Callable[[Context], Rest | None],
    ) -> None:
        """`is_flow`: whether what runs in a context is the run's code. `rest_of`: that of the run whose
        code runs in a context.
        """
        self._is_flow = is_flow
        self._ready = getattr(loop, "_ready", None)
        self.tasks: WeakSet[asyncio.Task[Any]] = WeakSet()
        self._seen: dict[asyncio.Task[Any], Any] = {}
        self._still = 0
        if self._ready is None and loop not in _watched:
            _watched[loop] = True
            _watch_tasks(loop, rest_of)

    def begin(self) -> None:
        """Something has been handed to the code."""
        self._seen = {}
        self._still = 0

    def look(self) -> bool:
        """Whether it rests; to be asked once in each round of the loop."""
        if self._ready is not None:
            # Other threads add to it meanwhile.
            return not any(self._is_flow(handle._context) for handle in self._ready.copy())
        # What a task waits for is another future after each step of it, and none while it is to continue.
        now = {task: getattr(task, "_fut_waiter", None) for task in self.tasks if not task.done()}
        moves = any(future is None or future.done() for future in now.values())
        self._still = 0 if moves or now != self._seen else self._still + 1
        self._seen = now
        return self._still >= _STILL_ROUNDS


def _watch_tasks(
    loop: asyncio.AbstractEventLoop, rest_of: Callable[[Context], Rest | None]
) -> None:
    """Tells each run of the tasks that its code makes."""
    before: Any = loop.get_task_factory()

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = (
            asyncio.Task(work, loop=loop, **options)
            if before is None
            else before(loop, work, **options)
        )
        context = options.get("context") or copy_context()
        rest = rest_of(context)
        if rest is not None:
            rest.tasks.add(task)
        return task

    loop.set_task_factory(make)
