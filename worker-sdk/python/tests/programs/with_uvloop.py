"""A run under uvloop, whose code does a lot between the results of its steps."""

from __future__ import annotations

import asyncio

import uvloop

from pawl import Client, Context, Worker, workflow


async def hops(n: int) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


@workflow
async def order(ctx: Context) -> str:
    out: list[str] = []

    async def flow(name: str, n: int, seconds: float) -> None:
        await ctx.step(f"{name}1", asyncio.sleep, seconds, name)
        await hops(n)
        out.append(name)

    await asyncio.gather(flow("a", 40, 0.1), flow("b", 0, 0.4), flow("c", 3, 0.7))
    await ctx.step("first " + out[0], lambda: out[0])
    await ctx.sleep(1.3)
    return "".join(out)


async def main() -> None:
    async with Client() as client, Worker([order]):
        handle = await client.start(order)
        print(await handle.result(timeout=50))
        keys = [e.step_key async for e in handle.journal() if e.type == "workflow.step.completed"]
        print(*(key for key in keys if key.startswith("first")), sep=",")


uvloop.run(main())
