# Section K of docs/replay-machine.md.
"""Step keys and the scopes that they are made in.

A key is the path of scopes, and in the last place the step's own segment, joined by `/`:

    name          the first use of the name in its scope
    name#2        the second, counted when the call is made
    name[key]     with an explicit key

Names and keys are percent-escaped. What is not a user's step has a segment with a namespace in
front (`sleep:`, `signal:`, `child:`, `value:`, `all:` …); a colon in a user's name is escaped, so no
name collides with those.

The key is taken when the step is asked for, before anything of it runs, so the keys of two uses of one
name follow the order of the calls. That order is the program's as long as the calls are made in one
stretch, between two switches of tasks, or one after the other. A second use in a later stretch, while
the first has not ended, may have arrived before it by timing: that is refused (AmbiguousStepKeyError),
before any run depends on it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from .._lib import limits
from .._lib.text import call_site, escape_chars, exceeds_bytes, flaw_of
from ..errors import AmbiguousStepKeyError, UsageError

_RESERVED: Final = re.compile(r"[%/#\[\]:\x00-\x1f\x7f]")


def escape_name(name: str) -> str:
    return escape_chars(name, _RESERVED)


def check_text(what: str, text: str) -> None:
    """Refuses a text that is to be part of a name or id and cannot be stored as it is."""
    flaw = flaw_of(text)
    if flaw:
        raise UsageError(f"{what} has {flaw}; leave it out: {text[:40]!a}")


def check_texts(texts: Mapping[str, str], tags: Mapping[str, str] | None = None) -> None:
    """`check_text` of several, by what they are, and of the keys and values of tags."""
    for what, text in texts.items():
        check_text(what, text)
    for name, text in (tags or {}).items():
        check_text("the name of a tag", name)
        check_text(f'the tag "{name}"', text)


def check_name(what: str, name: str) -> None:
    """Refuses names that are empty, too long, or cannot be stored as they are."""
    if not isinstance(name, str) or name == "":
        raise UsageError(f"{what} needs a name that is not empty; it got {name!r}")
    if not name.isascii() or "\0" in name:
        check_text(f"the name of {what}", name)
    if exceeds_bytes(name, limits.NAME_BYTES_MAX):
        raise UsageError(
            f"the name of {what} has {len(name.encode())} bytes, {limits.NAME_BYTES_MAX} are "
            f'possible: "{name[:40]}…"'
        )


def check_key(key: str) -> str:
    if exceeds_bytes(key, limits.STEP_KEY_BYTES_MAX):
        raise UsageError(
            f"the step key has {len(key.encode())} bytes (limit {limits.STEP_KEY_BYTES_MAX}); "
            f'use shorter names, keys or scopes: "{key[:80]}…"'
        )
    return key


def _ordinal(number: int) -> str:
    if number % 100 in (11, 12, 13):
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"


class Stretches(Protocol):
    """Tells the stretches of a run's code: what it does between two switches of tasks."""

    def stretch(self) -> object:
        """The same object throughout a stretch."""


class Claim:
    """The last segment of a key, taken in a scope; in flight until it ends."""

    __slots__ = (
        "_inner",
        "base",
        "explicit",
        "held",
        "name",
        "namespace",
        "number",
        "prefix",
        "scope",
        "segment",
        "stretch",
    )

    # Filled in by the scope that it is taken in.
    scope: Scope
    prefix: str
    base: str
    number: int
    segment: str
    stretch: object

    def __init__(self, scope: Scope, namespace: str, name: str, explicit: str | None) -> None:
        self.namespace = namespace
        self.name = name
        self.explicit = explicit
        # What was asked for in the scope that it names, before that started.
        self.held: Sequence[Claim] = ()
        self._inner: Scope | None = None
        scope.take(self)

    @property
    def key(self) -> str:
        return check_key(self.prefix + self.segment)

    @property
    def inner(self) -> Scope:
        """The scope that it names."""
        if self._inner is None:
            self._inner = self.scope.child(self.segment)
        return self._inner

    def hold(self, claims: Sequence[Claim]) -> None:
        """Takes those, which were given back where they were asked for, in the scope that it names."""
        self.held = claims
        for claim in claims:
            self.inner.take(claim)

    def moved(self) -> None:
        """It was taken in another scope: so are those that it holds."""
        self._inner = None
        self.hold(self.held)

    def end(self) -> None:
        """What it names is over: a later use of the name comes after it."""
        self.scope.end_claim(self)


class Scope:
    """Names steps: the workflow itself, a branch, an item of a map, or the body of a step."""

    __slots__ = (
        "_counts",
        "_ended",
        "_explicit",
        "_in_flight",
        "_shielded",
        "_stretches",
        "inside_step",
        "parent",
        "prefix",
        "race",
    )

    def __init__(
        self, stretches: Stretches, parent: Scope | None, prefix: str, inside_step: bool
    ) -> None:
        self._stretches = stretches
        self.parent = parent
        # Empty, or the scope's path with a `/` behind it.
        self.prefix = prefix
        # The body of a step is somewhere around it.
        self.inside_step = inside_step
        self._counts: dict[str, int] = {}
        self._explicit: set[str] | None = None
        # Uses that have not ended, by name.
        self._in_flight: dict[str, list[Claim]] = {}
        self._shielded = False
        self._ended: str | None = None
        # Of a branch of a race: what it has in common with the others.
        self.race: object | None = None

    @property
    def race_branch(self) -> Scope | None:
        """The innermost branch of a race that it is in."""
        scope: Scope | None = self
        while scope is not None and scope.race is None:
            scope = scope.parent
        return scope

    def child(self, segment: str) -> Scope:
        return Scope(self._stretches, self, f"{self.prefix}{segment}/", self.inside_step)

    def shield(self, segment: str) -> Scope:
        """A scope for clean-up: neither the end of the scopes around it nor a cancel reaches into it."""
        prefix = f"{self.prefix}{segment}/" if segment else self.prefix
        scope = Scope(self._stretches, self, prefix, self.inside_step)
        scope._shielded = True
        return scope

    def inside(self, key: str) -> Scope:
        """The scope inside of the step with that key."""
        return Scope(self._stretches, self, f"{key}/", True)

    def claim(self, namespace: str, name: str, key: str | None) -> Claim:
        """Takes the key of the next use of that name."""
        return Claim(self, namespace, name, key)

    def take(self, claim: Claim) -> None:
        """Fills in what a claim is in this scope."""
        base = claim.namespace + escape_name(claim.name)
        claim.scope = self
        claim.prefix = self.prefix
        claim.stretch = self._stretches.stretch()
        if claim.explicit is not None:
            claim.base, claim.number = base, 0
            claim.segment = f"{base}[{escape_name(claim.explicit)}]"
            self._take_explicit(claim)
            return
        uses = self._counts.get(base, 0) + 1
        if uses > 1 and any(
            other.stretch is not claim.stretch for other in self._in_flight.get(base, ())
        ):
            raise AmbiguousStepKeyError(
                f'AMBIGUOUS_STEP_KEY: "{claim.namespace}{claim.name}" is used for the '
                f"{_ordinal(uses)} time in one scope, at {call_site()}, in another task or after an "
                "await, while an earlier use has not ended, so which use comes first depends on "
                "timing. Give this step a key of its own (key=…), or run the parallel parts as "
                "branches of ctx.all, ctx.race or ctx.map"
            )
        self._counts[base] = uses
        claim.base, claim.number = base, uses
        claim.segment = base if uses == 1 else f"{base}#{uses}"
        self._in_flight.setdefault(base, []).append(claim)
        if claim.held:
            claim.moved()

    def _take_explicit(self, claim: Claim) -> None:
        if self._explicit is None:
            self._explicit = set()
        if claim.segment in self._explicit:
            raise UsageError(
                f'the step "{claim.name}" with the key "{claim.explicit}" is used twice in one scope, '
                f"at {call_site()}; give each use a key of its own"
            )
        self._explicit.add(claim.segment)

    def end_claim(self, claim: Claim) -> None:
        flying = self._in_flight.get(claim.base)
        if flying is not None and claim in flying:
            flying.remove(claim)

    def release(self, claim: Claim) -> None:
        """Gives a claim back that was the last of its name: it is made in another scope."""
        self.end_claim(claim)
        if claim.explicit is not None:
            if self._explicit is not None:
                self._explicit.discard(claim.segment)
        elif self._counts.get(claim.base) == claim.number:
            self._counts[claim.base] = claim.number - 1

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
