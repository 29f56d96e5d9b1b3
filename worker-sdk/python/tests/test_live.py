"""Goal: what code reports arrives with its place: spans, branches, agents, parallel streams.

Method: watch runs on a real server.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from conftest import lab

from pawl import (
    AgentStream,
    Context,
    EventView,
    StepContext,
    StepFailedError,
    StreamEvent,
    UsageError,
    agent,
    event,
    workflow,
)

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


async def deltas(here: Any, definition: Any, *args: Any) -> tuple[Any, list[EventView]]:
    """The result of a run that waits for its watcher, and its live output."""
    handle = await here.start(definition, *args)
    seen: list[EventView] = []
    async for each in handle.watch():
        if not seen:
            await handle.signal("go")
        seen.append(each)
    kinds = ("commit", "rollback", "gap")
    live = [each for each in seen if each.event_class == "delta" and each.type not in kinds]
    return await handle.result(), live


@workflow
async def spanning(ctx: Context) -> None:
    async def work(ctx: StepContext) -> None:
        with ctx.span("search", {"query": "pawl"}):
            ctx.emit("found", 1, content_index=3)
        ctx.emit("done", keep="durable", id="the-end")

    async def branch() -> None:
        ctx.emit("in.branch")

    await ctx.signal("go")
    await ctx.all(a=branch())
    await ctx.step("work", work)


async def test_events_belong_to_spans_and_branches() -> None:
    async with lab(spanning) as here:
        _, seen = await deltas(here, spanning)
        by_type = {each.type: each for each in seen}
        started = by_type["search.started"]
        assert started.payload == {"query": "pawl"} and started.event_id
        assert by_type["found"].parent_event_id == started.event_id
        assert by_type["found"].content_index == 3
        assert by_type["search.completed"].parent_event_id == started.event_id
        assert by_type["done"].parent_event_id == f"{here.run_id}/work"
        assert by_type["done"].event_id == "the-end"
        assert by_type["in.branch"].parent_event_id == f"{here.run_id}/all:a"


@agent
async def research(topic: str) -> str:
    return f"notes on {topic}"


@agent("writer")
async def write(topic: str) -> AsyncIterator[Any]:
    notes = research(topic)
    async for each in notes:
        yield each
    yield event("tool.call.started", {"tool": "spell"})
    yield event("tool.call.delta", "…")
    yield event("tool.call.completed")
    yield f"A text with {notes.output}"


@agent
async def fails() -> str:
    raise ValueError("no idea")


@workflow
async def writing(ctx: Context, topic: str) -> list[str]:
    async def both(ctx: StepContext) -> str:
        return f"{await ctx.stream(write(topic))}; {await ctx.stream(write('b'))}"

    await ctx.signal("go")
    return [await ctx.step("write", lambda: write(topic)), await ctx.step("both", both)]


async def test_an_agent_shows_what_it_does_and_its_output_is_the_result() -> None:
    async with lab(writing) as here:
        result, seen = await deltas(here, writing, "pawls")
        assert result[0] == "A text with notes on pawls"
        assert result[1] == "A text with notes on pawls; A text with notes on b"
        own = [each for each in seen if each.step_key == "write"]
        ids = {each.payload["name"]: each for each in own if each.type == "agent.started"}
        writer, researcher = ids["writer"], ids["research"]
        assert researcher.parent_event_id == writer.event_id
        ended = [each for each in own if each.type == "agent.completed"]
        assert [each.parent_event_id for each in ended] == [researcher.event_id, writer.event_id]
        call = next(each for each in own if each.type == "tool.call.started")
        piece = next(each for each in own if each.type == "tool.call.delta")
        assert (call.parent_event_id, piece.parent_event_id) == (writer.event_id, call.event_id)
        parallel = [each for each in seen if each.step_key == "both"]
        assert {each.content_index for each in parallel} == {1, 2}


async def test_an_agent_without_a_run_is_a_stream() -> None:
    stream = write("x")
    assert isinstance(stream, AgentStream)
    with pytest.raises(UsageError, match="has no output yet"):
        _ = stream.output
    types = [each.type async for each in stream if isinstance(each, StreamEvent)]
    assert types[0] == "agent.started" and types[-1] == "agent.completed"
    assert stream.output == "A text with notes on x"
    seen = []
    with pytest.raises(ValueError, match="no idea"):
        async for each in fails():
            seen.append(each)
    assert seen[-1].type == "agent.failed"
    assert seen[-1].data["error"] == {"type": "ValueError", "message": "no idea"}


@workflow
async def settling(ctx: Context) -> list[Any]:
    async def one(number: int) -> int:
        def body() -> int:
            return 10 // number

        return await ctx.step("divide", body)

    outcomes = await ctx.map_settled("each", [1, 0, 5], one)
    assert isinstance(outcomes[1].error, StepFailedError)
    return [each.value if each.ok else each.error.type for each in outcomes]  # type: ignore[union-attr]


async def test_a_failing_item_of_a_settled_map_does_not_end_the_others() -> None:
    async with lab(settling) as here:
        assert await here.run(settling) == [10, "ZeroDivisionError", 2]
