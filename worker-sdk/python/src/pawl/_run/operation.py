# Section O of docs/replay-machine.md.
"""Something durable that user code asked for and awaits: a step, a sleep, a signal, a child run.

Its future settles only through the run's deliveries; once the run has left this worker it raises
Suspended.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from ..errors import Cancelled, NonDeterminismError, Suspended, UsageError
from ..v1.common_pb2 import StepKind
from .memo import Record

if TYPE_CHECKING:
    from .keys import Claim, Scope
    from .run import Run


def _side(kind: int, input_digest: str, definition_digest: str) -> str:
    parts = [StepKind.Name(kind).removeprefix("STEP_KIND_").lower()]
    if input_digest:
        parts.append(f"input {input_digest[:12]}")
    if definition_digest:
        parts.append(f"definition {definition_digest[:12]}")
    return ", ".join(parts)


def _look_at(task: asyncio.Task[Any]) -> None:
    if not task.cancelled():
        task.exception()


class Operation(ABC):
    #: While it is being recorded it counts as busy itself.
    is_busy = False
    #: What the run's end waits for.
    is_step = False
    input_digest = ""
    definition_digest = ""

    def __init__(self, run: Run, claim: Claim, name: str, kind: StepKind) -> None:
        self.run = run
        self.scope: Scope = claim.scope
        self.key = claim.key
        self._claim = claim
        self.name = name
        self.kind = kind
        self.future: asyncio.Future[Any] = run.loop.create_future()
        # The task that waits for it.
        self.task: asyncio.Task[Any] | None = None
        # Why it is to stop, once it is.
        self.aborted: str | None = None
        # Its result is in the journal: it is handed out whatever happens around it.
        self.recorded = False
        # The scope around it is gone: whatever becomes of it, nobody is told.
        self.detached = False
        # User code has been given its result.
        self.over = False

    @property
    def is_running(self) -> bool:
        """A body of it is under way."""
        return False

    @property
    def is_repeatable(self) -> bool:
        """Its body may be executed again after the run has left this worker."""
        return True

    @property
    def is_open_wait(self) -> bool:
        """A wait that may have been resolved without a word."""
        return False

    def open(self) -> asyncio.Future[Any]:
        """Looks into the memo; replays, or lets the run begin it."""
        run = self.run
        if asyncio.get_running_loop() is not run.loop:
            self._claim.end()
            raise UsageError(
                f'"{self.name}" of run {run.run_id} is awaited in another event loop than its run\'s; '
                "in a step that runs in a thread call a step's own function (charge.fn(…)), or make the "
                "step's function async"
            )
        if run.left:
            self._leave()
            raise Suspended
        if run.refusal is not None and not self.scope.is_shielded:
            self._leave()
            raise run.refusal
        run.operations.add(self)
        record = run.memo.take(self.key)
        if record is None:
            run.arrive(self)
        elif self._conflicts(record):
            run.end(self._non_determinism(record))
        else:
            self.recorded = True
            run.deliveries.push_recorded(record.seq, lambda: self.replay(record))
        return self.future

    def _conflicts(self, record: Record) -> bool:
        def differ(a: str, b: str) -> bool:
            return a != "" and b != "" and a != b

        return (
            record.kind != self.kind
            or differ(record.input_digest, self.input_digest)
            or differ(record.definition_digest, self.definition_digest)
        )

    def _non_determinism(self, record: Record) -> NonDeterminismError:
        return NonDeterminismError(
            step_key=self.key,
            recorded=_side(record.kind, record.input_digest, record.definition_digest),
            attempted=_side(self.kind, self.input_digest, self.definition_digest),
            likely_cause=(
                "the code was changed while this run was under way"
                if record.input_digest == self.input_digest
                else "the step's arguments are computed from something that is not recorded (time, "
                "random numbers, outside state), or the code was changed"
            ),
        )

    @abstractmethod
    def begin(self) -> None:
        """Starts the work; the run calls it once it may start."""

    @abstractmethod
    def replay(self, record: Record) -> Awaitable[None] | None:
        """Hands out what is recorded."""

    @abstractmethod
    def clear(self) -> None:
        """Ends its timers and its body: nobody will hear of it any more."""

    def abort(self, reason: str) -> None:
        """Its branch or run ends: stop what can be stopped."""
        if self.aborted is None:
            self.aborted = reason

    def refuse(self, error: BaseException) -> None:
        """The platform refuses it: that is for user code to know, at the call that asked."""
        if isinstance(error, NonDeterminismError):
            self.run.end(error)
        else:
            self.run.deliver(self.run.deliveries.last_seq, lambda: self.reject(error))

    def resolved(self, record: Record) -> None:
        """A wait of the server's that it registered has been resolved. Only waits listen."""

    def closed(self, seq: int) -> None:
        """The server has closed the wait, since it takes its branch to have lost. Only waits listen."""

    def look_for_deadline(self) -> bool:
        """Refuses a deadline of the language around it. Only waits look."""
        return False

    def ask_again(self) -> None:
        """The platform may know more about a wait by now. Only waits ask."""

    def detach(self) -> None:
        if self.detached or self.over:
            return
        self.detached = True
        self.clear()
        self._leave()

    def _leave(self) -> None:
        self.over = True
        self._claim.end()
        self.run.forget(self)

    def resolve(self, value: Any) -> None:
        if self.over or self.run.left:
            return
        self._leave()
        if not self.future.done():
            self.future.set_result(value)

    def reject(self, error: BaseException) -> None:
        if self.over or self.run.left:
            return
        self._leave()
        self._raise(error)

    def _raise(self, error: BaseException) -> None:
        if self.future.done():
            return
        self.future.set_exception(error)
        # Whether user code listens is its own affair, and no reason to complain.
        self.future.exception()

    def suspend(self) -> None:
        """The run has left: user code ends here."""
        self.clear()
        self.over = True
        self._raise(Suspended())

    def reject_cancelled(self, reason: str) -> None:
        """Tells user code that the branch or run has ended."""

        def deliver() -> None:
            self.run.cancel_was_delivered()
            self.reject(Cancelled(reason))

        self.run.deliveries.push_next(deliver)

    async def wait(self) -> Any:
        """Opens it and waits for it, as user code does."""
        future = self.open()
        self.task = asyncio.current_task()
        try:
            return await future
        except Suspended:
            # A task of its own may await it: that this one ends so is nothing to complain about.
            if self.task is not None:
                self.task.add_done_callback(_look_at)
            raise
        except asyncio.CancelledError:
            if not self.over and not self.run.left:
                self.given_up()
            raise

    def given_up(self) -> None:
        """The code no longer waits for it. Raises where it may not do so."""
        self._claim.end()
        self.abort("the code has stopped waiting for it")


def bodies_that_wait(operations: Iterable[Operation], waits: list[str]) -> int:
    """How many bodies have a wait inside, which may be long: a pause does not wait for them, and they
    are executed again after it. It does wait for at-most-once steps, which are not.
    """
    running = [f"{each.key}/" for each in operations if each.is_running and each.is_repeatable]
    return sum(any(key.startswith(inside) for key in waits) for inside in running)
