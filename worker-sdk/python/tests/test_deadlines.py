"""Goal: the language's own deadlines never make a run take both ways: around a durable wait they are
refused, whether they fire at once or would never fire.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import counts, lab, until_status

from pawl import Context, RunFailedError, UsageError, current, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


def effect(name: str) -> None:
    own = counts.setdefault(current().run_id, {})
    own[name] = own.get(name, 0) + 1


async def by_timeout(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await ctx.signal("go")


async def by_wait_for(ctx: Context, seconds: float) -> Any:
    return await asyncio.wait_for(ctx.signal("go"), seconds)


async def by_wait(ctx: Context, seconds: float) -> Any:
    task = asyncio.create_task(ctx.signal("go"))
    _, pending = await asyncio.wait([task], timeout=seconds)
    if pending:
        task.cancel()
        raise TimeoutError
    return task.result()


async def around_gather(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await asyncio.gather(ctx.signal("go"), ctx.signal("other"))


async def around_branches(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await ctx.all(go=ctx.signal("go"))


async def around_sleep(ctx: Context, seconds: float) -> Any:
    async with asyncio.timeout(seconds):
        return await ctx.sleep(30)


HOW = {
    each.__name__: each
    for each in (by_timeout, by_wait_for, by_wait, around_gather, around_branches, around_sleep)
}


@workflow
async def deadlines(ctx: Context, how: str, seconds: float) -> str:
    ctx.compensate("undo", effect, "undone")
    try:
        await HOW[how](ctx, seconds)
    except (TimeoutError, UsageError):
        # Another way that a replay would not take.
        await ctx.step("fallback", effect, "fallback")
        return "fallback"
    return "main"


@pytest.mark.parametrize("seconds", [0.015, 3.0])
@pytest.mark.parametrize("how", HOW)
async def test_a_deadline_around_a_wait_is_refused_whatever_the_code_catches(
    how: str, seconds: float
) -> None:
    async with lab(deadlines) as here:
        handle = await here.start(deadlines, how, seconds)
        with pytest.raises(RunFailedError, match="give the wait itself a timeout") as caught:
            await handle.result()
        assert caught.value.type == "UsageError"
        assert here.counted == {"undone": 1}


@workflow
async def own_decisions(ctx: Context) -> list[Any]:
    """What the code decides by what is on record is as it was in a replay."""
    one = asyncio.create_task(ctx.signal("one"))
    two = asyncio.create_task(ctx.signal("two"))
    done, pending = await asyncio.wait([one, two], return_when=asyncio.FIRST_COMPLETED)
    for task in pending:
        task.cancel()
    await asyncio.wait(pending)
    # Signals for a wait that was given up are for the next.
    return [done.pop().result(), await ctx.signal("two")]


async def test_a_wait_that_the_code_gives_up_by_itself_takes_nothing() -> None:
    async with lab(own_decisions) as here:
        handle = await here.start(own_decisions)
        await until_status(handle, "waiting")
        await handle.signal("one", 1)
        await until_status(handle, "waiting")
        await handle.signal("two", 2)
        assert await handle.result() == [1, 2]
