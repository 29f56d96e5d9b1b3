"""For how long the leases of a session are known to hold.

An answered heartbeat vouches for the lease time from the moment it was sent: after this process stood
still, answers to older ones are still waiting to be read, and say nothing about now.
"""

from __future__ import annotations

import math
import time
from collections import deque


class LeaseClock:
    def __init__(self) -> None:
        self.lease_s = 15.0
        self._held_from = -math.inf
        # When the heartbeats were sent that have not been answered, oldest first.
        self._sent: deque[float] = deque()

    def restart(self) -> None:
        """A new stream: Hello is its first heartbeat, Welcome the answer."""
        self._sent.clear()
        self.sent()

    def sent(self) -> None:
        self._sent.append(time.monotonic())

    def answered(self) -> None:
        """The oldest heartbeat was answered."""
        if self._sent:
            self._held_from = self._sent.popleft()

    def refused(self) -> None:
        """The oldest heartbeat was refused."""
        if self._sent:
            self._sent.popleft()

    @property
    def holds(self) -> bool:
        return time.monotonic() - self._held_from < self.lease_s
