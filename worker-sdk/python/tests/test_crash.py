"""Goal: a killed process costs at most the step in flight.

Method: real processes, SIGKILL, and a file in which each effect leaves a line.
"""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import TESTS, finish, python, until

from pawl import Client

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]
WORKER = str(TESTS / "programs" / "crashing_worker.py")
CLAIMING = str(TESTS / "programs" / "claiming.py")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_a_killed_worker_costs_the_step_in_flight() -> None:
    effects = Path(tempfile.mkdtemp()) / "effects"
    worker = python(WORKER, str(effects))
    try:
        async with Client() as client:

            async def is_registered() -> bool:
                return "fragile" in await client.workflows()

            await until(is_registered)
            handle = await client.start("fragile", {"steps": 12})
            for kills in (4, 8):
                await until(lambda n=kills: len(lines(effects)) >= n)  # type: ignore[misc]
                worker.kill()
                worker.wait()
                worker = python(WORKER, str(effects))
            result = await handle.result()
    finally:
        worker.kill()
        worker.wait()
    wanted = [f"step {n}" for n in range(12)] + ["left", "right"]
    assert result == wanted
    counts = Counter(lines(effects))
    assert set(counts) == set(wanted)
    assert counts.total() <= len(wanted) + 2


async def test_a_killed_script_continues_when_it_is_called_again() -> None:
    effects = Path(tempfile.mkdtemp()) / "effects"
    source = f"users/{time.time_ns()}"
    script = python(CLAIMING, str(effects), source)
    await until(lambda: "load 2" in lines(effects))
    script.kill()
    script.wait()
    # Its lease holds for a while, which the next one waits for.
    assert await finish(python(CLAIMING, str(effects), source)) == ["60"]
    counts = Counter(lines(effects))
    assert counts["extract"] == 1 and counts["load 1"] == 1 and counts["load 3"] == 1
    assert counts["load 2"] <= 2 and counts["body"] == 1
    assert await finish(python(CLAIMING, str(effects), source)) == ["60"]
    assert Counter(lines(effects)) == counts
