"""Goal: code is told what has happened in the order of the journal, however its worker hears of it.
Method: a wait ends beside a step that ends after it; the live order is that of the journal.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import lab, until, until_state

from pawl import Context, current, workflow

pytestmark = pytest.mark.usefixtures("server")
#: What each execution of the code was told, in its order, by run.
told: dict[str, list[list[str]]] = {}
#: When the step is to end, by run.
ends: dict[str, asyncio.Event] = {}


async def work() -> None:
    await ends.setdefault(current().run_id, asyncio.Event()).wait()


@workflow
async def beside(ctx: Context, timeout: float) -> list[str]:
    order: list[str] = []
    told.setdefault(current().run_id, []).append(order)

    async def waits() -> None:
        await ctx.signal("first", timeout=timeout, default=None)
        order.append("wait")
        await ctx.step("after the wait", lambda: None)

    async def works() -> None:
        await ctx.step("work", work)
        order.append("work")

    await ctx.gather(waits(), works())
    await ctx.signal("go")
    return order


@pytest.mark.parametrize("timeout", [0.2, 3600])
@pytest.mark.parametrize("mode", ["session", "poll"])
async def test_a_wait_that_ends_before_a_step_comes_first(mode: Any, timeout: float) -> None:
    async with lab(beside, mode=mode) as here:
        for _ in range(4):
            handle = await here.start(beside, timeout)

            async def types(handle: Any = handle) -> list[str]:
                return [entry.type async for entry in handle.journal()]

            await until(lambda: here.run_id in ends)
            if timeout > 1:
                await handle.signal("first", None)
            # A worker that polls has not asked about the wait since.
            await until(lambda: _has(types, "workflow.wait.resolved"))
            ends[here.run_id].set()
            await until_state(handle, "WAITING")
            await handle.signal("go", None)
            assert await handle.result() == ["wait", "work"]
            assert told[here.run_id] == [["wait", "work"]] * 2


async def _has(types: Any, wanted: str) -> bool:
    return wanted in await types()
