"""Enums of the contract as words."""

from __future__ import annotations

from typing import Any


def word(enum: Any, value: int) -> str:
    """The word of an enum's value, such as `timed_out`.

    Empty for an unspecified value, and for one that only a newer server knows.
    """
    if value == 0 or value not in enum.values():
        return ""
    prefix = enum.Name(0).removesuffix("UNSPECIFIED")
    name: str = enum.Name(value).removeprefix(prefix)
    return name.lower()
