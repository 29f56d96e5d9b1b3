"""Runs the programs of conformance cases through the public interface of the SDK."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from outside import approve, ask, open_callback, wait_options
from values import Scope, attempt, to_json

from pawl import (
    Cancelled,
    Context,
    Retry,
    RetryableError,
    StepFailedError,
    Suspended,
    TerminalError,
    WaitTimeoutError,
    constant,
    current,
    exponential,
    linear,
)

Operation = dict[str, Any]
Block = list[Operation]


@dataclass(frozen=True)
class Environment:
    folder: str
    queue: str
    deploy: int


@dataclass(frozen=True)
class Ended:
    """What a block came to; `returned` ends the lists around it, too, where they are of try or repeat."""

    returned: bool
    value: Any


def make_error(spec: Operation) -> Exception:
    """An error that is recorded under the type that the program gives it."""
    base: type[Exception] = Exception
    if spec.get("nonRetryable"):
        base = TerminalError
    elif "retryAfterMs" in spec:
        base = RetryableError
    kind: type[Exception] = type(str(spec.get("type", "Error")), (base,), {})
    if base is RetryableError:
        return kind(spec.get("message", ""), retry_after=spec["retryAfterMs"] / 1000)  # type: ignore[call-arg]
    return kind(spec.get("message", ""))


def failure_of(error: BaseException) -> dict[str, str]:
    """What a program sees of an error that it caught."""
    if isinstance(error, WaitTimeoutError):
        return {"type": "WaitTimeout", "message": ""}
    if isinstance(error, Cancelled):
        return {"type": "Cancelled", "message": ""}
    kind = error.type if isinstance(error, StepFailedError) else type(error).__name__
    bare = kind if kind == "Error" else kind.removesuffix("Error")
    return {"type": bare, "message": str(error)}


def retry_of(retry: Operation) -> Retry:
    """Times are in ms in programs, in seconds here."""
    first = retry.get("initialMs", 10) / 1000
    most = retry["maxMs"] / 1000 if "maxMs" in retry else None
    match retry.get("backoff"):
        case "exponential":
            base = retry.get("coefficient", 2)
            backoff = exponential(base=base, initial=first, max=60 if most is None else most)
        case "linear":
            backoff = linear(first, retry.get("incrementMs", 0) / 1000, most)
        case _:
            backoff = constant(first)
    return Retry(
        max_attempts=retry.get("maxAttempts", 1),
        backoff=backoff,
        on_exhausted=retry.get("onExhausted", "fail"),
        non_retryable=retry.get("nonRetryableTypes", ()),
    )


def step_options(operation: Operation, scope: Scope) -> dict[str, Any]:
    options: dict[str, Any] = {}
    if "key" in operation:
        options["key"] = str(scope.evaluate(operation["key"]))
    if "retry" in operation:
        options["retry"] = retry_of(operation["retry"])
    if "timeoutMs" in operation:
        options["timeout"] = operation["timeoutMs"] / 1000
    if operation.get("atMostOnce"):
        options["recovery"] = "at_most_once"
    if "version" in operation:
        options["version"] = operation["version"]
    return options


class Interpreter:
    def __init__(self, environment: Environment, ctx: Context) -> None:
        self._environment = environment
        self._ctx = ctx

    async def program(self, input: dict[str, Any]) -> Any:
        programs: list[Block] = input["programs"]
        program = programs[min(self._environment.deploy, len(programs) - 1)]
        return to_json((await self.block(program, Scope())).value)

    async def block(self, block: Block, scope: Scope) -> Ended:
        for operation in block:
            ended = await self._operation(operation, scope)
            if ended is not None and ended.returned:
                return ended
        return Ended(False, None)

    async def _value(self, block: Block, scope: Scope) -> Any:
        return (await self.block(block, scope)).value

    async def _operation(self, operation: Operation, scope: Scope) -> Ended | None:
        match operation["op"]:
            case "return":
                return Ended(True, scope.evaluate(operation.get("value")))
            case "try":
                return await self._try(operation, scope)
            case "repeat":
                return await self._repeat(operation, scope)
            case "throw":
                raise make_error(operation)
            case "effect":
                self._effect(operation["name"])
            case "crash":
                self._crash(operation["label"])
            case "compensate":
                name = operation["name"]

                async def undo() -> Any:
                    return await self._body(operation, scope, name)

                self._ctx.compensate(name, undo, **step_options(operation, scope))
            case "signals":
                await self._signals(operation, scope)
            case "emit":
                self._ctx.emit(operation["type"], scope.evaluate(operation.get("data")))
            case _:
                scope.set(operation.get("as"), await self._wait(operation, scope))
        return None

    async def _wait(self, operation: Operation, scope: Scope) -> Any:
        """The operations that have a result."""
        ctx = self._ctx
        match operation["op"]:
            case "step":
                return await self._step(operation, scope)
            case "all":
                return await ctx.all(**self._branches(operation, scope))
            case "race":
                return await ctx.race(**self._branches(operation, scope))
            case "allSettled":
                settled = await ctx.all_settled(**self._branches(operation, scope))
                return {
                    name: {"ok": one.value}
                    if one.error is None
                    else {"error": failure_of(one.error)}
                    for name, one in settled.items()
                }
            case "map":
                return await ctx.map(
                    operation["name"],
                    scope.evaluate(operation["items"]),
                    lambda item: self._value(operation["do"], scope.with_item(item)),
                    key=str if operation.get("keyed") else None,
                    concurrency=operation.get("concurrency"),
                )
            case "scope":
                async with ctx.scope(operation["name"]):
                    return await self._value(operation["do"], scope)
            case "sleep":
                return await ctx.sleep(operation["ms"] / 1000, name=operation.get("name", "sleep"))
            case "cleanup":
                async with ctx.cleanup():
                    return await self._value(operation["do"], scope)
            case "sleepUntil":
                return await ctx.sleep_until(
                    cron=operation["cron"],
                    time_zone=operation.get("timeZone", ""),
                    name=operation.get("name", "sleep"),
                )
            case "signal":
                return await ctx.signal(operation["name"], **wait_options(operation, scope))
            case "ask":
                return await ask(ctx, operation, scope)
            case "approval":
                return await approve(ctx, operation, scope)
            case "callback":
                return await open_callback(ctx, operation, scope, self._environment.folder)
            case "result":
                return await scope.evaluate({"$": operation["of"]}).result()
            case "child":
                return await ctx.child(
                    operation.get("workflow", "conformance"),
                    {"programs": operation["programs"]},
                    queue=self._environment.queue,
                    run_id=operation.get("runId"),
                )
            case "spawn":
                spawned = await ctx.spawn(
                    "conformance",
                    {"programs": operation["programs"]},
                    queue=self._environment.queue,
                    parent_close="abandon" if operation.get("abandon") else "cancel",
                )
                return await spawned.result() if operation.get("awaits") else None
            case "recorded":
                makers = {"now": ctx.now, "random": ctx.random, "uuid": ctx.uuid}
                return await makers[operation["what"]]()
        raise make_error(
            {"type": "UnknownOperation", "message": operation["op"], "nonRetryable": True}
        )

    def _branches(
        self, operation: Operation, scope: Scope
    ) -> dict[str, Callable[[], Awaitable[Any]]]:
        return {
            name: lambda block=block: self._value(block, scope)  # type: ignore[misc]
            for name, block in operation["branches"].items()
        }

    async def _step(self, operation: Operation, scope: Scope) -> Any:
        name = label = operation["name"]
        options = step_options(operation, scope)
        if "key" in options:
            label = f"{name}[{options['key']}]"
        if "reduce" in operation:
            options["reduce"] = operation["reduce"]
        if "yield" in operation:

            async def stream() -> AsyncIterator[Any]:
                self._effect(label)
                for item in operation["yield"]:
                    yield scope.evaluate(item)
                    if "pauseMs" in operation:
                        await asyncio.sleep(operation["pauseMs"] / 1000)

            return await self._ctx.step(name, stream, **options)

        async def body(*args: Any) -> Any:
            return await self._body(operation, scope, label)

        args = [scope.evaluate(operation["args"])] if "args" in operation else []
        return await self._ctx.step(name, body, *args, **options)

    async def _body(self, operation: Operation, scope: Scope, label: str) -> Any:
        self._effect(label)
        if "crash" in operation:
            self._crash(operation["crash"])
        if "takesMs" in operation:
            await asyncio.sleep(operation["takesMs"] / 1000)
        result = await self._value(operation["do"], scope) if "do" in operation else None
        if "fail" in operation:
            attempts = operation["fail"].get("attempts")
            if attempts is None or attempt() <= attempts:
                raise make_error(operation["fail"])
        if operation.get("unserializable"):
            return lambda: None
        return scope.evaluate(operation["value"]) if "value" in operation else result

    async def _try(self, operation: Operation, scope: Scope) -> Ended:
        try:
            ended = await self._caught(operation, scope)
        except Suspended:
            raise
        except BaseException:
            await self.block(operation.get("finally", []), scope)
            raise
        await self.block(operation.get("finally", []), scope)
        return ended

    async def _caught(self, operation: Operation, scope: Scope) -> Ended:
        try:
            return await self.block(operation["do"], scope)
        except (Exception, Cancelled) as error:
            if "catch" not in operation:
                raise
            scope.set("error", failure_of(error))
        return await self.block(operation["catch"], scope)

    async def _signals(self, operation: Operation, scope: Scope) -> None:
        taken = 0
        async for item in self._ctx.signals(operation["name"]):
            await self.block(operation["do"], scope.with_item(item))
            taken += 1
            if taken == operation["times"]:
                break

    async def _repeat(self, operation: Operation, scope: Scope) -> Ended:
        for i in range(operation["times"]):
            scope.set("i", i)
            ended = await self.block(operation["do"], scope)
            if ended.returned:
                return ended
        return Ended(False, None)

    def _effect(self, name: str) -> None:
        line = f"{current().run_id}\t{name}\t{time.time() * 1000:.0f}\n".encode()
        file = os.open(
            os.path.join(self._environment.folder, "effects"),
            os.O_WRONLY | os.O_APPEND | os.O_CREAT,
            0o644,
        )
        os.write(file, line)
        os.close(file)

    def _crash(self, label: str) -> None:
        mark = os.path.join(self._environment.folder, f"{self._ctx.run_id}.{label}")
        if os.path.exists(mark):
            return
        os.close(os.open(mark, os.O_CREAT))
        os.kill(os.getpid(), signal.SIGKILL)
        # The signal comes in its own time; nothing may happen until then.
        time.sleep(60)
