"""Brings what the code is told in the order of the journal where resolved waits are not pushed, or were
not while the connection was lost: a reply names a later place than the end of a wait that nobody here
has heard of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import RequestError

if TYPE_CHECKING:
    from ..v1.common_pb2 import JournalEntry
    from .run import Run


class CatchingUp:
    def __init__(self, run: Run) -> None:
        self._run = run
        self._later: list[tuple[int, Callable[[], None]]] = []
        self._reading = False
        # After this place, waits may have been resolved that would have been pushed.
        self._unsure_after: int | None = None

    def doubt(self) -> None:
        """The connection was lost for a while."""
        run = self._run
        if self._unsure_after is None and any(each.is_open_wait for each in run.operations):
            self._unsure_after = run.memo.last_seq

    def then(self, seq: int, push: Callable[[], None]) -> None:
        """Calls `push` once all that came before that place has been pushed; at once if no wait is open."""
        if not self._is_behind(seq):
            push()
            return
        self._later.append((seq, push))
        if not self._reading:
            self._reading = True
            self._run.set_busy(True)
            self._run.spawn(self._read())

    def _is_behind(self, seq: int) -> bool:
        run = self._run
        if self._unsure_after is not None:
            return seq > self._unsure_after
        if run.link.pushes_waits or seq <= run.memo.last_seq:
            return False
        return self._reading or any(each.is_open_wait for each in run.operations)

    async def _read(self) -> None:
        run = self._run
        while self._later and not run.left:
            # What is beyond the last reply may be told by one that is still out.
            top = max(seq for seq, _ in self._later)
            unsure = self._unsure_after
            after = run.memo.last_seq if unsure is None else unsure
            try:
                entries = await run.link.journal(run.run_id, after, top)
            except RequestError as error:
                run.gave_up = True
                run.leave(f"its journal could not be read: {error}")
                return
            due = [push for seq, push in self._later if seq <= top]
            self._later = [item for item in self._later if item[0] > top]
            run.memo.last_seq = max(run.memo.last_seq, top)
            if unsure is not None:
                self._unsure_after = None
            for push in due:
                push()
            self._tell(entries)
        self._reading = False
        run.set_busy(False)

    def _tell(self, entries: list[JournalEntry]) -> None:
        """How each wait stands at the end of them: one may have been closed and registered anew."""
        last = {
            entry.step_key: entry for entry in entries if entry.type.startswith("workflow.wait.")
        }
        for entry in last.values():
            if entry.type == "workflow.wait.resolved" and self._is_open(entry.step_key):
                self._run.wait_resolved(entry)

    def _is_open(self, key: str) -> bool:
        run = self._run
        waits = any(each.key == key and each.is_open_wait for each in run.operations)
        return waits or run.memo.is_open_wait(key)
