"""A worker without a stream: asks for work by long polls, and reports by plain calls."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

from .._lib import limits
from .._lib.backoff import GrowingPause
from .._run.definition import Definition
from ..duration import duration_message, message_seconds
from ..errors import RequestError
from ..v1.worker_pb2 import PollWorkRequest, WorkerInfo, WorkItem
from .leases import LeaseKeeper
from .methods import POLL_WORK
from .platform import Platform
from .run_table import RunTable
from .status import is_transient
from .unary import UnaryLink

logger = logging.getLogger("pawl")


class Poller:
    def __init__(
        self,
        platform: Platform,
        info: WorkerInfo,
        workflows: Mapping[str, Definition[Any]],
        slots: int,
        replays_always: bool,
    ) -> None:
        #: The server has answered for the first time.
        self.opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._free = asyncio.Event()
        self.runs = RunTable(self._free.set, replays_always=replays_always)
        self._platform = platform
        self._info = info
        self._workflows = workflows
        self._slots = slots
        self._leases = LeaseKeeper(platform, self.runs)
        self._link = UnaryLink(
            platform,
            suspends=True,
            on_released=self.runs.released,
            on_attention=self._leases.beat,
        )
        self._task: asyncio.Task[None] | None = None
        self._complained = False

    def start(self) -> asyncio.Task[None]:
        """Polls until it is stopped. The task ends when drained; raises RequestError if refused."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._poll_for_ever())
        return self._task

    async def _poll_for_ever(self) -> None:
        pause = GrowingPause(0.05, 1.0)
        while True:
            room = self._slots - len(self.runs)
            if room <= 0:
                self._free.clear()
                await self._free.wait()
                continue
            try:
                await self._poll_once(min(room, limits.POLL_ITEMS_MAX))
                pause.reset()
                self._complained = False
            except RequestError as error:
                if not is_transient(error) and error.reason != "DEADLINE_EXCEEDED":
                    if not self.opened.done():
                        self.opened.set_exception(error)
                        self.opened.exception()
                    raise
                if not self._complained:
                    self._complained = True
                    logger.warning(
                        "work could not be asked for at %s; trying again until it can: %s",
                        self._platform.url,
                        error,
                    )
                await asyncio.sleep(pause.next())

    async def _poll_once(self, items_max: int) -> None:
        # The first answer comes at once, so that `start` returns when the workflows are registered.
        wait_s = limits.POLL_S if self.opened.done() else 0.001
        request = PollWorkRequest(
            worker=self._info, max_items=items_max, wait=duration_message(wait_s)
        )
        response = await self._platform.once(POLL_WORK, request, timeout_s=limits.POLL_S + 10)
        if response.HasField("heartbeat_interval"):
            self._leases.interval_s = message_seconds(response.heartbeat_interval)
        for item in response.items:
            self._take(item)
        if not self.opened.done():
            self.opened.set_result(None)

    def _take(self, item: WorkItem) -> None:
        workflow = self._workflows.get(item.workflow)
        if workflow is None:
            logger.error(
                'the server sent a run of "%s", which this worker does not serve', item.workflow
            )
            return
        self.runs.take(item, workflow, self._platform, self._link)

    def drain(self) -> None:
        """Asks for no more work."""
        if self._task is not None:
            self._task.cancel()

    async def close(self) -> None:
        self.drain()
        self._leases.stop()
        self.runs.drop_all("the worker stops")
        self._link.close()
        if self._task is not None:
            await asyncio.wait([self._task])
