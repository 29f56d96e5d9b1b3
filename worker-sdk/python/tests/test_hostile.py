"""Goal: whatever user code throws, yields or returns ends in a result or a failure on record, and concerns
nobody but its own run.

Method: each hostile thing in a run of its own, beside an innocent one in the same worker.
"""

from __future__ import annotations

import asyncio
import math
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from conftest import lab, until_status
from pydantic import BaseModel, field_validator

from pawl import (
    Context,
    Retry,
    RetryableError,
    RunFailedError,
    StepFailedError,
    TerminalError,
    constant,
    workflow,
)

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


class Unreadable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")

    @property
    def details(self) -> Any:
        raise RuntimeError("no details")


class Own(BaseException):
    pass


def stops() -> Any:
    return next(iter([]))


def exits() -> None:
    sys.exit(3)


def interrupts() -> None:
    raise KeyboardInterrupt


async def exits_async() -> None:
    sys.exit(3)


def generator() -> Iterator[str]:
    yield "a"
    raise Unreadable


async def async_generator() -> AsyncIterator[str]:
    yield "a"
    raise SystemExit(3)


def raising(error: BaseException) -> Any:
    def body() -> None:
        raise error

    return body


UNUSABLE: list[Any] = ["120", math.nan, -1, math.inf, {}, "30 years"]
BODIES: dict[str, tuple[Any, str]] = {
    "StopIteration": (stops, "StopIteration"),
    "SystemExit": (exits, "SystemExit"),
    "SystemExit, async": (exits_async, "SystemExit"),
    "KeyboardInterrupt": (interrupts, "KeyboardInterrupt"),
    "generator": (generator, "Unreadable"),
    "async generator": (async_generator, "SystemExit"),
    "unreadable": (raising(Unreadable()), "Unreadable"),
    "half a character": (raising(ValueError("\udcff")), "ValueError"),
    "NUL": (raising(ValueError("a\0b")), "ValueError"),
    "details": (raising(TerminalError("x", details=timedelta.max)), "TerminalError"),
    "own": (raising(Own("stop")), "Own"),
    "GeneratorExit": (raising(GeneratorExit("x")), "GeneratorExit"),
    **{
        f"retry after {wanted!r}": (
            raising(RetryableError("x", retry_after=wanted)),
            "RetryableError",
        )
        for wanted in UNUSABLE
    },
}


@workflow
async def throwing(ctx: Context, what: str, where: str) -> list[Any]:
    body, type_ = BODIES[what]
    if where == "workflow":
        result = body()
        if asyncio.iscoroutine(result):
            await result
    try:
        await ctx.step("body", body, retry=Retry(max_attempts=2, backoff=constant(0)))
    except StepFailedError as error:
        await ctx.sleep(1.2)
        return [
            error.type == type_,
            bool(str(error)) or what in ("KeyboardInterrupt", "StopIteration"),
        ]
    return ["no error"]


@workflow
async def innocent(ctx: Context) -> str:
    await ctx.step("slow", asyncio.sleep, 1)
    return "fine"


@pytest.mark.parametrize("mode", ["stream", "poll"])
@pytest.mark.parametrize("what", BODIES)
async def test_whatever_a_step_throws_is_recorded_as_its_failure(what: str, mode: Any) -> None:
    async with lab(throwing, innocent, mode=mode) as here:
        beside = await here.client.start(innocent)
        assert await here.run(throwing, what, "step") == [True, True]
        assert await beside.result() == "fine"


@pytest.mark.parametrize("what", [name for name in BODIES if "generator" not in name])
async def test_whatever_a_workflow_throws_ends_its_run(what: str) -> None:
    async with lab(throwing, innocent) as here:
        beside = await here.client.start(innocent)
        with pytest.raises(RunFailedError) as caught:
            await here.run(throwing, what, "workflow")
        # A coroutine function turns StopIteration into this.
        assert caught.value.type in (BODIES[what][1], "RuntimeError")
        assert await beside.result() == "fine"


@dataclass
class Order:
    total: int

    def __post_init__(self) -> None:
        assert self.total >= 0, "total is negative"


class Checked(BaseModel):
    n: int

    @field_validator("n")
    @classmethod
    def check(cls, value: int) -> int:
        if value < 0:
            raise RuntimeError("n is negative")
        return value


def negative() -> Order:
    order = Order(1)
    order.total = -1
    return order


def negative_model() -> Checked:
    model = Checked(n=1)
    model.n = -1
    return model


class Broken(BaseModel):
    n: int = 1

    def model_dump(self, **_: Any) -> Any:
        raise SystemExit(3)


def broken() -> Broken:
    return Broken()


def not_a_number() -> str | Decimal:
    return "n/a"


def a_bool() -> bool | Decimal:
    return True


def longest() -> timedelta:
    return timedelta.max


VALUES: dict[str, tuple[Any, Any]] = {
    "assertion in __post_init__": (negative, "InvalidValueError"),
    "RuntimeError in a validator": (negative_model, "InvalidValueError"),
    "SystemExit in a dump": (broken, "SerializationError"),
    "str | Decimal": (not_a_number, "n/a"),
    "bool | Decimal": (a_bool, True),
    "timedelta.max": (longest, repr(timedelta.max)),
}


@workflow
async def returning(ctx: Context, what: str) -> Any:
    try:
        value = await ctx.step("load", VALUES[what][0])
    except StepFailedError as error:
        value = error.type
    await ctx.sleep(1.2)
    return value if isinstance(value, str | bool) else repr(value)


@pytest.mark.parametrize("what", VALUES)
async def test_a_value_that_its_type_refuses_concerns_its_own_run_only(what: str) -> None:
    async with lab(returning, innocent) as here:
        beside = await here.client.start(innocent)
        assert await here.run(returning, what) == VALUES[what][1]
        assert await beside.result() == "fine"


#: Made stricter while a run waits.
strict = False


@dataclass
class Ruled:
    n: int

    def __post_init__(self) -> None:
        assert not strict, "the rule is stricter now"


def ruled() -> Ruled:
    return Ruled(1)


@workflow
async def stricter(ctx: Context) -> str:
    try:
        await ctx.step("load", ruled)
    except TerminalError as error:
        return str(error)
    await ctx.signal("go")
    return "not stricter"


async def test_a_rule_that_is_stricter_in_a_replay_is_told_at_the_call() -> None:
    global strict
    async with lab(stricter) as here:
        handle = await here.start(stricter)
        await until_status(handle, "waiting")
        strict = True
        await handle.signal("go")
        assert "the rule is stricter now" in await handle.result()


@workflow
async def listening(ctx: Context) -> str:
    try:
        await ctx.signal("go")
    except TerminalError as error:
        return type(error).__name__
    return "taken"


@pytest.mark.parametrize(
    "value",
    [
        {"$pawl": "date", "value": "soon"},
        {"$pawl": "map", "value": [[]]},
        {"$pawl": "bytes", "value": 5},
        {"$pawl": "decimal", "value": "x"},
    ],
)
async def test_a_signal_that_cannot_be_read_is_told_at_the_call(value: Any) -> None:
    import json

    from pawl._link.methods import SEND_SIGNAL
    from pawl.v1.common_pb2 import Payload
    from pawl.v1.signal_pb2 import SendSignalRequest

    async with lab(listening) as here:
        handle = await here.start(listening)
        payload = Payload(data=json.dumps(value).encode(), encoding="json+pawl")
        request = SendSignalRequest(
            run_id=handle.run_id, name="go", signal_id=str(value), payload=payload
        )
        await here.client._platform.call(SEND_SIGNAL, request)
        assert await handle.result() == "InvalidValueError"
