"""Runs a workflow's code for one lease of a run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextvars import Context as Variables
from typing import Any

from ._codec.payload import encode
from ._codec.typed import rebuilt
from ._lib import limits
from ._run.ask import run_step
from ._run.contexts import Contexts
from ._run.definition import Definition
from ._run.facts import RunFacts
from ._run.frame import Frame, current_frame
from ._run.leftovers import finish
from ._run.link import RunLink
from ._run.memo import Memo
from ._run.outcome import complete_run, fail_run
from ._run.parsed import arguments
from ._run.payloads import upload
from ._run.run import Run
from .context import contexts
from .duration import message_seconds
from .errors import Cancelled, Suspended
from .v1.common_pb2 import JournalEntry
from .v1.worker_pb2 import WorkItem


def _facts(item: WorkItem) -> RunFacts:
    return RunFacts(
        run_id=item.lease.run_id,
        run_uid=item.run_uid,
        fence=item.lease.fence,
        attempt=item.lease.attempt,
        workflow=item.workflow,
        version=item.version,
        tags=dict(item.tags),
        session_id=item.session_id,
        user_id=item.user_id,
        traceparent=item.traceparent,
        cancelling=item.cancelling,
        clock_ahead_s=_clock_ahead_s(item),
        confirm_starts=item.confirm_starts,
        careful=item.careful,
    )


def _clock_ahead_s(item: WorkItem) -> float:
    """Due times are the server's, and a worker's clock may be wrong."""
    if not item.lease.HasField("expires_at"):
        return 0.0
    return message_seconds(item.lease.expires_at) - limits.LEASE_S - time.time()


def execute(
    item: WorkItem,
    workflow: Definition[Any],
    link: RunLink,
    journal: Sequence[JournalEntry],
    again: Callable[[Run], None] | None = None,
    contexts: Contexts = contexts,
) -> Run:
    """Starts to execute a run. The code starts in a later turn of the event loop. `again`: executes it
    anew; where that is given, this is done after every record. `contexts`: what its code gets.
    """
    memo = Memo()
    memo.add(journal)
    run = Run(_facts(item), link, memo, workflow.step_defaults, contexts, again)
    variables = Variables()
    variables.run(current_frame.set, Frame(run, run.root))
    run.task = run.loop.create_task(_perform(run, workflow, item), context=variables)
    return run


async def _perform(run: Run, workflow: Definition[Any], item: WorkItem) -> None:
    what = f'the result of workflow "{workflow.name}"'
    try:
        payload = item.input if item.HasField("input") else None
        input = f'the input of workflow "{workflow.name}"'
        given = await arguments(run, workflow.signature, payload, input)
        run.in_code = True
        if workflow.signature.takes_context:
            output = await workflow.fn(run.contexts.of_run(run), **given)
        else:
            output = await workflow.fn(**given)
        await finish(run)
        run.in_code = False
        encoded = encode(output, what, workflow.build is not None)
        rebuilt(workflow.build, encoded, what)
        await run.closing.ended()
        await complete_run(run, await upload(run.link, encoded, what))
    except Suspended:
        return
    except (Cancelled, asyncio.CancelledError) as error:
        reason = run.cancel_reason or str(error) or "the workflow's code cancelled itself"
        await _fail(run, Cancelled(reason))
    except GeneratorExit as error:
        # Nothing may be awaited here: the coroutine is being closed, or the code has raised it.
        if not run.left and not run.loop.is_closed():
            run.spawn(_fail(run, error))
    except BaseException as error:
        await _fail(run, error)


async def _fail(run: Run, error: BaseException) -> None:
    run.in_code = False
    try:
        failures = await run.compensations.run(run, error, run_step)
        await run.closing.ended()
    except Suspended:
        return
    fail_run(run, error, failures)
