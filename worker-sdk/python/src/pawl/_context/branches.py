"""Work side by side, and names of scopes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar, overload

from .._run.branches import Branch, Outcome, map_items, run_branches
from .._run.frame import Frame, current_frame
from .._run.keys import check_name
from ..errors import UsageError
from .base import ContextBase

if TYPE_CHECKING:
    from ..context import Context

T = TypeVar("T")
R = TypeVar("R")


class Branches(ContextBase):
    @overload
    async def gather(self, *branches: Branch[T]) -> list[T]: ...
    @overload
    async def gather(self, **branches: Branch[Any]) -> dict[str, Any]: ...
    async def gather(self, *branches: Any, **named: Any) -> Any:
        """Runs branches side by side, each in a scope of its own: coroutines, or functions that make
        them. The results come as a list, or by name: `await ctx.gather(db=load(), api=fetch())`.

        When one fails the others are ended, and its error is raised once they have settled.
        """
        return await self._branches("gather", branches, named)

    #: The same under the name that some know it by.
    parallel = gather

    @overload
    async def settle(self, *branches: Branch[T]) -> list[Outcome[T]]: ...
    @overload
    async def settle(self, **branches: Branch[Any]) -> dict[str, Outcome[Any]]: ...
    async def settle(self, *branches: Any, **named: Any) -> Any:
        """Runs branches side by side and tells of each how it ended."""
        return await self._branches("settle", branches, named)

    async def race(self, *branches: Branch[T], **named: Branch[T]) -> T:
        """The first branch to end decides; the others are ended."""
        all_ = {**{str(i): branch for i, branch in enumerate(branches)}, **named}
        winner: T = (await run_branches(self._here, "race", all_))[""]
        return winner

    async def _branches(self, mode: Any, branches: tuple[Any, ...], named: dict[str, Any]) -> Any:
        if branches and named:
            raise UsageError(f"ctx.{mode} takes branches with names, or without, but not both")
        if named:
            return await run_branches(self._here, mode, named)
        numbered = {str(i): branch for i, branch in enumerate(branches)}
        return list((await run_branches(self._here, mode, numbered)).values())

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
    async def map(
        self,
        name: str,
        items: Iterable[Any],
        fn: Callable[..., Any],
        *,
        key: Callable[[Any], object] | None = None,
        concurrency: int | None = None,
    ) -> list[Any]:
        """Runs `fn(item)` for each item, side by side, each in a scope of its own, so that the names of
        its steps are its own. The results are in the order of the items.

        - `key` names each item's scope, so that its steps stay its own when the list changes. Default:
          the item's index. Unique within the list.
        - `concurrency`: items under way at the same time. Default: all.
        """
        check_name("ctx.map", name)
        if not callable(fn):
            raise UsageError(f'ctx.map("{name}", items, fn) needs a function to run for each item')
        return await map_items(self._here, name, items, fn, key, concurrency)

    def scope(self, name: str) -> ScopeBlock:
        """Names the steps in it apart from those around it: `async with ctx.scope("shipping"): …`"""
        check_name("a scope", name)
        return ScopeBlock(self._here, name, "scope:")

    def cleanup(self, name: str = "cleanup") -> ScopeBlock:
        """For `finally` blocks: steps in it run although their branch has ended or the run is being
        cancelled: `async with ctx.cleanup(): await ctx.step("release", release, lock)`
        """
        check_name("a scope", name)
        return ScopeBlock(self._here, name, "cleanup:")


class ScopeBlock:
    """`async with ctx.scope("name"):`, and `ctx.cleanup()`."""

    def __init__(self, frame: Frame, name: str, namespace: Literal["scope:", "cleanup:"]) -> None:
        self._outer = frame
        self._name = name
        self._namespace = namespace

    async def __aenter__(self) -> None:
        here = self._outer.scope
        segment = here.claim_segment(self._namespace, self._name, None)
        inner = here.shield(segment) if self._namespace == "cleanup:" else here.child(segment)
        self._turn = here.enter()
        self._token = current_frame.set(Frame(self._outer.run, inner, self._outer.body))

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        current_frame.reset(self._token)
        self._outer.scope.leave(self._turn)
