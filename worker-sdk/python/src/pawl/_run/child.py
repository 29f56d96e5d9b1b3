"""Child runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from .._codec.payload import digest_text, encode
from .._codec.typed import Build, build_as
from .._lib import limits
from .._lib.text import escape_chars, exceeds_bytes
from ..errors import UsageError
from ..v1.common_pb2 import STEP_KIND_CHILD
from ..v1.run_pb2 import (
    PARENT_CLOSE_POLICY_ABANDON,
    PARENT_CLOSE_POLICY_CANCEL,
    StartRunRequest,
)
from ..v1.step_pb2 import WaitSpec
from .definition import Definition
from .keys import Claim, check_name, check_texts
from .payloads import upload
from .run import Run
from .wait import ChildStart, Resolution, WaitCall

#: What happens to the child when its parent ends first.
ParentClose = Literal["cancel", "abandon"]
_POLICIES: Final = {
    "cancel": PARENT_CLOSE_POLICY_CANCEL,
    "abandon": PARENT_CLOSE_POLICY_ABANDON,
}
_RESERVED: Final = re.compile(r"[^A-Za-z0-9\-_:/]")


def child_run_id(parent_run_id: str, step_key: str) -> str:
    """The parent's id and the step's key, so that it is the same whenever it is asked for, also after
    the parent was retried: the child continues from where it failed.

    Ids that become too long are hashed.
    """
    escaped = escape_chars(step_key, _RESERVED).replace("/", ".")
    id = f"{parent_run_id}~{escaped}"
    if not exceeds_bytes(id, limits.RUN_ID_BYTES_MAX):
        return id
    return "child~" + digest_text(f"{parent_run_id}\n{step_key}")


def child_input(
    workflow: Definition[Any] | str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[str, Any]:
    """The child's name and input."""
    if isinstance(workflow, str):
        if kwargs or len(args) > 1:
            raise UsageError(
                f'the child "{workflow}" is known by its name only, so it takes one argument: its input'
            )
        return workflow, args[0] if args else None
    if not hasattr(workflow, "signature"):
        raise UsageError(
            f"ctx.child needs a workflow, or the name of one; it got {type(workflow).__name__}"
        )
    return workflow.name, workflow.signature.input_of(args, kwargs)


@dataclass(frozen=True, slots=True)
class ChildOptions:
    """How a child is started, beside its input."""

    run_id: str = ""
    queue: str = ""
    priority: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    parent_close: ParentClose = "cancel"


def child_start(
    run: Run,
    claim: Claim,
    workflow: Definition[Any] | str,
    name: str,
    input: Any,
    options: ChildOptions,
) -> ChildStart:
    """Says how a child run is started."""
    definition = None if isinstance(workflow, str) else workflow
    _check(name, options)

    async def request() -> StartRunRequest:
        what = f'the input of child "{name}"'
        facts = run.facts
        message = StartRunRequest(
            parent_close_policy=_POLICIES[options.parent_close],
            workflow=name,
            input=await upload(run.link, encode(input, what), what),
            run_id=options.run_id or child_run_id(run.run_id, claim.key),
            queue=options.queue or ("" if definition is None else definition.queue),
            priority=options.priority,
            tags=options.tags,
            session_id=facts.session_id,
            user_id=facts.user_id,
            traceparent=facts.traceparent,
        )
        if definition is not None and definition.timeouts is not None:
            message.timeouts.CopyFrom(definition.timeouts)
        return message

    return ChildStart(request, own_id=options.run_id != "", definition=definition)


def _check(name: str, options: ChildOptions) -> None:
    check_name("a child workflow", name)
    check_texts(
        {"the run id of a child": options.run_id, "the name of the queue": options.queue},
        options.tags,
    )
    if options.parent_close not in _POLICIES:
        raise UsageError(f'parent_close is "cancel" or "abandon"; it is {options.parent_close!r}')


def child_call(
    run: Run,
    claim: Claim,
    workflow: Definition[Any] | str,
    name: str,
    input: Any,
    options: ChildOptions,
    build: Build | None,
) -> WaitCall:
    """Says how a child run is started and awaited."""
    start = child_start(run, claim, workflow, name, input, options)

    def finish(resolution: Resolution) -> Any:
        return build_as(build, resolution.value, f'the result of child "{name}"')

    return WaitCall(name, STEP_KIND_CHILD, WaitSpec(), finish, start)
