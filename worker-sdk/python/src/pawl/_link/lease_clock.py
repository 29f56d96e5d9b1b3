"""For how long the leases of a session are known to hold.

An answered heartbeat vouches for the lease time from the moment it was sent, unless this process has
stood still since: the server may have been restarted, or have given the leases away, and answers to
older heartbeats are still waiting to be read.
"""

from __future__ import annotations

import math
from collections import deque

from .._lib.clock import now_s


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
        self._sent.append(now_s())

    def answered(self) -> None:
        """The oldest heartbeat was answered."""
        if self._sent:
            self._held_from = self._sent.popleft()

    def refused(self) -> None:
        """The oldest heartbeat was refused."""
        if self._sent:
            self._sent.popleft()

    def stood_still(self) -> None:
        """Nothing holds until a heartbeat is answered that is sent from now on."""
        self._held_from = -math.inf
        self._sent = deque(-math.inf for _ in self._sent)

    @property
    def holds(self) -> bool:
        return now_s() - self._held_from < self.lease_s
