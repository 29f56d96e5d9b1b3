"""A worker that a step kills: each attempt leaves its number in the file that is given."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from pawl import Context, Retry, StepContext, Worker, step, workflow

attempts = Path(sys.argv[1])


@step(retry=Retry(max_attempts=1, max_crashes=3))
def deadly(ctx: StepContext, deaths: int) -> int:
    with attempts.open("a") as file:
        file.write(f"{ctx.attempt}\n")
    if len(attempts.read_text().splitlines()) <= deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return ctx.attempt


@workflow
async def dying(ctx: Context, deaths: int) -> int:
    return await deadly(deaths)


asyncio.run(Worker([dying], queues=[sys.argv[2]]).run())
