"""Operations whose result comes from outside: from people and callers."""

from __future__ import annotations

import os
from typing import Any

from values import Scope

from pawl import Approval, ApprovalRound, Callback, Context

Operation = dict[str, Any]


def wait_options(operation: Operation, scope: Scope) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "key" in operation:
        options["key"] = operation["key"]
    if "timeoutMs" in operation:
        options["timeout"] = operation["timeoutMs"] / 1000
    if "default" in operation:
        options["default"] = scope.evaluate(operation["default"])
    return options


async def ask(ctx: Context, operation: Operation, scope: Scope) -> Any:
    answer = await ctx.wait_for_user(
        operation["question"],
        type=operation.get("type", "text"),
        options=operation.get("options", ()),
        schema=operation.get("schema"),
        needed=operation.get("needed", 1),
        assignees=operation.get("assignees", ()),
        skippable=operation.get("skippable", False),
        **wait_options(operation, scope),
    )
    return answer.approved if isinstance(answer, Approval) else answer


async def approve(ctx: Context, operation: Operation, scope: Scope) -> Any:
    chain = [
        ApprovalRound(round["approvers"], round.get("needed", 1), round.get("name"))
        for round in operation["chain"]
    ]
    outcome = await ctx.approval(
        operation["question"], chain=chain, **wait_options(operation, scope)
    )
    return {
        "approved": outcome.approved,
        "round": outcome.round,
        "timedOut": outcome.timed_out,
        "votes": [[vote.round, vote.actor, vote.approved] for vote in outcome.votes],
    }


async def open_callback(
    ctx: Context, operation: Operation, scope: Scope, folder: str
) -> Callback[Any]:
    """Notes the URL for the runner."""
    callback = await ctx.callback(operation["name"], **wait_options(operation, scope))
    path = os.path.join(folder, f"{ctx.run_id}.callback.{operation['name']}")
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    os.write(file, f"{callback.url}\n".encode())
    os.close(file)
    return callback
