"""A program that executes its own run, with no worker: StartRun{claim}."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

from ..errors import PawlError
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from ..v1.worker_pb2 import HeartbeatLeasesRequest, WorkItem
from .methods import HEARTBEAT_LEASES, START_RUN
from .platform import Platform
from .table import RunTable
from .unary import UnaryLink

if TYPE_CHECKING:
    from ..workflow import Workflow

_HEARTBEAT_S = 5.0

logger = logging.getLogger("pawl")


class LeaseKeeper:
    """Renews the leases of a worker without a session, and passes on what it is told about them."""

    def __init__(self, platform: Platform, runs: RunTable) -> None:
        self._platform = platform
        self._runs = runs
        self._lock = asyncio.Lock()
        self._task = asyncio.get_running_loop().create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_S)
            await self.beat()

    async def beat(self) -> bool:
        """Renews now, after a renewal that is under way; False where the server did not answer."""
        async with self._lock:
            leases = self._runs.leases()
            if not leases:
                return True
            try:
                request = HeartbeatLeasesRequest(leases=leases)
                response = await self._platform.once(HEARTBEAT_LEASES, request, timeout_s=5)
            except PawlError as error:
                # The next one tries again; every write names its fence: nothing is at risk meanwhile.
                logger.warning("the leases could not be renewed: %s", error)
                return False
            for result in response.results:
                self._runs.lease_result(result)
            return True

    def stop(self) -> None:
        self._task.cancel()


async def claim(
    platform: Platform, request: StartRunRequest, lease_wait_s: float
) -> StartRunResponse:
    """Starts a run and takes it on; waits while somebody else executes it."""
    request.claim = True
    end = time.monotonic() + lease_wait_s
    told = False
    while True:
        try:
            return await platform.call(START_RUN, request)
        except PawlError as error:
            left = end - time.monotonic()
            if error.reason != "RUN_LEASED" or left <= 0:
                raise
            if not told:
                logger.warning("%s; waiting for it", error)
                told = True
            wanted = 0.5 if error.retry_after_s is None else error.retry_after_s
            await asyncio.sleep(min(wanted, left))


async def perform(platform: Platform, item: WorkItem, workflow: Workflow[..., Any]) -> None:
    """Executes what was claimed until it has left this process."""
    left = asyncio.Event()
    runs = RunTable(left.set)
    leases = LeaseKeeper(platform, runs)
    link = UnaryLink(
        platform,
        # While this process lives, it is the one that goes on with the run.
        suspends=False,
        on_released=runs.released,
        on_attention=leases.beat,
    )
    try:
        runs.take(item, workflow, platform, link)
        await left.wait()
    finally:
        runs.drop_all("the caller gave the run up")
        leases.stop()
        link.close()
