"""When a run has nothing to do here: no operation is busy, and what is pending is the server's.

It has to stay so for a moment, since user code may do things between its steps that nobody sees.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from .._lib import limits


class Waiting:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        may_be_quiet: Callable[[int, int], bool],
        on_quiet: Callable[[], None],
        now: Callable[[], float],
    ) -> None:
        """`may_be_quiet`: whether it is quiet now, by how many operations are busy, and how many waits
        there are. `on_quiet`: it has been quiet for a moment.
        """
        self._loop = loop
        self._may_be_quiet = may_be_quiet
        self._on_quiet = on_quiet
        self._now = now
        # Operations that have something of this worker's to do.
        self._busy = 0
        # Grows with everything that happens.
        self.activity = 0
        # Due times in seconds since the epoch, where known, by step key.
        self._waits: dict[str, float | None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def set_busy(self, busy: bool) -> None:
        """An operation has something to do here (True), or only waits."""
        self.activity += 1
        if busy:
            self._busy += 1
        else:
            self._busy -= 1
            self.check()

    @property
    def busy(self) -> int:
        return self._busy

    def add(self, key: str, due: float | None) -> None:
        self._waits[key] = due
        self.activity += 1
        self.check()

    def remove(self, key: str) -> None:
        self._waits.pop(key, None)
        self.activity += 1

    def has(self, key: str) -> bool:
        return key in self._waits

    @property
    def keys(self) -> list[str]:
        return list(self._waits)

    @property
    def is_worthwhile(self) -> bool:
        """Whether all waits are long enough to give the run back for."""
        now = self._now()
        return all(due is None or due - now >= limits.HOT_WAIT_S for due in self._waits.values())

    def check(self) -> None:
        """Looks whether it is quiet, and again in a moment."""
        if self._timer is not None or not self._is_quiet:
            return
        self._timer = self._loop.call_later(limits.SUSPEND_LINGER_S, self._look, self.activity)

    def _look(self, before: int) -> None:
        self._timer = None
        if self.activity != before:
            self.check()
        elif self._is_quiet:
            self._on_quiet()

    @property
    def _is_quiet(self) -> bool:
        return self._may_be_quiet(self._busy, len(self._waits))

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
