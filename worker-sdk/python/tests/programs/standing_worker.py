"""A worker with many runs at once: each step leaves a line with its process, run and number."""

import asyncio
import os
import sys

from pawl import Context, Worker, workflow

effects = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT)


async def effect(run: str, n: int) -> int:
    os.write(effects, f"{os.getpid()} {run} {n}\n".encode())
    return n


@workflow
async def counting(ctx: Context, steps: int) -> int:
    return sum([await ctx.step("count", effect, ctx.run_id, n) for n in range(steps)])


asyncio.run(Worker([counting]).run())
