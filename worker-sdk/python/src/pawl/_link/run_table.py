# Section H of docs/replay-machine.md.
"""The runs that a worker holds: from the moment a slot takes one on until it has left.

What the platform says about a run while its journal is still being read waits until its execution
has begun.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from typing import Any

from .._lib import limits
from .._run.definition import Definition
from .._run.link import HeldRun, RunLink
from .._run.run import Run
from ..errors import RequestError
from ..execute import execute
from ..v1.common_pb2 import JournalEntry, Lease
from ..v1.worker_pb2 import (
    LEASE_STATUS_CANCEL,
    LEASE_STATUS_LOST,
    LEASE_STATUS_PAUSE,
    LeaseResult,
    WorkItem,
)
from .platform import Platform

logger = logging.getLogger("pawl")


class _Held:
    def __init__(self, fence: int, attempt: int) -> None:
        self.fence = fence
        self.attempt = attempt
        self.run: Run | None = None
        self.task: asyncio.Task[None] | None = None
        self.news: list[Callable[[Run], None]] = []

    @property
    def current_fence(self) -> int:
        return self.fence if self.run is None else self.run.fence


class RunTable:
    def __init__(
        self,
        on_free: Callable[[], None],
        on_given_up: Callable[[str, int], None] = lambda run_id, fence: None,
        replays_always: bool = False,
    ) -> None:
        """`on_free`: a run has left. `on_given_up`: so has one, which the platform does not know.
        `replays_always`: each run is executed anew from its journal after every record.
        """
        self._replays_always = replays_always
        self._held: dict[str, _Held] = {}
        # Runs whose code has ended, and whose outcome is on its way to the platform.
        self._ending: set[str] = set()
        self._on_free = on_free
        self._on_given_up = on_given_up

    def __len__(self) -> int:
        return len(self._held)

    @property
    def occupied(self) -> int:
        """Slots in use: a run whose code has ended needs none."""
        return len(self._held) - len(self._ending)

    def ending(self, run_id: str) -> None:
        """The run's code has ended: its slot is free from now on."""
        if run_id not in self._held or run_id in self._ending:
            return
        self._ending.add(run_id)
        self._on_free()

    def leases(self) -> list[Lease]:
        """Run id, current fence and attempt of each."""
        return [
            Lease(run_id=run_id, fence=held.current_fence, attempt=held.attempt)
            for run_id, held in self._held.items()
        ]

    def take(
        self,
        item: WorkItem,
        workflow: Definition[Any],
        platform: Platform,
        link: RunLink,
        may: asyncio.Future[None] | None = None,
    ) -> None:
        """Takes a run on and starts to execute it; once it `may`, where that is given."""
        run_id = item.lease.run_id
        # It comes back to where it was lost: what is left of it here is no longer valid.
        self.drop(run_id, "the run was dispatched again")
        self._ending.discard(run_id)
        held = _Held(item.lease.fence, item.lease.attempt)
        self._held[run_id] = held
        if item.journal_more:
            work = self._launch(held, item, workflow, platform, link)
            held.task = asyncio.get_running_loop().create_task(work, context=Context())
        elif may is None:
            self._begin(held, item, workflow, platform, link, list(item.journal))
        else:
            may.add_done_callback(lambda _: self._begin_held(held, item, workflow, platform, link))

    async def _launch(
        self,
        held: _Held,
        item: WorkItem,
        workflow: Definition[Any],
        platform: Platform,
        link: RunLink,
    ) -> None:
        """Reads what is left of the journal first."""
        run_id = item.lease.run_id
        journal = list(item.journal)
        try:
            async for page in platform.journal(run_id, journal[-1].seq if journal else 0):
                journal += page
        except RequestError as error:
            logger.error(
                "the journal of run %s could not be read; it is given up: %s", run_id, error
            )
            if self._held.get(run_id) is held:
                self._on_given_up(run_id, held.fence)
            self._remove(run_id, held)
            return
        if self._held.get(run_id) is held:
            self._begin(held, item, workflow, platform, link, journal)

    def _begin_held(
        self,
        held: _Held,
        item: WorkItem,
        workflow: Definition[Any],
        platform: Platform,
        link: RunLink,
    ) -> None:
        if self._held.get(item.lease.run_id) is held:
            self._begin(held, item, workflow, platform, link, list(item.journal))

    def _begin(
        self,
        held: _Held,
        item: WorkItem,
        workflow: Definition[Any],
        platform: Platform,
        link: RunLink,
        journal: list[JournalEntry],
    ) -> None:

        def again(run: Run) -> None:
            """Executes the run once more from its journal, which has grown."""
            if self._held.get(run.run_id) is not held:
                return
            held.run = None
            held.news = []
            held.fence = run.fence
            next_ = WorkItem()
            next_.CopyFrom(item)
            next_.ClearField("journal")
            next_.lease.fence = run.fence
            next_.cancelling = run.cancel_reason is not None
            next_.careful = run.careful
            work = self._launch(held, next_, workflow, platform, link)
            held.task = asyncio.get_running_loop().create_task(work, context=Context())

        run = execute(item, workflow, link, journal, again if self._replays_always else None)
        held.run = run
        for tell in held.news:
            tell(run)

    def tell(self, run_id: str, tell: Callable[[Run], None]) -> None:
        """Tells a run something, now or once its execution has started."""
        held = self._held.get(run_id)
        if held is None:
            return
        if held.run is None:
            held.news.append(tell)
        else:
            tell(held.run)

    def cancel(
        self, run_id: str, fence: int, reason: str, grace_s: float = limits.CANCEL_GRACE_S
    ) -> None:
        self.tell(run_id, lambda run: run.cancel(fence, reason, grace_s))

    def pause(self, run_id: str) -> None:
        self.tell(run_id, lambda run: run.pause())

    def wait_resolved(self, run_id: str, entry: JournalEntry) -> None:
        self.tell(run_id, lambda run: run.wait_resolved(entry))

    def lease_result(self, result: LeaseResult) -> None:
        """What a heartbeat was answered."""
        if result.status == LEASE_STATUS_LOST:
            held = self._held.get(result.run_id)
            if held is not None and 0 < result.fence < held.current_fence:
                return  # given to this worker anew since: it is about the execution before
            self.drop(result.run_id, "the lease was lost")
        elif result.status == LEASE_STATUS_CANCEL:
            self.cancel(result.run_id, result.fence, "")
        elif result.status == LEASE_STATUS_PAUSE:
            self.pause(result.run_id)

    def drop(self, run_id: str, why: str) -> None:
        """The run is no longer this worker's."""
        held = self._held.get(run_id)
        if held is None:
            return
        if held.run is not None:
            held.run.leave(why)
            return
        if held.task is not None:
            held.task.cancel()
        self._remove(run_id, held)

    def drop_all(self, why: str) -> None:
        for run_id in list(self._held):
            self.drop(run_id, why)

    def released(self, run: HeldRun) -> None:
        """The run has left by itself."""
        held = self._held.get(run.run_id)
        if held is None or held.run is not run:
            return
        if run.gave_up:
            self._on_given_up(run.run_id, run.fence)
        self._remove(run.run_id, held)

    def _remove(self, run_id: str, held: _Held) -> None:
        if self._held.get(run_id) is not held:
            return
        del self._held[run_id]
        self._ending.discard(run_id)
        self._on_free()

    def wake_all(self, reconnected: bool = False) -> None:
        """The platform is in reach again: what had to wait for that continues.

        Waits are asked about, since what was resolved meanwhile was told to nobody.
        """
        for held in list(self._held.values()):
            run = held.run
            if run is None or run.left:
                continue
            if reconnected:
                run.catching_up.doubt()
            for operation in list(run.operations):
                operation.ask_again()
            run.wake()
