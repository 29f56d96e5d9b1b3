"""The leases of runs that came without a session."""

from __future__ import annotations

import asyncio
import logging

from .._lib import limits
from .._lib.loop_watch import describe, loop_watch
from ..errors import RequestError
from ..v1.worker_pb2 import HeartbeatLeasesRequest
from .methods import HEARTBEAT_LEASES
from .platform import Platform
from .run_table import RunTable

logger = logging.getLogger("pawl")


class LeaseKeeper:
    """Renews the leases of a worker without a session, and passes on what it is told about them."""

    def __init__(self, platform: Platform, runs: RunTable) -> None:
        self._platform = platform
        self._runs = runs
        #: How often, in seconds.
        self.interval_s = limits.HEARTBEAT_S
        self._lock = asyncio.Lock()
        self._task = asyncio.get_running_loop().create_task(self._keep())
        self._end_watch = loop_watch().listen(self._stood_still)
        self._beats: set[asyncio.Task[bool]] = set()

    def _stood_still(self, gap_s: float, step_keys: list[str]) -> None:
        logger.warning(describe(gap_s, step_keys))
        beat = asyncio.get_running_loop().create_task(self.beat())
        self._beats.add(beat)
        beat.add_done_callback(self._beats.discard)

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(self.interval_s)
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
            except RequestError as error:
                # The next one tries again; every write names its fence: nothing is at risk meanwhile.
                logger.warning("the leases could not be renewed: %s", error)
                return False
            for result in response.results:
                self._runs.lease_result(result)
            return True

    def stop(self) -> None:
        self._end_watch()
        self._task.cancel()
