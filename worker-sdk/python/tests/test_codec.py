"""What survives a recording, and what is said of what does not; the same text as @pawl/worker writes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from pydantic import BaseModel

from pawl._codec.payload import decode_bytes, digest, encode
from pawl._codec.typed import build_as, builder
from pawl._run.questions import question_name
from pawl.errors import InvalidValueError, RecordedError, SerializationError

MOMENT = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "encoding", "text"),
    [
        (None, "json", "null"),
        (0, "json", "0"),
        (1.5, "json", "1.5"),
        ("é\n", "json", '"é\\n"'),
        ({"a": [1, True, None]}, "json", '{"a":[1,true,null]}'),
        ({"$pawl": "date"}, "json", '{"$pawl":"date"}'),
        (2**53, "json+pawl", '{"$pawl":"bigint","value":"9007199254740992"}'),
        (float("inf"), "json+pawl", '{"$pawl":"number","value":"Infinity"}'),
        (MOMENT, "json+pawl", '{"$pawl":"date","value":"2026-01-31T12:00:00.000Z"}'),
        ([b"ab"], "json+pawl", '[{"$pawl":"bytes","value":"YWI="}]'),
        ({2, 1}, "json+pawl", '{"$pawl":"set","value":[1,2]}'),
        ({1: "a"}, "json+pawl", '{"$pawl":"map","value":[[1,"a"]]}'),
        (
            {"$pawl": 1, "at": MOMENT},
            "json+pawl",
            '{"$pawl":"object","value":[["$pawl",1],["at",{"$pawl":"date","value":"2026-01-31T12:00:00.000Z"}]]}',
        ),
        (Decimal("1.50"), "json+pawl", '{"$pawl":"decimal","value":"1.50"}'),
        (UUID(int=1), "json+pawl", f'{{"$pawl":"uuid","value":"{UUID(int=1)}"}}'),
        (timedelta(seconds=1.5), "json+pawl", '{"$pawl":"duration","value":1500.0}'),
        (date(2026, 1, 31), "json+pawl", '{"$pawl":"local-date","value":"2026-01-31"}'),
        (time(12, 30), "json+pawl", '{"$pawl":"local-time","value":"12:30:00"}'),
        (
            datetime(2026, 1, 31, 12),
            "json+pawl",
            '{"$pawl":"local-datetime","value":"2026-01-31T12:00:00"}',
        ),
        (b"", "bytes", ""),
        (b"\x00\xff", "bytes", None),
        ("👍", "json", '"👍"'),
    ],
)
def test_values_survive(value: Any, encoding: str, text: str | None) -> None:
    encoded = encode(value, "it")
    assert encoded.encoding == encoding
    if text is not None:
        assert encoded.data.decode() == text
    decoded = encoded.decoded()
    assert decoded == value and type(decoded) is type(value)


def test_what_other_languages_write_is_read() -> None:
    def read(value: object) -> Any:
        return decode_bytes(json.dumps(value).encode(), "json+pawl")

    assert read({"$pawl": "undefined"}) is None
    assert str(read({"$pawl": "number", "value": "-0"})) == "-0.0"
    assert read({"$pawl": "map", "value": [[{"a": 1}, 2]]}) == [({"a": 1}, 2)]
    assert read({"$pawl": "set", "value": [{"a": 1}]}) == [{"a": 1}]
    error = read({"$pawl": "error", "value": {"name": "TypeError", "message": "no", "stack": "s"}})
    assert isinstance(error, RecordedError) and str(error) == "TypeError: no"
    assert decode_bytes(b"", "void") is None


class Color(Enum):
    RED = "red"


@dataclass
class Item:
    name: str
    price: Decimal
    color: Color = Color.RED


@dataclass
class Order:
    items: list[Item]
    at: datetime
    tags: set[str] = field(default_factory=set)
    parent: Order | None = None


class Model(BaseModel):
    n: int
    order: list[UUID] = []


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Order, Order([Item("a", Decimal("1.5"))], MOMENT, {"x"}, Order([], MOMENT))),
        (list[Item], [Item("b", Decimal(2))]),
        (dict[str, Item | None], {"a": Item("b", Decimal(2)), "n": None}),
        (tuple[int, Item], (1, Item("b", Decimal(2)))),
        (Model, Model(n=1, order=[UUID(int=5)])),
        (list[Model] | None, [Model(n=1)]),
        (Color, Color.RED),
        (tuple[int, ...], (1, 2)),
        (Item | Model, Model(n=3)),
    ],
)
def test_annotations_build_instances_again(kind: Any, value: Any) -> None:
    again = build_as(builder(kind), encode(value, "it").decoded(), "it")
    assert again == value and type(again) is type(value)


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"a": [1, object()]}, "it cannot be recorded: .a[1] is an instance of object"),
        (print, "is a function"),
        ([Item("a", Decimal(1))], r"[0] is a Item, and nothing says that it is to be a Item again"),
    ],
)
def test_what_cannot_be_recorded_is_named(value: Any, problem: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode(value, "it", typed=False)
    assert problem in str(caught.value)


def test_a_value_that_refers_to_itself_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(SerializationError, match="refers to itself"):
        encode(loop, "it")


def test_what_does_not_fit_its_type_is_told() -> None:
    with pytest.raises(InvalidValueError, match="Item has no size"):
        build_as(builder(Item), {"name": "a", "price": "1", "size": 3}, "it")
    with pytest.raises(InvalidValueError, match="n: "):
        build_as(builder(Model), {"n": "x"}, "it")


def test_digests_are_those_of_every_sdk() -> None:
    # sha256 of [{"a":1,"é":[1e-7,100000000000000000000]}], as @pawl/worker computes it.
    assert digest([{"é": [1e-7, 1e20], "a": 1.0}], "it") == (
        "714ccfd5b3b0f43539c95b882014ff2a89908afad9d57c090e55d86498b9324d"
    )
    assert digest([{"b": 1, "a": 2}], "it") == digest([{"a": 2, "b": 1.0}], "it")


def test_a_question_is_named_alike_in_every_sdk() -> None:
    assert question_name("  Publish \n now? ") == "Publish now?"
    assert question_name("質問" * 40) == "質問" * 30 + "… e0f30b3b"
