"""Structured concurrency: each branch has a scope of its own, named by the branch, so that no
key depends on which is faster.

`all`, `map`: when a branch fails, the others are ended (what they await raises Cancelled, and no
step starts in them any more) and the failure is raised once they have settled, so that no clean-up
runs beside a step that it is to undo. `race` does not wait for those who lost. `all_settled` ends nobody.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from ..errors import Cancelled, UsageError
from .call import takes_context
from .frame import Frame, current_frame
from .keys import Claim, Scope, check_text, escape_name
from .options import key_text
from .threads import Raised

T = TypeVar("T")
Mode = Literal["all", "all_settled", "race"]
#: A coroutine that nobody awaits yet, or a function that makes one (or just a value).
Branch = Awaitable[T] | Callable[[], Awaitable[T] | T]


@dataclass(frozen=True, slots=True)
class Outcome(Generic[T]):
    """How a branch of `ctx.all_settled` ended."""

    value: T | None = None
    error: Exception | None = None

    @property
    def ok(self) -> bool:
        return self.error is None


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__


class Group:
    """Tasks in scopes of their own."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._run = frame.run
        self._scopes: list[Scope] = []
        self._tasks: list[asyncio.Task[Any]] = []
        self._scope_of: dict[asyncio.Task[Any], Scope] = {}
        self.error: BaseException | None = None
        self._ended: str | None = None
        self._remaining = 0
        self._all_done: asyncio.Future[None] = self._run.loop.create_future()
        self._any_done: asyncio.Future[asyncio.Task[Any]] = self._run.loop.create_future()

    def frame_in(self, scope: Scope) -> Frame:
        self._scopes.append(scope)
        return Frame(self._run, scope, self._frame.body, self._frame.span)

    def start(self, work: Coroutine[Any, Any, T], scope: Scope, fails: bool) -> asyncio.Task[T]:
        """Starts a branch. `fails`: its failure ends the others."""
        context = self.frame_in(scope).context() if scope is not self._frame.scope else None
        task = self._run.loop.create_task(work, context=context)
        parent = asyncio.current_task()
        if parent is not None:
            self._run.branch_parents[task] = parent
        self._tasks.append(task)
        self._scope_of[task] = scope
        self._remaining += 1
        task.add_done_callback(lambda done: self._on_done(done, fails))
        return task

    def _on_done(self, task: asyncio.Task[Any], fails: bool) -> None:
        error = _error_of(task, self._ended)
        if error is not None and fails and self.error is None:
            self.error = error
            self.end(f"another branch failed: {_describe(error)}")
        if not self._any_done.done():
            self._any_done.set_result(task)
        self._remaining -= 1
        if self._remaining == 0 and not self._all_done.done():
            self._all_done.set_result(None)

    def end(self, reason: str) -> None:
        """Ends all branches: nothing starts in them any more, and what they await is over."""
        if self._ended is not None:
            return
        self._ended = reason
        run = self._run
        if run.left:
            return
        busy = [operation.scope for operation in run.operations]
        for scope in self._scopes:
            run.end_scope(scope, reason)
        # A worker that had the run before may have got further in a branch than this one ever will.
        for key in run.memo.give_up_unasked([scope.prefix for scope in self._scopes]):
            run.closing.wait(key)
        for task, scope in self._scope_of.items():
            # The code of the branch awaits something that Pawl does not know of.
            if not task.done() and not any(each.is_within(scope) for each in busy):
                task.cancel()

    async def all(self) -> None:
        """Waits for all branches; raises the first failure."""
        await self._wait(self._all_done)
        if self.error is not None:
            raise self.error

    async def first(self) -> asyncio.Task[Any]:
        return await self._wait(self._any_done)

    async def _wait(self, future: asyncio.Future[T]) -> T:
        if not self._tasks:
            self._all_done.set_result(None)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            for task in self._tasks:
                task.cancel()
            raise


def _error_of(task: asyncio.Task[Any], ended: str | None) -> BaseException | None:
    if task.cancelled():
        return Cancelled(ended or "the branch was cancelled")
    error = task.exception()
    if error is None and isinstance(task.result(), Raised):
        raised: BaseException = task.result().error
        return raised
    return error


async def _perform(mode: str, name: str, branch: Any) -> Any:
    try:
        result = branch() if callable(branch) else branch
        if isinstance(result, asyncio.Future):
            raise _refusal(mode, name, result)
        return await result if inspect.isawaitable(result) else result
    except (SystemExit, KeyboardInterrupt) as error:
        # A task would end the event loop with it.
        return Raised(error)


def _refusal(mode: str, name: str, branch: Any) -> UsageError:
    if isinstance(branch, asyncio.Future):
        seen = "a task, whose work has begun outside of the branch"
    else:
        seen = f"a {type(branch).__name__}"
    return UsageError(
        f'the branch "{name}" of ctx.{mode} is {seen}; pass coroutines or functions: '
        f"ctx.{mode}(fetch(url), lambda: ctx.step(…))"
    )


def _check(mode: str, branches: Mapping[str, Any]) -> None:
    for name, branch in branches.items():
        started = isinstance(branch, asyncio.Future)
        if started or not (inspect.isawaitable(branch) or callable(branch)):
            for other in branches.values():
                if inspect.iscoroutine(other):
                    other.close()
            raise _refusal(mode, name, branch)


def claims_in(branch: Any) -> list[Claim]:
    """The keys that were taken when a branch was asked for, of which nothing has run yet."""
    if not inspect.iscoroutine(branch) or inspect.getcoroutinestate(branch) != "CORO_CREATED":
        return []
    given = inspect.getcoroutinelocals(branch)
    found = [each for each in (given.get("claim"), *given.get("claims", ())) if each is not None]
    return [each for each in found if isinstance(each, Claim)]


def claim_branches(mode: str, scope: Scope, branches: Mapping[str, Any]) -> list[Claim]:
    """Takes the scopes of the branches. What was asked for as a branch gets its key in there."""
    _check(mode, branches)
    for name in branches:
        check_text(f"the name of a branch of ctx.{mode}", name)
    if mode == "race" and not branches:
        raise UsageError("ctx.race needs at least one branch")
    inside = [claims_in(branch) for branch in branches.values()]
    for claims in reversed(inside):
        for claim in reversed(claims):
            claim.scope.release(claim)
    made = [scope.claim("all:", name, None) for name in branches]
    for outer, claims in zip(made, inside, strict=True):
        outer.hold(claims)
    return made


async def run_branches(
    frame: Frame, mode: Mode, branches: Mapping[str, Any], claims: list[Claim]
) -> dict[str, Any]:
    """The results, or outcomes, by the branches' names; the winner's alone for a race."""
    group = Group(frame)
    scopes = [claim.inner for claim in claims]
    if mode == "race":
        for scope in scopes:
            scope.race = group
    try:
        tasks = {
            name: group.start(_perform(mode, name, branch), scope, mode == "all")
            for scope, (name, branch) in zip(scopes, branches.items(), strict=True)
        }
        if mode == "race":
            try:
                winner = await group.first()
                error = _error_of(winner, None)
                if error is not None:
                    raise error
                return {"": winner.result()}
            finally:
                group.end("another branch has won the race")
        await group.all()
        if mode == "all":
            return {name: task.result() for name, task in tasks.items()}
        return {name: _outcome(task) for name, task in tasks.items()}
    finally:
        for claim in claims:
            claim.end()


def _outcome(task: asyncio.Task[Any]) -> Outcome[Any]:
    error = _error_of(task, None)
    if error is None:
        return Outcome(value=task.result())
    if isinstance(error, Exception):
        return Outcome(error=error)
    # Being cancelled or suspended is for the run to deal with, not one branch's outcome.
    raise error


def _item_segments(name: str, items: Sequence[T], key: Callable[[T], object] | None) -> list[str]:
    keys = [str(i) if key is None else key_text(key(item)) for i, item in enumerate(items)]
    twice = {each for each in keys if keys.count(each) > 1} if len(set(keys)) < len(keys) else ()
    if twice:
        raise UsageError(
            f'two items of ctx.map("{name}") have the key "{next(iter(twice))}"; keys distinguish items'
        )
    return [escape_name(each) for each in keys]


@dataclass(frozen=True, slots=True)
class MapCall:
    """A map that was asked for."""

    name: str
    items: list[Any]
    fn: Callable[..., Any]
    key: Callable[[Any], object] | None
    concurrency: int | None
    #: A failing item does not end the others; the results are outcomes.
    settles: bool = False


async def map_items(frame: Frame, claim: Claim, wanted: MapCall) -> list[Any]:
    """The results in the order of the items."""
    items, fn = wanted.items, wanted.fn
    segments = _item_segments(wanted.name, items, wanted.key)
    outer = claim.inner
    group = Group(frame)
    results: list[Any] = [None] * len(items)
    todo = iter(range(len(items)))
    with_context = takes_context(fn)

    async def lane() -> Raised | None:
        for i in todo:
            if group.error is not None:
                return None
            token = current_frame.set(group.frame_in(outer.child(segments[i])))
            try:
                result = _call(fn, with_context, frame, items[i])
                value = await result if inspect.isawaitable(result) else result
                results[i] = Outcome(value) if wanted.settles else value
            except Exception as error:
                if not wanted.settles:
                    raise
                results[i] = Outcome(error=error)
            except (SystemExit, KeyboardInterrupt) as error:
                return Raised(error)
            finally:
                current_frame.reset(token)
        return None

    try:
        for _ in range(min(wanted.concurrency or len(items), len(items))):
            group.start(lane(), outer, True)
        await group.all()
        return results
    finally:
        claim.end()


def _call(fn: Callable[..., Any], with_context: bool, frame: Frame, item: Any) -> Any:
    if not with_context:
        return fn(item)
    return fn(frame.run.contexts.of_run(frame.run), item)
