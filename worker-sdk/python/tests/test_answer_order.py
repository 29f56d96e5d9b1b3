"""Goal: what separate calls report comes to the code in the order of the journal.
Method: answers that come in every order.
"""

from functools import partial
from itertools import permutations

import pytest

from pawl import RequestError
from pawl._link.order import AnswerOrder
from pawl.v1.step_pb2 import StepCompletedResponse


@pytest.mark.parametrize("arrival", list(permutations([5, 6, 7])))
def test_reports_that_are_out_together_are_handed_on_in_order(arrival: tuple[int, ...]) -> None:
    order = AnswerOrder()
    seen: list[int] = []
    for seq in (5, 6, 7):
        order.sent(seq)
    for seq in arrival:
        order.answered(seq, StepCompletedResponse(seq=seq), partial(seen.append, seq))
    assert seen == [5, 6, 7]


def test_an_answer_waits_only_for_what_was_out_when_it_came() -> None:
    order = AnswerOrder()
    seen: list[str] = []
    order.sent("a")
    order.sent("b")
    order.answered("a", StepCompletedResponse(seq=5), lambda: seen.append("a"))
    order.sent("c")
    assert seen == []
    refusal = RequestError("INVALID_ARGUMENT", "no", code=3)
    order.answered("b", refusal, lambda: seen.append("b"))
    assert seen == ["a"]
    order.answered("c", StepCompletedResponse(seq=6), lambda: seen.append("c"))
    assert seen == ["a", "b", "c"]
