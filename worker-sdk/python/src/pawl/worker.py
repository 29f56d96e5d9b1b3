"""Executes the runs of some workflows."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import socket
import time
import uuid
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Literal, Self

from ._lib.version import __version__
from ._link.connection import Connection
from ._link.platform import Platform, default_url
from ._link.poller import Poller
from ._run.keys import check_name, check_text, check_texts
from .duration import Duration, seconds_of
from .errors import UsageError
from .v1.worker_pb2 import WorkerInfo
from .workflow import Workflow

_DRAIN_POLL_S = 0.02

logger = logging.getLogger("pawl")


def _by_name(workflows: Sequence[Workflow[..., Any]]) -> dict[str, Workflow[..., Any]]:
    named: dict[str, Workflow[..., Any]] = {}
    for each in workflows:
        if not isinstance(each, Workflow):
            raise UsageError(
                f"a worker's workflows are functions with @workflow; {each!r} is not one"
            )
        other = named.get(each.name)
        if other is not None and other is not each:
            raise UsageError(
                f'two workflows have the name "{each.name}": one is defined at {other.defined_at}, '
                f"the other at {each.defined_at}; rename one"
            )
        named[each.name] = each
    if not named:
        raise UsageError("a worker needs at least one workflow")
    return named


class Worker:
    """Executes the runs of some workflows.

    `await worker.run()` works until SIGTERM or SIGINT, or until `stop()`; `async with worker:` works while
    the block runs. While the server is unreachable the worker keeps reconnecting, and its runs continue
    afterwards.

    - `workflows`: the workflows that it serves; at least one, with unique names.
    - `url`: the server's address, such as http://127.0.0.1:8000. Default: the environment variable
      PAWL_GRPC_URL, which is its gRPC address, else PAWL_URL, else where `pawl serve` listens on this
      machine.
    - `slots`: the maximum number of runs that it executes at the same time, 1 to 10,000. Default: 100,
      which suits workflows that mostly await I/O. Runs beyond it stay queued or go to other workers; a
      run that waits for long frees its slot. Lower it if steps use much CPU or memory.
    - `queues`: the queues that it serves. Default: `default`. Runs in a queue that no worker serves stay
      QUEUED.
    - `worker_id`: the name that people see, unique per process. Default: the host name and the process id.
    - `build_version`: the version of your program, shown to people. It does not affect dispatch.
    - `labels`: free-form labels shown to people. They do not affect dispatch.
    - `mode`: `stream` keeps one stream open (the default). `poll` uses unary calls, for networks that
      block streams; it is several times slower, and runs are taken over 15 s after a crash instead of
      half a second.
    - `drain_timeout`: how long `stop` lets runs continue. Default: 10 s, which is below the usual 30 s
      between SIGTERM and SIGKILL. Other runs continue in another worker, and their steps in flight are
      executed again.
    - `replay`: `always` executes each run again from its journal after every recorded entry, so that code
      that is not deterministic is detected on its first run. It is slow and meant for tests. Default: as
      needed, or always if the environment has PAWL_REPLAY_ALWAYS=1.
    """

    def __init__(
        self,
        workflows: Sequence[Workflow[..., Any]],
        *,
        url: str | None = None,
        slots: int = 100,
        queues: Sequence[str] = ("default",),
        worker_id: str | None = None,
        build_version: str = "",
        labels: Mapping[str, str] | None = None,
        mode: Literal["stream", "poll"] = "stream",
        drain_timeout: Duration = "10 s",
        replay: Literal["always"] | None = None,
    ) -> None:
        if not isinstance(slots, int) or not 1 <= slots <= 10_000:
            raise UsageError(f"slots is a whole number from 1 to 10000; it is {slots!r}")
        if mode not in ("stream", "poll"):
            raise UsageError(f'mode is "stream" or "poll"; it is {mode!r}')
        if replay not in (None, "always"):
            raise UsageError(f'replay is "always", or not given; it is {replay!r}')
        check_texts({"the worker_id": worker_id or "", "the build_version": build_version})
        for queue in queues:
            check_name("a queue", queue)
        for label, text in (labels or {}).items():
            check_text("the name of a label", label)
            check_text(f'the label "{label}"', text)
        self._link = Connection if mode == "stream" else Poller
        self._replays_always = replay == "always" or os.environ.get("PAWL_REPLAY_ALWAYS") == "1"
        self._workflows = _by_name(workflows)
        self._url = url or default_url()
        self._slots = slots
        self._drain_s = seconds_of(drain_timeout)
        self._info = WorkerInfo(
            worker_id=worker_id or f"{socket.gethostname()}-{os.getpid()}",
            instance_id=str(uuid.uuid4()),
            language="python",
            sdk_version=__version__,
            build_version=build_version,
            queues=queues,
            labels=labels or {},
            slots=slots,
        )
        for each in self._workflows.values():
            self._info.workflows.add(
                name=each.name,
                version=each.version,
                description=each.description,
                input_schema=_json(each.input_schema),
                output_schema=_json(each.output_schema),
                timeouts=each.timeouts,
                flow=each.flow,
            )
        self._platform: Platform | None = None
        self._session: Connection | Poller | None = None
        self._stopping: asyncio.Task[None] | None = None

    @property
    def worker_id(self) -> str:
        return self._info.worker_id

    @property
    def in_flight(self) -> int:
        """Runs that it holds at this moment."""
        return 0 if self._session is None else len(self._session.runs)

    async def start(self) -> None:
        """Returns once the server knows of this worker; RequestError if it is refused."""
        session = self._open()
        session.start()
        await asyncio.shield(session.opened)

    def _open(self) -> Connection | Poller:
        if self._session is None:
            self._platform = Platform(self._url, float("inf"))
            self._session = self._link(
                self._platform, self._info, self._workflows, self._slots, self._replays_always
            )
        return self._session

    async def run(self) -> None:
        """Works until the process is told to end (SIGTERM, SIGINT), or until `stop()`."""
        loop = asyncio.get_running_loop()
        session = self._open()
        handled = _handle_signals(loop, self._request_stop)
        try:
            await asyncio.shield(session.start())
        except asyncio.CancelledError:
            # Stopped; or this task is, which then continues being so.
            if self._stopping is None:
                raise
        finally:
            for number in handled:
                loop.remove_signal_handler(number)
            await self.stop()

    def _request_stop(self) -> None:
        if self._stopping is None:
            self._stopping = asyncio.get_running_loop().create_task(self._drain_and_close())

    async def stop(self) -> None:
        """Takes no more runs, lets those under way end or suspend, for at most the drain timeout, then
        gives the rest back and closes.
        """
        self._request_stop()
        assert self._stopping is not None
        await asyncio.shield(self._stopping)

    async def _drain_and_close(self) -> None:
        if self._session is None or self._platform is None:
            return
        self._session.drain()
        end = time.monotonic() + self._drain_s
        while self._session.runs and time.monotonic() < end:
            await asyncio.sleep(_DRAIN_POLL_S)
        self._platform.stop_retrying()
        await self._session.close()
        await self._platform.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()


def _json(schema: dict[str, Any] | None) -> str:
    return "" if schema is None else json.dumps(schema)


def _handle_signals(loop: asyncio.AbstractEventLoop, stop: Any) -> list[signal.Signals]:
    """Those that can be handled here: not on Windows, and not outside of the main thread."""
    handled = []
    for number in (signal.SIGTERM, signal.SIGINT):
        try:
            loop.add_signal_handler(number, stop)
        except (NotImplementedError, RuntimeError, ValueError):
            continue
        handled.append(number)
    return handled
