"""Step keys and the scopes that they are made in.

A key is the path of scopes, and in the last place the step's own segment, joined by `/`:

    name          the first use of the name in its scope
    name#2        the second, counted when the call is made
    name[key]     with an explicit key

Names and keys are percent-escaped. What is not a user's step has a segment with a namespace in
front (`sleep:`, `signal:`, `child:`, `value:`, `all:` …); a colon in a user's name is escaped, so no
name collides with those.

The keys of two uses of one name follow the order of the calls. That order is the program's as long
as the calls are made one after the other, or in one turn. A call made in a later turn, while
something that this scope started in an earlier one is still in flight, may have come before or after
it by timing: that is refused (AmbiguousStepKeyError), before any run depends on it.
"""

from __future__ import annotations

import re
from typing import Final, Protocol

from .._lib import limits
from .._lib.text import call_site, escape_chars, exceeds_bytes
from ..errors import AmbiguousStepKeyError, UsageError

_RESERVED: Final = re.compile(r"[%/#\[\]:\x00-\x1f\x7f]")


def escape_name(name: str) -> str:
    return escape_chars(name, _RESERVED)


def check_name(what: str, name: str) -> None:
    """Refuses names that are empty, too long, or none at all."""
    if not isinstance(name, str) or name == "":
        raise UsageError(f"{what} needs a name that is not empty; it got {name!r}")
    if exceeds_bytes(name, limits.NAME_BYTES_MAX):
        raise UsageError(
            f"the name of {what} has {len(name.encode())} bytes, {limits.NAME_BYTES_MAX} are "
            f'possible: "{name[:40]}…"'
        )


def check_key(key: str) -> str:
    if exceeds_bytes(key, limits.STEP_KEY_BYTES_MAX):
        raise UsageError(
            f"the step key has {len(key.encode())} bytes, {limits.STEP_KEY_BYTES_MAX} are possible; "
            f'use shorter names, keys or scopes: "{key[:80]}…"'
        )
    return key


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


class Turns(Protocol):
    """Counts the deliveries of a run: code between two of them is one turn."""

    turn: int


class Scope:
    """Names steps: the workflow itself, a branch, an item of a map, or the body of a step."""

    __slots__ = (
        "_counts",
        "_ended",
        "_explicit",
        "_fresh",
        "_in_flight",
        "_shielded",
        "_turn",
        "_turns",
        "inside_step",
        "parent",
        "prefix",
    )

    def __init__(self, turns: Turns, parent: Scope | None, prefix: str, inside_step: bool) -> None:
        self._turns = turns
        self.parent = parent
        # Empty, or the scope's path with a `/` behind it.
        self.prefix = prefix
        # The body of a step is somewhere around it.
        self.inside_step = inside_step
        self._counts: dict[str, int] = {}
        self._explicit: set[str] | None = None
        self._in_flight = 0
        # How many of those were started in this turn.
        self._fresh = 0
        self._turn = -1
        self._shielded = False
        self._ended: str | None = None

    def child(self, segment: str) -> Scope:
        return Scope(self._turns, self, f"{self.prefix}{segment}/", self.inside_step)

    def shield(self, segment: str) -> Scope:
        """A scope for clean-up: neither the end of the scopes around it nor a cancel reaches into it."""
        prefix = f"{self.prefix}{segment}/" if segment else self.prefix
        scope = Scope(self._turns, self, prefix, self.inside_step)
        scope._shielded = True
        return scope

    def beside(self, key: str) -> Scope:
        """A scope for what is in flight there without making a later use of a name ambiguous."""
        return Scope(self._turns, self, f"{key}/", self.inside_step)

    def inside(self, key: str) -> Scope:
        """The scope inside of the step with that key."""
        return Scope(self._turns, self, f"{key}/", True)

    def claim(self, namespace: str, name: str, key: str | None) -> str:
        """The key of the next step of that name; counts the use."""
        return check_key(self.prefix + self.claim_segment(namespace, name, key))

    def claim_segment(self, namespace: str, name: str, key: str | None) -> str:
        """The last segment alone, for a scope that is to be pushed."""
        base = namespace + escape_name(name)
        if key is not None:
            return self._claim_explicit(f"{base}[{escape_name(key)}]", name, key)
        uses = self._counts.get(base, 0) + 1
        if uses > 1 and self._earlier_in_flight():
            raise AmbiguousStepKeyError(
                f'AMBIGUOUS_STEP_KEY: "{namespace}{name}" is used for the {_ordinal(uses)} time in '
                f"one scope, at {call_site()}, after an await and while another step of this scope "
                "is still in flight, so which use comes first depends on timing. Give this step a "
                "key of its own (key=…), or run the parallel parts as branches of ctx.gather, "
                "ctx.race or ctx.map"
            )
        self._counts[base] = uses
        return base if uses == 1 else f"{base}#{uses}"

    def _claim_explicit(self, segment: str, name: str, key: str) -> str:
        if self._explicit is None:
            self._explicit = set()
        if segment in self._explicit:
            raise UsageError(
                f'the step "{name}" with the key "{key}" is used twice in one scope, at '
                f"{call_site()}; give each use a key of its own"
            )
        self._explicit.add(segment)
        return segment

    def _earlier_in_flight(self) -> bool:
        fresh = self._fresh if self._turn == self._turns.turn else 0
        return self._in_flight > fresh

    def enter(self) -> int:
        """Something of this scope is in flight now; returns its turn, for `leave`."""
        turn = self._turns.turn
        if self._turn != turn:
            self._turn = turn
            self._fresh = 0
        self._in_flight += 1
        self._fresh += 1
        return turn

    def leave(self, turn: int) -> None:
        self._in_flight -= 1
        if turn == self._turn:
            self._fresh -= 1

    def is_within(self, other: Scope) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            scope = scope.parent
        return False

    def is_reached_by(self, other: Scope) -> bool:
        """As `is_within`, but shields end the way up."""
        scope: Scope | None = self
        while scope is not None:
            if scope is other:
                return True
            if scope._shielded:
                return False
            scope = scope.parent
        return False

    @property
    def is_shielded(self) -> bool:
        scope: Scope | None = self
        while scope is not None:
            if scope._shielded:
                return True
            scope = scope.parent
        return False

    @property
    def ended(self) -> str | None:
        """Why no step may start here any more, if that is so."""
        scope: Scope | None = self
        while scope is not None:
            if scope._ended is not None:
                return scope._ended
            if scope._shielded:
                return None
            scope = scope.parent
        return None

    def end(self, reason: str) -> None:
        """From now on no step starts in this scope and those below."""
        if self._ended is None:
            self._ended = reason
