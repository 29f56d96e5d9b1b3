"""Live output."""

from __future__ import annotations

import threading
from typing import Any

from .._run.events import publish
from .._run.keys import check_name
from .base import ContextBase


class Live(ContextBase):
    def emit(self, type: str, data: Any = None) -> None:
        """Sends an event of live output; it is not recorded. From threads, too."""
        check_name("an event type", type)
        body = self._here.body
        if threading.get_ident() == self._run.thread_id:
            publish(self._run, type, data, body)
        else:
            self._run.loop.call_soon_threadsafe(publish, self._run, type, data, body)

    def progress(self, done: float, total: float | None = None, note: str | None = None) -> None:
        data: dict[str, Any] = {"done": done}
        if total is not None:
            data["total"] = total
        if note is not None:
            data["note"] = note
        self.emit("progress", data)

    def log(self, level: str, message: str, data: Any = None) -> None:
        """`level`: debug, info, warn or error."""
        self.emit(
            "log", {"level": level, "message": message, **({} if data is None else {"data": data})}
        )
