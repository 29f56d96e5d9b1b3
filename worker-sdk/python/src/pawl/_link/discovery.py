"""Finds the gRPC address of a server by its HTTP address."""

from __future__ import annotations

import asyncio
import json
import ssl
from typing import Final
from urllib.parse import SplitResult, urlsplit

from ..errors import RequestError

_PATIENCE_S: Final = 2.0
_ANSWER_BYTES_MAX: Final = 65_536
#: Of a proxy whose server is away.
_AWAY: Final = (b" 502 ", b" 503 ", b" 504 ")


async def grpc_url_of(url: str) -> str:
    """The gRPC address of the server at an address; that address itself where nothing there says otherwise.

    Raises RequestError where there is no server, or one whose word is not to be followed.
    """
    asked = urlsplit(url)
    told = _address_in(await _answer_of(asked))
    if not told:
        return url
    where = urlsplit(told)
    # Its key must not reach another host, nor go in clear.
    if where.hostname == asked.hostname and where.scheme == asked.scheme:
        return told
    raise RequestError(
        "UNAVAILABLE",
        f"the server at {url} says that its gRPC address is {told}, which has another host or scheme; set "
        "PAWL_GRPC_URL to the gRPC address to use, or start the server with --public-grpc-url",
        code=14,
    )


async def _answer_of(asked: SplitResult) -> bytes:
    """What the server says of itself over HTTP; empty where it does not speak that."""
    secure = asked.scheme == "https"
    port = asked.port or (443 if secure else 80)
    context = ssl.create_default_context() if secure else None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            reader, writer = await asyncio.open_connection(asked.hostname, port, ssl=context)
    except (OSError, TimeoutError) as error:
        raise RequestError("UNAVAILABLE", str(error) or "it took too long", code=14) from None
    try:
        async with asyncio.timeout(_PATIENCE_S):
            head = f"GET /v1/server HTTP/1.1\r\nHost: {asked.netloc}\r\nConnection: close\r\n\r\n"
            writer.write(head.encode())
            answer = bytearray()
            while len(answer) < _ANSWER_BYTES_MAX and (
                piece := await reader.read(_ANSWER_BYTES_MAX)
            ):
                answer += piece
            return bytes(answer)
    except (OSError, TimeoutError):
        return b""
    finally:
        writer.close()


def _address_in(answer: bytes) -> str:
    status, _, _ = answer.partition(b"\r\n")
    if status.startswith(b"HTTP/1.") and any(away in status + b" " for away in _AWAY):
        raise RequestError("UNAVAILABLE", status.decode(errors="replace"), code=14)
    if not status.startswith(b"HTTP/1.1 200"):
        return ""
    # Between the braces, so that the pieces of a chunked body do not matter.
    start, end = answer.find(b"{"), answer.rfind(b"}")
    try:
        said = json.loads(answer[start : end + 1])
    except ValueError:
        return ""
    address = said.get("grpcUrl") if isinstance(said, dict) else None
    return address if isinstance(address, str) else ""
