"""A worker whose one step stays in its thread for longer than anybody waits."""

from __future__ import annotations

import asyncio
import time

from pawl import Client, Context, Worker, workflow


def long() -> None:
    print("begun", flush=True)
    time.sleep(60)


@workflow
async def stays(ctx: Context) -> None:
    await ctx.step("long", long)


async def main() -> None:
    worker = Worker([stays], drain_timeout=1)
    await worker.start()
    async with Client() as client:
        await client.start(stays)
        await worker.run()


asyncio.run(main())
