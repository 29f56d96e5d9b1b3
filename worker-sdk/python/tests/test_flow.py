"""Goal: limits of workflows and starts reach the server, and wrong ones are refused at the call.

Method: starts on a real server, with a worker that holds what it gets.
"""

from __future__ import annotations

from typing import Any

import pytest
from conftest import lab, until_status

from pawl import Client, Concurrency, Context, Debounce, RateLimit, UsageError, workflow

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


@workflow(concurrency=Concurrency(1, "{customer}"), fairness_key="{customer}")
async def limited(ctx: Context, customer: str, number: int) -> int:
    def hold() -> int:
        return number

    await ctx.signal("go", timeout="50 ms", default=None)
    return await ctx.step("hold", hold)


@workflow
async def plain(ctx: Context, input: Any) -> Any:
    return input


async def test_starts_are_limited_by_rate_and_merged_by_debounce() -> None:
    async with lab(limited, plain) as here:
        runs = [await here.client.start(limited, "a", n) for n in range(3)]
        assert [await run.result() for run in runs] == [0, 1, 2]
        slow = here.client.with_options(rate_limit=RateLimit(1, "1 hour", "rate-{x}"))
        assert await slow.run(plain, {"x": 1}) == {"x": 1}
        second = await slow.start(plain, {"x": 1})
        info = await until_status(second, "queued")
        assert info.status_reason == "rate_limit"
        await second.cancel()
        merged = here.client.with_options(debounce=Debounce("d", "2 s", "4 s"))
        handles = [await merged.start(plain, {"n": n}) for n in range(3)]
        assert len({each.run_id for each in handles}) == 1
        assert await handles[0].result() == {"n": 2}


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": 100_001},
        {"concurrency": Concurrency(1, "{open")},
        {"rate_limit": RateLimit(1, "soon")},
        {"fairness_key": "}"},
        {"debounce": Debounce("k", -1)},
    ],
)
async def test_limits_that_cannot_be_are_refused(options: dict[str, Any]) -> None:
    async with Client() as client:
        with pytest.raises(UsageError):
            client.with_options(**options)
