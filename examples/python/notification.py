"""A notification over several channels concurrently, and what became of each."""

import asyncio
import sys

from pawl import Client, Context, Retry, Worker, constant, step, workflow


class Unreachable(Exception):
    """The channel does not answer."""


@step(retry=Retry(max_attempts=3, backoff=constant(0.05)))
async def send(channel: str, user: str, text: str) -> str:
    print(f"  {channel} to {user}: {text}")
    if channel == "sms":
        raise Unreachable("no number is known")
    return f"{channel} delivered"


@workflow(id="notify-{user}-{topic}")
async def notify(ctx: Context, user: str, topic: str, channels: list[str]) -> dict[str, str]:
    text = await ctx.step("render", lambda: f"News about {topic}")
    outcomes = await ctx.all_settled(**{each: send(each, user, text) for each in channels})
    return {
        channel: outcome.value if outcome.value is not None else f"failed: {outcome.error}"
        for channel, outcome in outcomes.items()
    }


async def main() -> None:
    user = sys.argv[1] if len(sys.argv) > 1 else "ada"
    async with Client() as client, Worker([notify]):
        run = await client.start(notify, user, topic="pawls", channels=["email", "sms", "push"])
        for channel, outcome in (await run.result()).items():
            print(f"{channel}: {outcome}")


asyncio.run(main())
