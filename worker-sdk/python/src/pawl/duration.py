"""Lengths of time: seconds, texts such as "90 s" or "1h 30m", or timedeltas."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration as DurationMessage
from google.protobuf.timestamp_pb2 import Timestamp

from .errors import UsageError

#: Seconds, a text such as "90 s", "1 day" or "1h 30m", or a timedelta. A day is 24 hours.
Duration = float | int | str | timedelta

_UNIT_S: Final = {
    "ms": 0.001,
    "millisecond": 0.001,
    "s": 1.0,
    "sec": 1.0,
    "second": 1.0,
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "h": 3_600.0,
    "hr": 3_600.0,
    "hour": 3_600.0,
    "d": 86_400.0,
    "day": 86_400.0,
    "w": 604_800.0,
    "week": 604_800.0,
}
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-zA-Z]+)\s*")


def _parse(text: str) -> float:
    total = 0.0
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        unit = "" if match is None else match.group(2).lower()
        factor = _UNIT_S.get(unit, _UNIT_S.get(unit.removesuffix("s")))
        if match is None or factor is None:
            raise UsageError(
                f'"{text}" is not a duration; write seconds as a number, or a text such as '
                '"30 s", "1 day" or "1h 30m"'
            )
        total += float(match.group(1)) * factor
        position = match.end()
    if text.strip() == "":
        raise UsageError('an empty text is not a duration; write for example "30 s"')
    return total


def seconds_of(duration: Duration) -> float:
    """The duration in seconds; refuses what is negative or not finite."""
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, str):
        seconds = _parse(duration)
    else:
        seconds = float(duration)
    if not math.isfinite(seconds) or seconds < 0:
        raise UsageError(
            f"a duration of {seconds} s is not possible; it must be finite and not negative"
        )
    return seconds


def duration_message(seconds: float) -> DurationMessage:
    whole = math.floor(seconds)
    return DurationMessage(seconds=whole, nanos=min(999_999_999, round((seconds - whole) * 1e9)))


def message_seconds(message: DurationMessage | Timestamp) -> float:
    """A Duration in seconds, or a Timestamp in seconds since the epoch."""
    return message.seconds + message.nanos / 1e9


def timestamp_of(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise UsageError(
            f"{moment!r} has no time zone, so it is no moment in time; use for example "
            "datetime.now(timezone.utc)"
        )
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp


def moment_of(stamp: Timestamp) -> datetime:
    """A Timestamp as a datetime in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(
        seconds=stamp.seconds, microseconds=stamp.nanos // 1_000
    )
