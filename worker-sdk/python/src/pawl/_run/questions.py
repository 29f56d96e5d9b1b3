"""`ctx.wait_for_user`: the question as it is sent, and the answer as user code gets it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from .._codec.models import is_model, json_schema_of
from .._codec.payload import digest_text
from .._lib import limits
from .._lib.text import collapse_space, well_formed
from ..duration import Duration, duration_message, seconds_of
from ..errors import UsageError, WaitTimeoutError
from ..v1 import common_pb2 as pb
from ..v1.step_pb2 import WaitSpec
from . import parsed
from .keys import check_text
from .wait import Resolution, WaitCall
from .waits import MISSING

if TYPE_CHECKING:
    from .run import Run

QuestionType = Literal["text", "approval", "choice", "multichoice", "form"]
#: What can be chosen: the answer itself, or the answer and what people read.
Option = str | tuple[str, str]

_TYPES = {
    "text": pb.QUESTION_TYPE_TEXT,
    "approval": pb.QUESTION_TYPE_APPROVAL,
    "choice": pb.QUESTION_TYPE_CHOICE,
    "multichoice": pb.QUESTION_TYPE_MULTICHOICE,
    "form": pb.QUESTION_TYPE_FORM,
}


@dataclass(frozen=True, slots=True)
class Vote:
    """One person's yes or no."""

    #: Who; empty where nobody said.
    actor: str
    approved: bool
    #: Why; may be empty.
    comment: str
    at: datetime | None
    #: The round of `ctx.approval`; empty elsewhere.
    round: str = ""


@dataclass(frozen=True, slots=True)
class Approval:
    """How an approval ended."""

    approved: bool
    #: All votes that were given, oldest first; the last one decided.
    votes: tuple[Vote, ...] = ()

    @property
    def decision(self) -> Literal["approved", "rejected"]:
        return "approved" if self.approved else "rejected"

    @property
    def actor(self) -> str:
        """Who decided."""
        return self.votes[-1].actor if self.votes else ""

    @property
    def comment(self) -> str:
        return self.votes[-1].comment if self.votes else ""

    def __bool__(self) -> bool:
        return self.approved


@dataclass(frozen=True, slots=True)
class ApprovalRound:
    """One round of `ctx.approval`: a group of people, and how many of them must approve."""

    #: Who may approve, by name or role.
    approvers: str | Sequence[str]
    #: How many of them must.
    needed: int = 1
    #: Shown, and what the round is called in keys. Default: the approvers, and in keys its place.
    name: str | None = None

    @property
    def label(self) -> str:
        return self.name or ", ".join(names_of(self.approvers))


@dataclass(frozen=True, slots=True)
class ApprovalOutcome:
    """How all rounds of `ctx.approval` ended."""

    approved: bool
    #: All votes of all rounds, oldest first, each with the name of its round.
    votes: tuple[Vote, ...]
    #: The round that decided; empty where nobody had to be asked.
    round: str
    #: It was decided by `default`, since nobody did in time.
    timed_out: bool

    @property
    def decision(self) -> Literal["approved", "rejected"]:
        return "approved" if self.approved else "rejected"

    def __bool__(self) -> bool:
        return self.approved


def names_of(names: str | Sequence[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionOptions:
    """How people are asked."""

    type: QuestionType = "text"
    options: Sequence[Option] = ()
    allow_custom: bool = False
    schema: Any = None
    needed: int = 1
    assignees: str | Sequence[str] = ()
    skippable: bool = False
    timeout: Duration | None = None
    default: Any = MISSING
    reminders: Sequence[Duration] = ()


def _shown(prompt: str) -> str:
    return prompt if len(prompt) <= 60 else f"{prompt[:60]}…"


def question_name(prompt: str) -> str:
    """What a question is called in keys: itself; where that is more than 80 characters or 200
    bytes, its first 60 characters (of at most 180 bytes) and a digest."""
    line = collapse_space(prompt)
    if len(line) <= 80 and len(line.encode()) <= limits.NAME_BYTES_MAX:
        return line
    head = line[:60].encode()[:180].decode(errors="ignore")
    return f"{head}… {digest_text(prompt)[:8]}"


def question_text(what: str, prompt: object) -> str:
    """The text of a question, as it is sent and named."""
    if not isinstance(prompt, str) or collapse_space(prompt) == "":
        raise UsageError(f"{what} needs a question to ask")
    text = well_formed(prompt)
    check_text(f"the question of {what}", text)
    return text


def _refusal(prompt: str, problem: str) -> UsageError:
    return UsageError(f'ctx.wait_for_user("{_shown(prompt)}") {problem}')


def _check(prompt: str, options: QuestionOptions, assignees: Sequence[str]) -> None:
    if options.type not in _TYPES:
        raise _refusal(prompt, f'has the type "{options.type}"; there are {", ".join(_TYPES)}')
    chooses = options.type in ("choice", "multichoice")
    if options.options and not chooses:
        raise _refusal(prompt, f'has options, which a question of type "{options.type}" does not')
    if options.type == "choice" and not options.options and not options.allow_custom:
        raise _refusal(prompt, "offers nothing to choose from: give it options")
    if options.needed < 1 or (assignees and options.needed > len(assignees)):
        people = str(len(assignees)) if assignees else "any number of"
        raise _refusal(prompt, f"needs {options.needed} approvals of {people} people")
    for assignee in assignees:
        check_text(f'an assignee of the question "{prompt[:40]}"', assignee)


def _form_schema(prompt: str, schema: Any) -> str:
    found = schema if isinstance(schema, Mapping) else json_schema_of(schema)
    if found is None:
        raise _refusal(
            prompt, "is a form and needs a schema: a pydantic model, or JSON Schema as a dict"
        )
    return json.dumps(found)


def _question(prompt: str, options: QuestionOptions) -> pb.Question:
    """The question as the server takes it."""
    assignees = names_of(options.assignees)
    _check(prompt, options, assignees)
    question = pb.Question(
        prompt=prompt,
        type=_TYPES[options.type],
        allow_custom=options.allow_custom,
        skippable=options.skippable,
        form_schema=_form_schema(prompt, options.schema) if options.type == "form" else "",
        assignees=assignees,
        approvals_needed=options.needed if options.type == "approval" else 0,
        reminders=[duration_message(seconds_of(after)) for after in options.reminders],
    )
    values = set()
    for option in options.options:
        value, label = map(well_formed, (option, "") if isinstance(option, str) else option)
        if value in values:
            raise _refusal(prompt, f'offers "{value}" twice')
        values.add(value)
        question.options.add(value=value, label=label)
    return question


def _votes(details: Mapping[str, str]) -> tuple[Vote, ...]:
    votes = json.loads(details.get("answers") or "[]")
    return tuple(
        Vote(
            actor=str(vote.get("actor") or ""),
            approved=vote.get("approved") is True,
            comment=str(vote.get("comment") or ""),
            at=datetime.fromisoformat(vote["at"]) if vote.get("at") else None,
        )
        for vote in votes
    )


def question_call(
    run: Run, prompt: str, key: str | None, options: QuestionOptions, name: str | None = None
) -> WaitCall:
    """`name`: what it is called in keys; by default the question, or `question` where there is a key."""
    prompt = question_text("ctx.wait_for_user", prompt)
    question = _question(prompt, options)
    wait = WaitSpec(question=question)
    if options.timeout is not None:
        wait.duration.CopyFrom(duration_message(seconds_of(options.timeout)))

    def finish(resolution: Resolution) -> Any:
        if resolution.outcome == "skipped":
            return None
        if resolution.outcome == "timed_out":
            if options.default is MISSING:
                raise WaitTimeoutError(f'the answer to "{_shown(prompt)}"', resolution.step_key)
            return options.default
        if options.type == "approval":
            return Approval(resolution.value is True, _votes(resolution.details))
        if not is_model(options.schema):
            return resolution.value
        return parsed.answer(
            run,
            options.schema,
            resolution.step_key,
            resolution.seq,
            resolution.value,
            f'the answer to "{_shown(prompt)}"',
        )

    own = question_name(prompt) if key is None else "question"
    return WaitCall(name or own, pb.STEP_KIND_USER, wait, finish)
