"""Tests of workflows and of the code around them, with pytest. In a conftest.py:

    from pawl.testing import pawl_server, pawl_worker

- `run_locally` runs a workflow without a server; most tests need no more.
- `pawl_server` is a fixture: a real server for the session, on free ports.
- `pawl_worker` is a fixture: a worker and a client for a test, also one that crashes.
- `FakeClient` stands in for a client in tests of the code that starts runs.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pytest
from google.protobuf.message import Message

from ._link.connection import Connection
from ._run.link import OnAnswer, RequestName
from .client import Client, Starter
from .duration import Duration
from .errors import UsageError
from .handle import RunHandle
from .local import LocalChild, run_locally
from .v1.run_pb2 import StartRunRequest
from .worker import Worker
from .workflow import Workflow

__all__ = [
    "FakeClient",
    "FakeHandle",
    "LocalChild",
    "Server",
    "Start",
    "pawl_server",
    "pawl_worker",
    "run_locally",
    "running",
]
_START_S = 30.0
_STOP_S = 20.0


def _command() -> list[str]:
    """How a server is started: PAWL_COMMAND, else `pawl` from the PATH or from a node_modules folder."""
    given = os.environ.get("PAWL_COMMAND")
    if given:
        return shlex.split(given)
    found = shutil.which("pawl")
    if found is not None:
        return [found]
    for folder in (Path.cwd(), *Path.cwd().parents):
        local = folder / "node_modules" / ".bin" / "pawl"
        if local.exists():
            return [str(local)]
    raise UsageError(
        "there is no command `pawl` to start a server with; install it, or set PAWL_COMMAND to the command "
        'that starts it, for example "node /path/to/server/bin/pawl.js"'
    )


class Server:
    """A server in a process of its own, on free ports; on the same ones again after `kill` and `start`.

    `store`: `:memory:` (the default), or a URL such as `sqlite:///tmp/pawl.db`.
    """

    def __init__(self, store: str = ":memory:") -> None:
        self._store = store
        self._address = "127.0.0.1:0"
        self._process: subprocess.Popen[bytes] | None = None
        #: Of the gRPC port, for clients and workers.
        self.url = ""
        self.http_url = ""

    def start(self) -> None:
        """Returns once the server accepts calls."""
        process = subprocess.Popen(
            [
                *_command(),
                *("serve", "--store", self._store, "--migrate", "--json"),
                *("--grpc", self._address, "--http", "127.0.0.1:0"),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={k: v for k, v in os.environ.items() if not k.startswith("PAWL_")},
        )
        self._process = process
        for line in process.stdout or ():
            told = json.loads(line)
            if told.get("event") == "ready":
                self.url, self.http_url = told["grpcUrl"], told["httpUrl"]
                self._address = told["grpc"]
                return
        raise RuntimeError(f"the server ended at its start, with {process.wait(_START_S)}")

    def kill(self) -> None:
        """Ends it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class _CrashingConnection(Connection):
    """Ends without a word when a step of that name has been executed, before its result is recorded."""

    crash_at = ""
    crashed: asyncio.Event

    def request(
        self, run_id: str, name: RequestName, message: Message, on_answer: OnAnswer
    ) -> None:
        if self.crashed.is_set():
            return
        if name == "step_completed" and getattr(message, "name", "") == self.crash_at:
            self.crashed.set()
            self.runs.drop_all("the worker crashed")
            return
        super().request(run_id, name, message, on_answer)


class _CrashingWorker(Worker):
    def __init__(self, workflows: Sequence[Workflow[..., Any]], crash_at: str, **options: Any):
        super().__init__(workflows, **options)
        self.crashed = asyncio.Event()

        class Own(_CrashingConnection):
            pass

        Own.crash_at = crash_at
        Own.crashed = self.crashed
        self._link = Own

    async def die(self) -> None:
        """Closes its connection as the end of its process does."""
        if self._platform is not None and self._session is not None:
            await self._platform.close()
            await self._session.close()


@asynccontextmanager
async def running(
    *workflows: Workflow[..., Any], url: str | None = None, crash_at: str = "", **options: Any
) -> AsyncIterator[Client]:
    """A worker for these workflows, with these options of `Worker`, and a client:
    `async with running(nightly) as client: …`.

    `crash_at`: the worker crashes once, when a step of that name has been executed and its result is not
    recorded yet; another worker continues. A test in which that does not happen fails.
    """
    async with Client(url) as client:
        if not crash_at:
            async with Worker(workflows, url=url, **options):
                yield client
            return
        first = _CrashingWorker(workflows, crash_at, url=url, **options)
        second = Worker(workflows, url=url, **options)

        async def succeed() -> None:
            await first.crashed.wait()
            await first.die()
            await second.start()

        await first.start()
        succession = asyncio.create_task(succeed())
        try:
            yield client
        finally:
            if not first.crashed.is_set():
                succession.cancel()
            with suppress(asyncio.CancelledError):
                await succession
            await (second if first.crashed.is_set() else first).stop()
        if not first.crashed.is_set():
            raise AssertionError(f'the worker did not crash: no step "{crash_at}" was executed')


@pytest.fixture(scope="session")
def pawl_server() -> Iterator[Server]:
    """A real server for all tests of the session; PAWL_URL names it meanwhile."""
    before = os.environ.get("PAWL_URL")
    with Server() as server:
        os.environ["PAWL_URL"] = server.url
        yield server
        if before is None:
            del os.environ["PAWL_URL"]
        else:
            os.environ["PAWL_URL"] = before


@pytest.fixture
def pawl_worker(pawl_server: Server) -> Callable[..., AbstractAsyncContextManager[Client]]:
    """`async with pawl_worker(nightly) as client:` runs a worker for these workflows, see `running`."""
    return functools.partial(running, url=pawl_server.url)


@dataclass
class Start:
    """A start that a FakeClient was asked for."""

    workflow: str
    #: As the workflow gets it.
    input: Any
    run_id: str
    #: Those of `with_options`.
    options: dict[str, Any] = field(default_factory=dict)


class FakeHandle(RunHandle[Any]):
    """The handle of a run that a FakeClient has started, or not."""

    def __init__(self, client: FakeClient, run_id: str, existing: bool) -> None:
        super().__init__(client._platform, run_id, None, existing)
        self._client = client

    async def result(self, *, timeout: Duration | None = None) -> Any:
        return self._client.result_of(self.run_id)

    async def signal(
        self, name: str, payload: Any = None, *, signal_id: str | None = None, actor: str = ""
    ) -> bool:
        sent = self._client.signals.setdefault(self.run_id, [])
        sent.append((name, payload))
        return True


class _FakeStarter(Starter):
    def __init__(self, client: FakeClient, options: dict[str, Any]) -> None:
        super().__init__(client._platform, StartRunRequest(), 0.0)
        self._client = client
        self._options = options

    async def start(self, workflow: Any, /, *args: Any, **kwargs: Any) -> RunHandle[Any]:
        is_named = isinstance(workflow, str)
        name = workflow if is_named else workflow.name
        input = (
            (args[0] if args else None) if is_named else workflow.signature.input_of(args, kwargs)
        )
        template = None if is_named else workflow.run_id_of(input)
        run_id = self._options.get("run_id") or template or f"fake-{len(self._client.starts) + 1}"
        existing = any(each.run_id == run_id for each in self._client.starts)
        if not existing:
            self._client.starts.append(Start(name, input, run_id, self._options))
        return FakeHandle(self._client, run_id, existing)

    async def run(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await (await self.start(workflow, *args, **kwargs)).result()

    async def execute(self, workflow: Any, /, *args: Any, **kwargs: Any) -> Any:
        return await self.run(workflow, *args, **kwargs)


class FakeClient(Client):
    """A client without a server, for tests of the code that starts runs: `starts` has what was started, and
    `signals` what was sent, by run id.

    `results`: the results of runs by the workflow's name: a value, an exception, or a function of the input.
    """

    def __init__(self, results: Mapping[str, Any] | None = None) -> None:
        super().__init__("http://localhost.invalid:1")
        self.results = dict(results or {})
        self.starts: list[Start] = []
        self.signals: dict[str, list[tuple[str, Any]]] = {}

    @property
    def _platform(self) -> Any:
        return _NoPlatform()

    def with_options(self, **options: Any) -> Starter:
        return _FakeStarter(self, options)

    def handle(self, run_id: str, workflow: Any = None) -> RunHandle[Any]:
        return FakeHandle(self, run_id, existing=True)

    def result_of(self, run_id: str) -> Any:
        start = next((each for each in self.starts if each.run_id == run_id), None)
        if start is None or start.workflow not in self.results:
            raise UsageError(
                f"no result is prepared for the run {run_id}; use FakeClient(results={{workflow: result}})"
            )
        result = self.results[start.workflow]
        if isinstance(result, BaseException):
            raise result
        return result(start.input) if callable(result) else result


class _NoPlatform:
    """Refuses the calls that a FakeClient does not stand in for."""

    def __getattr__(self, name: str) -> Any:
        raise UsageError("a FakeClient has no server to ask; use the fixture pawl_worker for that")
