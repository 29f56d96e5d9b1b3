"""A pipeline that a script executes itself, with no worker.

Killed in the middle and called again with the same arguments, it continues; called again after its
end, it prints the recorded result and does nothing.
"""

import asyncio
import sys

from pawl import Retry, linear, step, workflow


@step(retry=Retry(max_attempts=3, backoff=linear(start=0.1, step=0.1)))
async def extract(source: str) -> list[dict[str, str]]:
    print(f"  extracting {source}")
    return [{"name": f"{source}-{n}", "email": f"{n}@EXAMPLE.ORG"} for n in range(3)]


@step
def transform(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    print(f"  transforming {len(rows)} rows")
    return [{**row, "email": row["email"].lower()} for row in rows]


@step
async def load(row: dict[str, str]) -> int:
    print(f"  loading {row['name']}")
    return len(row["email"])


@workflow(id="pipeline-{source}")
async def run_pipeline(source: str) -> dict[str, int | str]:
    rows = await transform(await extract(source))
    loaded = 0
    for row in rows:
        await load.keyed(row["name"])(row)
        loaded += 1
    return {"source": source, "loaded": loaded}


async def main() -> None:
    print(await run_pipeline(source=sys.argv[1] if len(sys.argv) > 1 else "users"))


asyncio.run(main())
