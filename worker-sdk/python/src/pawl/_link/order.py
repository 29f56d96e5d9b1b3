"""The answers of separate calls, handed on in the order of the journal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from google.protobuf.message import Message

from ..errors import RequestError
from ..v1.step_pb2 import StepStartedResponse


@dataclass
class _Held:
    place: int
    hand_on: Callable[[], None]
    # The reports that were out when it came: any of them may have been recorded before it.
    after: set[object]


class AnswerOrder:
    """Of one run. Answers may overtake one another, and user code is to see them in the order of the
    journal: so an answer is held until all reports are answered that were out when it came. Those that
    can go together go in order, and at once: what one of them makes the code do must not come between.
    """

    def __init__(self) -> None:
        self._out: set[object] = set()
        self._held: list[_Held] = []

    def sent(self, report: object) -> None:
        self._out.add(report)

    def answered(
        self, request: object, answer: Message | RequestError, hand_on: Callable[[], None]
    ) -> None:
        """`request`: as it was given to `sent`, if it reports something."""
        self._out.discard(request)
        self._held.append(_Held(_place(answer), hand_on, set(self._out)))
        for held in self._held:
            held.after.discard(request)
        due = sorted((held for held in self._held if not held.after), key=lambda held: held.place)
        self._held = [held for held in self._held if held.after]
        for held in due:
            held.hand_on()


def _place(answer: Message | RequestError) -> int:
    """The entry that an answer reports; 0 where it reports none."""
    if isinstance(answer, StepStartedResponse):
        return answer.replay.seq
    return int(getattr(answer, "seq", 0))
