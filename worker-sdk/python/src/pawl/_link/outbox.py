# Section X of docs/replay-machine.md.
"""Frames on their way out. What comes up while a message is being written leaves together in the next
one, since a message costs far more than a frame.

A start note is looked at when the message leaves: if its step has ended by then, its completion
follows and the start is no news.
"""

from __future__ import annotations

from google.protobuf.message import Message

from .._lib import limits
from .._run.link import StartNote
from ..v1.worker_pb2 import WorkerFrame

_FIELDS = {field.name: field.number for field in WorkerFrame.DESCRIPTOR.fields}


def _varint(value: int) -> bytes:
    if value < 0x80:
        return bytes((value,))
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


# Field numbers below 16 have a tag of one byte.
_TAGS = {name: _varint(number << 3 | 2) for name, number in _FIELDS.items()}


def encode_frame(id: int, name: str, body: Message) -> bytes:
    """A WorkerFrame as a member of WorkerServiceAttachRequest, encoded once: it may be sent again as it is."""
    data = body.SerializeToString()
    head = b"\x08" + _varint(id) + _TAGS[name] if id else _TAGS[name]
    size = len(data)
    head += _varint(size)
    return b"\x0a" + _varint(len(head) + size) + head + data


class Outbox:
    """Encoded frames and start notes, oldest first; taken out as encoded WorkerServiceAttachRequests."""

    def __init__(self) -> None:
        self._items: list[bytes | StartNote] = []

    def push(self, frame: bytes | StartNote) -> None:
        self._items.append(frame)

    def clear(self) -> None:
        self._items = []

    @property
    def is_empty(self) -> bool:
        return not self._items

    def take(self) -> list[bytes]:
        """All that is waiting, as messages within the limits."""
        items, self._items = self._items, []
        young: list[bytes | StartNote] = []
        messages: list[bytes] = []
        frames: list[bytes] = []
        size = 0
        for item in items:
            if isinstance(item, bytes):
                frame = item
            elif item.ended:
                continue
            elif not item.is_due:
                young.append(item)
                continue
            else:
                try:
                    frame = encode_frame(0, "step_started", item.start_message())
                except Exception:
                    # It is news only; its report will be refused, and its caller told.
                    continue
            full = len(frames) >= limits.FRAMES_PER_MESSAGE_MAX
            if full or (frames and size + len(frame) > limits.SESSION_MESSAGE_BYTES_MAX):
                messages.append(b"".join(frames))
                frames, size = [], 0
            frames.append(frame)
            size += len(frame)
        if frames:
            messages.append(b"".join(frames))
        self._items = young
        return messages
