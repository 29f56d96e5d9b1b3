"""Goal: a cancel is thrown once, at what was pending; clean-up and compensations run whatever the step in
flight does; attempts that were stopped have an end on record.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from conftest import count, lab, until

from pawl import Cancelled, Context, RunFailedError, current, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


def stubborn() -> None:
    """A plain function, which nothing can stop."""
    count("work")
    time.sleep(3)


async def deaf() -> None:
    count("work")
    end = time.monotonic() + 3
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.1)
        except asyncio.CancelledError:
            continue


async def quick() -> None:
    """Ends well, soon after the cancel."""
    count("work")
    try:
        await asyncio.sleep(3)
    except asyncio.CancelledError:
        await asyncio.sleep(0.1)


WORK: dict[str, Any] = {each.__name__: each for each in (stubborn, deaf, quick)}


@workflow
async def locked(ctx: Context, what: str) -> None:
    await ctx.step("lock", count, "lock")
    ctx.compensate("undo", count, "undone")
    try:
        await ctx.step("work", WORK[what])
    except Cancelled:
        await ctx.step("told", count, "told")
        raise
    finally:
        await ctx.step("unlock", count, "unlock")


@pytest.mark.parametrize("mode", ["stream", "poll"])
@pytest.mark.parametrize("what", WORK)
async def test_clean_up_runs_whatever_the_step_in_flight_does(what: str, mode: Any) -> None:
    async with lab(locked, mode=mode) as here:
        handle = await here.start(locked, what)
        await until(lambda: here.counted.get("work"))
        await handle.cancel(reason="stop", grace=8)
        with pytest.raises(RunFailedError) as caught:
            await handle.result()
        assert caught.value.status == "cancelled"
        journal = [(e.type, e.step_key) async for e in handle.journal()]
    assert here.counted == {"lock": 1, "work": 1, "told": 1, "unlock": 1, "undone": 1}
    assert ("workflow.step.cancelled", "work") in journal
    assert ("workflow.step.completed", "work") not in journal
    assert ("run.cleanup.started", "") in journal


@workflow
async def refused(ctx: Context, what: str) -> str:
    ctx.compensate("undo", count, "undone")
    try:
        if what == "cron":
            await ctx.sleep_until(cron="61 * * * *")
        elif what == "zone":
            await ctx.sleep_until(cron="0 9 * * *", time_zone="Mars/Olympus")
        elif what == "run id":
            await ctx.child("other", run_id="bad id")
        elif what == "approvers":
            await ctx.approval("Go?", approvers=["a", "a"])
        elif what == "reminders":
            await ctx.wait_for_user("Go?", reminders=[1] * 30)
        elif what == "question":
            await ctx.wait_for_user("x" * 300_000)
        elif what == "form":
            await ctx.wait_for_user("Go?", type="form", schema={"type": "no such"})
    except Exception as error:
        await ctx.step("caught", count, "caught")
        assert str(error)
        raise
    finally:
        await ctx.step("finally", count, "finally")
    return "taken"


@pytest.mark.parametrize(
    "what", ["cron", "zone", "run id", "approvers", "reminders", "question", "form"]
)
async def test_what_the_server_refuses_is_thrown_at_the_call(what: str) -> None:
    async with lab(refused) as here:
        handle = await here.start(refused, what)
        with pytest.raises(RunFailedError) as caught:
            await handle.result()
        assert caught.value.status == "failed"
        assert here.counted == {"caught": 1, "finally": 1, "undone": 1}


@workflow
async def branches(ctx: Context) -> list[Any]:
    async def slow() -> None:
        await ctx.step("slow", asyncio.sleep, 30)

    async def fails() -> None:
        await current().step("soon", asyncio.sleep, 0.3)
        raise ValueError("broken")

    try:
        await ctx.all(a=slow(), b=fails())
    except ValueError as error:
        return [str(error)]
    return []


async def test_a_step_of_a_branch_that_was_ended_has_an_end_on_record() -> None:
    async with lab(branches) as here:
        handle = await here.start(branches)
        assert await handle.result() == ["broken"]
        journal = [(e.type, e.step_key) async for e in handle.journal()]
    assert ("workflow.step.cancelled", "all:a/slow") in journal
