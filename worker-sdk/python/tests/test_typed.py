"""Goal: a result has the type that it had, also in a replay, or is refused when it is recorded, with its
place; inputs are parsed once.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NewType, TypeVar

import pytest
from conftest import lab, until_status
from pydantic import BaseModel, Field, HttpUrl, SecretStr, computed_field

from pawl import Context, StepFailedError, UsageError, workflow
from pawl._codec import models, typed
from pawl._codec.payload import encode
from pawl._codec.typed import builder, rebuilt
from pawl.errors import SerializationError, TerminalError

T = TypeVar("T")


class Color(Enum):
    RED = "r"


@dataclass
class Cat:
    name: str


@dataclass
class Dog:
    name: str
    tricks: int = 0


class Point(NamedTuple):
    x: int
    y: Decimal


@dataclass
class Box(Generic[T]):
    item: T
    more: list[T] = field(default_factory=list)


Owned = NewType("Owned", Cat)


class Aliased(BaseModel):
    user_id: int = Field(alias="userId")


class Computed(BaseModel, extra="forbid"):
    n: int

    @computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.n


class Leaves(BaseModel):
    url: HttpUrl
    path: Path
    address: IPv4Address


class Excluding(BaseModel):
    n: int
    inner: int = Field(exclude=True)


class Changing(BaseModel):
    n: int

    def model_post_init(self, _: Any) -> None:
        self.n += 1


class Shape(BaseModel):
    name: str


class Circle(Shape):
    r: int


class Secret(BaseModel):
    key: SecretStr


KEPT: list[tuple[Any, Any]] = [
    (Cat | Dog, Dog("x", 2)),
    (Cat | Dog, Cat("x")),
    (str | Decimal, "12"),
    (str | Decimal, Decimal("12")),
    (str | uuid.UUID, str(uuid.UUID(int=1))),
    (int | timedelta, 5),
    (int | Decimal, 5),
    (bool | Decimal, True),
    (list[int] | tuple[int, ...], [1]),
    (str | set[str], "ab"),
    (Point, Point(1, Decimal("1.5"))),
    (Box[Cat], Box(Cat("a"), [Cat("b")])),
    (Owned, Cat("a")),
    (Literal[Color.RED], Color.RED),
    (dict[tuple[int, int], int], {(1, 2): 3}),
    (set[tuple[int, int]], {(1, 2)}),
    (set[frozenset[int]], {frozenset({1})}),
    (timedelta, timedelta(days=109_500, microseconds=1)),
    (timedelta, timedelta.max),
    (timedelta, -timedelta(microseconds=1)),
]
KEPT_BY_PYDANTIC: list[tuple[Any, Any]] = [
    (Aliased, Aliased(userId=1)),
    (Computed, Computed(n=1)),
    (Leaves, Leaves(url=HttpUrl("http://a/b"), path=Path("/a"), address=IPv4Address("1.1.1.1"))),
    (Excluding, Excluding(n=1, inner=2)),
    (Path, Path("/a")),
]


def again(kind: Any, value: Any) -> Any:
    build = builder(kind)
    return rebuilt(build, encode(value, "it", build is not None), "it")


@pytest.mark.parametrize("with_pydantic", [True, False])
@pytest.mark.parametrize(("kind", "value"), KEPT)
def test_a_value_is_what_it_was(
    kind: Any, value: Any, with_pydantic: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(typed, "_cache", {})
    if not with_pydantic:
        monkeypatch.setattr(models, "is_installed", lambda: False)
    made = again(kind, value)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(("kind", "value"), KEPT_BY_PYDANTIC)
def test_so_is_what_pydantic_knows(kind: Any, value: Any) -> None:
    made = again(kind, value)
    assert made == value and type(made) is type(value)


@pytest.mark.parametrize(
    ("kind", "value", "problem"),
    [
        (Any, Cat("a"), "nothing says that it is to be a Cat again"),
        (object, [Shape(name="a")], r"\[0\] is a Shape"),
        (dict, {"a": Cat("a")}, r"\.a is a Cat"),
        (None, Point(1, Decimal(1)), "is a Point"),
        (Any, [Color.RED], r"\[0\] is a Color"),
        (str | Color, Color.RED, "has Color that would be plain data in a replay"),
        (Shape, Circle(name="a", r=1), "has Circle that would be Shape"),
        (Changing, Changing(n=1), "would not be the same in a replay"),
        (Secret, Secret(key=SecretStr("x")), "a secret must not be recorded"),
    ],
)
def test_what_would_be_something_else_is_refused_when_it_is_recorded(
    kind: Any, value: Any, problem: str
) -> None:
    with pytest.raises(SerializationError, match=problem):
        again(kind, value)


class Plain:
    pass


def plain() -> Plain:
    raise AssertionError("it has begun")


def loader(kind: Callable[[str], T]) -> Callable[[str], T]:
    def load(name: str) -> kind:  # type: ignore[valid-type]
        return kind(name)

    return load


@workflow
async def factories(ctx: Context) -> list[str]:
    @dataclasses.dataclass
    class Row:
        n: int

    def row() -> Row:
        return Row(1)

    made = [
        await ctx.step("cat", loader(Cat), "tom"),
        await ctx.step("dog", loader(Dog), "rex"),
        isinstance(await ctx.step("row", row, returns=Row), Row),
    ]
    try:
        await ctx.step("plain", plain)
    except UsageError as error:
        made.append("a Plain, of which nothing can be recorded" in str(error))
    await ctx.sleep(1.2)
    return [repr(each) for each in made]


@pytest.mark.usefixtures("server")
@pytest.mark.together
async def test_each_function_has_its_own_type() -> None:
    async with lab(factories) as here:
        assert await here.run(factories) == [
            "Cat(name='tom')",
            "Dog(name='rex', tricks=0)",
            "True",
            "True",
        ]


strict = False


@dataclass
class Order:
    total: int
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def __post_init__(self) -> None:
        if strict and self.total < 10:
            raise ValueError("too little")


class Form(BaseModel):
    name: str
    token: str = Field(default_factory=lambda: uuid.uuid4().hex)


@workflow
async def parsed(ctx: Context, order: Order) -> list[bool]:
    first = await ctx.step("first", lambda: order.id)
    form = await ctx.wait_for_user("Who?", type="form", schema=Form, key="who")
    token = await ctx.step("token", lambda: form.token)
    await ctx.signal("go")
    return [order.id == first, form.token == token, isinstance(form, Form)]


@pytest.mark.usefixtures("server")
@pytest.mark.together
@pytest.mark.parametrize("mode", ["stream", "poll"])
async def test_inputs_and_answers_are_parsed_once(mode: Any) -> None:
    global strict
    async with lab(parsed, mode=mode) as here:
        handle = await here.client.start("parsed", {"total": 1})
        await until_status(handle, "waiting")
        wait = (await here.client.waits(run_id=handle.run_id))[0]
        await here.client.answer(wait.wait_id, {"name": "ada"})
        await until_status(handle, "waiting")
        strict = True
        await handle.signal("go")
        assert await handle.result() == [True, True, True]
        strict = False
        keys = [e.step_key async for e in handle.journal() if e.type == "workflow.step.completed"]
    assert keys[:2] == ["value:input", "first"]
    assert "value:answer:user:question[who]" in keys


@workflow
async def unread(ctx: Context) -> str:
    try:
        await ctx.step("bad", lambda: Color.RED)
    except StepFailedError as error:
        return error.type
    return ""


@pytest.mark.usefixtures("server")
@pytest.mark.together
async def test_what_is_refused_is_a_failure_of_its_step() -> None:
    async with lab(unread) as here:
        assert await here.run(unread) == "SerializationError"


def test_what_cannot_be_read_is_told() -> None:
    with pytest.raises(TerminalError):
        again(Path, 5)
