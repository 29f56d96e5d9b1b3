"""Payloads: a value's bytes and how they are to be read."""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from .._lib.text import well_formed
from ..errors import InvalidValueError, TerminalError
from ..v1.common_pb2 import Payload
from .decode import revive
from .encode import to_bytes, to_json, to_text

_IMMUTABLE: Final = (str, bool, int, float, type(None))


class Encoded:
    """An encoded value together with what decoding it yields."""

    __slots__ = ("data", "encoding", "json", "kinds")

    def __init__(self, data: bytes, encoding: str, json: object, kinds: list[type]) -> None:
        self.data = data
        self.encoding = encoding
        #: As JSON values, with tags.
        self.json = json
        #: The classes of the instances in it that have become plain data.
        self.kinds = kinds

    def decoded(self) -> Any:
        """The value as a replay would see it, before its type is looked at."""
        if type(self.json) in _IMMUTABLE and self.encoding == "json":
            return self.json
        return decode_bytes(self.data, self.encoding)

    def payload(self) -> Payload:
        return Payload(data=self.data, encoding=self.encoding)


def encode(value: object, what: str, typed: bool = True) -> Encoded:
    """Encodes a value for recording; SerializationError for what cannot be recorded.

    `what` names the value there; `typed`: a type annotation will build instances of classes again.
    """
    kind = type(value)
    if kind is bytes or kind is bytearray or kind is memoryview:
        assert isinstance(value, bytes | bytearray | memoryview)
        return Encoded(bytes(value), "bytes", None, [])
    converted, conversion = to_json(value, what, typed)
    encoding = "json+pawl" if conversion.tagged else "json"
    return Encoded(to_bytes(converted), encoding, converted, conversion.kinds)


def _parse(data: bytes) -> Any:
    """JSON values; what other programs have escaped may hold halves of surrogate pairs."""
    value = json.loads(data)
    return _well_formed(value) if b"\\u" in data else value


def _well_formed(value: Any) -> Any:
    if isinstance(value, str):
        return well_formed(value)
    if isinstance(value, list):
        return [_well_formed(item) for item in value]
    if isinstance(value, dict):
        return {well_formed(key): _well_formed(item) for key, item in value.items()}
    return value


def decode_bytes(data: bytes, encoding: str) -> Any:
    try:
        match encoding:
            case "json" | "":
                return _parse(data)
            case "json+pawl":
                return revive(_parse(data))
            case "bytes":
                return data
            case "void":
                return None
    except TerminalError:
        raise
    except Exception as error:
        # Anybody may have sent it.
        raise InvalidValueError("a recorded value", [f"cannot be read: {error}"]) from error
    raise TerminalError(
        f'a recorded value has the encoding "{encoding}", which this SDK version does not know; '
        "upgrade pawl-sdk"
    )


def decode(payload: Payload | None) -> Any:
    """Decodes a payload whose data is here; an absent one is None."""
    return None if payload is None else decode_bytes(payload.data, payload.encoding)


def _number(value: float) -> str:
    """As JavaScript writes it, so that every SDK has the same digest for the same number."""
    if value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    if exponent == "":
        return text
    power = int(exponent)
    if -7 < power < 0:
        sign, digits = ("-", mantissa[1:]) if mantissa.startswith("-") else ("", mantissa)
        return f"{sign}0.{'0' * (-power - 1)}{digits.replace('.', '')}"
    return f"{mantissa}e{'+' if power > 0 else ''}{power}"


def _utf16(text: str) -> bytes:
    return text.encode("utf-16-be", "surrogatepass")


def _canonical(value: Any) -> str:
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, list):
        return f"[{','.join(map(_canonical, value))}]"
    if isinstance(value, dict):
        keys = sorted(value, key=_utf16)
        return "{" + ",".join(f"{to_text(key)}:{_canonical(value[key])}" for key in keys) + "}"
    return to_text(value)


def digest(value: object, what: str) -> str:
    """Hex SHA-256 of a value's canonical form: the same for equal values, in every SDK."""
    converted, _ = to_json(value, what, True)
    return digest_text(_canonical(converted))


def digest_text(text: str) -> str:
    """Hex SHA-256 of a text."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
