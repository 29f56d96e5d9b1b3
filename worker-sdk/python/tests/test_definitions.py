"""What definitions accept, what they make of it, and what they say of what they refuse."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import pytest

from pawl import (
    Client,
    Context,
    RequestError,
    Retry,
    SerializationError,
    UsageError,
    Worker,
    constant,
    delays,
    exponential,
    linear,
    step,
    workflow,
)
from pawl._run.keys import Scope
from pawl.retry import RetryLike, retry_message


@dataclass
class Order:
    order_id: str
    n: int = 1


@workflow(id="order-{order_id}/{n}")
async def whole(ctx: Context, order: Order) -> None: ...


@workflow(id="pipeline-{source}-{limit}")
async def members(source: str, limit: int = 10) -> None: ...


@workflow(id="plain-{source}")
async def bare(source) -> None: ...  # type: ignore[no-untyped-def]


@pytest.mark.parametrize(
    ("definition", "args", "kwargs", "input", "run_id"),
    [
        (whole, (Order("a/b", 2),), {}, Order("a/b", 2), "order-a%2Fb/2"),
        (members, ("users",), {}, {"source": "users"}, "pipeline-users-10"),
        (
            members,
            (),
            {"limit": 2, "source": "a-b"},
            {"source": "a-b", "limit": 2},
            "pipeline-a%2Db-2",
        ),
        (bare, ("users",), {}, "users", "plain-users"),
    ],
)
def test_the_input_and_the_run_id_come_from_the_arguments(
    definition: Any, args: Any, kwargs: Any, input: Any, run_id: str
) -> None:
    made = definition.signature.input_of(args, kwargs)
    assert made == input
    assert definition.run_id_of(made) == run_id


def test_what_lies_between_two_variables_is_escaped_in_them() -> None:
    ids = [members.run_id_of({"source": source, "limit": 1}) for source in ("a", "a-1", "ä")]
    assert ids == ["pipeline-a-1", "pipeline-a%2D1-1", "pipeline-%C3%A4-1"]


async def nothing(source: str) -> None: ...


#: A function that is not async, which the type checker would refuse.
plain: Any = dict


@pytest.mark.parametrize(
    ("define", "problem"),
    [
        (lambda: workflow(id="x-{other}")(nothing), "the input does not have; it has source"),
        (lambda: workflow(id="x")(nothing), "there could only ever be one run"),
        (lambda: workflow(id="{source}{source}")(nothing), "two variables next to each other"),
        (lambda: workflow(id="ä{source}")(nothing), 'has a part "ä"'),
        (lambda: workflow(plain), "write `async def`"),
        (lambda: step(lambda: None), "no name to record it under"),
        (lambda: step(retry=0)(nothing), "counts the first attempt too"),
        (lambda: step(timeout="soon")(nothing), '"soon" is not a duration'),
        (lambda: step(recovery="never")(nothing), '"retry" or "at_most_once"'),  # type: ignore[call-overload]
        (lambda: Worker([]), "at least one workflow"),
        (
            lambda: Worker([whole, workflow("whole")(nothing)]),
            'two workflows have the name "whole"',
        ),
        (lambda: Worker([whole], slots=0), "slots is a whole number"),
        (lambda: Worker([nothing]), "functions with @workflow"),  # type: ignore[list-item]
        (
            lambda: Client().with_options(run_id="a", idempotency_key="b"),
            "each of them names the run",
        ),
    ],
)
def test_wrong_use_is_told_with_what_to_write(define: Any, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        define()
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("retry", "fields"),
    [
        (5, (5, 1, 2.0, 2.0)),
        (Retry(max_attempts=2, backoff=exponential(base=3, max=9)), (2, 1, 3.0, 3.0)),
        (Retry(backoff=linear(start=2, step=3)), (3, 2, 2.0, 0.0)),
        (Retry(backoff=constant(5)), (3, 3, 5.0, 0.0)),
    ],
)
def test_retry_policies_are_what_the_server_wants(retry: RetryLike, fields: Any) -> None:
    made = retry_message(retry)
    initial = made.initial_interval.ToNanoseconds() / 1e9
    assert (made.max_attempts, made.backoff, initial, made.coefficient) == fields


def test_delays_come_as_a_list_or_from_a_function() -> None:
    listed = retry_message(Retry(backoff=[1, "1 min"]))
    computed = retry_message(Retry(max_attempts=4, backoff=lambda failed: failed * 0.5))
    assert [each.ToMilliseconds() for each in listed.delays] == [1_000, 60_000]
    assert [each.ToMilliseconds() for each in computed.delays] == [500, 1_000, 1_500]
    assert delays([1]).delays_s == (1.0,)


class Stretches:
    def stretch(self) -> object:
        return None


def test_keys_are_paths_with_counted_and_escaped_names() -> None:
    scope = Scope(Stretches(), None, "", False)
    inner = scope.child("map:x").child("a")
    assert [scope.claim("", "a", None).key, scope.claim("", "a", None).key] == ["a", "a#2"]
    assert scope.claim("", "a", "k/1").key == "a[k%2F1]"
    assert scope.claim("sleep:", "a", None).key == "sleep:a"
    assert inner.claim("", "50%:#[x]", None).key == "map:x/a/50%25%3A%23%5Bx%5D"
    with pytest.raises(UsageError, match="limit 512"):
        assert scope.claim("", "x" * 600, None).key


async def test_without_a_server_it_says_so() -> None:
    async with Client("http://127.0.0.1:1", retry_for=0) as client:
        with pytest.raises(
            RequestError, match=r"no Pawl server answers at http://127\.0\.0\.1:1"
        ) as caught:
            await client.handle("a").get()
    assert caught.value.reason == "UNAVAILABLE"


async def test_what_is_still_to_be_awaited_cannot_be_recorded() -> None:
    from pawl._codec.payload import encode

    coroutine = asyncio.sleep(0)
    with pytest.raises(SerializationError, match="await it first"):
        encode([coroutine], "it")
    coroutine.close()


async def test_an_option_of_the_start_is_not_taken_for_an_argument() -> None:
    async with Client() as client:
        for given, problem in (
            ({"run_id": "a"}, "run_id is an option of the start, not of the workflow"),
            ({"run_id": "a", "queue": "q"}, "run_id and queue are options of the start"),
        ):
            with pytest.raises(UsageError, match=problem):
                await client.start(members, "source", 1, **given)
