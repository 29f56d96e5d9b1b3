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


async def end_with_parent(parent: int) -> None:
    """A test process that was killed cannot end this one."""
    while os.getppid() == parent:
        await asyncio.sleep(0.5)
    os._exit(1)


async def main() -> None:
    watch = asyncio.create_task(end_with_parent(os.getppid()))
    logging.basicConfig(level=logging.ERROR)
    worker = Worker(
        [serve("conformance"), serve("conformance-python")],
        queues=[environment.queue],
        worker_id=os.environ["PAWL_WORKER_ID"],
        mode="poll" if os.environ.get("CONFORMANCE_MODE") == "poll" else "stream",
        slots=64,
    )
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await worker.start()
    print("ready", flush=True)
    await ended.wait()
    await worker.stop()
    watch.cancel()


asyncio.run(main())
