"""Values that are too large to travel inline."""

from __future__ import annotations

from .._codec.payload import Encoded
from .._lib import limits
from ..errors import TerminalError
from ..v1.common_pb2 import Payload
from .link import RunLink


def is_large(encoded: Encoded) -> bool:
    """Whether a value has to be uploaded before it can be sent."""
    return len(encoded.data) > limits.INLINE_PAYLOAD_BYTES_MAX


def check_size(size: int, what: str) -> None:
    if size > limits.PAYLOAD_BYTES_MAX:
        raise TerminalError(
            f"{what} has {size} bytes (limit {limits.PAYLOAD_BYTES_MAX}); store it "
            "elsewhere and return a reference"
        )


async def upload(link: RunLink, encoded: Encoded, what: str) -> Payload:
    """Uploads a large value; returns what to send in its place."""
    if not is_large(encoded):
        return encoded.payload()
    check_size(len(encoded.data), what)
    return Payload(encoding=encoded.encoding, ref=await link.upload(encoded.data))
