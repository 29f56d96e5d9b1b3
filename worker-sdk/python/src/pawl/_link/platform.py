"""The calls that both workers and clients make, sent again while no server answers."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, TypeVar
from urllib.parse import urlsplit
from weakref import WeakSet

import grpc
from google.protobuf.message import Message

from .._codec.payload import encode
from .._lib import limits
from .._lib.backoff import GrowingPause
from .._run.payloads import check_size
from ..errors import RequestError, TerminalError, UsageError
from ..v1.common_pb2 import JournalEntry, Payload, PayloadRef
from ..v1.payload_pb2 import GetPayloadRequest, PutPayloadRequest
from ..v1.run_pb2 import GetJournalRequest
from .discovery import grpc_url_of
from .methods import GET_JOURNAL, GET_PAYLOAD, PUT_PAYLOAD, Method
from .status import closed_error, error_from_call, is_transient

Q = TypeVar("Q", bound=Message)
R = TypeVar("R", bound=Message)
T = TypeVar("T")
Metadata = tuple[tuple[str, str], ...]


def default_url() -> str:
    direct = os.environ.get("PAWL_GRPC_URL")
    asked = os.environ.get("PAWL_URL")
    if asked and not direct:
        return asked
    # The scheme of an address that is not asked for another one.
    return (direct or "http://127.0.0.1:50051").replace("http", "grpc", 1)


def _credentials() -> Metadata | None:
    """With each call, since gRPC sends credentials of its own over TLS only."""
    key = os.environ.get("PAWL_API_KEY")
    return (("authorization", f"Bearer {key}"),) if key else None


def _target(url: str) -> tuple[str, bool]:
    """The address that grpc wants, and whether to encrypt, from http://host:port or host:port."""
    if "://" not in url:
        return url, False
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.hostname:
        raise UsageError(
            f'"{url}" is not the address of a server; write http://host:port or https://host:port'
        )
    secure = parts.scheme in ("https", "grpcs")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{parts.port or (443 if secure else 50051)}", secure


def _options(target: str) -> list[tuple[str, Any]]:
    options: list[tuple[str, Any]] = [
        ("grpc.max_receive_message_length", 2 * limits.SESSION_MESSAGE_BYTES_MAX),
        ("grpc.max_send_message_length", 2 * limits.SESSION_MESSAGE_BYTES_MAX),
        ("grpc.keepalive_time_ms", 20_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Reconnecting is paced by the callers; a long pause of the channel would add to theirs.
        ("grpc.initial_reconnect_backoff_ms", 50),
        # Despite its name: how long one attempt to connect may take, however short the pauses are.
        ("grpc.min_reconnect_backoff_ms", 10_000),
        ("grpc.max_reconnect_backoff_ms", 500),
    ]
    if target.startswith(("127.", "localhost", "[::1]")):
        options.append(("grpc.enable_http_proxy", 0))
    return options


#: Those of this process, or of the one that it was forked from.
_open: WeakSet[Platform] = WeakSet()
_FORKED = (
    "this process was forked while a client or worker was connected to the server, and gRPC does not "
    'work in such a child; start it afresh instead: multiprocessing.get_context("spawn"), or connect '
    "after the fork only"
)


class Platform:
    """A connection to a server; made within a running event loop."""

    #: Made at the first use, by `connect`.
    channel: grpc.aio.Channel

    def __init__(self, url: str | None, retry_for_s: float) -> None:
        """`retry_for_s`: how long a call is sent again while no server answers."""
        if any(each._pid != os.getpid() for each in _open):
            raise UsageError(_FORKED)
        self.url = url or default_url()
        self.metadata = _credentials()
        _target(self.url)
        self._connecting: asyncio.Task[None] | None = None
        self._is_connected = False
        self._retry_for_s = retry_for_s
        self._closed = False
        self._answered_at = float("-inf")
        self._loop = asyncio.get_running_loop()
        self._pid: int = os.getpid()
        self._calls: dict[str, Any] = {}
        _open.add(self)

    async def connect(self) -> None:
        """To be awaited before the channel is used."""
        if self._is_connected:
            return
        # All that wait share one task: they continue together, and a caller that is cancelled ends only itself.
        if self._connecting is None or self._connecting.done():
            self._connecting = self._loop.create_task(self._find())
        await asyncio.shield(self._connecting)

    async def _find(self) -> None:
        is_asked = self.url.startswith(("http://", "https://"))
        target, secure = _target(await grpc_url_of(self.url) if is_asked else self.url)
        self.channel = (
            grpc.aio.secure_channel(target, grpc.ssl_channel_credentials(), _options(target))
            if secure
            else grpc.aio.insecure_channel(target, _options(target))
        )
        self._is_connected = True

    def _is_at_home(self) -> bool:
        return os.getpid() == self._pid and asyncio.get_running_loop() is self._loop

    def _check_place(self) -> None:
        """gRPC would wait for ever in another process, and fail strangely in another event loop."""
        if os.getpid() != self._pid:
            raise UsageError(_FORKED)
        if asyncio.get_running_loop() is not self._loop:
            raise UsageError(
                "this client was used in another event loop, which its connection belongs to; make a "
                "Client in each, and close it there: async with Client() as client"
            )

    async def retrying(
        self, send: Callable[[], Awaitable[T]], retry_for_s: float | None = None
    ) -> T:
        """Sends until answered, or until the time for that is up, which starts when the first try has
        failed: a call may have waited for long before it lost its connection. The requests are idempotent.
        """
        pause = GrowingPause(0.05, 1.0)
        end = float("inf")
        while True:
            try:
                return await send()
            except RequestError as error:
                retry_s = self._retry_for_s if retry_for_s is None else retry_for_s
                end = min(end, time.monotonic() + retry_s)
                if self._closed or time.monotonic() >= end or not is_transient(error):
                    raise self._explain(error) from None
                await asyncio.sleep(max(error.retry_after_s or 0.0, pause.next()))

    def _explain(self, error: RequestError) -> RequestError:
        if error.reason != "UNAVAILABLE" or self._closed:
            return error
        return RequestError(
            "UNAVAILABLE",
            f"no Pawl server answers at {self.url}; start one with `pawl dev`, or set PAWL_URL "
            f"({str(error).removeprefix('UNAVAILABLE: ')})",
            code=error.code,
        )

    async def once(self, method: Method[Q, R], request: Q, timeout_s: float | None = None) -> R:
        """One call, not sent again."""
        self._check_open()
        response = await self._send(method, request, timeout_s)
        self._answered_at = time.monotonic()
        return response

    def _check_open(self) -> None:
        if self._closed:
            raise closed_error()
        self._check_place()

    async def _send(self, method: Method[Q, R], request: Q, timeout_s: float | None) -> R:
        await self.connect()
        call = self._calls.get(method.path)
        if call is None:
            call = self._calls[method.path] = self.channel.unary_unary(
                method.path,
                request_serializer=method.request.SerializeToString,
                response_deserializer=method.response.FromString,
            )
        try:
            response: R = await call(request, timeout=timeout_s, metadata=self.metadata)
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error) from None
        except grpc.aio.UsageError:
            raise closed_error() from None
        return response

    def has_answered_since(self, moment: float) -> bool:
        """The server has answered a call since then, by `time.monotonic()`."""
        return self._answered_at > moment

    async def call(self, method: Method[Q, R], request: Q, retry_for_s: float | None = None) -> R:
        return await self.retrying(lambda: self.once(method, request), retry_for_s)

    async def send_stream(
        self, method: Method[Q, R], requests: Iterable[Q], timeout_s: float | None = None
    ) -> R:
        """A call with a stream of requests, not sent again."""
        self._check_place()
        await self.connect()
        call = self.channel.stream_unary(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )
        try:
            response: R = await call(iter(requests), timeout=timeout_s, metadata=self.metadata)
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error) from None
        return response

    async def receive_stream(
        self, method: Method[Q, R], request: Q, begun: Callable[[Callable[[], object]], None]
    ) -> AsyncIterator[R]:
        """A call with a stream of responses, not sent again. `begun` gets what cancels it."""
        self._check_place()
        await self.connect()
        call = self.channel.unary_stream(
            method.path,
            request_serializer=method.request.SerializeToString,
            response_deserializer=method.response.FromString,
        )(request, metadata=self.metadata)
        begun(call.cancel)
        try:
            async for response in call:
                yield response
        except grpc.aio.AioRpcError as error:
            raise error_from_call(error) from None
        finally:
            call.cancel()

    def stop_retrying(self) -> None:
        self._closed = True

    async def close(self) -> None:
        self._closed = True
        # Elsewhere there is nothing to close that works.
        if self._is_at_home():
            if self._connecting is not None:
                self._connecting.cancel()
            if self._is_connected:
                await self.channel.close()
            _open.discard(self)

    # ── payloads and journals ──

    async def payload(self, value: object, what: str) -> Payload:
        """Encodes a value to be sent, uploading it first where it is too large to travel inline."""
        encoded = encode(value, what)
        if len(encoded.data) <= limits.INLINE_PAYLOAD_BYTES_MAX:
            return encoded.payload()
        check_size(len(encoded.data), what)
        return Payload(encoding=encoded.encoding, ref=await self.upload(encoded.data))

    async def upload(self, data: bytes) -> PayloadRef:
        """Stores a payload that is too large to travel inline."""

        def chunks() -> Iterable[PutPayloadRequest]:
            for at in range(0, len(data), limits.CHUNK_BYTES):
                yield PutPayloadRequest(data=data[at : at + limits.CHUNK_BYTES])

        response = await self.retrying(lambda: self.send_stream(PUT_PAYLOAD, chunks()))
        return response.ref

    async def download(self, payload: Payload) -> Payload:
        """Fetches a payload that was too large to travel inline."""
        if not payload.HasField("ref"):
            return payload
        ref = payload.ref
        data = bytearray()
        while len(data) < ref.size:
            request = GetPayloadRequest(
                sha256=ref.sha256, offset=len(data), limit=limits.CHUNK_BYTES
            )
            piece = await self.call(GET_PAYLOAD, request)
            if not piece.data:
                raise TerminalError(
                    f"the payload {ref.sha256} ended after {len(data)} of {ref.size} bytes"
                )
            data += piece.data
        return Payload(data=bytes(data), encoding=payload.encoding)

    async def journal(self, run_id: str, after_seq: int) -> AsyncIterator[list[JournalEntry]]:
        """The journal after an entry, page by page."""
        after = after_seq
        while True:
            request = GetJournalRequest(
                run_id=run_id, after_seq=after, page_size=limits.JOURNAL_PAGE_ENTRIES
            )
            page = await self.call(GET_JOURNAL, request)
            if page.entries:
                yield list(page.entries)
                after = page.entries[-1].seq
            if not page.more or not page.entries:
                return
