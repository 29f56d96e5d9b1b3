"""Who answers the questions of a run without a server: what its caller has prepared."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from .._lib.words import word
from ..errors import UsageError
from ..v1 import common_pb2 as pb

_KEY: Final = re.compile(r"(?:^|/)user:(?:question\[)?([^/\]]*)\]?$")


@dataclass(frozen=True, slots=True)
class LocalQuestion:
    """A question, for the function that answers in `run_locally`."""

    question: str
    #: text, approval, choice, multichoice or form.
    type: str
    options: tuple[str, ...]
    assignees: tuple[str, ...]
    skippable: bool
    step_key: str


#: Answers by question, or by the key of the question, in order; or a function that is asked each question.
#: An approval is answered by True or False, or by {"approved": …, "actor": …, "comment": …}; `None` skips a
#: question that is skippable.
LocalAnswers = Mapping[str, Sequence[Any]] | Callable[[LocalQuestion], Any]


@dataclass(frozen=True, slots=True)
class LocalAnswer:
    outcome: pb.WaitOutcome
    value: Any
    details: dict[str, str]


def _problem(asked: LocalQuestion, allow_custom: bool, value: Any) -> str:
    """What the server would refuse, as far as it can be told without it."""

    def is_known(one: Any) -> bool:
        return isinstance(one, str) and (allow_custom or one in asked.options)

    allowed = "one of " + ", ".join(f'"{one}"' for one in asked.options)
    match asked.type:
        case "text":
            return "" if isinstance(value, str) else "a text"
        case "approval":
            return "" if isinstance(value, bool) else "True or False, or a dict with `approved`"
        case "choice":
            return "" if is_known(value) else allowed
        case "multichoice":
            fits = isinstance(value, list) and all(is_known(one) for one in value)
            return "" if fits else f"a list of {allowed}"
    return ""


def _checked(asked: LocalQuestion, allow_custom: bool, answer: Any) -> LocalAnswer:
    if answer is None and asked.skippable:
        return LocalAnswer(pb.WAIT_OUTCOME_SKIPPED, None, {})
    value, actor, comment = answer, "", ""
    if asked.type == "approval" and isinstance(answer, Mapping) and "approved" in answer:
        value = answer["approved"]
        actor, comment = str(answer.get("actor", "")), str(answer.get("comment", ""))
    problem = _problem(asked, allow_custom, value)
    if problem:
        raise UsageError(f'the answer to "{asked.question}" is {answer!r}; it must be {problem}')
    details = {"actor": actor, "comment": comment}
    if asked.type == "approval":
        vote = {"actor": actor, "at": "1970-01-01T00:00:00Z", "approved": value, "via": "api"}
        details["answers"] = json.dumps([{**vote, "comment": comment}])
    return LocalAnswer(pb.WAIT_OUTCOME_ANSWERED, value, details)


class LocalPeople:
    """Takes the prepared answers, one after the other."""

    def __init__(self, answers: LocalAnswers | None) -> None:
        self._answers = answers or {}
        self._taken: dict[str, int] = {}

    async def answer(self, question: pb.Question, step_key: str) -> LocalAnswer | None:
        """None where nobody has prepared an answer; UsageError for one that does not fit."""
        asked = LocalQuestion(
            question.prompt,
            word(pb.QuestionType, question.type),
            tuple(option.value for option in question.options),
            tuple(question.assignees),
            question.skippable,
            step_key,
        )
        if callable(self._answers):
            answer = self._answers(asked)
            answer = await answer if inspect.isawaitable(answer) else answer
            return _checked(asked, question.allow_custom, answer)
        found = _KEY.search(step_key)
        for name in (asked.question, unquote(found[1]) if found else ""):
            prepared = self._answers.get(name, ())
            at = self._taken.get(name, 0)
            if at < len(prepared):
                self._taken[name] = at + 1
                return _checked(asked, question.allow_custom, prepared[at])
        return None
