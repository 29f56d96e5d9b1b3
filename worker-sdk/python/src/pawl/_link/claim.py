"""A program that executes its own run, with no worker: StartRun{claim}."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

from .._run.definition import Definition
from ..errors import RequestError
from ..v1.run_pb2 import StartRunRequest, StartRunResponse
from ..v1.worker_pb2 import WorkItem
from .leases import LeaseKeeper
from .methods import START_RUN
from .platform import Platform
from .run_table import RunTable
from .unary import UnaryLink

logger = logging.getLogger("pawl")


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
        except RequestError as error:
            left = end - time.monotonic()
            if error.reason != "RUN_LEASED" or left <= 0:
                raise
            if not told:
                logger.warning("%s; waiting for it", error)
                told = True
            wanted = 0.5 if error.retry_after_s is None else error.retry_after_s
            await asyncio.sleep(min(wanted, left))


async def perform(platform: Platform, item: WorkItem, workflow: Definition[Any]) -> None:
    """Executes what was claimed until it has left this process."""
    left = asyncio.Event()
    runs = RunTable(left.set)
    leases = LeaseKeeper(platform, runs)
    link = UnaryLink(
        platform,
        # While this process lives, it is the one that continues with the run.
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
