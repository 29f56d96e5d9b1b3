"""Questions to people."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, overload

from .._run import waits
from .._run.keys import Claim
from .._run.questions import (
    Approval,
    ApprovalOutcome,
    ApprovalRound,
    Option,
    QuestionOptions,
    Vote,
    names_of,
    question_call,
    question_name,
    question_text,
)
from .._run.wait import WaitOperation
from ..duration import Duration
from ..errors import UsageError
from .waits import Waits


class People(Waits):
    @overload
    async def wait_for_user(
        self,
        question: str,
        /,
        *,
        type: Literal["approval"],
        needed: int = 1,
        key: object = None,
        assignees: str | Sequence[str] = (),
        skippable: Literal[False] = False,
        timeout: Duration | None = None,
        reminders: Sequence[Duration] = (),
    ) -> Approval: ...
    @overload
    async def wait_for_user(
        self,
        question: str,
        /,
        *,
        type: Literal["text", "choice"] = "text",
        options: Sequence[Option] = (),
        allow_custom: bool = False,
        key: object = None,
        assignees: str | Sequence[str] = (),
        skippable: Literal[False] = False,
        timeout: Duration | None = None,
        reminders: Sequence[Duration] = (),
    ) -> str: ...
    @overload
    async def wait_for_user(
        self, question: str, /, *, key: object = None, **options: Any
    ) -> Any: ...
    def wait_for_user(
        self, question: str, /, *, key: object = None, **options: Any
    ) -> Coroutine[Any, Any, Any]:
        """Asks people a question and waits for the answer, however long it takes. `pawl waits` and
        `client.waits()` list the question; the first answer decides.

        - `type`: `text` (the default; the answer is a str, "" is allowed), `approval` (an `Approval`, true
          if approved), `choice` (a str), `multichoice` (a list), `form` (as defined by `schema`).
        - `options`: the options to choose from: strings, or pairs of the answer and the text that people
          see; at most 200. `allow_custom`: other answers are accepted too. Default: false.
        - `schema`: for a form: a pydantic model, or a JSON Schema as a dict.
        - `needed`: how many different people must approve; one rejection ends it. Default: 1.
        - `assignees`: who may answer, by name or role; at most 100. Default: anyone.
        - `skippable`: whether people may decline to answer; the result is then None. Default: false.
        - `timeout`: how long to wait, kept by the server. Default: forever, because waiting costs nothing.
        - `default`: the result at the timeout. Default: none, and WaitTimeoutError is raised.
        - `reminders`: when to record reminders, counted from when the question is asked. At most 20.
        - `key`: identifies this question instead of its text. Set it if the text may change while the
          question is open; otherwise a changed text is a new question.

        Raises WaitCancelledError if someone cancels the question.
        """
        unknown = options.keys() - {field.name for field in fields(QuestionOptions)}
        if unknown:
            raise UsageError(
                f"ctx.wait_for_user has no option {', '.join(sorted(unknown))}; its options are "
                f"{', '.join(field.name for field in fields(QuestionOptions))} and key"
            )
        name = waits.key_of(key)
        call = question_call(self._run, question, name, QuestionOptions(**options))
        return self._wait("user:", name, call)

    def approval(
        self,
        question: str,
        /,
        *,
        approvers: str | Sequence[str] = (),
        needed: int = 1,
        chain: Sequence[ApprovalRound] | None = None,
        key: object = None,
        timeout: Duration | None = None,
        default: Literal["approved", "rejected"] | None = None,
        reminders: Sequence[Duration] = (),
    ) -> Coroutine[Any, Any, ApprovalOutcome]:
        """Asks for approval in one or more rounds; a rejection ends it immediately.

        - `approvers`, `needed`: for a single round: who may approve, and how many of them must. Default: 1.
        - `chain`: several rounds instead, each an `ApprovalRound`.
        - `timeout`: how long each round may take. Default: forever.
        - `default`: how a round counts that was not decided in time. Default: none, and WaitTimeoutError is
          raised.
        - `reminders`: when to record reminders, counted from the start of each round. Default: none.
        - `key`: identifies this approval instead of its question.
        """
        question = question_text("ctx.approval", question)
        if chain is None and not names_of(approvers):
            raise UsageError(
                "ctx.approval needs approvers, or a chain of rounds with approvers each"
            )
        rounds = [ApprovalRound(approvers, needed)] if chain is None else chain
        text = waits.key_of(key)
        name = question_name(question) if text is None else "approval"
        options = QuestionOptions(
            type="approval",
            timeout=timeout,
            default=waits.MISSING if default is None else None,
            reminders=reminders,
        )
        return self._ask_all(
            self._claim("approval:", name, text), question, rounds, options, default == "approved"
        )

    async def _ask_all(
        self,
        claim: Claim,
        question: str,
        rounds: Sequence[ApprovalRound],
        options: QuestionOptions,
        approved_late: bool,
    ) -> ApprovalOutcome:
        scope = claim.inner
        votes: list[Vote] = []
        last, late = "", False
        try:
            for round in rounds:
                last = round.label
                own = replace(options, assignees=round.approvers, needed=round.needed)
                name = question_name(round.name or "round")
                call = question_call(self._run, question, None, own, name)
                place = scope.claim("user:", name, None)
                answer = await WaitOperation(self._run, place, call).wait()
                late = answer is None
                votes += () if late else [replace(vote, round=last) for vote in answer.votes]
                if not (approved_late if late else answer.approved):
                    return ApprovalOutcome(False, tuple(votes), last, late)
            return ApprovalOutcome(True, tuple(votes), last, late)
        finally:
            claim.end()
