"""Questions to people."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from dataclasses import fields, replace
from typing import Any, Literal, overload

from .._run import waits
from .._run.keys import Claim
from .._run.questions import (
    Approval,
    ApprovalLevel,
    ApprovalOutcome,
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
        """Asks people and waits for the answer, for as long as it takes. The question shows in
        `pawl waits` and `client.waits()`; the first answer decides.

        - `type`: `text` (the default; the answer is a str, "" is one), `approval` (an `Approval`, true
          when approved), `choice` (a str), `multichoice` (a list), `form` (by `schema`).
        - `options`: to choose from: texts, or pairs of the answer and what people read. `allow_custom`:
          other answers are possible too.
        - `schema`: of a form: a pydantic model, or JSON Schema as a dict.
        - `needed`: how many different people must approve; one rejection ends it. Default: 1.
        - `assignees`: who may answer, by name or role. Default: anybody.
        - `skippable`: somebody may decline to answer; the result is None then.
        - `timeout`: how long to wait (default: for ever); then it returns `default`, or raises
          WaitTimeoutError without one. WaitCancelledError: somebody cancelled the question.
        - `reminders`: when to remind, counted from the asking. At most 20.
        - `key`: names this question apart from its text, so that the text can change while it is open.
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
        chain: Sequence[ApprovalLevel] | None = None,
        key: object = None,
        timeout: Duration | None = None,
        default: Literal["approved", "rejected"] | None = None,
        reminders: Sequence[Duration] = (),
    ) -> Coroutine[Any, Any, ApprovalOutcome]:
        """Asks for approval in rounds, one after the other; a rejection ends it.

        - `approvers`, `needed`: of one round: who may approve, and how many of them must.
        - `chain`: several rounds instead, each an `ApprovalLevel`.
        - `timeout`: of each round (default: for ever); what a round that was not decided in time counts
          as is `default`, or WaitTimeoutError without one.
        - `key`: names this approval apart from its question.
        """
        question = question_text("ctx.approval", question)
        if chain is None and not names_of(approvers):
            raise UsageError(
                "ctx.approval needs approvers, or a chain of rounds with approvers each"
            )
        levels = [ApprovalLevel(approvers, needed)] if chain is None else chain
        text = waits.key_of(key)
        name = question_name(question) if text is None else "approval"
        options = QuestionOptions(
            type="approval",
            timeout=timeout,
            default=waits.MISSING if default is None else None,
            reminders=reminders,
        )
        return self._ask_all(
            self._claim("approval:", name, text), question, levels, options, default == "approved"
        )

    async def _ask_all(
        self,
        claim: Claim,
        question: str,
        levels: Sequence[ApprovalLevel],
        options: QuestionOptions,
        approved_late: bool,
    ) -> ApprovalOutcome:
        scope = claim.inner
        votes: list[Vote] = []
        last, late = "", False
        try:
            for level in levels:
                last = level.label
                own = replace(options, assignees=level.approvers, needed=level.needed)
                round_ = question_name(level.name or "round")
                call = question_call(self._run, question, None, own, round_)
                place = scope.claim("user:", round_, None)
                answer = await WaitOperation(self._run, place, call).wait()
                late = answer is None
                votes += () if late else [replace(vote, level=last) for vote in answer.votes]
                if not (approved_late if late else answer.approved):
                    return ApprovalOutcome(False, tuple(votes), last, late)
            return ApprovalOutcome(True, tuple(votes), last, late)
        finally:
            claim.end()
