"""Goal: what becomes of runs when processes die or stand still, and of clients in the wrong place.

Method: real processes, SIGKILL and SIGSTOP, and a file in which each effect leaves a line.
"""

from __future__ import annotations

import asyncio
import itertools
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from conftest import TESTS, Server, finish, python, until, until_status

from pawl import Client, RunHandle

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]
DYING = str(TESTS / "programs" / "dying_worker.py")
STANDING = str(TESTS / "programs" / "standing_worker.py")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


@asynccontextmanager
async def always(*args: str) -> AsyncIterator[None]:
    """A worker that is started again whenever it has died."""

    async def keep() -> None:
        while True:
            worker = python(*args)
            try:
                while worker.poll() is None:
                    await asyncio.sleep(0.02)
            finally:
                worker.kill()
                worker.wait()

    keeping = asyncio.create_task(keep())
    try:
        yield
    finally:
        keeping.cancel()


async def begin(client: Client, deaths: int, queue: str) -> RunHandle[int]:
    async def is_registered() -> bool:
        return "dying" in await client.workflows()

    await until(is_registered)
    return await client.with_options(queue=queue).start("dying", {"deaths": deaths})


async def test_deaths_count_apart_from_attempts_whose_numbers_never_repeat() -> None:
    attempts = Path(tempfile.mkdtemp()) / "attempts"
    async with Client() as client, always(DYING, str(attempts), "dies-twice"):
        handle = await begin(client, 2, "dies-twice")
        last = await handle.result()
    numbers = [int(each) for each in lines(attempts)]
    assert len(numbers) == 3 and numbers[-1] == last
    # The first death may come before the start was noted; from then on starts are on record first.
    assert all(a < b for a, b in itertools.pairwise(numbers[1:])), numbers
    assert numbers[0] <= numbers[1]


async def test_a_step_that_kills_every_worker_pauses_its_run() -> None:
    attempts = Path(tempfile.mkdtemp()) / "attempts"
    async with Client() as client, always(DYING, str(attempts), "dies-always"):
        handle = await begin(client, 1_000, "dies-always")
        info = await until_status(handle, "paused")
        assert info.status_reason == "crash_loop"
        assert 3 <= len(lines(attempts)) <= 4
        await handle.cancel()


async def test_a_worker_that_stood_still_starts_no_step_that_is_recorded() -> None:
    folder = Path(tempfile.mkdtemp())
    effects = folder / "effects"
    own = Server(f"sqlite:{folder}/pawl.db")
    await asyncio.to_thread(own.start)
    env = {"PAWL_URL": own.url}
    first = python(STANDING, str(effects), env=env)
    workers = [first]
    try:
        async with Client(own.url, retry_for="30 s") as client:

            async def is_registered() -> bool:
                return "counting" in await client.workflows()

            await until(is_registered)
            runs = [await client.start("counting", {"steps": 300}) for _ in range(20)]
            await until(lambda: len(lines(effects)) >= 200)
            first.send_signal(signal.SIGSTOP)
            # What the first one has been sent by now lies in its socket.
            await asyncio.sleep(0.2)
            own.kill()
            await asyncio.to_thread(own.start)
            seen = len(lines(effects))
            workers.append(python(STANDING, str(effects), env=env))
            await until(lambda: len(lines(effects)) >= seen + 400)
            before = lines(effects)
            first.send_signal(signal.SIGCONT)
            for run in runs:
                assert await run.result() == sum(range(300))
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
        await asyncio.to_thread(own.stop)
    taken = {line.split(" ", 1)[1] for line in before[seen:]}
    late = [line.split(" ", 1) for line in lines(effects)[len(before) :]]
    # The stop may have hit the one step whose code was running.
    assert len([step for pid, step in late if pid == str(first.pid) and step in taken]) <= 1


async def test_a_client_in_another_event_loop_or_a_forked_child_says_so() -> None:
    loop, old, new = await finish(python(str(TESTS / "programs" / "forked.py")))
    assert "another event loop" in loop
    assert "forked" in old and "forked" in new
