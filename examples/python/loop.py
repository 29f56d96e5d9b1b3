"""A loop over items. Each step has the item's own key, so that a crash costs one item at most, and a
list that has changed meanwhile moves nobody's result.
"""

import asyncio
import sys

from pawl import Client, Context, Worker, step, workflow


@step
async def process(item: str) -> str:
    print(f"  processing {item}")
    return item.upper()


@workflow(id="batch-{batch}")
async def process_all(ctx: Context, batch: str, items: list[str]) -> list[str]:
    one_by_one = []
    for item in items:
        one_by_one.append(await process.keyed(item)(item))
    # The same concurrently, two at a time.
    lengths = await ctx.map(
        "measure", items, lambda item: ctx.step("length", lambda: len(item)), key=str, concurrency=2
    )
    return [f"{name} {length}" for name, length in zip(one_by_one, lengths, strict=True)]


async def main() -> None:
    batch = sys.argv[1] if len(sys.argv) > 1 else "1"
    async with Client() as client, Worker([process_all]):
        run = await client.start(process_all, batch, items=["pawl", "ratchet", "wheel"])
        print(await run.result())


asyncio.run(main())
