"""Goal: names, keys, questions and texts in values mean the same in every SDK, whatever they are made of.

Method: the vectors that all SDKs read, `test/conformance/texts.json`.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from conftest import ROOT, lab

from pawl import Context, UsageError, Worker, workflow
from pawl._codec.payload import decode_bytes, digest, encode
from pawl._run.child import child_run_id
from pawl._run.keys import Scope, check_name
from pawl._run.options import key_text
from pawl._run.questions import question_name, question_text

TEXTS: dict[str, Any] = json.loads((ROOT / "test/conformance/texts.json").read_text())


class Stretches:
    def stretch(self) -> object:
        return None


def scope() -> Scope:
    return Scope(Stretches(), None, "", False)


def test_a_question_has_the_same_key_everywhere() -> None:
    for each in TEXTS["questions"]:
        name = question_name(question_text("it", each["text"]))
        assert scope().claim("user:", name, None).key == each["key"]


def test_a_child_has_the_same_id_everywhere() -> None:
    for each in TEXTS["children"]:
        assert child_run_id(each["parent"], each["stepKey"]) == each["runId"]


def refusal(call: Any, each: Any) -> None:
    with pytest.raises(UsageError) as caught:
        call(each["text"])
    if "position" in each:
        assert f"as character {each['position']}" in str(caught.value)


@pytest.mark.parametrize("each", TEXTS["refusedQuestions"])
def test_questions_that_are_refused(each: Any) -> None:
    refusal(lambda text: question_text("it", text), each)


def test_names_and_keys_are_escaped_alike() -> None:
    for each in TEXTS["names"]:
        check_name("it", each["text"])
        assert scope().claim("", each["text"], None).key == each["key"]
        assert scope().claim("", "s", key_text(each["text"])).key == f"s[{each['key']}]"


@pytest.mark.parametrize("each", TEXTS["refusedNames"])
def test_names_that_are_refused(each: Any) -> None:
    refusal(lambda text: check_name("it", text), each)


@pytest.mark.parametrize("each", TEXTS["refusedKeys"])
def test_keys_that_are_refused(each: Any) -> None:
    refusal(key_text, each)


def test_texts_in_values_are_well_formed() -> None:
    for each in TEXTS["values"]:
        text, recorded = each["text"], each["recorded"]
        for value, again in ((text, recorded), ({text: [text]}, {recorded: [recorded]})):
            encoded = encode(value, "it")
            assert encoded.decoded() == again == decode_bytes(encoded.data, encoded.encoding)
            assert digest([value], "it") == digest([again], "it")
        # As another program may have written it.
        assert decode_bytes(json.dumps(text).encode(), "json") == recorded


@workflow
async def joining(ctx: Context, which: int) -> list[Any]:
    def pieces() -> Iterator[str]:
        yield from TEXTS["joined"][which]["pieces"]

    first: Any = await ctx.step("s", pieces)
    await ctx.step("use", len, first)
    await ctx.sleep(1.2)
    return [first, len(first)]


@pytest.mark.usefixtures("server")
@pytest.mark.together
@pytest.mark.parametrize("which", range(len(TEXTS["joined"])))
async def test_halves_that_meet_become_the_character_live_as_in_a_replay(which: int) -> None:
    async with lab(joining) as here:
        result = TEXTS["joined"][which]["result"]
        assert await here.run(joining, which) == [result, len(result)]


async def _awaited(calls: list[Callable[[], Any]]) -> list[str]:
    """How each call ended, by the name of its error."""
    ends = []
    for call in calls:
        try:
            result = call()
            ends.append(repr(await result if inspect.isawaitable(result) else result))
        except Exception as error:
            ends.append(type(error).__name__)
    return ends


async def unnamed(ctx: Context) -> None:
    pass


@workflow
async def naming(ctx: Context, bad: str) -> list[str]:
    cut = "x\ud83d" if bad == "half" else "x\0"
    return await _awaited(
        [
            lambda: ctx.signal(cut),
            lambda: ctx.child(cut),
            lambda: ctx.step(cut, len),
            lambda: ctx.wait_for_user("Well?", assignees=[cut]),
            lambda: ctx.approval("Well?", approvers=[cut]),
            lambda: ctx.sleep_until(cron=cut),
            lambda: ctx.sleep_until(cron="* * * * *", time_zone=cut),
        ]
    )


@pytest.mark.usefixtures("server")
@pytest.mark.together
@pytest.mark.parametrize("bad", ["half", "nul"])
async def test_names_are_refused_at_the_call_that_gives_them(bad: str) -> None:
    cut = "x\ud83d" if bad == "half" else "x\0"
    async with lab(naming) as here:
        assert await here.run(naming, bad) == ["UsageError"] * 7
        client = here.client
        run = client.handle("r")
        ends = await _awaited(
            [
                lambda: client.start(cut),
                lambda: client.handle(cut),
                lambda: client.with_options(queue=cut),
                lambda: client.with_options(run_id=cut),
                lambda: client.with_options(session_id=cut),
                lambda: client.with_options(idempotency_key=cut),
                lambda: client.with_options(tags={"a": cut}),
                lambda: client.list(workflow=cut),
                lambda: client.list(tags={cut: "a"}),
                lambda: client.waits(assignee=cut),
                lambda: client.answer(cut, 1),
                lambda: client.answer("w", 1, actor=cut),
                lambda: client.answer("w", 1, resolution_id=cut),
                lambda: client.skip(cut),
                lambda: client.cancel_wait("w", actor=cut),
                lambda: run.signal(cut),
                lambda: run.signal("go", signal_id=cut),
                lambda: run.watch(after_cursor=cut),
                lambda: run.update_tags({"a": cut}),
                lambda: run.update_tags(remove=[cut]),
                lambda: Worker([naming], worker_id=cut),
                lambda: Worker([naming], queues=[cut]),
                lambda: Worker([naming], labels={"a": cut}),
                lambda: workflow(cut)(unnamed),
                lambda: workflow(queue=cut)(unnamed),
                lambda: workflow(version=cut)(unnamed),
            ]
        )
        assert ends == ["UsageError"] * len(ends)


@pytest.mark.usefixtures("server")
async def test_texts_for_people_are_made_well_formed() -> None:
    async with lab(naming) as here:
        run = await here.client.with_options(queue="elsewhere").start(naming, "half")
        assert (await run.cancel(reason="cut \ud83d")).status == "cancelled"
        reasons = [entry.details.get("reason") async for entry in run.journal()]
        assert "cut \ufffd" in reasons
