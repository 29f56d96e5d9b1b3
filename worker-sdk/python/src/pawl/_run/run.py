"""One execution of a run by this worker: from the dispatch until it ends, is suspended, or taken away.

    running ──▶ suspending ──▶ left      nothing to do but wait: given back
       │  ▲         │
       │  └─────────┘                    the server had something to do after all
       ├──▶ ending ──▶ left              result or failure is being reported
       └──▶ left                         lease lost, or paused

Once left, whatever user code awaits of the run raises Suspended, so nothing that it does can act for
a run that is not its own. Section R of docs/replay-machine.md.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from typing import Any, Literal
from weakref import WeakKeyDictionary

from .._lib import limits
from .._lib.loop_watch import loop_watch
from ..errors import RequestError, Suspended
from ..v1.common_pb2 import DIRECTIVE_PAUSE, JournalEntry
from ..v1.worker_pb2 import HeldWaits, SuspendRunRequest, SuspendRunResponse
from .catching_up import CatchingUp
from .closing import Closing
from .compensations import Compensations
from .contexts import Contexts
from .deliveries import Deliveries
from .directives import obey
from .facts import RunFacts
from .keys import Scope
from .leftovers import Asked
from .link import RequestName, RunLink
from .memo import Memo, record_of
from .operation import Operation, bodies_that_wait
from .options import StepOptions
from .outcome import fail_run
from .sending import Sending
from .tasks import Tasks
from .wait_tree import wait_tree
from .waiting import Waiting

logger = logging.getLogger("pawl")

# Numbers the requests of this process.
_requests = itertools.count(1)
# How long code that does not await anything of the run may continue after it has left.
_UNWIND_S = 5.0


class Run:
    def __init__(
        self,
        facts: RunFacts,
        link: RunLink,
        memo: Memo,
        step_defaults: StepOptions | None,
        contexts: Contexts,
        again: Callable[[Run], None] | None = None,
    ) -> None:
        self.loop = asyncio.get_running_loop()
        self.watch = loop_watch()
        self.thread_id = threading.get_ident()
        self.facts = facts
        self.run_id = facts.run_id
        self.fence = facts.fence
        self.link = link
        self.memo = memo
        self.step_defaults = step_defaults
        self.contexts = contexts
        # Everything that user code has asked for and not yet been given.
        self.operations: set[Operation] = set()
        # It has left without the platform's knowledge: it has to be given back.
        self.gave_up = False
        self.task: asyncio.Task[None] | None = None
        # The workflow's code is under way.
        self.in_code = False
        self.compensations = Compensations()
        self.asked = Asked()
        # How many events the code has sent outside of steps, from its beginning, replays included.
        self.said = 0
        self.closing = Closing(self)
        self.catching_up = CatchingUp(self)
        # Starts are confirmed until the end of something is recorded.
        self.careful = facts.careful
        # Waited for: all operations are over; the outcome is on record.
        self._idle: asyncio.Future[None] | None = None
        self.reporting: asyncio.Future[None] | None = None
        self.deliveries = Deliveries(
            self.loop,
            lambda variables: contexts.is_flow(self, variables),
            contexts.rest_of,
            self.end,
            self._look_for_quiet,
        )
        self.root = Scope(self.deliveries, None, "", False)
        self._state: Literal["running", "suspending", "ending", "left"] = "running"
        self._again = again
        self._restarting = False
        self._tasks = Tasks(self.loop, self.end)
        self._held: list[tuple[Operation, Callable[[], None]]] = []
        self._paused = False
        # A record that everything else has to wait for.
        self._first: asyncio.Future[None] | None = None
        # Of a branch's task: the one that waits for all branches.
        self.branch_parents: WeakKeyDictionary[asyncio.Task[Any], asyncio.Task[Any]] = (
            WeakKeyDictionary()
        )
        # The code does what no replay can follow: it gets no further, whatever it catches.
        self.refusal: Exception | None = None
        self.error: BaseException | None = None
        # Why it is being cancelled, if it is.
        self.cancel_reason: str | None = None
        # How long what is in flight may take to settle then.
        self.settle_s: float | None = None
        if facts.cancelling:
            self.cancel_reason = memo.cancel_reason or "the run was cancelled"
        self._cancel_delivered = False
        self._waiting = Waiting(self.loop, self._may_be_quiet, self._give_back, self.server_now)
        if memo.size > 0:
            self.deliveries.begin_replay()

    @property
    def left(self) -> bool:
        """Nothing of this run may reach user code or the platform any more."""
        return self._state in ("left", "ending")

    @property
    def is_gone(self) -> bool:
        """It has left this worker, with nothing more to report."""
        return self._state == "left"

    def server_now(self) -> float:
        """In seconds since the epoch, by the server's clock: what due times are compared with."""
        return time.time() + self.facts.clock_ahead_s

    def next_request_id(self) -> str:
        """An id for a start, the same however often it is sent."""
        return f"{self.fence}-{self.facts.attempt}-{next(_requests)}"

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work of the SDK's own beside user code; what it raises ends the run."""
        self._tasks.spawn(work)

    # ── starting operations ──

    def arrive(self, operation: Operation) -> None:
        """A new operation without a record."""
        ended = operation.scope.ended
        if ended is not None:
            operation.abort(ended)
        elif self.deliveries.replaying:
            self.deliveries.park(lambda: self.admit(operation, operation.begin))
        else:
            self.admit(operation, operation.begin)

    def admit(self, operation: Operation, begin: Callable[[], None]) -> None:
        """Lets an operation begin, now or once it may."""
        if self.left or operation.aborted is not None or operation not in self.operations:
            return
        ended = operation.scope.ended
        if ended is not None:
            operation.abort(ended)
        elif self._is_interrupted and not operation.scope.is_shielded:
            operation.abort(self.cancel_reason or "")
        elif self._may_not_start(operation):
            self._held.append((operation, begin))
            self._waiting.check()
        else:
            self._waiting.activity += 1
            begin()

    def _may_not_start(self, operation: Operation) -> bool:
        if self._state == "suspending" or not self.link.can_start():
            return True
        # What is in flight is finished, and with it what it asks for inside.
        return (self._paused or self._restarting) and not operation.scope.inside_step

    @property
    def _is_interrupted(self) -> bool:
        """Cancelled, and user code has yet to hear of it."""
        return self.cancel_reason is not None and not self._cancel_delivered

    def hold(self, operation: Operation) -> None:
        """Keeps an operation until starts are allowed again."""
        self._held.append((operation, operation.begin))

    def await_decision(self, operation: Operation) -> None:
        """Whether a step took effect is for a person to say: the platform pauses the run. One that is
        being cancelled continues without knowing.
        """
        if self.cancel_reason is not None:
            operation.reject_cancelled(self.cancel_reason)
        else:
            self.hold(operation)
            self.pause()

    def wake(self) -> None:
        """The platform is in reach again, or starts are allowed again."""
        if not self._held or self._state != "running":
            return
        held = self._held
        self._held = []
        for operation, begin in held:
            self.admit(operation, begin)

    def set_busy(self, busy: bool) -> None:
        """An operation has something to do here (True), or only waits."""
        self._waiting.set_busy(busy)
        if self._restarting and self._waiting.busy == 0:
            self.loop.call_soon(self._restart)

    def deliver(self, seq: int, deliver: Callable[[], None]) -> None:
        """Delivers what has happened to an operation."""
        self.catching_up.then(
            seq, lambda: self.deliveries.push(seq, deliver, len(self.operations) == 1)
        )

    # ── replaying always ──

    def recorded(self, operation: Operation) -> bool:
        """Something has been recorded. True: this execution is given up, and the next one is told of it.
        Not while something else is under way here, which this may be about to end.
        """
        if self._again is None or operation.scope.inside_step or self.left or self._paused:
            return False
        if self._waiting.busy > operation.is_busy:
            return False
        operation.over = True
        self.operations.discard(operation)
        self._restarting = True
        if self._waiting.busy == 0:
            self.loop.call_soon(self._restart)
        return True

    def _restart(self) -> None:
        """Once nothing is under way here: bodies that run are recorded first."""
        if self._waiting.busy > 0 or self._state != "running" or self._again is None:
            return
        self.abandon()
        self._again(self)

    # ── waiting ──

    def add_wait(self, key: str, due: float | None) -> None:
        """An operation waits for the server; `due` in seconds since the epoch, where it is known."""
        self._waiting.add(key, due)

    def remove_wait(self, key: str) -> None:
        self._waiting.remove(key)

    def wait_resolved(self, entry: JournalEntry) -> None:
        """The server resolved a wait of this run while it is held here."""
        if self.left:
            return
        self.memo.add([entry])
        waiting = next((each for each in self.operations if each.key == entry.step_key), None)
        if waiting is None:
            return
        if entry.type == "workflow.wait.closed":
            waiting.closed(entry.seq)
        else:
            waiting.resolved(self.memo.take(entry.step_key) or record_of(entry))

    def _may_be_quiet(self, busy: int, waits: int) -> bool:
        # What the code has not dealt with yet is something to do, and so is a step that may not start
        # just now.
        may = self._state == "running" and self.cancel_reason is None and self.deliveries.at_rest
        if not may:
            return False
        if self._paused:
            return busy == 0 or busy == bodies_that_wait(self.operations, self._waiting.keys)
        waits_only = waits > 0 and not self._held and not self._restarting
        return busy == 0 and waits_only and self.link.suspends

    def _look_for_quiet(self) -> None:
        self._waiting.check()

    def _give_back(self) -> None:
        if not self._paused and not self._waiting.is_worthwhile:
            return
        if any([operation.look_for_deadline() for operation in list(self.operations)]):
            return
        self._state = "suspending"
        tree = held = None
        if not self._paused:
            scopes = {each.key: each.scope for each in self.operations}
            tree = wait_tree({key: scopes[key] for key in self._waiting.keys if key in scopes})
            held = self._held_waits()
        # A replay that checks whether the code fits wants to know.
        passed = self.memo.unconsumed(limits.REPORTED_KEYS_MAX) if self.facts.confirm_starts else []

        def message() -> SuspendRunRequest:
            return SuspendRunRequest(
                run_id=self.run_id,
                fence=self.fence,
                tree=tree,
                held=held,
                unconsumed_step_keys=passed,
            )

        self.send("suspend_run", message, self._on_suspended, self.end)

    def _held_waits(self) -> HeldWaits | None:
        """Every wait that the code still holds, those inside of steps that back off too: they are asked
        for again by the next attempt. None where that is too long to say.
        """
        keys = [each.key for each in self.operations]
        keys += [inner for key in keys for inner in self.memo.open_within(key)]
        if sum(len(key) for key in keys) > limits.TREE_BYTES_MAX:
            return None
        return HeldWaits(step_keys=keys)

    def _on_suspended(self, response: SuspendRunResponse) -> None:
        if self._state != "suspending":
            return
        if not response.resumed:
            self.leave("suspended")
            return
        self._state = "running"
        if response.directive != DIRECTIVE_PAUSE:
            self._paused = False
        for entry in response.resolved:
            self.wait_resolved(entry)
        answered = {entry.step_key for entry in response.resolved}
        for operation in list(self.operations):
            if self._waiting.has(operation.key) and operation.key not in answered:
                operation.ask_again()
        obey(self, response.directive)
        self.wake()
        if self._restarting:
            self._restart()

    # ── what the platform wants ──

    def pause(self) -> None:
        """No step starts outside of those in flight; once these are recorded, the run is given back."""
        if self._paused or self.left:
            return
        self._paused = True
        self._waiting.check()

    def cancel(self, fence: int, reason: str, grace_s: float = limits.CANCEL_GRACE_S) -> None:
        """Aborts what is in flight and lets the code clean up under the new fence. Bodies get a part of
        the grace to settle.
        """
        if self._state == "left":
            return
        if fence != 0:
            self.fence = fence
        if self.cancel_reason is not None:
            return
        self.cancel_reason = reason or "the run was cancelled"
        self.settle_s = min(limits.SETTLE_S, grace_s * limits.SETTLE_PART)
        if self._state == "ending":
            return
        self._paused = False
        idle = not self.operations
        self._abort(self.root, self.cancel_reason)
        if idle and self.in_code and self.task is not None:
            # The code awaits something that Pawl does not know of.
            self._cancel_delivered = True
            self.task.cancel()
        self.wake()

    def cancel_was_delivered(self) -> None:
        """Cancellation has reached user code: what it starts from now on is clean-up."""
        if self.cancel_reason is not None:
            self._cancel_delivered = True

    def end_scope(self, scope: Scope, reason: str) -> None:
        """Ends a branch: aborts what is in flight in it; nothing starts in it any more."""
        scope.end(reason)
        self._abort(scope, reason)

    def _abort(self, scope: Scope, reason: str) -> None:
        self._held = [item for item in self._held if not item[0].scope.is_reached_by(scope)]
        for operation in list(self.operations):
            if operation.scope.is_reached_by(scope):
                operation.abort(reason)

    def forget(self, operation: Operation) -> None:
        """The operation is over."""
        self.operations.discard(operation)
        if self._idle is not None and not self._idle.done() and not self.operations:
            self._idle.set_result(None)

    async def settle(self, reason: str) -> None:
        """The code is over: ends what it left behind, and waits until it has ended."""
        self.end_scope(self.root, reason)
        if self.operations:
            self._idle = self.loop.create_future()
            await self._idle

    def close_step_scope(self, scope: Scope, reason: str) -> None:
        """The body of a step is over: what it left behind concerns nobody any more."""
        scope.end(reason)
        for operation in list(self.operations):
            if operation.scope.is_within(scope):
                operation.abort(reason)
                operation.detach()

    # ── the end ──

    def set_ending(self, ending: bool) -> None:
        """An outcome is being reported (True), or none was to be reported after all."""
        if self._state != "left":
            self._state = "ending" if ending else "running"

    def end(self, error: BaseException) -> None:
        """Ends the run with an error: failed, cancelled, or paused where code and journal disagree."""
        fail_run(self, error)

    def leave(self, why: str) -> None:
        """The run is no longer this worker's: stops what runs; user code ends where it is."""
        if self._state == "left":
            return
        logger.debug("run %s left this worker: %s", self.run_id, why)
        self.abandon()
        self.link.released(self)

    def abandon(self) -> None:
        """Ends this execution of it."""
        self._state = "left"
        self._waiting.stop()
        self.closing.stop()
        self.deliveries.close()
        for operation in list(self.operations):
            operation.suspend()
        self.operations.clear()
        self._held.clear()
        for future in (self._idle, self.reporting):
            if future is not None and not future.done():
                future.set_exception(Suspended())
        if self.in_code and self.task is not None and not self.task.done():
            self.loop.call_later(_UNWIND_S, self.task.cancel)

    # ── requests ──

    def send(
        self,
        name: RequestName,
        message: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_refused: Callable[[RequestError], None],
        may_send: Callable[[], bool] | None = None,
    ) -> None:
        """Sends until the platform has answered; nothing is called any more once the run is gone.

        `message` is asked each time, since a cancel may replace the fence meanwhile; so is `may_send`.
        """
        if name != "close_waits":
            self.closing.flush()
        sending = Sending(self, name, message, on_done, on_refused, may_send)
        if self._first is None:
            sending.attempt()
        else:
            self._first.add_done_callback(lambda _: sending.attempt())

    def send_first(
        self,
        name: RequestName,
        message: Callable[[], Any],
        on_done: Callable[[Any], None],
        on_refused: Callable[[RequestError], None],
    ) -> None:
        """As `send`, for what all else waits for."""
        Sending(self, name, message, on_done, on_refused, None).attempt()

    def record_first(self, record: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Sends a record ahead of all that follow: those wait until it is on record."""
        before = self._first

        async def in_order() -> None:
            if before is not None:
                await before
            try:
                await record()
            except Exception as error:
                self.end(error)
            finally:
                if self._first is mine:
                    self._first = None
                if not mine.done():
                    mine.set_result(None)

        mine: asyncio.Future[None] = self.loop.create_future()
        self._first = mine
        self.spawn(in_order())

    async def first_recorded(self) -> None:
        """Nothing is to be recorded ahead of what follows."""
        while self._first is not None:
            await self._first
