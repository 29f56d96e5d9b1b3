"""Many races in an event loop that is held again and again; prints how many have ended."""

from __future__ import annotations

import asyncio
import time

from pawl import Client, Context, Worker, workflow

RUNS = 150


@workflow
async def racing(ctx: Context) -> str:
    async def slow() -> str:
        await ctx.sleep("1 hour")
        return "slow"

    return await ctx.race(slow(), ctx.step("fast", lambda: "fast"))


async def hold() -> None:
    for i in range(200):
        time.sleep((0.03, 0.1, 0.0, 0.0)[i % 4])  # noqa: ASYNC251
        await asyncio.sleep(0.02)


async def main() -> None:
    async with Client() as client, Worker([racing]):
        holding = asyncio.create_task(hold())
        handles = await asyncio.gather(*(client.start(racing) for _ in range(RUNS)))
        results = [handle.result(timeout=100) for handle in handles]
        print((await asyncio.gather(*results)).count("fast"))
        await holding


asyncio.run(main())
