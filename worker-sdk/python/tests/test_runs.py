"""Goal: what a workflow does through a worker is what its code says, on the first run and in replays.

Method: a real server, a worker in this process, runs that suspend and are dispatched again.
"""

from __future__ import annotations

import asyncio
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from conftest import PATIENCE_S, Server, count, lab, until, until_status

from pawl import (
    Cancelled,
    Context,
    Retry,
    RetryableError,
    RunFailedError,
    StepContext,
    StepFailedError,
    TerminalError,
    UsageError,
    WaitTimeoutError,
    constant,
    current,
    step,
    workflow,
)

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


FALSY: list[Any] = [None, False, 0, "", [], {}, b"", 0.0]


def made(value: Any) -> Any:
    count("falsy")
    return value


@workflow
async def falsy(ctx: Context) -> list[Any]:
    before = [await ctx.step("value", made, value) for value in FALSY]
    await ctx.sleep(1.5)
    return before


async def test_falsy_results_are_results_and_are_not_made_again() -> None:
    async with lab(falsy) as here:
        result = await here.run(falsy)
    assert result == FALSY
    assert [type(value) for value in result] == [type(value) for value in FALSY]
    assert here.counted == {"falsy": len(FALSY)}


@workflow
async def swallow(ctx: Context) -> str:
    try:
        await ctx.signal("wake up")
    except Exception:
        return "swallowed"
    return await ctx.step("after", lambda: "woken")


async def test_a_suspension_passes_except_exception() -> None:
    async with lab(swallow) as here:
        handle = await here.start(swallow)
        await until_status(handle, "waiting")
        assert here.worker.in_flight == 0
        await handle.signal("wake up")
        assert await handle.result() == "woken"


@workflow
async def parallel(ctx: Context, fast_first: bool) -> list[Any]:
    order: list[str] = []

    async def branch(name: str, seconds: float) -> str:
        await ctx.step("wait", lambda: time.sleep(seconds))
        got = await ctx.step("work", lambda: name)
        order.append(got)
        await ctx.sleep(1.5, name="nap")
        return await ctx.step("work", lambda: f"{name}!")

    a, b = (0.0, 0.2) if fast_first else (0.2, 0.0)
    results = await ctx.all(branch("a", a), branch("b", b))
    named = await ctx.all(x=branch("x", 0), y=branch("y", 0))
    return [results, named, order[:2]]


@pytest.mark.parametrize("fast_first", [True, False])
async def test_branches_keep_their_order_and_are_replayed_in_the_order_of_the_journal(
    fast_first: bool,
) -> None:
    async with lab(parallel) as here:
        handle = await here.start(parallel, fast_first)
        result = await handle.result()
        keys = [e.step_key async for e in handle.journal() if e.type == "workflow.step.completed"]
    assert result[:2] == [["a!", "b!"], {"x": "x!", "y": "y!"}]
    assert result[2] == (["a", "b"] if fast_first else ["b", "a"])
    assert sorted(keys)[:3] == ["all:0/wait", "all:0/work", "all:0/work#2"]
    assert "all:x/work#2" in keys


@workflow
async def loop(ctx: Context) -> list[int]:
    results = [await ctx.step("item", lambda n=n: count(f"item {n}") * n) for n in range(3)]
    for name in ("x", "y"):
        results.append(await ctx.step("item", lambda: count("keyed"), key=name))
    await ctx.sleep(1.5)
    return results


async def test_a_name_in_a_loop_is_told_apart_by_counting_or_by_key() -> None:
    async with lab(loop) as here:
        handle = await here.start(loop)
        assert await handle.result() == [0, 1, 2, 1, 2]
        keys = [e.step_key async for e in handle.journal() if e.type == "workflow.step.completed"]
    assert keys == ["item", "item#2", "item#3", "item[x]", "item[y]"]
    assert all(n == 1 for name, n in here.counted.items() if name != "keyed")


class Flaky(Exception):
    pass


@step(retry=Retry(max_attempts=3, backoff=constant(0.05)))
async def flaky(ctx: StepContext, fails: int) -> list[Any]:
    if count("flaky") <= fails:
        raise Flaky("not yet")
    return [
        ctx.attempt,
        ctx.idempotency_key.endswith("/flaky") and not ctx.idempotency_key.startswith(ctx.run_id),
    ]


@workflow
async def retries(ctx: Context, fails: int) -> Any:
    try:
        return await flaky(fails)
    except StepFailedError as error:
        await ctx.sleep(1.5)
        return [error.type, str(error), error.attempts, error.step_key]


@pytest.mark.parametrize(
    ("fails", "result"), [(2, [3, True]), (3, ["Flaky", "not yet", 3, "flaky"])]
)
async def test_retries_and_the_final_failure_are_the_same_in_a_replay(
    fails: int, result: list[Any]
) -> None:
    async with lab(retries) as here:
        assert await here.run(retries, fails) == result
    assert here.counted["flaky"] == 3


@workflow
async def terminal(ctx: Context) -> None:
    def body() -> None:
        count("terminal")
        raise TerminalError("never", details={"code": 7})

    await ctx.step("body", body, retry=5)


async def test_a_terminal_error_is_not_tried_again_and_fails_the_run() -> None:
    async with lab(terminal) as here:
        with pytest.raises(RunFailedError) as caught:
            await here.run(terminal)
    assert (caught.value.type, caught.value.status) == ("TerminalError", "failed")
    assert here.counted == {"terminal": 1}


@workflow
async def patient(ctx: Context) -> int:
    async def body() -> int:
        if count("patient") == 1:
            raise RetryableError("later", retry_after="2.5 s")
        return 1

    return await ctx.step("body", body, retry=2)


async def test_a_long_pause_between_attempts_frees_the_worker() -> None:
    async with lab(patient) as here:
        handle = await here.start(patient)
        await until(lambda: here.counted.get("patient") == 1 and here.worker.in_flight == 0)
        assert await handle.result() == 1


#: More than asyncio's own pool of threads holds on most machines.
TOGETHER = 40
meeting = threading.Barrier(TOGETHER)


@step
def blocking(with_others: bool) -> int:
    if with_others:
        meeting.wait(30)
    return threading.get_ident()


@workflow
async def threads(ctx: Context) -> bool:
    idents = await ctx.all(*(blocking(True) for _ in range(TOGETHER)))
    return len(set(idents)) == TOGETHER and threading.get_ident() not in idents


async def test_plain_functions_run_in_threads_side_by_side() -> None:
    async with lab(threads) as here:
        assert await here.run(threads) is True


@workflow
async def nested(ctx: Context) -> int:
    async def outer() -> int:
        inner = await current().step("inner", lambda: count("inner"))
        if count("outer") == 1:
            raise Flaky("once more")
        return inner

    return await ctx.step("outer", outer, retry=Retry(max_attempts=2, backoff=constant(0)))


async def test_a_step_inside_of_a_step_is_recorded_on_its_own() -> None:
    async with lab(nested) as here:
        assert await here.run(nested) == 1
    assert here.counted == {"inner": 1, "outer": 2}


@step
async def write(words: list[str]) -> AsyncIterator[str]:
    for word in words:
        yield word
        await asyncio.sleep(0.05)


@step(reduce="collect")
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@workflow
async def streaming(ctx: Context) -> Any:
    await ctx.signal("watched")
    ctx.emit("note", {"at": "start"})
    return [await write(["one ", "two ", "three"]), await numbers(3)]


async def test_a_generator_streams_live_and_its_whole_is_recorded() -> None:
    async with lab(streaming) as here:
        run_id = f"streaming-{time.time_ns()}"
        events: list[Any] = []

        async def watch() -> None:
            handle = here.client.handle(run_id)
            async for event in handle.watch(wait_for_start=True):
                # Who comes when a step has ended gets its result, and no live output.
                if not events:
                    await handle.signal("watched", None)
                events.append(event)

        watching = asyncio.create_task(watch())
        await asyncio.sleep(0.1)
        handle = await here.client.with_options(run_id=run_id).start(streaming)
        assert await handle.result() == ["one two three", [0, 1, 2]]
        await asyncio.wait_for(watching, PATIENCE_S)
    deltas = [(e.step_key, e.payload) for e in events if e.type == "output.delta"]
    assert deltas == [("write", w) for w in ("one ", "two ", "three")] + [
        ("numbers", n) for n in range(3)
    ]
    types = [event.type for event in events]
    assert types.index("output.delta") < types.index("workflow.step.completed")
    assert "note" in types
    assert types[-1] == "run.completed"


@workflow
async def signals(ctx: Context) -> list[Any]:
    first = await ctx.signal("go")
    second = await ctx.signal("go", timeout="20 s")
    third = await ctx.signal("never", timeout=0.05, default="nobody")
    try:
        await ctx.signal("never", timeout=0.05)
    except WaitTimeoutError:
        return [first, second, third]
    return []


async def test_signals_come_in_their_order_also_before_the_wait() -> None:
    async with lab(signals) as here:
        handle = await here.client.with_options(delay="0.3 s").start(signals)
        assert await handle.signal("go", False, signal_id="one")
        assert not await handle.signal("go", False, signal_id="one")
        await handle.signal("go", {"n": 2})
        assert await handle.result() == [False, {"n": 2}, "nobody"]


@workflow
async def inner_run(ctx: Context, n: int) -> int:
    if n < 0:
        raise ValueError("too small")
    return await ctx.step("square", lambda: n * n)


@workflow
async def outer_run(ctx: Context) -> list[Any]:
    a = await inner_run(3)
    b = await ctx.child(inner_run, 4, key="four")
    c = await ctx.child("inner_run", {"n": 5})
    try:
        await ctx.child(inner_run, n=-1, key="bad")
    except StepFailedError as error:
        return [a, b, c, error.type]
    return []


async def test_child_runs() -> None:
    async with lab(inner_run, outer_run) as here:
        assert await here.run(outer_run) == [9, 16, 25, "ValueError"]


@workflow
async def failing_branch(ctx: Context) -> Any:
    log: list[str] = []

    async def bad() -> None:
        await ctx.step("quick", lambda: time.sleep(0.1))
        raise ValueError("broken")

    async def long() -> None:
        try:
            await ctx.step("long", lambda: asyncio.sleep(30))
        except Cancelled as end:
            log.append(str(end))
            raise

    try:
        await ctx.all(bad(), long())
    except ValueError as error:
        outcomes = await ctx.all_settled(good=ctx.step("fine", lambda: 1), bad=bad())
        return [str(error), log, outcomes["good"].value, outcomes["bad"].ok]


async def test_a_failing_branch_ends_the_others_first() -> None:
    async with lab(failing_branch) as here:
        result = await here.run(failing_branch)
    assert result == ["broken", ["another branch failed: broken"], 1, False]


@workflow
async def racing(ctx: Context) -> str:
    async def slow() -> str:
        await ctx.sleep("1 hour")
        return "slow"

    return await ctx.race(slow(), ctx.step("fast", lambda: "fast"))


async def test_a_race_is_decided_by_the_first() -> None:
    async with lab(racing) as here:
        assert await here.run(racing) == "fast"


@workflow
async def hasty(ctx: Context) -> str:
    return await ctx.race(ctx.signal("go"), ctx.step("quick", lambda: "quick"))


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_the_end_waits_for_lost_waits(mode: Any) -> None:
    async with lab(hasty, mode=mode) as here:
        for _ in range(10):
            handle = await here.start(hasty)
            assert await handle.result() == "quick"
            types = [entry.type async for entry in handle.journal()]
            assert types.count("workflow.wait.closed") == types.count("workflow.wait.created")


async def long() -> None:
    count("long")
    await asyncio.sleep(60)


@workflow
async def cancellable(ctx: Context) -> None:
    try:
        await ctx.step("long", long)
    except Exception:
        count("swallowed")
    finally:
        await ctx.step("clean up", lambda: count("clean up"))


async def test_a_cancelled_run_cleans_up_and_is_cancelled() -> None:
    async with lab(cancellable) as here:
        handle = await here.start(cancellable)
        await until(lambda: here.counted)
        await handle.cancel(reason="enough")
        with pytest.raises(RunFailedError) as caught:
            await handle.result()
    assert caught.value.status == "cancelled"
    assert here.counted == {"long": 1, "clean up": 1}


def first() -> None:
    count("first")
    time.sleep(0.4)


@workflow
async def pausable(ctx: Context) -> int:
    await ctx.step("first", first)
    return await ctx.step("second", lambda: count("second"))


async def test_a_paused_run_goes_on_when_it_is_resumed() -> None:
    async with lab(pausable) as here:
        handle = await here.start(pausable)
        await until(lambda: here.counted)
        await handle.pause(reason="lunch")
        await until_status(handle, "paused")
        assert here.counted == {"first": 1}
        await handle.resume()
        assert await handle.result() == 1


@workflow
async def ambiguous(ctx: Context) -> None:
    async def flow(seconds: float) -> None:
        await ctx.step("work", lambda: asyncio.sleep(seconds, ""))
        await ctx.step("work", lambda: None)

    await asyncio.gather(flow(0), flow(0.3))


async def test_flows_that_share_a_scope_and_a_name_are_refused() -> None:
    async with lab(ambiguous) as here:
        with pytest.raises(RunFailedError, match=r"AMBIGUOUS_STEP_KEY.*test_runs\.py:\d+"):
            await here.run(ambiguous)


step_input: list[int] = []


@workflow
async def changing(ctx: Context) -> int:
    step_input.append(len(step_input))
    got = await ctx.step("identity", int, step_input[-1])
    await ctx.signal("again")
    return got


async def test_arguments_that_change_in_a_replay_pause_the_run() -> None:
    step_input.clear()
    async with lab(changing) as here:
        handle = await here.start(changing)

        await until_status(handle, "waiting")
        await handle.signal("again")
        paused = await until_status(handle, "paused")
        assert paused.status_reason == "non_determinism"


@workflow
async def recorded(ctx: Context) -> list[Any]:
    values = [await ctx.now(), await ctx.random(), await ctx.uuid()]
    again = await ctx.step("remember", lambda: values)
    await ctx.sleep(1.5)
    return [values == again]


async def test_recorded_values_stay_what_they_were() -> None:
    async with lab(recorded) as here:
        assert await here.run(recorded) == [True]


@workflow
async def timing_out(ctx: Context) -> str:
    try:
        await ctx.step("slow", lambda: asyncio.sleep(20), timeout=0.1)
    except StepFailedError as error:
        return error.type
    return ""


async def test_a_step_has_a_timeout() -> None:
    async with lab(timing_out) as here:
        assert await here.run(timing_out) == "StepTimeoutError"


async def test_outside_of_a_run_a_step_just_runs() -> None:
    assert await write(["a", "b"]) == "ab"
    assert await numbers(2) == [0, 1]
    assert await blocking(False) == threading.get_ident()
    with pytest.raises(UsageError, match="there is no run here"):
        current()


@workflow
async def large(ctx: Context) -> int:
    text = await ctx.step("large", lambda: "x" * 4_000_000)
    await ctx.sleep(1.5)
    return len(text)


async def test_a_large_result_is_sent_in_pieces() -> None:
    async with lab(large) as here:
        assert await here.run(large) == 4_000_000


async def test_the_server_comes_back_and_runs_go_on() -> None:
    folder = tempfile.TemporaryDirectory()
    own = Server(f"{folder.name}/pawl.db")
    await asyncio.to_thread(own.start)
    try:
        from pawl import Client, Worker

        async with Client(own.url) as client, Worker([pausable], url=own.url) as worker:
            handle = await client.start(pausable)
            await until(lambda: worker.in_flight == 1)
            await asyncio.to_thread(own.kill)
            await asyncio.to_thread(own.start)
            assert await handle.result() is not None
    finally:
        await asyncio.to_thread(own.stop)
        folder.cleanup()
