"""A worker whose process is killed in the middle: what it did is in the file that it is given."""

import asyncio
import sys
import time
from pathlib import Path

from pawl import Context, Worker, workflow

effects = Path(sys.argv[1])


def effect(name: str) -> str:
    with effects.open("a") as file:
        file.write(f"{name}\n")
    return name


@workflow
async def fragile(ctx: Context, steps: int) -> list[str]:
    done = []
    for n in range(steps):
        done.append(await ctx.step("work", effect, f"step {n}"))
        await ctx.step("pause", lambda: time.sleep(0.05))

    async def side(name: str) -> str:
        return await ctx.step("side", effect, name)

    done += await ctx.all(side("left"), side("right"))
    return done


asyncio.run(Worker([fragile]).run())
