"""Goal: steps are told as spans, once each, below the run's and the step's that asked for them.

Method: a real server; the spans are kept in memory, by OpenTelemetry's SDK.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from pawl import Client, Context, Retry, StepFailedError, Worker, constant, workflow

pytestmark = pytest.mark.usefixtures("server")


@pytest.fixture(scope="module")
def exporter() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(kept))
    trace.set_tracer_provider(provider)
    yield kept
    provider.shutdown()


@workflow
async def traced(ctx: Context) -> None:
    async def outer() -> None:
        with trace.get_tracer("own").start_as_current_span("own"):
            await ctx.step("inner", lambda: 1)

    async def fails() -> None:
        raise ValueError("not told")

    await ctx.step("outer", outer)
    try:
        await ctx.step("fails", fails, retry=Retry(max_attempts=2, backoff=constant(0.01)))
    except StepFailedError:
        await ctx.sleep(1.1)  # the code starts anew, and replays without spans
    await ctx.step("last", lambda: 1)


async def test_each_recorded_attempt_is_a_span(exporter: InMemorySpanExporter) -> None:
    async with Client() as client, Worker([traced]):
        run = await client.with_options(run_id="traced-1").start(traced)
        await run.result()
    spans = {
        (span.name, (span.attributes or {}).get("pawl.step.attempt")): span
        for span in exporter.get_finished_spans()
    }
    told = [
        (
            (span.attributes or {}).get("pawl.step.key"),
            (span.attributes or {}).get("pawl.step.outcome"),
        )
        for span in exporter.get_finished_spans()
    ]
    assert told == [
        ("outer/inner", "completed"),
        (None, None),
        ("outer", "completed"),
        ("fails", "retrying"),
        ("fails", "failed"),
        ("last", "completed"),
    ]
    own, outer = spans[("own", None)], spans[("step outer", 1)]
    inner = spans[("step inner", 1)]
    assert own.parent is not None and own.parent.span_id == outer.context.span_id
    assert inner.parent is not None and inner.parent.span_id == own.context.span_id
    run_span = int(hashlib.sha256(b"pawl.span\ntraced-1").hexdigest()[:16], 16)
    trace_id = int(hashlib.sha256(b"pawl.trace\ntraced-1").hexdigest()[:32], 16)
    assert outer.parent is not None and outer.parent.span_id == run_span
    assert {span.context.trace_id for span in exporter.get_finished_spans()} == {trace_id}
    assert (spans[("step fails", 2)].attributes or {})["error.type"] == "ValueError"
