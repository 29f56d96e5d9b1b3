"""Goal: the keys of two uses of one name never depend on timing without a word; and replays have one order
on every event loop.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from typing import Any

import pytest
from conftest import TESTS, lab

from pawl import Context, RunFailedError, step, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]
lives = 0


@workflow
async def quotes(ctx: Context) -> list[Any]:
    global lives
    lives += 1
    first = lives == 1

    async def quote(i: int) -> str:
        # An import, a file, a fetch: by its own time in each life.
        await asyncio.sleep((0.1, 0.01)[i] if first else (0.01, 0.1)[i])
        price: str = await ctx.step("price", lambda: asyncio.sleep(0.4, f"price of {'ab'[i]}"))
        return price

    result = await asyncio.gather(quote(0), quote(1))
    await ctx.signal("go")
    return list(result)


async def test_uses_of_a_name_by_timing_are_refused() -> None:
    async with lab(quotes) as here:
        with pytest.raises(RunFailedError, match=r"AMBIGUOUS_STEP_KEY.*test_keys\.py:\d+"):
            await here.run(quotes)


@step
async def one(x: int) -> int:
    await asyncio.sleep(0.2)
    return x


@workflow
async def together(ctx: Context) -> list[Any]:
    results: list[Any] = [
        await asyncio.gather(one(1), one(2), ctx.step("one", asyncio.sleep, 0.1, 3)),
        await ctx.all(one(4), one(5), ctx.all(x=one(6), y=ctx.all(one(7)))),
    ]
    later = one(8)
    results.append([await one(9), await later])
    await ctx.sleep(1.2)
    return results


async def test_calls_in_one_expression_are_numbered_in_their_order() -> None:
    async with lab(together) as here:
        handle = await here.start(together)
        assert await handle.result() == [
            [1, 2, 3],
            [4, 5, {"x": 6, "y": [7]}],
            [9, 8],
        ]
        keys = {
            e.step_key: e.payload
            async for e in handle.journal()
            if e.type == "workflow.step.completed"
        }
    assert keys == {
        "one": 1,
        "one#2": 2,
        "one#3": 3,
        "one#4": 8,
        "one#5": 9,
        "all:0/one": 4,
        "all:1/one": 5,
        "all:2/all:x/one": 6,
        "all:2/all:y/all:0/one": 7,
    }


@workflow
async def background(ctx: Context) -> int:
    task = asyncio.create_task(one(1))
    for i in range(3):
        await ctx.step("item", int, i)
    return await task


async def test_other_names_may_be_used_meanwhile() -> None:
    async with lab(background) as here:
        assert await here.run(background) == 1


class Service:
    factor = 10

    @step
    async def get(self, x: int) -> int:
        return self.factor * x

    @step
    @classmethod
    def made(cls, x: int) -> int:
        return cls.factor + x


@workflow
async def methods(ctx: Context) -> list[int]:
    service = Service()
    before = [await service.get(5), await Service.made(1)]  # type: ignore[call-arg, arg-type]
    await ctx.sleep(1.2)
    return before


async def test_a_step_may_be_a_method() -> None:
    assert await Service().get(5) == 50
    async with lab(methods) as here:
        handle = await here.start(methods)
        assert await handle.result() == [50, 11]
        keys = [e.step_key async for e in handle.journal() if e.type == "workflow.step.completed"]
    assert keys == ["get", "made"]


async def test_replays_have_their_order_with_uvloop() -> None:
    pytest.importorskip("uvloop")
    program = [sys.executable, str(TESTS / "programs" / "with_uvloop.py")]
    result = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True)
    assert result.stdout.splitlines() == ["abc", "first a"], result.stderr
