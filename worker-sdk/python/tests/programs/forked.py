"""Uses a client in another event loop, and in a forked child; prints what that says."""

import asyncio
import os
import sys

from pawl import Client, UsageError

kept = Client()


async def call(client: Client) -> None:
    try:
        await asyncio.wait_for(client.workflows(), 20)
        print("ok")
    except UsageError as error:
        print(error)


async def in_a_child() -> None:
    """Forks while it is connected."""
    await kept.workflows()


asyncio.run(in_a_child())
asyncio.run(call(kept))
sys.stdout.flush()
if os.fork() == 0:
    asyncio.run(call(kept))
    asyncio.run(call(Client()))
    sys.stdout.flush()
    os._exit(0)
os.wait()
