"""Concurrent branches, and named scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._run.branches import (
    Branch,
    MapCall,
    Mode,
    Outcome,
    claim_branches,
    map_items,
    run_branches,
)
from .._run.frame import Frame, current_frame
from .._run.keys import Claim, check_name
from ..errors import AmbiguousStepKeyError, UsageError
from .base import ContextBase

if TYPE_CHECKING:
    from ..context import Context

T = TypeVar("T")
R = TypeVar("R")


class Branches(ContextBase):
    @overload
    async def all(self, *branches: Branch[T]) -> list[T]: ...
    @overload
    async def all(self, **branches: Branch[Any]) -> dict[str, Any]: ...
    def all(self, *branches: Any, **named: Any) -> Any:
        """Runs branches concurrently, each in its own scope: coroutines, or functions that return them. The
        result is a list, or a dict for named branches: `await ctx.all(db=load(), api=fetch())`.

        If one fails, the others are ended, and its error is raised after they have settled.
        """
        return self._branches("all", branches, named)

    @overload
    async def all_settled(self, *branches: Branch[T]) -> list[Outcome[T]]: ...
    @overload
    async def all_settled(self, **branches: Branch[Any]) -> dict[str, Outcome[Any]]: ...
    def all_settled(self, *branches: Any, **named: Any) -> Any:
        """Runs branches concurrently and returns the outcome of each. A failing branch does not end others."""
        return self._branches("all_settled", branches, named)

    def race(self, *branches: Branch[T], **named: Branch[T]) -> Coroutine[Any, Any, T]:
        """Runs branches concurrently and returns the result of the first one to end, or raises its error.
        The others are ended, and their waits are closed.
        """
        all_ = {**{str(i): branch for i, branch in enumerate(branches)}, **named}
        return self._race(self._claim_branches("race", all_), all_)

    async def _race(self, claims: list[Claim], branches: dict[str, Any]) -> Any:
        return (await run_branches(self._here, "race", branches, claims))[""]

    def _branches(self, mode: Mode, branches: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if branches and named:
            raise UsageError(f"ctx.{mode} takes branches with names, or without, but not both")
        all_ = named or {str(i): branch for i, branch in enumerate(branches)}
        return self._run_all(self._claim_branches(mode, all_), mode, all_, bool(named))

    def _claim_branches(self, mode: Mode, branches: dict[str, Any]) -> list[Claim]:
        try:
            return claim_branches(mode, self._here.scope, branches)
        except AmbiguousStepKeyError as error:
            # As in `_claim`.
            self._run.end(error)
            raise

    async def _run_all(
        self, claims: list[Claim], mode: Mode, branches: dict[str, Any], named: bool
    ) -> Any:
        results = await run_branches(self._here, mode, branches, claims)
        return results if named else list(results.values())

    @overload
    async def map(
        self,
        name: str,
        items: Iterable[T],
        fn: Callable[[T], Awaitable[R]],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int | None = None,
    ) -> list[R]: ...
    @overload
    async def map(
        self,
        name: str,
        items: Iterable[T],
        fn: Callable[[Context, T], Awaitable[R]],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int | None = None,
    ) -> list[R]: ...
    def map(
        self,
        name: str,
        items: Iterable[Any],
        fn: Callable[..., Any],
        *,
        key: Callable[[Any], object] | None = None,
        concurrency: int | None = None,
    ) -> Coroutine[Any, Any, list[Any]]:
        """Runs `fn(item)` for each item, concurrently, each in its own scope. The results are in the order of
        the items. If one fails, the others are ended.

        - `key`: returns the key of an item, which names its scope; unique within the list. Default: the
          item's index. Set it if the list can change between two executions of the run: with an index,
          the recorded results of one item would be used for another.
        - `concurrency`: the maximum number of items that are processed at the same time. Default: all. It
          applies to this call only.
        """
        return self._map(MapCall(name, list(items), fn, key, concurrency))

    def map_settled(
        self,
        name: str,
        items: Iterable[T],
        fn: Callable[[T], Awaitable[R]] | Callable[[Context, T], Awaitable[R]],
        *,
        key: Callable[[T], object] | None = None,
        concurrency: int | None = None,
    ) -> Coroutine[Any, Any, list[Outcome[R]]]:
        """Like `map`, but returns the outcome of each item. A failing item does not end the others."""
        return self._map(MapCall(name, list(items), fn, key, concurrency, settles=True))

    def _map(self, wanted: MapCall) -> Coroutine[Any, Any, list[Any]]:
        check_name("ctx.map", wanted.name)
        if not callable(wanted.fn):
            raise UsageError(
                f'ctx.map("{wanted.name}", items, fn) needs a function to run for each item'
            )
        if wanted.concurrency is not None and wanted.concurrency < 1:
            raise UsageError(
                f'the concurrency of ctx.map("{wanted.name}") is at least 1; it is {wanted.concurrency}'
            )
        return self._run_map(self._claim("map:", wanted.name, None), wanted)

    async def _run_map(self, claim: Claim, wanted: MapCall) -> list[Any]:
        return await map_items(self._here, claim, wanted)

    def scope(self, name: str) -> ScopeBlock:
        """Gives the steps in it their own namespace: `async with ctx.scope("shipping"): …`"""
        check_name("a scope", name)
        return ScopeBlock(self, name, "scope:")

    def cleanup(self, name: str = "cleanup") -> ScopeBlock:
        """For `finally` blocks: its steps run even if their branch has ended or the run is being cancelled:
        `async with ctx.cleanup(): await ctx.step("release", release, lock)`
        """
        check_name("a scope", name)
        return ScopeBlock(self, name, "cleanup:")


class ScopeBlock:
    """`async with ctx.scope("name"):`, and `ctx.cleanup()`."""

    def __init__(
        self, context: Branches, name: str, namespace: Literal["scope:", "cleanup:"]
    ) -> None:
        self._context = context
        self._name = name
        self._namespace = namespace

    async def __aenter__(self) -> None:
        outer = self._context._here
        self._claim = claim = self._context._claim(self._namespace, self._name, None)
        inner = claim.inner
        if self._namespace == "cleanup:":
            inner = claim.scope.shield(claim.segment)
        self._token = current_frame.set(Frame(outer.run, inner, outer.body, outer.span))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        current_frame.reset(self._token)
        self._claim.end()
