"""Pauses that grow, for whatever is tried again until it works."""

import random


class GrowingPause:
    """Seconds to wait before each further try: doubling up to a most, with jitter."""

    def __init__(self, first_s: float, most_s: float) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def next(self) -> float:
        pause = self._next_s * (0.5 + random.random() / 2)
        self._next_s = min(self._most_s, self._next_s * 2)
        return pause

    def reset(self) -> None:
        self._next_s = self._first_s
