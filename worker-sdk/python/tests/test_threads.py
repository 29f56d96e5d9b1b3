"""Goal: threads beside the event loop neither stop a run nor wait for one another in vain.
Method: threads that call into the loop while runs are replayed, and the pool's own threads, held at the
moments that count.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial

import pytest
from conftest import PATIENCE_S, lab

from pawl import Context, workflow
from pawl._run import threads


@workflow
async def branches(ctx: Context) -> list[int]:
    async def branch(n: int) -> int:
        first = await ctx.step("first", lambda: n)
        await ctx.sleep(1.1)
        return first + await ctx.step("second", lambda: n)

    return await ctx.all(*(branch(n) for n in range(10)))


@pytest.fixture
def impatient() -> Iterator[None]:
    """Threads take turns as often as possible."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


@pytest.mark.usefixtures("server", "impatient")
async def test_threads_that_call_into_the_loop_do_not_stop_a_run() -> None:
    loop = asyncio.get_running_loop()
    over = threading.Event()

    def call() -> None:
        while not over.is_set():
            loop.call_soon_threadsafe(lambda: None)
            time.sleep(0.0001)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for caller in callers:
        caller.start()
    try:
        async with lab(branches) as here:
            runs = [await here.start(branches) for _ in range(5)]
            for run in runs:
                assert await run.result(timeout=PATIENCE_S) == [2 * n for n in range(10)]
    finally:
        over.set()
        for caller in callers:
            caller.join()


@pytest.mark.usefixtures("impatient")
def test_no_step_waits_for_a_thread_that_is_busy() -> None:
    for _ in range(10):
        pool = threads._Pool()
        for _ in range(50):
            pool.run(lambda: None)
        # More than there are threads, each of which waits for all others.
        parties = pool._threads + 2
        meeting = threading.Barrier(parties + 1)
        for _ in range(parties):
            pool.run(partial(meeting.wait, 20))
        meeting.wait(20)
