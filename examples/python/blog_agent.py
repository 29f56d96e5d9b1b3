"""An agent that researches a topic and writes about it; the draft streams live while it is written.

The model is a stand-in that always says the same, so that this runs anywhere.
"""

import asyncio
import sys
from collections.abc import AsyncIterator

from pawl import Client, Context, RunHandle, Worker, step, workflow


async def complete(prompt: str) -> AsyncIterator[str]:
    """What a model would stream."""
    for word in f"{prompt} complete.".split(" "):
        await asyncio.sleep(0.01)
        yield f"{word} "


@step
async def research(topic: str) -> dict[str, str]:
    words = [word async for word in complete(f"Research on {topic}")]
    return {"topic": topic, "notes": "".join(words).strip()}


@step
async def write(notes: str) -> AsyncIterator[str]:
    # Live to watchers; joined, it is the step's result.
    async for word in complete(f"Draft based on {notes.removesuffix(' complete.')}"):
        yield word


@workflow(id="blog-{topic}")
async def blog_agent(ctx: Context, topic: str) -> dict[str, str]:
    found = await research(topic)
    ctx.progress(1, 2, "researched")
    draft = await write(found["notes"])
    return {"draft": draft.strip()}


async def show(run: RunHandle[dict[str, str]]) -> None:
    async for event in run.watch(classes=["delta"]):
        if event.type == "output.delta":
            print(event.payload, end="", flush=True)
    print()


async def main() -> None:
    topic = sys.argv[1] if len(sys.argv) > 1 else "AI Agents"
    async with Client() as client, Worker([blog_agent]):
        run = await client.start(blog_agent, topic)
        await show(run)
        print(await run.result())


asyncio.run(main())
