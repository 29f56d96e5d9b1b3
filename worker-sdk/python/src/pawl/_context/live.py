"""Live output."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any, Literal

from .._lib.text import uuid7
from .._run.events import publish
from .._run.frame import current_frame
from .._run.stream_event import Keep, event
from .base import ContextBase


class Live(ContextBase):
    def emit(
        self,
        type: str,
        data: Any = None,
        *,
        keep: Keep | None = None,
        content_index: int = 0,
        id: str = "",
        parent: str = "",
    ) -> None:
        """Sends live output to watchers of the run, from threads, too. It is not recorded in the journal,
        never delays the code, and may be dropped if the server does not keep up. At most 256 KiB.

        - `keep`: `ephemeral`, for those who watch at that moment; `buffered` (the default), until the
          result of its step supersedes it; `durable`, as long as the run's journal.
        - `content_index`: distinguishes parallel streams of one step. Default: 0.
        - `id`: names the event, so that others can name it as their parent; unique within the run.
        - `parent`: the event that it belongs to. Default: the span, branch or step around it.
        """
        here = self._here
        parent = parent or here.parent_event_id
        given = event(type, data, keep=keep, content_index=content_index, id=id, parent=parent)
        if threading.get_ident() == self._run.thread_id:
            publish(self._run, given, here.body)
        else:
            self._run.loop.call_soon_threadsafe(publish, self._run, given, here.body)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        """Sends the event `progress`. A watcher that connects later sees only the latest one."""
        data: dict[str, Any] = {"done": done}
        if total is not None:
            data["total"] = total
        if note is not None:
            data["note"] = note
        self.emit("progress", data)

    def log(
        self, level: Literal["debug", "info", "warn", "error"], message: str, data: Any = None
    ) -> None:
        """Sends the event `log`, which is kept as long as the run."""
        line = {"level": level, "message": message, **({} if data is None else {"data": data})}
        self.emit("log", line, keep="durable")

    def span(self, type: str, data: Any = None) -> SpanBlock:
        """Sends the event `<type>.started`, with `data`, before the block and `<type>.completed` after it:
        `with ctx.span("search", {"query": query}): …`. Events that code in the block sends name the first one
        as their parent, even if several spans run concurrently.
        """
        return SpanBlock(self, type, data)


class SpanBlock:
    """`with ctx.span("search"):`"""

    def __init__(self, context: Live, type: str, data: Any) -> None:
        self._context = context
        self._type = type
        self._data = data

    def __enter__(self) -> None:
        outer = self._context._here
        id = f"{self._context.run_id}/span-{uuid7()}"
        self._context.emit(f"{self._type}.started", self._data, id=id)
        self._token = current_frame.set(outer.in_span(id))

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._context.emit(f"{self._type}.completed")
        finally:
            current_frame.reset(self._token)
