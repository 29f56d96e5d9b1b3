"""Requests of a session that wait for their replies, to be sent again on a new stream.

After a stream was cut they are sent again a few at a time: a large one only when nothing else is
without an answer. So each gets through that can, and if that stream is cut as well, it is known whose
fault it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .._lib import limits
from .._run.link import OnAnswer
from ..errors import RequestError


@dataclass(slots=True)
class Request:
    run_id: str
    frame: bytes
    on_answer: OnAnswer
    # It left on the stream that is open, or was the last.
    sent: bool = False
    # How many streams were cut while it was the only large request on them without an answer.
    cuts: int = 0


class Requests:
    """By frame id, in their order. `send` takes a frame; false where there is no stream."""

    def __init__(self, send: Callable[[bytes], bool]) -> None:
        self._send = send
        self._pending: dict[int, Request] = {}
        # A stream was cut, and not all requests have been sent again since.
        self._careful = False

    def __len__(self) -> int:
        return len(self._pending)

    def open(self, id: int, request: Request) -> None:
        self._pending[id] = request
        if not self._careful:
            request.sent = self._send(request.frame)

    def take(self, id: int) -> Request | None:
        """The request that was answered; none if nobody waits for it."""
        request = self._pending.pop(id, None)
        if self._careful:
            self._send_some()
        return request

    def forget(self, run_id: str) -> None:
        for id in [id for id, request in self._pending.items() if request.run_id == run_id]:
            self.take(id)

    def resend(self) -> None:
        """Sends all again on a new stream, in their order."""
        for request in self._pending.values():
            request.sent = False
        self._send_some()

    def _send_some(self) -> None:
        open = sum(len(request.frame) for request in self._pending.values() if request.sent)
        for request in self._pending.values():
            if request.sent:
                continue
            size = len(request.frame)
            if self._careful and open > 0 and open + size > limits.SUSPECT_FRAME_BYTES:
                return
            request.sent = self._send(request.frame)
            if not request.sent:
                return
            open += size
        self._careful = False

    def cut(self, error: RequestError) -> tuple[Request, RequestError] | None:
        """A proxy cuts a stream when a message, or all of a stream's together, is over its limit: a
        large request that got no answer may never get through. It fails when that has happened a few
        times while no other could be the reason; the caller tells the code that waits for it.
        """
        large = [
            (id, request)
            for id, request in self._pending.items()
            if request.sent and len(request.frame) > limits.SUSPECT_FRAME_BYTES
        ]
        self._careful = bool(large)
        if len(large) != 1:
            return None
        [(id, suspect)] = large
        suspect.cuts += 1
        if suspect.cuts < limits.SUSPECT_FRAME_TRIES:
            return None
        del self._pending[id]
        problem = (
            f"a message of {len(suspect.frame)} bytes ended the connection {suspect.cuts} times "
            f"({error}); a proxy on the way may bound request bodies, as nginx does with "
            "client_max_body_size"
        )
        return suspect, RequestError("PAYLOAD_TOO_LARGE", problem, code=3)
