"""A worker as a user writes it, measured: `worker.py STEPS`. Reads one line of JSON from standard input,
{"address", "slots", "warmUpMs", "measureMs"}, and answers with one: {"steps", "ms", "p50", "p99"}, in ms.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from pawl import Context, Worker, workflow

STEPS = int(sys.argv[1])
OUTPUT = {"text": ("The catch lets the wheel turn forward. " * 5)[:189]}
times: list[tuple[float, float]] = []


async def body() -> dict[str, str]:
    return OUTPUT


@workflow
async def bench(ctx: Context, input: object) -> dict[str, str]:
    for n in range(1, STEPS + 1):
        begin = time.perf_counter()
        await ctx.step(f"step-{n}", body)
        times.append((time.perf_counter(), begin))
    return OUTPUT


async def measure(command: dict[str, int | str]) -> dict[str, float]:
    warm_up, window = int(command["warmUpMs"]) / 1000, int(command["measureMs"]) / 1000
    worker = Worker([bench], url=f"http://{command['address']}", slots=int(command["slots"]))
    await worker.start()
    begin = time.perf_counter() + warm_up
    await asyncio.sleep(warm_up + window)
    counted = [(end, start) for end, start in times if begin <= end <= begin + window]
    latencies = sorted((end - start) * 1000 for end, start in counted)
    # Where the work ran out early, the window ends with it.
    done = max(end for end, _ in counted) - begin
    return {
        "steps": len(counted),
        "ms": (window if done > 0.98 * window else done) * 1000,
        "p50": latencies[len(latencies) // 2],
        "p99": latencies[len(latencies) * 99 // 100],
    }


print(json.dumps(asyncio.run(measure(json.loads(sys.stdin.readline())))), flush=True)
