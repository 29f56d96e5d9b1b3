"""What a server refuses: google.rpc.Status with ErrorInfo and RetryInfo, or a frame's ErrorFrame."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

import grpc

from ..duration import message_seconds
from ..errors import RequestError
from ..v1.common_pb2 import ErrorFrame

_DETAILS_KEY: Final = "grpc-status-details-bin"
# What an error without ErrorInfo is called: it does not come from a Pawl server's own code.
_PLAIN: Final = {
    1: "CANCELLED",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    7: "PERMISSION_DENIED",
    # Of gRPC itself: a message is larger than a side takes.
    8: "PAYLOAD_TOO_LARGE",
    12: "UNIMPLEMENTED",
    14: "UNAVAILABLE",
    16: "UNAUTHENTICATED",
}
_TRANSIENT: Final = {"STORE_UNAVAILABLE", "DRAINING", "UNAVAILABLE", "DEADLINE_EXCEEDED"}


# INTERNAL_ERROR and ENHANCE_YOUR_CALM: how proxies cut a stream whose messages are too large for them.
# gRPC hides it where a message was being written.
_CUT: Final = re.compile(r"RST_STREAM with error code (?:2|11)\b|^\w+: Internal error from Core")


def is_cut(error: RequestError) -> bool:
    """A stream ended for what was in it, and not with its connection."""
    return _CUT.search(str(error)) is not None


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _fields(data: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: numbers, and bytes of what has a length.

    google/rpc's messages are not part of the protobuf runtime, and these few lines save a package.
    """
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield tag >> 3, value
        elif kind == 2:
            size, at = _varint(data, at)
            yield tag >> 3, data[at : at + size]
            at += size
        else:
            at += 8 if kind == 1 else 4


def _entry(data: bytes) -> tuple[str, str]:
    parts = dict(_fields(data))
    return parts.get(1, b"").decode(), parts.get(2, b"").decode()


def _read_details(data: bytes) -> tuple[str, dict[str, str], float | None]:
    """Reason, metadata and delay of the details in a google.rpc.Status."""
    reason = ""
    metadata: dict[str, str] = {}
    retry_after_s: float | None = None
    for number, value in _fields(data):
        if number != 3:
            continue
        detail = dict(_fields(value))
        kind = detail.get(1, b"").decode().rpartition("/")[2]
        if kind == "google.rpc.ErrorInfo":
            for field, item in _fields(detail.get(2, b"")):
                if field == 1:
                    reason = item.decode()
                elif field == 3:
                    key, text = _entry(item)
                    metadata[key] = text
        elif kind == "google.rpc.RetryInfo":
            delay = dict(_fields(dict(_fields(detail.get(2, b""))).get(1, b"")))
            retry_after_s = delay.get(1, 0) + delay.get(2, 0) / 1e9
    return reason, metadata, retry_after_s


_INTERNAL = 13
_UNAVAILABLE = 14
# What HTTP/2 libraries say of a session or stream that ended without an answer. The last one is what
# gRPC says of a stream that ended, however it ended, while a message was being written to it.
_LOST = re.compile(
    r"session closed|stream closed|RST_STREAM|GOAWAY|connection (dropped|reset|closed)"
    r"|^Internal error from Core",
    re.IGNORECASE,
)


def error_from_call(error: grpc.aio.AioRpcError) -> RequestError:
    """The SDK's error for a call that failed."""
    code: int = error.code().value[0]
    reason = ""
    metadata: dict[str, str] = {}
    retry_after_s: float | None = None
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS_KEY and isinstance(value, bytes):
            reason, metadata, retry_after_s = _read_details(value)
    # The server did not say so: a connection was closed under the call, which may be made again.
    if not reason and code == _INTERNAL and _LOST.search(error.details() or ""):
        reason, code = "UNAVAILABLE", _UNAVAILABLE
    return RequestError(
        reason or _PLAIN.get(code, "INTERNAL"),
        error.details() or "the server gave no message",
        code=code,
        metadata=metadata,
        retry_after_s=retry_after_s,
    )


def error_from_frame(error: ErrorFrame) -> RequestError:
    return RequestError(
        error.reason,
        error.message,
        code=error.code,
        metadata=error.metadata,
        retry_after_s=message_seconds(error.retry_after) if error.HasField("retry_after") else None,
    )


def is_transient(error: RequestError) -> bool:
    """Whether the same again may work soon."""
    return error.reason in _TRANSIENT


def closed_error() -> RequestError:
    return RequestError("UNAVAILABLE", "the connection was closed", code=14)
