"""Goal: a killed process costs at most the step in flight.

Method: real processes, SIGKILL, and a file in which each effect leaves a line.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

import pytest
from conftest import TESTS, python, until

from pawl import Client

pytestmark = pytest.mark.usefixtures("server")
WORKER = str(TESTS / "programs" / "crashing_worker.py")
CLAIMING = str(TESTS / "programs" / "claiming.py")


def lines(file: Path) -> list[str]:
    return file.read_text().splitlines() if file.exists() else []


async def test_a_killed_worker_costs_the_step_in_flight(tmp_path: Path) -> None:
    effects = tmp_path / "effects"
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
            result = await handle.result(timeout=30)
    finally:
        worker.kill()
        worker.wait()
    wanted = [f"step {n}" for n in range(12)] + ["left", "right"]
    assert result == wanted
    counts = Counter(lines(effects))
    assert set(counts) == set(wanted)
    assert counts.total() <= len(wanted) + 2


def test_a_killed_script_continues_when_it_is_called_again(tmp_path: Path) -> None:
    effects = tmp_path / "effects"
    source = f"users/{time.time_ns()}"
    script = python(CLAIMING, str(effects), source)
    end = time.monotonic() + 20
    while "load 2" not in lines(effects) and time.monotonic() < end:
        time.sleep(0.01)
    script.kill()
    script.wait()
    # Its lease holds for a while, which the next one waits for.
    again = python(CLAIMING, str(effects), source)
    out, err = again.communicate(timeout=60)
    assert again.returncode == 0, err
    assert out == "60\n"
    counts = Counter(lines(effects))
    assert counts["extract"] == 1 and counts["load 1"] == 1 and counts["load 3"] == 1
    assert counts["load 2"] <= 2 and counts["body"] == 1
    once_more = python(CLAIMING, str(effects), source)
    out, err = once_more.communicate(timeout=60)
    assert (out, once_more.returncode) == ("60\n", 0), err
    assert Counter(lines(effects)) == counts
