"""Goal: a workflow runs without a server as it does with one: keys, results, errors, replays.

Method: run workflows with everything prepared, and with crashes in between.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from pawl import (
    Context,
    LocalQuestion,
    Retry,
    StepFailedError,
    TerminalError,
    UsageError,
    WaitTimeoutError,
    constant,
    run_locally,
    step,
    workflow,
)

done: list[str] = []


@pytest.fixture(autouse=True)
def forget() -> None:
    done.clear()


@dataclass
class Report:
    day: str
    rows: int


@step(retry=Retry(max_attempts=3, backoff=constant(30)))
def load(day: str) -> int:
    done.append(f"load {day}")
    return 7


@workflow(id="nightly-{day}")
async def nightly(ctx: Context, day: str) -> Report:
    await ctx.sleep("8 hours")
    rows = await load(day)
    rendered = await ctx.child("render-invoice", {"day": day, "rows": rows})
    await ctx.step("mail", lambda: done.append(f"mail {rendered}"))
    return Report(day, rows)


def render(input: Any) -> str:
    return f"{input['day']}: {input['rows']} rows"


async def test_time_children_and_failures_are_prepared() -> None:
    report = await run_locally(
        nightly,
        "monday",
        skip_time=True,
        children={"render-invoice": render},
        failures={"load": [ConnectionError("down"), None]},
    )
    assert report == Report("monday", 7)
    assert done == ["load monday", "mail monday: 7 rows"]


async def test_a_step_that_fails_for_good_fails_the_run_with_its_error() -> None:
    with pytest.raises(StepFailedError, match="still down") as caught:
        await run_locally(
            nightly, day="monday", skip_time=True, failures={"load": [OSError("still down")] * 3}
        )
    assert (caught.value.step_key, caught.value.attempts) == ("load", 3)


@pytest.mark.parametrize("at", ["load", "mail"])
async def test_a_run_continues_from_its_journal_after_a_crash(at: str) -> None:
    report = await run_locally(
        nightly, "monday", skip_time=True, children={"render-invoice": render}, crashes=[at]
    )
    assert report == Report("monday", 7)
    what = "load monday" if at == "load" else "mail monday: 7 rows"
    assert done.count(what) == 2 and len(done) == 3


async def test_a_child_without_a_stand_in_is_explained() -> None:
    with pytest.raises(UsageError, match=r"children=\{'render-invoice'"):
        await run_locally(nightly, "monday", skip_time=True)


@workflow
async def asking(ctx: Context) -> list[Any]:
    first = await ctx.signal("go", returns=int)
    late = await ctx.signal("never", timeout="1 day", default="nobody")
    name = await ctx.wait_for_user("Who?")
    approval = await ctx.wait_for_user("Ship it?", type="approval")
    choice = await ctx.wait_for_user("Which?", type="choice", options=["a", "b"], key="which")
    paid = await ctx.callback("paid")
    return [first, late, name, bool(approval), approval.actor, choice, await paid.result()]


async def test_signals_answers_and_callbacks_are_prepared() -> None:
    assert await run_locally(
        asking,
        skip_time=True,
        signals={"go": [5]},
        answers={
            "Who?": ["Ada"],
            "Ship it?": [{"approved": True, "actor": "eve"}],
            "which": ["b"],
        },
        callbacks={"paid": [{"sum": 3}]},
    ) == [5, "nobody", "Ada", True, "eve", "b", {"sum": 3}]


async def test_a_function_can_answer_and_answers_are_checked() -> None:
    @workflow
    async def one(ctx: Context) -> str:
        return await ctx.wait_for_user("Which?", type="choice", options=["a", "b"])

    async def answer(question: LocalQuestion) -> str:
        return question.options[-1]

    assert await run_locally(one, answers=answer) == "b"
    with pytest.raises(UsageError, match='must be one of "a", "b"'):
        await run_locally(one, answers={"Which?": ["c"]})


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("signal", "waits for the signal"),
        ("ask", "which nobody can answer"),
        ("callback", "which nobody can call"),
    ],
)
async def test_what_cannot_come_is_explained(name: str, message: str) -> None:
    @workflow
    async def stuck(ctx: Context) -> None:
        if name == "signal":
            await ctx.signal("go")
        elif name == "ask":
            await ctx.wait_for_user("Who?")
        else:
            await (await ctx.callback("paid")).result()

    with pytest.raises(UsageError, match=message):
        await run_locally(stuck)


@workflow
async def double(ctx: Context, number: int) -> int:
    if number < 0:
        raise TerminalError("it is negative")
    return 2 * number


@workflow
async def parent(ctx: Context) -> list[Any]:
    spawned = await ctx.spawn(double, 4)
    try:
        await ctx.child(double, -1)
    except StepFailedError as error:
        caught = str(error)
    either = await ctx.race(
        fast=ctx.child(double, 1), slow=ctx.signal("go", timeout="1 hour", default=0)
    )
    return [await spawned.result(), caught, either]


async def test_children_are_executed_as_well() -> None:
    assert await run_locally(parent) == [8, "it is negative", 2]


@workflow
async def undoing(ctx: Context) -> None:
    ctx.compensate("undo", lambda: done.append("undone"))
    try:
        await ctx.signal("never", timeout="1 hour")
    finally:
        async with ctx.cleanup():
            await ctx.step("clean", lambda: done.append("clean"))


async def test_a_run_that_is_cancelled_or_fails_is_undone() -> None:
    with pytest.raises(WaitTimeoutError):
        await run_locally(undoing, skip_time=True)
    assert done == ["clean", "undone"]
    done.clear()
    running = asyncio.create_task(run_locally(undoing))
    await asyncio.sleep(0.05)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert done == ["clean", "undone"]


async def test_live_output_is_shown() -> None:
    @workflow
    async def live(ctx: Context) -> None:
        ctx.emit("hello", {"n": 1})

    seen: list[tuple[str, Any, str]] = []
    await run_locally(live, on_event=lambda *event: seen.append(event))
    assert seen == [("hello", {"n": 1}, "")]
