"""Agents: code that reports itself, wherever it is called."""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine
from typing import Any, Generic, ParamSpec, TypeVar, overload

from ._lib.text import uuid7
from ._run.call import function_name
from ._run.frame import current_frame
from ._run.keys import check_name
from ._run.stream import Items, Reduce
from ._run.stream_event import Nesting, StreamEvent
from .errors import UsageError
from .failure import error_message, error_type

P = ParamSpec("P")
R = TypeVar("R")


class AgentStream(Generic[R], AsyncIterator[StreamEvent]):
    """What an agent reports while it works: events, from `agent.started` to `agent.completed`."""

    def __init__(self, name: str, body: Callable[[], Any], reduce: Reduce) -> None:
        self.name = name
        self._body = body
        self._reduce = reduce
        self._output: tuple[R] | None = None
        self._events = self._perform()

    @property
    def output(self) -> R:
        """What the agent came to, once its events have been read to the end."""
        if self._output is None:
            raise UsageError(
                f'the agent "{self.name}" has no output yet; read its events to the end first'
            )
        return self._output[0]

    async def __anext__(self) -> StreamEvent:
        return await self._events.__anext__()

    async def aclose(self) -> None:
        await self._events.aclose()

    async def _perform(self) -> AsyncGenerator[StreamEvent, None]:
        id, name = uuid7(), self.name
        nesting, items = Nesting(), Items(self._reduce, name)
        yield StreamEvent("agent.started", {"name": name}, id=id)
        made: Any = None
        try:
            made = self._body()
            if isinstance(made, AsyncIterable):
                iterator = made.__aiter__()
                while True:
                    try:
                        item = await _within(id, iterator.__anext__)
                    except StopAsyncIteration:
                        break
                    if not isinstance(item, StreamEvent):
                        items.add(item)
                        item = StreamEvent("output.delta", item)
                    placed, _ = nesting.place(item)
                    placed.parent = placed.parent or id
                    yield placed
                output = items.result()
            else:
                output = await _within(id, lambda: made)
        except Exception as error:
            told = {"type": error_type(error), "message": error_message(error)}
            yield StreamEvent("agent.failed", {"name": name, "error": told}, parent=id)
            raise
        finally:
            # The reader may have stopped reading.
            close = getattr(made, "aclose", None)
            if close is not None:
                await close()
        self._output = (output,)
        yield StreamEvent("agent.completed", {"name": name, "output": output}, parent=id)


async def _within(id: str, work: Callable[[], Any]) -> Any:
    """Awaits work in the span of the agent: what its code sends through `ctx` belongs to it."""
    frame = current_frame.get()
    if frame is None:
        return await work()
    token = current_frame.set(frame.in_span(id))
    try:
        return await work()
    finally:
        current_frame.reset(token)


@overload
def agent(fn: Callable[P, Coroutine[Any, Any, R]], /) -> Callable[P, AgentStream[R]]: ...
@overload
def agent(fn: Callable[P, AsyncIterator[str]], /) -> Callable[P, AgentStream[str]]: ...
@overload
def agent(fn: Callable[P, AsyncIterator[Any]], /) -> Callable[P, AgentStream[Any]]: ...
@overload
def agent(
    name: str | None = None, /, *, reduce: Reduce = "join"
) -> Callable[[Callable[P, Any]], Callable[P, AgentStream[Any]]]: ...
def agent(fn: Any = None, /, *, reduce: Reduce = "join") -> Any:
    """Makes an agent of an async function or async generator: `@agent`, `@agent("research")`. A call returns
    a stream that starts with `agent.started`, has what the generator yields, and ends with `agent.completed`.
    Its output is what the function returns, or what the generator's items that are not events reduce to.

    - As a step's body, `ctx.step("ask", lambda: ask(question))`, it shows all that live and has the
      agent's output as its result.
    - Within another agent, pass its events on; they are below those of the outer one:
      `notes = research(topic)`, then `async for each in notes: yield each`, then `notes.output`.
    - What its code sends through `ctx` is below it as well.

    An agent that raises ends with `agent.failed`. `reduce`: as in a step. Default: `join`.
    """

    def define(function: Callable[..., Any], name: str | None) -> Callable[..., Any]:
        plain = inspect.unwrap(function)
        if not (inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)):
            raise UsageError(f"an agent is an async function or async generator; this is {plain!r}")
        called = name or function_name(function)
        check_name("an agent", called)

        @functools.wraps(function)
        def start(*args: Any, **kwargs: Any) -> AgentStream[Any]:
            return AgentStream(called, lambda: function(*args, **kwargs), reduce)

        # What it returns is not what the function does.
        del start.__wrapped__
        start.__annotations__ = {}
        return start

    if fn is None or isinstance(fn, str):
        return lambda function: define(function, fn)
    return define(fn, None)
