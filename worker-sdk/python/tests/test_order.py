"""Goal: code is told what has happened in the order of the journal, however its worker hears of it.
Method: a wait ends beside a step that ends after it; the live order is that of the journal.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import Server, lab, until, until_status

from pawl import Client, Context, current, workflow

pytestmark = pytest.mark.usefixtures("server")
#: What each execution of the code was told, in its order, by run.
told: dict[str, list[list[str]]] = {}
#: When the step is to end, by run.
ends: dict[str, asyncio.Event] = {}


async def work() -> None:
    await ends.setdefault(current().run_id, asyncio.Event()).wait()


@workflow
async def beside(ctx: Context, timeout: float) -> list[str]:
    order: list[str] = []
    told.setdefault(current().run_id, []).append(order)

    async def waits() -> None:
        await ctx.signal("first", timeout=timeout, default=None)
        order.append("wait")
        await ctx.step("after the wait", lambda: None)

    async def works() -> None:
        await ctx.step("work", work)
        order.append("work")

    await ctx.all(waits(), works())
    await ctx.signal("go")
    return order


@pytest.mark.parametrize("timeout", [0.2, 3600])
@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_a_wait_that_ends_before_a_step_comes_first(mode: Any, timeout: float) -> None:
    async with lab(beside, mode=mode) as here:
        for _ in range(4):
            handle = await here.start(beside, timeout)

            async def types(handle: Any = handle) -> list[str]:
                return [entry.type async for entry in handle.journal()]

            await until(lambda: here.run_id in ends)
            if timeout > 1:
                await handle.signal("first", None)
            # A worker that polls has not asked about the wait since.
            await until(lambda: _has(types, "workflow.wait.resolved"))
            ends[here.run_id].set()
            await until_status(handle, "waiting")
            await handle.signal("go", None)
            assert await handle.result() == ["wait", "work"]
            assert told[here.run_id] == [["wait", "work"]] * 2


class Proxy:
    """Between a worker and its server; can be cut, and may take its time to connect."""

    def __init__(self, url: str, delay_s: float = 0) -> None:
        self._host, port = url.removeprefix("http://").split(":")
        self._port = int(port)
        self._links: list[asyncio.StreamWriter] = []
        self._delay_s = delay_s
        self._is_cut = False

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_cut:
            writer.close()
            return
        await asyncio.sleep(self._delay_s)
        to_reader, to_writer = await asyncio.open_connection(self._host, self._port)
        self._links += [writer, to_writer]
        await asyncio.gather(_copy(reader, to_writer), _copy(to_reader, writer))

    def cut(self) -> None:
        self._is_cut = True
        for writer in self._links:
            writer.close()
        self._links.clear()

    def mend(self) -> None:
        self._is_cut = False


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except (ConnectionError, asyncio.CancelledError):
        pass
    writer.close()


async def test_a_wait_that_ends_while_the_worker_is_away_comes_first(server: Server) -> None:
    proxy = Proxy(server.url)
    async with lab(beside, url=await proxy.start()) as here:
        for _ in range(4):
            handle = await here.start(beside, 3600)

            async def types(handle: Any = handle) -> list[str]:
                return [entry.type async for entry in handle.journal()]

            await until(lambda: here.run_id in ends)
            await until(lambda: _has(types, "workflow.wait.created"))
            proxy.cut()
            await handle.signal("first", None)
            ends[here.run_id].set()
            await asyncio.sleep(0.1)
            proxy.mend()
            await handle.signal("go", None)
            assert await handle.result(timeout=40) == ["wait", "work"]
            # Where the lease did not survive, there was one more execution.
            orders = told[here.run_id]
            assert [order == ["wait", "work"][: len(order)] for order in orders] == [True] * len(
                orders
            )


async def _has(types: Any, wanted: str) -> bool:
    return wanted in await types()


async def test_a_server_that_is_slow_to_connect_to_is_connected_to(server: Server) -> None:
    """It is busy, or far away: longer than the longest pause between two attempts."""
    async with Client(await Proxy(server.url, delay_s=1.5).start()) as client:
        await client.workflows()


#: In what order each run was told first of what it opened at once.
came_first: dict[str, str] = {}


@workflow
async def opening(ctx: Context) -> str:
    order: list[str] = []

    async def opens() -> None:
        await ctx.callback("c")
        order.append("callback")

    async def works(name: str) -> None:
        await ctx.step(name, lambda: None)
        order.append(name)

    await ctx.all(opens(), works("s"), works("t"))
    came = ",".join(order)
    came_first.setdefault(current().run_id, came)
    await ctx.signal("go")
    return came


async def test_the_url_of_a_callback_comes_at_its_place_in_a_replay() -> None:
    async with lab(opening, slots=100) as here:
        handles = [await here.start(opening) for _ in range(60)]
        for handle in handles:
            await until_status(handle, "waiting")
        for handle in handles:
            await handle.signal("go")
        for handle in handles:
            assert await handle.result() == came_first[handle.run_id]
