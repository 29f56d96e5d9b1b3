"""Goal: what pawl.testing offers works in a user's own tests.

Method: use it as such tests do, in this session and in pytest sessions of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import Server

from pawl import Client, Context, UsageError, step, workflow
from pawl.testing import FakeClient, running

done: list[str] = []


@step
def charge(amount: int) -> int:
    done.append(f"charge {amount}")
    return amount


@workflow(id="paying-{amount}")
async def paying(ctx: Context, amount: int) -> str:
    charged = await charge(amount)
    await ctx.step("mail", lambda: done.append("mail"))
    return f"charged {charged}"


async def test_a_worker_that_crashes_is_followed_by_another(server: Server) -> None:
    done.clear()
    async with running(paying, url=server.url, crash_at="charge") as client:
        run = await client.start(paying, 3)
        assert await run.result(timeout="1 min") == "charged 3"
    assert done == ["charge 3", "charge 3", "mail"]


async def test_a_crash_that_does_not_come_fails_the_test(server: Server) -> None:
    with pytest.raises(AssertionError, match='no step "refund" was executed'):
        async with running(paying, url=server.url, crash_at="refund") as client:
            assert await client.run(paying, 4) == "charged 4"


async def order(client: Client, amount: int) -> str:
    """As a web app has it."""
    run = await client.with_options(tags={"shop": "x"}).start(paying, amount)
    await run.signal("hello", {"n": 1})
    return await run.result()


async def test_a_fake_client_notes_what_is_started_and_has_results() -> None:
    client = FakeClient(
        results={"paying": lambda input: f"as if {input['amount']}", "bad": ValueError("no")}
    )
    assert await order(client, 5) == "as if 5"
    (start,) = client.starts
    assert (start.workflow, start.run_id, start.input) == (
        "paying",
        "paying-5",
        {"amount": 5},
    )
    assert start.options == {"tags": {"shop": "x"}}
    assert client.signals == {"paying-5": [("hello", {"n": 1})]}
    assert (await client.start(paying, 5)).existing
    with pytest.raises(ValueError, match="no"):
        await client.run("bad")
    with pytest.raises(UsageError, match="no result is prepared"):
        await client.run("other")
    with pytest.raises(UsageError, match="has no server to ask"):
        await client.list()


CONFTEST = "from pawl.testing import pawl_server, pawl_worker\n"
NIGHTLY = """
import asyncio
from pawl import Context, run_locally, step, workflow

@step
def load(day: str) -> int:
    return 7

@workflow
async def nightly(ctx: Context, day: str) -> str:
    await ctx.sleep("1 s")
    rows = await load(day)
    return await ctx.child("render", {"day": day, "rows": rows})

@workflow
async def render(ctx: Context, day: str, rows: int) -> str:
    return f"{day}: {rows} rows"

def test_locally():
    result = run_locally(nightly, "monday", skip_time=True, children={"render": render})
    assert asyncio.run(result) == "monday: 7 rows"

def test_with_a_worker(pawl_worker):
    async def body():
        async with pawl_worker(nightly, render) as client:
            assert await client.run(nightly, "monday") == "monday: 7 rows"
    asyncio.run(body())

def test_with_a_crash(pawl_worker):
    async def body():
        async with pawl_worker(nightly, render, crash_at="load") as client:
            assert await client.run(nightly, "tuesday") == "tuesday: 7 rows"
    asyncio.run(body())
"""


def test_a_session_of_its_own_needs_no_process_by_hand(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text(CONFTEST)
    (tmp_path / "test_nightly.py").write_text(NIGHTLY)
    environment = {k: v for k, v in os.environ.items() if k != "PAWL_URL"}
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
    )
    assert "3 passed" in ran.stdout, ran.stdout + ran.stderr
