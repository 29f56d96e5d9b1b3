"""Events of runs as what the web speaks: server-sent events, for Starlette and FastAPI."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from .duration import Duration, seconds_of
from .errors import RequestError
from .handle import RunHandle, Watch
from .views import EventView

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

_STATUSES: Final = {
    "INVALID_ARGUMENT": 400,
    "NOT_FOUND": 404,
    "CURSOR_EXPIRED": 410,
    "RATE_LIMITED": 429,
}
_HEADERS: Final = {
    "cache-control": "no-store, no-transform",
    # nginx would keep all back until the run's end.
    "x-accel-buffering": "no",
}
# A refusal comes at once. A stream that is quiet for so long is one.
_REFUSAL_S: Final = 0.1
_ENDED: Final = object()


async def to_response(
    run: RunHandle[Any],
    request: Request,
    *,
    map: Callable[[EventView], Any] | None = None,
    heartbeat: Duration = 15,
    headers: Mapping[str, str] | None = None,
    **watch: Any,
) -> Response:
    """A response of server-sent events with what happens in a run, for a handler of Starlette or FastAPI. It
    is all that a browser's EventSource needs: it continues where the browser was (`Last-Event-ID`), answers
    204 once the run has ended and everything was sent, so that the browser does not come back, and 404 where
    there is no such run. `id` is the event's cursor, `event` its type, `data` the event as JSON.

    - `map`: returns what is sent for an event, as JSON; None leaves the event out. Default: the event in the
      form that the server sends, without stack traces and without the input of the run.
    - `heartbeat`: how often a quiet stream sends a comment. Default: 15 s.
    - `headers`: further headers.
    - the other options are those of `run.watch`.
    """
    from starlette.responses import JSONResponse, Response, StreamingResponse

    after = request.headers.get("last-event-id") or ""
    events = run.watch(after_cursor=after, **watch)
    first = asyncio.ensure_future(_next(events))
    try:
        if await _has_ended(run, bool(watch.get("wait_for_start"))) and await first is _ENDED:
            return Response(status_code=204)
        await asyncio.wait([first], timeout=_REFUSAL_S)
        if first.done():
            first.result()
    except RequestError as error:
        first.cancel()
        await events.aclose()
        status = _STATUSES.get(error.reason, 503)
        told = {"status": status, "reason": error.reason}
        # What is for the operator of this program only stays here.
        problem = told if status == 503 else {**told, "detail": str(error)}
        return JSONResponse(
            problem,
            status_code=status,
            headers={"cache-control": "no-store"},
            media_type="application/problem+json",
        )
    except BaseException:
        first.cancel()
        await events.aclose()
        raise
    return StreamingResponse(
        _frames(events, first, map, seconds_of(heartbeat)),
        media_type="text/event-stream",
        headers={**_HEADERS, **(headers or {})},
    )


async def _next(events: Watch) -> Any:
    try:
        return await anext(events)
    except StopAsyncIteration:
        return _ENDED


async def _has_ended(run: RunHandle[Any], wait_for_start: bool) -> bool:
    try:
        return (await run.get()).ended_at is not None
    except RequestError as error:
        if wait_for_start and error.reason == "NOT_FOUND":
            return False
        raise


async def _frames(
    events: Watch,
    coming: asyncio.Future[Any],
    map: Callable[[EventView], Any] | None,
    heartbeat_s: float,
) -> AsyncIterator[str]:
    last_id = ""
    try:
        yield "retry: 1000\n\n"
        while True:
            await asyncio.wait([coming], timeout=heartbeat_s)
            if not coming.done():
                yield ": heartbeat\n\n"
                continue
            event = coming.result()
            if event is _ENDED:
                return
            yield _frame(event, last_id, map)
            last_id = event.cursor
            coming = asyncio.ensure_future(_next(events))
    except RequestError as error:
        # Without an id: a client that comes back continues from the last event.
        yield f"event: stream.error\ndata: {json.dumps({'reason': error.reason})}\n\n"
    finally:
        # The reader may be gone: its watch ends, also on the server.
        coming.cancel()
        await events.aclose()


def _frame(event: EventView, last_id: str, map: Callable[[EventView], Any] | None) -> str:
    # What is only shown to those who watch just now has no place of its own.
    id = "" if event.cursor == last_id else f"id: {event.cursor}\n"
    data = _public_event(event) if map is None else map(event)
    if data is None:
        return f"{id}\n" if id else ": left out\n\n"
    # Types are the user's own words; a line break would end the field.
    type = re.sub(r"[\r\n\0]", " ", event.type)
    return f"{id}event: {type}\ndata: {json.dumps(_plain(data), ensure_ascii=False)}\n\n"


def event_json(event: EventView) -> dict[str, Any]:
    """The event in the form that the server sends: names in camel case, `class` for `event_class`."""
    plain: dict[str, Any] = _plain(event)
    return {("class" if name == "eventClass" else name): value for name, value in plain.items()}


def _public_event(event: EventView) -> dict[str, Any]:
    """The event without what is the operator's own affair. Stack traces are no part of a view."""
    plain = event_json(event)
    if event.type == "run.started" and event.entry is not None:
        plain["entry"].pop("payload", None)
    return plain


def _plain(value: Any) -> Any:
    """What JSON lacks: moments and large integers as texts, bytes as base64, errors by type and message."""
    if is_dataclass(value) and not isinstance(value, type):
        given = {each.name: getattr(value, each.name) for each in fields(value)}
        return {_camel(name): _plain(one) for name, one in given.items() if one not in (None, "")}
    if isinstance(value, Mapping):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(one) for one in value]
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, BaseException):
        kind = getattr(value, "type", "") or type(value).__name__
        return {"type": kind, "message": str(value)}
    if isinstance(value, bool | str | float) or value is None:
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    return str(value)


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)
