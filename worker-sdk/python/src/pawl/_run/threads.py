"""Threads for steps that are plain functions.

The pool that asyncio has by itself holds as many threads as there are cores, and four: steps that
wait for one another, or for a program that uses that pool too, would wait for a thread for ever. Its
threads are also joined when the interpreter exits, so one step that does not end would keep a worker
that has been told to stop from stopping. These are daemon threads: they end with the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
#: Made as they are needed, and kept.
_THREADS_MAX = 256


class Raised:
    """What a function raised. Kept apart from what it returned, since a future takes neither
    StopIteration nor what would end the event loop.
    """

    __slots__ = ("error",)

    def __init__(self, error: BaseException) -> None:
        self.error = error


class _Pool:
    def __init__(self) -> None:
        self._work: deque[Callable[[], object]] = deque()
        self._changed = threading.Condition()
        # Threads that wait for work.
        self._idle = 0
        self._threads = 0

    def run(self, work: Callable[[], object]) -> None:
        """Each work has a thread that waits for it, or is made for it, up to the maximum."""
        with self._changed:
            self._work.append(work)
            if len(self._work) <= self._idle or self._threads >= _THREADS_MAX:
                self._changed.notify()
                return
            self._threads += 1
            name = f"pawl-step-{self._threads}"
        threading.Thread(target=self._serve, name=name, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self._take()()

    def _take(self) -> Callable[[], object]:
        with self._changed:
            while not self._work:
                self._idle += 1
                self._changed.wait()
                self._idle -= 1
            return self._work.popleft()


_pool = _Pool()


async def in_thread(function: Callable[[], T]) -> T | Raised:
    """What the function returns or raises; all of it runs in one thread, and in one copy of the
    caller's context.
    """
    loop = asyncio.get_running_loop()
    outcome: asyncio.Future[T | Raised] = loop.create_future()
    context = contextvars.copy_context()

    def work() -> None:
        result: T | Raised
        try:
            result = context.run(function)
        except BaseException as error:
            result = Raised(error)
        try:
            loop.call_soon_threadsafe(_settle, outcome, result)
        except RuntimeError:
            # The event loop has been closed: nobody waits any more.
            return

    _pool.run(work)
    return await outcome


def _settle(outcome: asyncio.Future[Any], result: Any) -> None:
    if not outcome.done():
        outcome.set_result(result)
    elif inspect.iscoroutine(result):
        # Nobody waits any more, so it never starts.
        result.close()
