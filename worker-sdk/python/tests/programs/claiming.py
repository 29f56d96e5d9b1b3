"""A script that executes its own run: `claiming.py EFFECTS SOURCE`."""

import asyncio
import sys
import time
from pathlib import Path

from pawl import step, workflow

effects = Path(sys.argv[1])


def note(text: str) -> None:
    with effects.open("a") as file:
        file.write(f"{text}\n")


@step
def extract(source: str) -> list[int]:
    note("extract")
    return [1, 2, 3]


@step
def load(row: int) -> int:
    note(f"load {row}")
    time.sleep(0.3)
    return row * 10


@workflow(id="pipeline-{source}")
async def run_pipeline(source: str) -> int:
    total = 0
    for row in await extract(source):
        total += await load(row)
    note("body")
    return total


async def main() -> None:
    print(await run_pipeline(source=sys.argv[2]))


asyncio.run(main())
