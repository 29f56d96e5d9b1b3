"""Goal: a report that the server does not take for what it holds is for the code to know, at the call.

Method: a real server, and reports of one step that name a kind which no worker may report.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import pytest

from pawl import Client, Context, RequestError, RunFailedError, StepFailedError, Worker, workflow
from pawl._run import step
from pawl.v1.common_pb2 import STEP_KIND_SLEEP

seen: list[str] = []


@workflow
async def refused_order(ctx: Context) -> str:
    ctx.compensate("undo", lambda: seen.append("undone"))
    try:
        return await ctx.step("charge", lambda: "a receipt")
    except StepFailedError:
        seen.append("step failed")
        raise
    except RequestError:
        seen.append("refused")
        raise
    finally:
        await ctx.step("note", lambda: seen.append("noted"))


def _spoil(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    make: Callable[..., Any] = getattr(step, name)

    def spoiled(operation: step.StepOperation, *args: Any) -> Any:
        message = make(operation, *args)
        if operation.key == "charge":
            message.kind = STEP_KIND_SLEEP
        return message

    monkeypatch.setattr(step, name, spoiled)


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize("mode", ["stream", "poll"])
@pytest.mark.parametrize(
    ("spoiled", "caught"),
    [
        (["completed_message"], "step failed"),
        (["completed_message", "failed_message"], "refused"),
    ],
)
async def test_a_report_that_is_refused_is_raised_by_the_call(
    monkeypatch: pytest.MonkeyPatch,
    spoiled: list[str],
    caught: str,
    mode: Literal["stream", "poll"],
) -> None:
    seen.clear()
    for name in spoiled:
        _spoil(monkeypatch, name)
    async with Client() as client, Worker([refused_order], mode=mode):
        with pytest.raises(RunFailedError, match="is ended by the server"):
            await client.run(refused_order)
    assert seen == [caught, "noted", "undone"]
