"""One address is enough for clients and workers, and a server's word is not followed elsewhere."""

from __future__ import annotations

import asyncio
import json
from typing import Literal

import pytest

from pawl import Client, Worker, workflow
from pawl.errors import RequestError
from pawl.testing import Server


@workflow
async def doubled(n: int) -> int:
    return 2 * n


@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_the_http_address_is_enough(server: Server, mode: Literal["stream", "poll"]) -> None:
    url = server.http_url
    async with Client(url) as client, Worker([doubled], url=url, mode=mode):
        assert await client.run(doubled, 21) == 42


@pytest.mark.parametrize(
    "told", ["http://other.example:50051", "https://127.0.0.1:50051", "nonsense"]
)
async def test_an_address_elsewhere_is_not_followed(told: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps({"grpcUrl": told}).encode())
        writer.close()

    liar = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = liar.sockets[0].getsockname()[1]
    async with liar, Client(f"http://127.0.0.1:{port}", retry_for=0) as client:
        with pytest.raises(RequestError, match="PAWL_GRPC_URL"):
            await client.list()
