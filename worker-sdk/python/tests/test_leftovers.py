"""Goal: what a workflow began has its effect before the run ends, and a record; what it forgot is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import count, lab

from pawl import Context, RunFailedError, StepFailedError, TerminalError, step, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


@step
async def late(fails: bool = False) -> int:
    await asyncio.sleep(0.2)
    if fails:
        raise TerminalError("late failure")
    return count("late")


@step
async def later() -> int:
    return count("later")


async def flow() -> None:
    await asyncio.create_task(late())
    await later()


async def caught() -> None:
    try:
        await late(True)
    except StepFailedError:
        await later()


def cancelled() -> asyncio.Task[int]:
    task = asyncio.create_task(late())
    task.cancel()
    return task


@workflow
async def forgotten_child() -> None:
    return None


HOW: dict[str, Any] = {
    "started": lambda: asyncio.create_task(late()),
    "flow": lambda: asyncio.create_task(flow()),
    "fails": lambda: asyncio.create_task(late(True)),
    "caught": lambda: asyncio.create_task(caught()),
    "cancelled": cancelled,
    "dropped": late,
    "dropped child": forgotten_child,
}


@workflow
async def leaves(ctx: Context, how: str) -> str:
    kept = HOW[how]()
    return "returned" if kept else ""


@pytest.mark.parametrize(
    ("how", "counted"),
    [
        ("started", {"late": 1}),
        ("flow", {"late": 1, "later": 1}),
        ("caught", {"later": 1}),
        ("cancelled", {}),
    ],
)
async def test_the_end_waits_for_steps_that_were_begun(how: str, counted: dict[str, int]) -> None:
    async with lab(leaves) as here:
        handle = await here.start(leaves, how)
        assert await handle.result() == "returned"
        assert here.counted == counted
        recorded = [each.step_key async for each in handle.journal() if each.step_key]
        assert set(counted) <= set(recorded)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("fails", "late failure"),
        ("dropped", 'step "late" was not awaited'),
        ("dropped child", 'child "forgotten_child" was not awaited'),
    ],
)
async def test_what_was_left_behind_and_went_wrong_fails_the_run(how: str, message: str) -> None:
    async with lab(leaves, forgotten_child) as here:
        with pytest.raises(RunFailedError, match=message):
            await here.run(leaves, how)
        assert here.counted == {}


HALVES = ["a\ud83d", "\ude00b", "\ud83d", "\ude00", "\ud83d", "c", "\ude00", "\ud83d"]
WHOLE = "a😀b😀\ufffdc\ufffd\ufffd"


@workflow
async def cut(ctx: Context) -> Any:
    async def pieces() -> AsyncIterator[str]:
        for each in HALVES:
            yield each

    await ctx.signal("watched")
    return await ctx.step("cut", pieces)


async def test_watchers_get_the_characters_that_the_result_has() -> None:
    async with lab(cut) as here:
        handle = await here.start(cut)
        seen: list[Any] = []
        async for each in handle.watch():
            # Who comes when the step has ended gets its result, and no live output.
            if not seen:
                await handle.signal("watched", None)
            seen.append(each)
        assert await handle.result() == WHOLE
        live = "".join(each.payload for each in seen if each.type == "output.delta")
        assert live == WHOLE


@step
async def inner() -> int:
    return 1


@workflow
async def own_loop(ctx: Context) -> str:
    def body() -> int:
        return asyncio.run(inner())

    try:
        return str(await ctx.step("outer", body))
    except StepFailedError as error:
        return str(error)


async def test_a_step_that_is_awaited_in_another_event_loop_says_so() -> None:
    async with lab(own_loop) as here:
        assert "another event loop than its run's" in await here.run(own_loop)
