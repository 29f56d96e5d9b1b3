"""Time that continues while the machine is suspended."""

import time


def now_s() -> float:
    """Seconds since some moment in the past."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()
