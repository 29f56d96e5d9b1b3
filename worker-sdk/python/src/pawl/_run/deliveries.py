# Section Q of docs/replay-machine.md.
"""Hands results to user code, one at a time, in the order of the journal.

User code may join several steps by means of its own (asyncio.wait, a counter, two concurrent
loops); what it does then depends on the order in which they settle. So a replay settles them in the
order in which the journal recorded them, and lets the code run until it rests before the next one.
The first run does the same with acknowledgements that arrive together. The code rests when the event
loop has nothing of the run's left to call at once.

While recorded results are still to be handed out, a step that is not recorded is held back (`park`):
what comes out of the journal next may end its branch.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from contextvars import Context
from typing import Any
from weakref import WeakKeyDictionary

from .._lib.limits import QUIET_HOPS_MAX
from .rest import Rest

Deliver = Callable[[], Awaitable[None] | None]
# What the deliveries do themselves belongs to no run's code.
_NOWHERE = Context()


class _Turns:
    """Tells the turns of an event loop apart, for all runs in it together."""

    def __init__(self) -> None:
        self._turn: object | None = None

    def now(self, loop: asyncio.AbstractEventLoop) -> object:
        if self._turn is None:
            self._turn = object()
            # Whatever resumes the tasks of this turn was called later than this will be.
            loop.call_soon(self._end, context=_NOWHERE)
        return self._turn

    def _end(self) -> None:
        self._turn = None


_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


class Deliveries:
    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        is_ours: Callable[[Context], bool],
        rest_of: Callable[[Context], Rest | None],
        on_error: Callable[[BaseException], None],
        on_rest: Callable[[], None],
    ) -> None:
        """`is_ours`: whether a callback of the loop, by its context, belongs to the run's code. `rest_of`: see Rest.
        `on_error`: a delivery raised; the others continue. `on_rest`: all is delivered, and the code rests.
        """
        self._on_rest = on_rest
        self._loop = loop
        self._on_error = on_error
        self.rest = Rest(loop, is_ours, rest_of)
        self._turns = _turns.setdefault(loop, _Turns())
        self._stretch: tuple[asyncio.Task[Any] | None, object] | None = None
        # The place in the journal of what was delivered last.
        self.last_seq = 0
        self._latest_seq = 0
        self._heap: list[tuple[int, int, bool, Deliver]] = []
        self._parked: list[Deliver] = []
        self._order = 0
        self._recorded_waiting = 0
        self._draining = False
        self._replaying = False
        self._hops = 0
        self._closed = False

    def stretch(self) -> object:
        """The same object until this task is left."""
        try:
            task = asyncio.current_task(self._loop)
        except RuntimeError:
            task = None
        turn = self._turns.now(self._loop)
        stretch = self._stretch
        if stretch is None or stretch[0] is not task or stretch[1] is not turn:
            stretch = self._stretch = (task, turn)
        return stretch

    def begin_replay(self) -> None:
        """There is a journal to replay: parks new steps until user code first waits for one."""
        self._replaying = True
        self._schedule()

    @property
    def at_rest(self) -> bool:
        """Nothing is to be delivered, and the code has dealt with what was."""
        return not self._draining

    @property
    def replaying(self) -> bool:
        """Recorded results are being handed out."""
        return self._replaying or self._recorded_waiting > 0

    @property
    def latest_seq(self) -> int:
        """The latest place in the journal that anything was reported from, delivered or not."""
        return max(self.last_seq, self._latest_seq)

    def push_recorded(self, seq: int, deliver: Deliver) -> None:
        """Delivers a recorded result, in its order."""
        self._recorded_waiting += 1
        self._push(seq, True, deliver)

    def push(self, seq: int, deliver: Callable[[], None], alone: bool) -> None:
        """Delivers what has just happened.

        `alone`: nothing else of the run is in flight, so nothing can come between and it is
        delivered at once.
        """
        if alone and not self._draining:
            self.last_seq = seq
            self._deliver(deliver)
            return
        self._push(seq, False, deliver)

    def push_next(self, deliver: Callable[[], None]) -> None:
        """Delivers before anything that is waiting: the consequence of the last delivery."""
        self._push(self.last_seq, False, deliver)

    def park(self, start: Callable[[], None]) -> None:
        """Runs `start` when no recorded result is waiting."""
        self._parked.append(start)
        self._schedule()

    def close(self) -> None:
        """Nothing is delivered any more."""
        self._closed = True
        self._heap.clear()
        self._parked.clear()

    def _push(self, seq: int, recorded: bool, deliver: Deliver) -> None:
        self._order += 1
        self._latest_seq = max(self._latest_seq, seq)
        heapq.heappush(self._heap, (seq, self._order, recorded, deliver))
        self._schedule()

    def _schedule(self) -> None:
        if self._draining or self._closed:
            return
        self._draining = True
        self._when_quiet()

    def _when_quiet(self) -> None:
        self._hops = 0
        self.rest.begin()
        self._loop.call_soon(self._look, context=_NOWHERE)

    def _look(self) -> None:
        if self._closed:
            return
        self._hops += 1
        if self._hops < QUIET_HOPS_MAX and not self.rest.look():
            self._loop.call_soon(self._look, context=_NOWHERE)
            return
        self._step()

    def _step(self) -> None:
        if not self._heap:
            self._idle()
            return
        seq, _, recorded, deliver = heapq.heappop(self._heap)
        self.last_seq = max(self.last_seq, seq)
        if recorded:
            self._recorded_waiting -= 1
        pending = self._deliver(deliver)
        if pending is None:
            self._when_quiet()
            return
        task = asyncio.ensure_future(pending)
        task.add_done_callback(lambda _: self._when_quiet())

    def _deliver(self, deliver: Deliver) -> Awaitable[None] | None:
        """Values and errors are of the user's classes: what handling them raises ends their run only."""
        try:
            return deliver()
        except BaseException as error:
            self._on_error(error)
            return None

    def _idle(self) -> None:
        self._draining = False
        self._replaying = False
        parked = self._parked
        self._parked = []
        for start in parked:
            self._deliver(start)
        self._on_rest()
