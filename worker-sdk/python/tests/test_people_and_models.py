"""Goal: questions are answered by people in the type that was asked for; models and dataclasses go in and
come out as what they are, live and in replays.

Method: a real server and a worker; the answers come from a client.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from enum import Enum
from typing import Any

import pytest
from conftest import Lab, lab, until
from pydantic import BaseModel

from pawl import (
    Approval,
    Client,
    Context,
    QuestionView,
    RequestError,
    RunFailedError,
    UsageError,
    WaitCancelledError,
    WaitTimeoutError,
    WaitView,
    WorkerView,
    step,
    workflow,
)

pytestmark = [pytest.mark.usefixtures("server"), pytest.mark.together]


class Address(BaseModel):
    street: str
    number: int


@workflow
async def asking(ctx: Context) -> list[Any]:
    text = await ctx.wait_for_user("Your name?")
    approval = await ctx.wait_for_user("Publish?", type="approval", needed=2)
    choice = await ctx.wait_for_user("Which?", type="choice", options=["a", ("b", "The second")])
    several = await ctx.wait_for_user("Which ones?", type="multichoice", options=["x", "y"])
    address = await ctx.wait_for_user("Where?", type="form", schema=Address)
    skipped = await ctx.wait_for_user("Anything else?", skippable=True, key="else")
    late = await ctx.wait_for_user("Quick?", timeout=0.05, default="too late")
    assert isinstance(approval, Approval) and isinstance(address, Address)
    votes = [[vote.actor, vote.approved, vote.comment] for vote in approval.votes]
    return [text, bool(approval), votes, choice, several, address.number, skipped, late]


def asked(wait: WaitView) -> QuestionView:
    assert wait.question is not None
    return wait.question


async def answer(client: Client, run_id: str, prompt: str, value: Any, actor: str = "") -> None:
    async def find() -> str:
        waits = await client.waits(run_id=run_id, kinds=["user"])
        return next((wait.wait_id for wait in waits if asked(wait).prompt == prompt), "")

    await until(find)
    await client.answer(await find(), value, actor=actor, comment="yes")


async def test_each_type_of_question_has_its_answer() -> None:
    async with lab(asking) as here:
        handle = await here.start(asking)
        run_id = handle.run_id
        await answer(here.client, run_id, "Your name?", "")
        await answer(here.client, run_id, "Publish?", True, "ada")
        await answer(here.client, run_id, "Publish?", True, "grace")
        with pytest.raises(RequestError) as caught:
            await answer(here.client, run_id, "Which?", "c")
        assert caught.value.reason == "INVALID_ANSWER"
        await answer(here.client, run_id, "Which?", "b")
        await answer(here.client, run_id, "Which ones?", [])
        await answer(here.client, run_id, "Where?", {"street": "Long", "number": 7})
        await skip(here, run_id)
        votes = [["ada", True, "yes"], ["grace", True, "yes"]]
        assert await handle.result() == [
            *("", True, votes, "b", [], 7, None, "too late"),
        ]


async def skip(here: Lab, run_id: str) -> None:
    async def find() -> str:
        waits = await here.client.waits(run_id=run_id, kinds=["user"])
        return next((wait.wait_id for wait in waits if asked(wait).skippable), "")

    await until(find)
    await here.client.skip(await find())


@workflow
async def nobody(ctx: Context) -> str:
    with contextlib.suppress(WaitTimeoutError):
        await ctx.wait_for_user("Anybody?", timeout=0.05)
    try:
        await ctx.wait_for_user("Which?", type="choice")
    except UsageError as error:
        refusal = str(error)
    try:
        await ctx.wait_for_user("Still there?")
    except WaitCancelledError as error:
        return f"{refusal}; {error.actor}"
    return ""


async def test_a_question_can_time_out_and_be_cancelled() -> None:
    async with lab(nobody) as here:
        handle = await here.start(nobody)

        async def find() -> str:
            waits = await here.client.waits(run_id=handle.run_id, kinds=["user"])
            return next((w.wait_id for w in waits if asked(w).prompt == "Still there?"), "")

        await until(find)
        await here.client.cancel_wait(await find(), actor="linus")
        result = await handle.result()
    assert result == (
        'ctx.wait_for_user("Which?") offers nothing to choose from: give it options; linus'
    )


class Size(Enum):
    SMALL = "s"
    LARGE = "l"


@dataclass
class Item:
    name: str
    size: Size = Size.SMALL


class Cart(BaseModel):
    items: list[str]
    limit: int = 3


@step
async def pick(cart: Cart) -> list[Item]:
    return [Item(name, Size.LARGE) for name in cart.items]


@step
def first(items: list[Item]) -> Item | None:
    return items[0] if items else None


@workflow
async def shop(ctx: Context, cart: Cart) -> tuple[Item | None, Cart]:
    items = await pick(cart)
    await ctx.sleep(1.5)
    assert isinstance(cart, Cart) and all(isinstance(item, Item) for item in items)
    return await first(items), cart


async def test_models_and_dataclasses_are_what_they_are_also_in_a_replay() -> None:
    async with lab(shop) as here:
        cart = Cart(items=["kettle", "cup"])
        assert await here.run(shop, cart) == (Item("kettle", Size.LARGE), cart)
        assert await here.run(shop, Cart(items=[])) == (None, Cart(items=[]))
        # The server knows the model's schema: no run comes of an input that does not fit.
        with pytest.raises(RequestError) as caught:
            await here.client.start("shop", {"items": "kettle"})
        assert caught.value.reason == "INVALID_INPUT"


@workflow
async def typed(ctx: Context, number: int, item: Item) -> str:
    return f"{number} {item.name} {item.size.value}"


async def test_an_input_that_does_not_fit_is_told() -> None:
    async with lab(typed) as here:
        handle = await here.client.start("typed", {"number": 1, "item": {"name": "a"}})
        assert await handle.result() == "1 a s"
        handle = await here.client.start("typed", {"number": 1, "item": {"name": "a"}, "thing": 2})
        with pytest.raises(RunFailedError, match="there is no thing"):
            await handle.result()


@workflow
async def one_argument(ctx: Context, number: int) -> int:
    return number


@workflow
async def one_dataclass(ctx: Context, item: Item) -> str:
    return item.name


async def test_no_run_is_started_without_what_its_input_needs() -> None:
    async with lab(typed, one_argument, one_dataclass) as here:
        for name, input in [("typed", {"number": 1}), ("one_argument", {}), ("one_dataclass", {})]:
            with pytest.raises(RequestError, match="required") as caught:
                await here.client.start(name, input)
            assert caught.value.reason == "INVALID_INPUT"
        assert await here.client.run("one_argument", 4) == 4
        assert await here.client.run("one_argument", {"number": 5}) == 5
        assert await here.client.run("one_dataclass", {"name": "cup"}) == "cup"


@workflow
async def chooses(ctx: Context) -> str:
    options = ["a", ("b", "The second one")]
    return str(await ctx.wait_for_user("Which?", type="choice", options=options, assignees=["ada"]))


async def test_waits_and_workers_are_views() -> None:
    async with lab(chooses) as here:
        handle = await here.start(chooses)
        await until(lambda: here.client.waits(run_id=handle.run_id))
        [wait] = await here.client.waits(run_id=handle.run_id, kinds=["user"])
        assert isinstance(wait, WaitView)
        assert (wait.run_id, wait.workflow, wait.kind) == (handle.run_id, "chooses", "user")
        assert (wait.answers, wait.outcome, wait.due, wait.since is None) == ((), "", None, False)
        question = asked(wait)
        assert (question.type, question.assignees, question.needed) == ("choice", ("ada",), 1)
        assert question.options == (("a", "a"), ("b", "The second one"))
        [worker] = [each for each in await here.client.workers() if "chooses" in each.workflows]
        assert isinstance(worker, WorkerView)
        assert (worker.connected, worker.language) == (True, "python")
        assert worker.worker_id == here.worker.worker_id
        await here.client.answer(wait.wait_id, "b", actor="ada")
        assert await handle.result() == "b"
