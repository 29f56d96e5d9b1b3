"""The conformance harness of the Python SDK; see test/conformance/README.md."""

from __future__ import annotations

import asyncio
import logging
import os
import signal

from interpreter import Environment, Interpreter

from pawl import Context, Worker, Workflow, workflow

environment = Environment(
    folder=os.environ["CONFORMANCE_DIR"],
    queue=os.environ["PAWL_QUEUE"],
    deploy=int(os.environ.get("CONFORMANCE_DEPLOY", "0")),
)


def serve(name: str) -> Workflow[..., object]:
    @workflow(name)
    async def run_program(ctx: Context, input: dict[str, object]) -> object:
        return await Interpreter(environment, ctx).program(input)

    return run_program


async def main() -> None:
    logging.basicConfig(level=logging.ERROR)
    worker = Worker(
        [serve("conformance"), serve("conformance-python")],
        queues=[environment.queue],
        worker_id=os.environ["PAWL_WORKER_ID"],
        mode="poll" if os.environ.get("CONFORMANCE_MODE") == "poll" else "session",
        slots=64,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await worker.start()
    print("ready", flush=True)
    await ended.wait()
    await worker.stop()


asyncio.run(main())
