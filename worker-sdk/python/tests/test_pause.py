"""Goal: an operator's pause takes effect whatever is in flight, and a resume always reaches the run.
Method: a real server; steps with steps and waits inside are paused in the middle.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import count, lab, until, until_status

from pawl import Context, current, workflow

pytestmark = pytest.mark.usefixtures("server")
MODES = pytest.mark.parametrize("mode", ["stream", "poll"])
#: What the first step inside of a step waits for, by run.
gates: dict[str, asyncio.Event] = {}


async def gate() -> None:
    count("gate")
    await gates.setdefault(current().run_id, asyncio.Event()).wait()


async def nest(ctx: Context) -> None:
    count("outer")
    await ctx.step("s6", gate)
    await ctx.step("s8", lambda: count("s8"))
    await ctx.map("m", [1, 2], lambda item: ctx.step("item", lambda: count("item")))
    await ctx.all(ctx.step("a", lambda: count("a")), ctx.step("b", lambda: count("b")))


@workflow
async def nested(ctx: Context) -> int:
    await ctx.step("n5", lambda: nest(ctx))
    return await ctx.step("after", lambda: count("after"))


async def undo(ctx: Context) -> None:
    await nest(ctx)


@workflow
async def undoing(ctx: Context) -> None:
    ctx.compensate("second", lambda: count("after"))
    ctx.compensate("first", lambda: undo(ctx))
    raise ValueError("undo it all")


@workflow
async def asking(ctx: Context) -> str:
    async def body() -> str:
        count("body")
        answer: str = await ctx.signal("go")
        return answer

    return await ctx.step("asks", body)


INSIDE = {"outer": 1, "gate": 1, "s8": 1, "item": 2, "a": 1, "b": 1}


@pytest.mark.parametrize("resumed", [True, False])
@pytest.mark.parametrize("compensates", [False, True])
@MODES
async def test_a_pause_finishes_the_step_in_flight(
    mode: Any, compensates: bool, resumed: bool
) -> None:
    work: Any = undoing if compensates else nested
    async with lab(work, mode=mode) as here:
        handle = await here.start(work)
        await until(lambda: "gate" in here.counted)
        await handle.pause()
        if resumed:
            await handle.resume()
        else:
            # So that a worker that polls hears of it from the reply to the step.
            await asyncio.sleep(0.1)
        gates[here.run_id].set()
        if not resumed:
            await until_status(handle, "paused")
            assert here.counted == INSIDE
            await handle.resume()
        await until_status(handle, "failed" if compensates else "completed")
        assert here.counted == {**INSIDE, "after": 1}


@MODES
async def test_a_resume_reaches_a_step_that_heard_of_the_pause(mode: Any) -> None:
    async with lab(nested, mode=mode) as here:
        handle = await here.start(nested)
        await until(lambda: "gate" in here.counted)
        await handle.pause()
        await asyncio.sleep(0.2)
        await handle.resume()
        gates[here.run_id].set()
        assert await handle.result() == 1
        assert here.counted == {**INSIDE, "after": 1}


@MODES
async def test_a_body_that_waits_does_not_hold_up_a_pause(mode: Any) -> None:
    async with lab(asking, mode=mode) as here:
        handle = await here.start(asking)
        await until(lambda: here.counted)
        await asyncio.sleep(0.2)
        await handle.pause()
        await until_status(handle, "paused")
        await handle.signal("go", "gone")
        await handle.resume()
        assert await handle.result() == "gone"
        assert here.counted == {"body": 2}
