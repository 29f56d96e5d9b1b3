"""Questions to people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, Literal, overload

from .._run import waits
from .._run.questions import Approval, Option, QuestionOptions, question_call
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
    async def wait_for_user(self, question: str, /, *, key: object = None, **options: Any) -> Any:
        """Asks people and waits for the answer, for as long as it takes. The question shows in
        `pawl waits` and `client.waits()`; whoever answers first decides.

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
        call = question_call(question, name, QuestionOptions(**options))
        return await self._wait("user:", name, call)
