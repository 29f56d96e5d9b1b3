"""Goal: a route of one's own streams a run to browsers as the server does.

Method: a Starlette app in a real uvicorn, read by hand over HTTP/1.1.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.request import urlopen

import pytest
from conftest import Server, lab, until

from pawl import Client, Context, EventView, TerminalError, to_response, workflow

uvicorn = pytest.importorskip("uvicorn")
applications = pytest.importorskip("starlette.applications")
routing = pytest.importorskip("starlette.routing")


@workflow
async def shown(ctx: Context, text: str) -> str:
    await ctx.step("a", lambda: text)
    await ctx.signal("go")
    return await ctx.step("b", lambda: text)


def short(event: EventView) -> Any:
    return {"is": event.type, "at": event.step_key} if event.type.startswith("run.") else None


def app_of(client: Client) -> Any:
    async def events(request: Any) -> Any:
        return await to_response(client.handle(request.path_params["id"]), request)

    async def mapped(request: Any) -> Any:
        run = client.handle(request.path_params["id"])
        return await to_response(run, request, map=short, heartbeat="50 ms", headers={"x-own": "1"})

    routes = [routing.Route("/runs/{id}", events), routing.Route("/mapped/{id}", mapped)]
    return applications.Starlette(routes=routes)


@asynccontextmanager
async def served(client: Client) -> AsyncIterator[int]:
    """The port of the app in a uvicorn of this event loop."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        server = uvicorn.Server(uvicorn.Config(app_of(client), log_level="warning"))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        await until(lambda: server.started)
        try:
            yield port
        finally:
            server.should_exit = True
            await serving


class Page:
    """A request of a browser, and what the server sends."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.text = ""

    async def head(self) -> str:
        return (await self._reader.readuntil(b"\r\n\r\n")).decode()

    async def until(self, text: str) -> None:
        while text not in self.text:
            data = await asyncio.wait_for(self._reader.read(65_536), 60)
            assert data, self.text
            self.text += data.decode()

    async def to_the_end(self) -> str:
        self.text += (await asyncio.wait_for(self._reader.read(), 60)).decode()
        return self.text

    def close(self) -> None:
        self._writer.close()


async def get(port: int, path: str, last_id: str = "") -> Page:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    more = f"last-event-id: {last_id}\r\n" if last_id else ""
    writer.write(f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{more}\r\n".encode())
    return Page(reader, writer)


async def watchers(server: Server) -> int:
    page = await asyncio.to_thread(lambda: urlopen(f"{server.http_url}/metrics").read().decode())
    line = next(line for line in page.splitlines() if line.startswith("pawl_watchers"))
    return int(float(line.split()[-1]))


async def test_a_browser_follows_a_run_and_stops_at_its_end(server: Server) -> None:
    async with lab(shown) as here, served(here.client) as port:
        run = await here.start(shown, "hello\nworld")
        page = await get(port, f"/runs/{run.run_id}")
        head = await page.head()
        assert "200 OK" in head and "content-type: text/event-stream" in head
        assert "x-accel-buffering: no" in head and "no-store" in head
        await page.until('"stepKey": "a"')
        await run.signal("go")
        text = await page.to_the_end()
        frames = [part for part in text.split("\n\n") if "event: run.completed" in part]
        data = json.loads(frames[0].split("data: ", 1)[1].split("\r\n")[0])
        assert data["class"] == "checkpoint" and data["entry"]["payload"] == "hello\nworld"
        started = next(part for part in text.split("\n\n") if "event: run.started" in part)
        assert "hello" not in started, "the input is the operator's own affair"
        last_id = frames[0].split("id: ", 1)[1].split("\n")[0]
        again = await get(port, f"/runs/{run.run_id}", last_id)
        assert "204 No Content" in await again.head()
        middle = next(part for part in text.split("\n\n") if "workflow.step.completed" in part)
        rest = await get(port, f"/runs/{run.run_id}", middle.split("id: ", 1)[1].split("\n")[0])
        assert "200 OK" in await rest.head()
        assert "run.started" not in await rest.to_the_end()


@workflow
async def broken(ctx: Context) -> None:
    try:
        raise ValueError("inner")
    except ValueError as error:
        raise TerminalError("outer") from error


async def test_without_a_map_no_stack_trace_is_sent(server: Server) -> None:
    async with lab(broken) as here, served(here.client) as port:
        run = await here.start(broken)
        text = await (await get(port, f"/runs/{run.run_id}")).to_the_end()
        assert "outer" in text and "run.failed" in text
        assert "Traceback" not in text and "test_web.py" not in text


async def test_a_run_that_is_not_there_is_404(server: Server) -> None:
    async with Client() as client, served(client) as port:
        page = await get(port, "/runs/nowhere")
        assert "404 Not Found" in await page.head()
        assert '"reason":"NOT_FOUND"' in await page.to_the_end()


async def test_only_what_is_mapped_is_sent_and_a_closed_page_ends_its_watch(server: Server) -> None:
    async with lab(shown) as here, served(here.client) as port:
        run = await here.start(shown, "secret")
        before = await watchers(server)
        pages = [await get(port, f"/mapped/{run.run_id}") for _ in range(10)]
        for page in pages:
            assert "x-own: 1" in await page.head()
            await page.until(": heartbeat")
            assert '"is": "run.started"' in page.text and "secret" not in page.text
        assert await watchers(server) >= before + 10
        for page in pages:
            page.close()

        async def is_over() -> bool:
            return await watchers(server) <= before

        await until(is_over)
        await run.cancel(force=True)
