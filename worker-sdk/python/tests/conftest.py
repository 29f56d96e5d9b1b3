"""A real server in a process of its own, for all tests."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from pawl import Client, RunHandle, RunView, Worker, Workflow, current
from pawl.testing import Server as Server

ROOT = Path(__file__).resolve().parents[3]
TESTS = Path(__file__).resolve().parent
T = TypeVar("T")
os.environ["PAWL_COMMAND"] = f"{ROOT}/node_modules/.bin/node {ROOT}/server/bin/pawl.js"
#: How long is waited for what has to come; it only bounds how long a failure takes.
PATIENCE_S = 120.0
#: How often each thing was done, by run.
counts: dict[str, dict[str, int]] = {}


def count(name: str) -> int:
    """Counts, in a step; returns how often it was done in this run."""
    own = counts.setdefault(current().run_id, {})
    own[name] = own.get(name, 0) + 1
    return own[name]


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with Server() as server:
        os.environ["PAWL_URL"] = server.url
        yield server


@dataclass
class Lab:
    """A worker and a client in this process."""

    worker: Worker
    client: Client
    #: Of the last run that it started.
    run_id: str = ""

    async def start(self, workflow: Workflow[..., T], *args: Any) -> RunHandle[T]:
        handle = await self.client.start(workflow, *args)
        self.run_id = handle.run_id
        return handle

    async def run(self, workflow: Workflow[..., T], *args: Any) -> T:
        """Runs a workflow to its end, by the worker."""
        return await (await self.start(workflow, *args)).result(timeout=PATIENCE_S)

    @property
    def counted(self) -> dict[str, int]:
        """What was counted in the last run."""
        return counts.get(self.run_id, {})


def lab(*workflows: Workflow[..., Any], **options: Any) -> Any:
    """`async with lab(workflow) as here:`"""

    @asynccontextmanager
    async def open_lab() -> AsyncIterator[Lab]:
        async with Client() as client, Worker(workflows, **options) as worker:
            yield Lab(worker, client)

    return open_lab()


async def finish(process: subprocess.Popen[str], seconds: float = PATIENCE_S) -> list[str]:
    """The lines that a program printed, which ends in order."""
    out, err = await asyncio.to_thread(process.communicate, timeout=seconds)
    assert process.returncode == 0, err
    return out.splitlines()


async def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> None:
    """Waits until something holds; asks every few milliseconds."""
    for _ in range(int(seconds / 0.02)):
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return
        await asyncio.sleep(0.02)
    raise TimeoutError("it did not come about")


async def until_status(handle: RunHandle[Any], status: str) -> RunView:
    """Waits until the run has that status."""

    async def is_there() -> bool:
        return (await handle.get()).status == status

    await until(is_there)
    return await handle.get()


#: Of tests that run concurrently: how they ended.
_outcomes: dict[str, BaseException | None] = {}
_TEST_S = 2 * PATIENCE_S
#: This many run at a time, each with its own time limit from when it starts.
_TOGETHER = 12


def _arguments(item: pytest.Function) -> dict[str, Any]:
    return {name: item.funcargs[name] for name in item._fixtureinfo.argnames}


async def _one(item: pytest.Function, arguments: dict[str, Any]) -> None:
    await asyncio.wait_for(item.obj(**arguments), _TEST_S)


def _is_together(item: pytest.Item) -> bool:
    return isinstance(item, pytest.Function) and item.get_closest_marker("together") is not None


async def _all_together(items: list[pytest.Function]) -> None:
    """Tests that mostly wait, concurrently; each is reported on its own."""
    parameters = [item.callspec.params if hasattr(item, "callspec") else {} for item in items]
    places = asyncio.Semaphore(_TOGETHER)

    async def in_its_place(item: pytest.Function, own: dict[str, Any]) -> None:
        async with places:
            await _one(item, own)

    work = [in_its_place(item, dict(own)) for item, own in zip(items, parameters, strict=True)]
    outcomes = await asyncio.gather(*work, return_exceptions=True)
    _outcomes.update(zip((item.nodeid for item in items), outcomes, strict=True))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tests may be coroutines; each gets an event loop of its own, or those marked `together` share one."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    if not _is_together(pyfuncitem):
        asyncio.run(_one(pyfuncitem, _arguments(pyfuncitem)))
        return True
    if pyfuncitem.nodeid not in _outcomes:
        items = [item for item in pyfuncitem.session.items if _is_together(item)]
        asyncio.run(_all_together(items))  # type: ignore[arg-type]
    error = _outcomes[pyfuncitem.nodeid]
    if error is not None:
        raise error
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
