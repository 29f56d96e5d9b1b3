"""Goal: children that the code continues beside are started once, and end as they are told to.

Method: parents and children on a real server, with a worker that executes each run again after every record.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conftest import lab, until_status

from pawl import Context, StepFailedError, TerminalError, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


@workflow
async def doubled(ctx: Context, number: int) -> int:
    if number < 0:
        raise TerminalError("it is negative")
    return 2 * await ctx.step("number", lambda: number)


@workflow
async def never_ending(ctx: Context, input: Any) -> None:
    await ctx.signal("never")


@workflow
async def beside(ctx: Context) -> list[Any]:
    first = await ctx.spawn(doubled, 1)
    second = await ctx.spawn(doubled, 2)
    bad = await ctx.spawn("doubled", {"number": -1})
    caught = ""
    try:
        await bad.result()
    except StepFailedError as error:
        caught = str(error)
    both = await asyncio.gather(second.result(), second.result())
    return [await first.result(), *both, caught, first.run_id, second.run_id]


@workflow
async def leaving(ctx: Context) -> list[str]:
    cancelled = await ctx.spawn(never_ending, 1)
    abandoned = await ctx.spawn(never_ending, 2, parent_close="abandon")
    return [cancelled.run_id, abandoned.run_id]


@pytest.mark.parametrize("replay", [None, "always"])
async def test_children_in_the_background_are_started_once(replay: str | None) -> None:
    async with lab(beside, doubled, replay=replay) as here:
        handle = await here.start(beside)
        first, *both, caught, one, two = await handle.result()
        assert (first, both) == (2, [4, 4])
        assert caught == "it is negative"
        assert [one, two] == [
            f"{handle.run_id}~spawn:doubled",
            f"{handle.run_id}~spawn:doubled%232",
        ]
        children, _ = await here.client.list(parent_run_id=handle.run_id)
        assert len(children) == 3


async def test_a_child_ends_with_its_parent_unless_it_is_abandoned() -> None:
    async with lab(leaving, never_ending) as here:
        cancelled, abandoned = await here.run(leaving)
        await until_status(here.client.handle(cancelled), "cancelled")
        other = here.client.handle(abandoned)
        assert (await other.get()).status in ("queued", "running", "waiting")
        await other.cancel(force=True)
