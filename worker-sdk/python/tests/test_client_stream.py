"""Goal: a client's calls share a stream, and neither its loss nor a server without it is noticed.

Method: a real server that is killed in between, and small servers that speak only a part of the contract.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from conftest import PATIENCE_S, Server, until

from pawl import Client, Context, RequestError, Worker, workflow
from pawl._link.status import error_from_call, is_transient
from pawl.v1 import run_pb2 as pb
from pawl.v1.common_pb2 import RUN_STATUS_COMPLETED, Payload
from pawl.v1.signal_pb2 import SendSignalResponse

_SERVICE = "pawl.v1.RunService"


@workflow
async def framed_slow(ctx: Context, number: int) -> int:
    async def wait() -> None:
        await asyncio.sleep(1.5)

    await ctx.step("slow", wait)
    return 2 * number


@workflow
async def framed_signalled(ctx: Context) -> list[int]:
    return [await ctx.signal("number", returns=int) for _ in range(20)]


async def test_a_server_that_is_killed_in_between_is_not_noticed() -> None:
    store = f"sqlite:{tempfile.mkdtemp()}/pawl.db"
    server = Server(store)
    await asyncio.to_thread(server.start)
    try:
        async with (
            Client(server.url, retry_for="30 s") as client,
            Worker([framed_slow, framed_signalled], url=server.url, slots=50),
        ):
            results = asyncio.gather(
                *(client.with_options(run_id=f"framed-{n}").run(framed_slow, n) for n in range(20))
            )

            async def are_there() -> bool:
                return len((await client.list(workflow="framed_slow"))[0]) == 20

            await until(are_there)
            handle = await client.start(framed_signalled)
            server.kill()
            sent = asyncio.gather(
                *(handle.signal("number", n, signal_id=f"s{n}") for n in range(20))
            )
            await asyncio.to_thread(server.start)
            assert await results == [2 * n for n in range(20)]
            await sent
            assert sorted(await handle.result(timeout=PATIENCE_S)) == list(range(20))
            assert len((await client.list())[0]) == 21
    finally:
        await asyncio.to_thread(server.stop)


@pytest.mark.usefixtures("server")
async def test_a_frame_that_is_refused_fails_its_call_only() -> None:
    async with Client() as client, Worker([framed_slow]):
        good = client.run(framed_slow, 1)
        bad = client.start("nobody-knows-this-workflow")
        missing = client.handle("nobody-knows-this-run").get()
        outcomes: list[Any] = await asyncio.gather(good, bad, missing, return_exceptions=True)
        assert outcomes[0] == 2
        assert [error.reason for error in outcomes[1:]] == ["NOT_FOUND", "NOT_FOUND"]


Attach = Callable[[AsyncIterator[pb.RunServiceAttachRequest], Any], Any]
StartRun = Callable[[pb.StartRunRequest, Any], Awaitable[pb.StartRunResponse]]


@asynccontextmanager
async def stub(attach: Attach | None, start_run: StartRun | None = None) -> AsyncIterator[str]:
    """A server that knows only these calls."""
    handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
    if attach is not None:
        handlers["Attach"] = grpc.stream_stream_rpc_method_handler(
            attach,
            request_deserializer=pb.RunServiceAttachRequest.FromString,
            response_serializer=pb.RunServiceAttachResponse.SerializeToString,
        )
    if start_run is not None:
        handlers["StartRun"] = grpc.unary_unary_rpc_method_handler(
            start_run,
            request_deserializer=pb.StartRunRequest.FromString,
            response_serializer=pb.StartRunResponse.SerializeToString,
        )
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        await server.stop(None)


def completed(run_id: str) -> pb.Run:
    output = Payload(data=b'"done"', encoding="json")
    return pb.Run(run_id=run_id, status=RUN_STATUS_COMPLETED, output=output)


async def test_a_lost_stream_is_replaced_and_unanswered_calls_are_sent_again_with_the_same_ids() -> (
    None
):
    streams: list[list[pb.ClientFrame]] = []

    async def attach(requests: AsyncIterator[pb.RunServiceAttachRequest], context: Any) -> Any:
        frames: list[pb.ClientFrame] = []
        streams.append(frames)
        async for message in requests:
            frames.extend(message.frames)
            if len(streams) < 3:
                await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
            for frame in message.frames:
                if frame.HasField("send_signal"):
                    reply = pb.ClientReply(id=frame.id, send_signal=SendSignalResponse())
                else:
                    run = completed(frame.start_and_wait.start.run_id)
                    response = pb.StartRunResponse(run=run)
                    reply = pb.ClientReply(id=frame.id, start_and_wait=response)
                yield pb.RunServiceAttachResponse(replies=[reply])

    async with stub(attach) as url, Client(url) as client:
        assert await asyncio.gather(
            *(client.run("w", n) for n in range(10)), client.handle("r").signal("go")
        ) == [*["done"] * 10, True]

    def ids(frames: list[pb.ClientFrame]) -> set[str]:
        return {
            frame.send_signal.signal_id or frame.start_and_wait.start.run_id for frame in frames
        }

    everything = set().union(*map(ids, streams[2:]))
    assert len(everything) == 11 and sum(len(frames) for frames in streams[2:]) == 11
    assert ids(streams[0]) <= everything and ids(streams[1]) <= everything


async def test_a_stream_that_is_lost_while_a_message_is_written_is_not_a_refusal() -> None:
    """gRPC reports the failed write then, and hides the status with which the stream ended."""
    streams = 0

    async def attach(requests: AsyncIterator[pb.RunServiceAttachRequest], context: Any) -> Any:
        nonlocal streams
        streams += 1
        if streams < 3:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection was lost")
        async for message in requests:
            for frame in message.frames:
                response = pb.StartRunResponse(run=completed(frame.start_run.run_id))
                reply = pb.ClientReply(id=frame.id, start_run=response)
                yield pb.RunServiceAttachResponse(replies=[reply])

    nothing = grpc.aio.Metadata()
    failed_write = grpc.aio.AioRpcError(
        grpc.StatusCode.INTERNAL, nothing, nothing, details="Internal error from Core"
    )
    assert is_transient(error_from_call(failed_write))
    async with stub(attach) as url, Client(url) as client:
        # Together they are larger than what may be sent before the other side has read anything.
        runs = await asyncio.gather(*(client.start("w", "x" * 60_000) for _ in range(10)))
        assert len(runs) == 10 and streams >= 3


async def test_calls_made_at_once_share_messages_and_an_idle_stream_ends() -> None:
    messages = 0
    ended = asyncio.Event()

    async def attach(requests: AsyncIterator[pb.RunServiceAttachRequest], _context: Any) -> Any:
        nonlocal messages
        async for message in requests:
            messages += 1
            replies = [
                pb.ClientReply(
                    id=frame.id,
                    start_run=pb.StartRunResponse(run=completed(frame.start_run.run_id)),
                )
                for frame in message.frames
            ]
            yield pb.RunServiceAttachResponse(replies=replies)
        ended.set()

    async with stub(attach) as url, Client(url) as client:
        await asyncio.gather(*(client.start("w", n) for n in range(500)))
        assert messages < 50
        await asyncio.wait_for(ended.wait(), PATIENCE_S)
        # Another one is opened for the next call.
        await client.start("w")


async def test_a_call_that_is_given_up_is_forgotten() -> None:
    frames: list[pb.ClientFrame] = []

    async def attach(requests: AsyncIterator[pb.RunServiceAttachRequest], _context: Any) -> Any:
        async for message in requests:
            frames.extend(message.frames)
        yield pb.RunServiceAttachResponse()

    async with stub(attach) as url, Client(url) as client:
        waiting = asyncio.create_task(client.handle("r").result())
        await until(lambda: len(frames) == 1)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await until(lambda: len(frames) == 2)
        assert frames[1].forget.id == frames[0].id


async def test_calls_are_unary_where_nobody_takes_the_stream() -> None:
    calls = 0

    async def start_run(request: pb.StartRunRequest, _context: Any) -> pb.StartRunResponse:
        nonlocal calls
        calls += 1
        return pb.StartRunResponse(run=completed(request.run_id))

    async with stub(None, start_run) as url, Client(url) as client:
        assert await client.run("w", 1) == "done"
        assert (await client.with_options(run_id="r").start("w", 1)).run_id == "r"
        assert calls == 2
        with pytest.raises(RequestError, match="UNIMPLEMENTED"):
            await client.handle("r").get()


async def test_a_client_that_is_closed_fails_its_calls() -> None:
    async def attach(requests: AsyncIterator[pb.RunServiceAttachRequest], _context: Any) -> Any:
        async for _ in requests:
            pass
        yield pb.RunServiceAttachResponse()

    async with stub(attach) as url:
        async with Client(url) as client:
            waiting = asyncio.create_task(client.handle("r").result())
            await asyncio.sleep(0.1)
        with pytest.raises(RequestError, match="the connection was closed"):
            await waiting
