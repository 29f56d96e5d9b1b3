"""Goal: an attempt of a step has one thread and one context; a worker is not held up by what its steps do,
neither when it is given a run nor when it is to stop.
"""

from __future__ import annotations

import asyncio
import decimal
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import pytest
from conftest import PATIENCE_S, TESTS, finish, lab, python, until_status

from pawl import Context, StepContext, step, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]
place: ContextVar[str] = ContextVar("place")


@step
def rows() -> Iterator[str]:
    connection = sqlite3.connect(":memory:")
    for row in connection.execute("values (1), (2), (3), (4)"):
        time.sleep(0.02)
        yield str(row[0])


@step
def tokens() -> Iterator[str]:
    token = place.set("x")
    yield "a"
    place.reset(token)
    yield "b"


@step
def locks() -> Iterator[str]:
    with threading.RLock():
        yield "c"
        yield "d"


@step(reduce=lambda items: items)
def digits() -> Iterator[str]:
    with decimal.localcontext() as local:
        local.prec = 3
        for _ in range(3):
            yield str(decimal.Decimal(1) / 3)


@workflow
async def generators(ctx: Context) -> list[Any]:
    async def sleep() -> None:
        await ctx.step("sleep", time.sleep, 0.05)

    async def work() -> list[Any]:
        return [await rows(), await tokens(), await locks(), await digits()]

    results: list[Any] = await ctx.all(work(), *(sleep() for _ in range(6)))
    return list(results[0])


async def test_a_generator_keeps_its_thread_and_its_context() -> None:
    async with lab(generators) as here:
        assert await here.run(generators) == ["1234", "ab", "cd", ["0.333"] * 3]


@pytest.mark.parametrize("which", ["blocking", "blocks_itself"])
async def test_code_may_hold_the_event_loop_right_after_a_dispatch(which: str) -> None:
    """In a process of its own, since it holds all others up."""
    program = [str(TESTS / "programs" / "blocking_worker.py"), which]
    process = python(*program)
    out, err = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    assert out.splitlines() == ["1", "1"], err
    assert "the event loop was blocked for" in err
    assert which != "blocking" or "(step busy)" in err


async def test_the_drain_timeout_bounds_a_worker_with_a_step_in_a_thread() -> None:
    program = [str(TESTS / "programs" / "draining_worker.py")]
    process = python(*program)
    assert process.stdout is not None
    assert await asyncio.to_thread(process.stdout.readline) == "begun\n"
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    await finish(process, 50)
    # The step takes 60 s.
    assert time.monotonic() - began < 45


@step
def patient(ctx: StepContext) -> str:
    while not ctx.cancelled:
        time.sleep(0.02)
    return "stopped"


@workflow
async def timing_out(ctx: Context) -> None:
    await patient.with_options(timeout=0.1)()


async def test_a_thread_is_free_again_once_its_step_has_ended() -> None:
    async with lab(timing_out) as here:
        for handle in [await here.start(timing_out) for _ in range(3)]:
            await until_status(handle, "failed")


async def test_a_slow_event_loop_suspends_no_run_that_has_something_to_do() -> None:
    process = python(str(TESTS / "programs" / "slow_loop.py"))
    assert await finish(process) == ["150"]
