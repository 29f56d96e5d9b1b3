"""
Goal: a request that a proxy does not let through fails; requests that are only too large for one stream
together all get through.
Method: the requests of a session whose streams are refused once they have more than a megabyte.
"""

from __future__ import annotations

from typing import Any

from pawl._lib import limits
from pawl._link.requests import Request, Requests
from pawl._run.link import OnAnswer
from pawl.errors import RequestError
from pawl.v1 import worker_pb2 as pb

_STREAM_BYTES_MAX = 1_000_000


def _through_a_proxy(sizes: list[int]) -> tuple[list[Any], int]:
    """What was answered to each request, and how many streams were cut."""
    on_stream: list[bytes] = []
    total = cuts = 0
    answers: list[Any] = [None] * len(sizes)

    def send(frame: bytes) -> bool:
        nonlocal total
        total += len(frame)
        on_stream.append(frame)
        return True

    def noting(index: int) -> OnAnswer:
        def note(answer: Any) -> None:
            answers[index] = answer

        return note

    requests = Requests(send)
    ids: dict[bytes, int] = {}
    for index, size in enumerate(sizes):
        frame = index.to_bytes(4) + bytes(size - 4)
        ids[frame] = index
        requests.open(index, Request("r", frame, noting(index)))
    while requests:
        if total <= _STREAM_BYTES_MAX:
            left, on_stream[:] = list(on_stream), []
            for frame in left:
                request = requests.take(ids[frame])
                assert request is not None
                request.on_answer(pb.Reply())
            continue
        cuts += 1
        total = 0
        on_stream.clear()
        refused = requests.cut(RequestError("INTERNAL", "RST_STREAM", code=13))
        if refused is not None:
            refused[0].on_answer(refused[1])
        requests.resend()
    return answers, cuts


def test_a_request_that_does_not_get_through_fails_and_no_other_does() -> None:
    answers, cuts = _through_a_proxy([500, 2_000_000, 300_000])
    assert [answers[0], answers[2]] == [pb.Reply(), pb.Reply()]
    assert answers[1].reason == "PAYLOAD_TOO_LARGE"
    assert cuts == 1 + limits.SUSPECT_FRAME_TRIES


def test_requests_that_are_too_large_together_all_get_through() -> None:
    answers, _ = _through_a_proxy([500 if index % 3 == 0 else 300_000 for index in range(30)])
    assert answers == [pb.Reply()] * 30
