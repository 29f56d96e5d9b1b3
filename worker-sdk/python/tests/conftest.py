"""A real server in a process of its own, for all tests."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pawl import Client, RunHandle, RunInfo, Worker, Workflow

ROOT = Path(__file__).resolve().parents[3]
TESTS = Path(__file__).resolve().parent
T = TypeVar("T")


class Server:
    """`pawl serve` on free ports; on the same ones again after a restart."""

    def __init__(self, store: str = ":memory:") -> None:
        self._store = store
        self._address = "127.0.0.1:0"
        self.start()

    def start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PAWL_")}
        self.process = subprocess.Popen(
            [
                ROOT / "node_modules/.bin/node",
                ROOT / "server/bin/pawl.js",
                *("serve", "--store", self._store, "--migrate", "--json"),
                *("--grpc", self._address, "--http", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said = json.loads(line)
            if said.get("event") == "ready":
                self.url = said["grpcUrl"]
                self.http_url = said["httpUrl"]
                self._address = said["grpc"]
                return
        raise RuntimeError("the server did not start")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    server = Server()
    os.environ["PAWL_URL"] = server.url
    yield server
    server.stop()


@dataclass
class Lab:
    """A worker and a client in this process."""

    worker: Worker
    client: Client

    async def run(self, workflow: Workflow[..., T], *args: Any, **kwargs: Any) -> T:
        """Runs a workflow to its end, by the worker."""
        handle = await self.client.start(workflow, *args, **kwargs)
        return await handle.result(timeout=30)


def lab(*workflows: Workflow[..., Any], **options: Any) -> Any:
    """`async with lab(workflow) as here:`"""

    @asynccontextmanager
    async def open_lab() -> AsyncIterator[Lab]:
        async with Client() as client, Worker(workflows, **options) as worker:
            yield Lab(worker, client)

    return open_lab()


async def until(condition: Callable[[], Any], seconds: float = 20) -> None:
    """Waits until something holds; asks every few milliseconds."""
    for _ in range(int(seconds / 0.02)):
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("it did not come about")


async def until_state(handle: RunHandle[Any], state: str) -> RunInfo:
    """Waits until the run is in that state."""

    async def is_there() -> bool:
        return (await handle.get()).state == state

    await until(is_there)
    return await handle.get()


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests may be coroutines; each gets an event loop of its own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), 60))
    return True


def python(*args: str, env: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Another Python process."""
    return subprocess.Popen(
        [sys.executable, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(env or {})},
    )
