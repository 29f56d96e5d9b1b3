"""Notices that this process stood still: its event loop was blocked, or the process or the whole machine
was suspended. Whatever it had heard before says nothing about now: a lease may be gone.

A timer alone would notice too late, since what lies in the sockets may be read before it fires; so
code that is about to start something looks as well.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from weakref import WeakKeyDictionary

from .clock import now_s

_EVERY_S = 0.1
#: Two turns of the timer that are further apart than this are a gap.
_GAP_S = 0.5

#: Gets the gap's length in seconds, and the keys of steps whose code may have held the loop.
Listener = Callable[[float, list[str]], None]


class LoopWatch:
    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._listeners: list[Listener] = []
        self._timer: asyncio.TimerHandle | None = None
        self._turn = 0.0
        self._gap_end = -math.inf
        # Steps whose code is running in the loop, and those that have just ended.
        self._running: dict[object, str] = {}
        self._ended: list[str] = []

    def listen(self, listener: Listener) -> Callable[[], None]:
        """Calls the listener after each gap, until the returned function is called."""
        self._listeners.append(listener)
        if self._timer is None:
            self._tick()

        def end() -> None:
            if listener in self._listeners:
                self._listeners.remove(listener)
            if not self._listeners and self._timer is not None:
                self._timer.cancel()
                self._timer = None

        return end

    def _tick(self) -> None:
        if self._timer is not None:
            self.look()
        self._turn = now_s()
        self._ended.clear()
        self._timer = self._loop.call_later(_EVERY_S, self._tick)

    def look(self) -> None:
        """Notices a gap that ends now."""
        if self._timer is None:
            return
        now = now_s()
        gap = now - self._turn
        if gap <= _GAP_S:
            return
        self._turn = self._gap_end = now
        suspects = list(dict.fromkeys([*self._ended, *self._running.values()]))
        for listener in list(self._listeners):
            listener(gap, suspects)

    def stood_still_since(self, moment: float) -> bool:
        """Whether a gap has ended since that moment of `clock.now_s()`."""
        self.look()
        return self._gap_end >= moment

    def may_have_stood_still_since(self, moment: float) -> bool:
        """The same, for other threads: also if the loop has yet to notice."""
        is_late = self._timer is not None and now_s() - self._turn > _GAP_S
        return is_late or self._gap_end >= moment

    def begin(self, body: object, step_key: str) -> None:
        """Code of a step starts to run in the loop."""
        self._running[body] = step_key

    def end(self, body: object) -> None:
        step_key = self._running.pop(body, None)
        if step_key is not None:
            self._ended.append(step_key)


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, LoopWatch] = WeakKeyDictionary()


def loop_watch() -> LoopWatch:
    """That of the running event loop."""
    loop = asyncio.get_running_loop()
    watch = _watches.get(loop)
    if watch is None:
        watch = _watches[loop] = LoopWatch(loop)
    return watch


def describe(gap_s: float, step_keys: list[str]) -> str:
    """What to say of a gap in the log."""
    which = ""
    if len(step_keys) == 1:
        which = f" (step {step_keys[0]})"
    elif step_keys:
        which = (
            f" (one of the steps {', '.join(step_keys[:3])}{' …' if len(step_keys) > 3 else ''})"
        )
    hint = (
        "; what computes for long belongs in a plain function, which runs in a thread"
        if step_keys
        else "; the process may also have been suspended"
    )
    return f"the event loop was blocked for {round(gap_s * 1000)} ms{which}{hint}"
