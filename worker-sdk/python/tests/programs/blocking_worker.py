"""Runs a workflow whose code holds the event loop for 4 s; prints its result, and how often it was begun."""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from pawl import Client, Context, Worker, workflow

begun = 0


def hold() -> None:
    """Computes for long, where it should not."""
    time.sleep(4)


@workflow
async def blocking(ctx: Context) -> int:
    async def busy() -> int:
        global begun
        begun += 1
        hold()
        return 1

    return await ctx.step("busy", busy)


@workflow
async def blocks_itself(ctx: Context) -> int:
    global begun
    begun += 1
    hold()
    return await ctx.step("after", lambda: 1)


async def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    # No other: a second process of this program may be given a run of it.
    flow = {"blocking": blocking, "blocks_itself": blocks_itself}[sys.argv[1]]
    async with Client() as client, Worker([flow]):
        handle = await client.start(flow)
        print(await handle.result(timeout=100))
        print(begun)


asyncio.run(main())
