"""A watch ends when it is closed, also on the server, and while a task waits for its next event."""

from __future__ import annotations

import asyncio
import re
from urllib.request import urlopen

import pytest
from conftest import Server, lab, until, until_status

from pawl import Context, workflow


@workflow
async def quiet(ctx: Context) -> None:
    await ctx.signal("go")


def watchers(server: Server) -> int:
    with urlopen(f"{server.http_url}/metrics") as response:
        found = re.search(r"^pawl_watchers(?:\{.*\})? (\d+)$", response.read().decode(), re.M)
    assert found is not None
    return int(found.group(1))


async def test_closing_a_watch_ends_it_for_whoever_waits_and_on_the_server(server: Server) -> None:
    async with lab(quiet) as here:
        run = await here.start(quiet)
        await until_status(run, "waiting")
        before = await asyncio.to_thread(watchers, server)
        events = run.watch()
        seen: list[str] = []

        async def read() -> None:
            async for event in events:
                seen.append(event.type)

        reading = asyncio.create_task(read())
        await until(lambda: "workflow.waiting" in seen)
        assert await asyncio.to_thread(watchers, server) == before + 1
        await events.aclose()
        await asyncio.wait_for(reading, 30)
        # Closed before it was read from, and closed twice.
        unread = run.watch()
        await unread.aclose()
        await unread.aclose()
        with pytest.raises(StopAsyncIteration):
            await unread.__anext__()
        # Left in the middle.
        left = run.watch()
        assert (await left.__anext__()).type == "run.started"
        await left.aclose()

        async def is_over() -> bool:
            return await asyncio.to_thread(watchers, server) == before

        await until(is_over)
        await run.signal("go")
        await run.result()
