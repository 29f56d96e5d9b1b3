"""Durations as users write them."""

from datetime import timedelta

import pytest

from pawl.duration import seconds_of
from pawl.errors import UsageError


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (1.5, 1.5),
        (0, 0.0),
        ("90 s", 90.0),
        ("250ms", 0.25),
        ("1 day", 86_400.0),
        ("1h 30m", 5_400.0),
        (timedelta(minutes=2), 120.0),
    ],
)
def test_reads(duration: float | str | timedelta, seconds: float) -> None:
    assert seconds_of(duration) == seconds


@pytest.mark.parametrize("duration", ["", "soon", "5", -1, float("nan"), "1 fortnight"])
def test_refuses(duration: float | str) -> None:
    with pytest.raises(UsageError):
        seconds_of(duration)
