"""Goal: what all SDKs agree on: children and their retries, tags, time limits, names of workers."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest
from conftest import counts, lab, until_status

from pawl import Context, RunFailedError, TerminalError, step, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


def did(run_id: str, name: str) -> int:
    own = counts.setdefault(run_id, {})
    own[name] = own.get(name, 0) + 1
    return own[name]


@step
async def pay(parent: str) -> int:
    return did(parent, "pay")


@step
async def deliver(parent: str) -> int:
    times = did(parent, "deliver")
    if times == 1:
        raise TerminalError("out of stock")
    return times


@workflow
async def kid(ctx: Context, parent: str) -> str:
    did(parent, f"is {ctx.run_id}")
    await pay(parent)
    await deliver(parent)
    return ctx.run_id


@workflow
async def retried_parent(ctx: Context) -> str:
    return await ctx.child(kid, ctx.run_id)


async def test_a_retried_parent_goes_on_with_the_same_child() -> None:
    async with lab(retried_parent, kid) as here:
        handle = await here.start(retried_parent)
        with pytest.raises(RunFailedError, match="out of stock"):
            await handle.result()
        await handle.retry()
        child = await handle.result()
        counted = here.counted
        assert counted["pay"] == 1 and counted["deliver"] == 2
        assert [each for each in counted if each.startswith("is ")] == [f"is {child}"]


@workflow
async def tagged(ctx: Context) -> list[Any]:
    before = await ctx.current_tags()
    await ctx.signal("go")
    return [before, await ctx.current_tags(), ctx.tags]


async def test_tags_of_now_are_recorded_and_those_of_the_start_stay() -> None:
    async with lab(tagged) as here:
        handle = await here.client.with_options(tags={"team": "x"}).start(tagged)
        await until_status(handle, "waiting")
        await handle.update_tags({"team": "z"})
        await handle.signal("go")
        now = {"team": "z"}
        assert await handle.result() == [{"team": "x"}, now, {"team": "x"}]


@workflow(timeout="1 s")
async def limited(ctx: Context) -> None:
    await ctx.signal("never")


async def test_a_workflow_s_timeout_holds_for_every_start() -> None:
    async with lab(limited) as here:
        by_name = await here.client.start("limited")
        longer = await here.client.with_options(timeout="1 h").start(limited)
        with pytest.raises(RunFailedError) as caught:
            await by_name.result()
        assert caught.value.type == "RunTimeout"
        await until_status(longer, "waiting")
        await longer.cancel()


async def test_a_worker_is_named_by_its_host_and_process() -> None:
    async with lab(limited) as here:
        name = f"{socket.gethostname()}-{os.getpid()}"
        assert here.worker.worker_id == name
        assert name in [each.worker_id for each in await here.client.workers()]
