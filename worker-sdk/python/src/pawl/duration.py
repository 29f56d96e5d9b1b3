"""Lengths of time: seconds, texts such as "90 s" or "1h 30m", or timedeltas."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import Final

from google.protobuf.duration_pb2 import Duration as DurationMessage
from google.protobuf.timestamp_pb2 import Timestamp

from ._lib import limits
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
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
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
    """The duration in seconds; UsageError for what is negative, too long, or not a duration."""
    if isinstance(duration, timedelta):
        seconds = duration.total_seconds()
    elif isinstance(duration, str):
        seconds = _parse(duration)
    elif isinstance(duration, int | float) and not isinstance(duration, bool):
        seconds = duration
    else:
        raise UsageError(
            f"{type(duration).__name__} is not a duration; write seconds as a number, a text such as "
            '"30 s", or a timedelta'
        )
    if not 0 <= seconds <= limits.DURATION_S_MAX:
        raise UsageError(
            f"a duration of {seconds} s is not possible; it must be between 0 and 10 years. To wait "
            "without a limit, leave the timeout out"
        )
    return float(seconds)


def duration_message(seconds: float) -> DurationMessage:
    whole = math.floor(seconds)
    return DurationMessage(seconds=whole, nanos=min(999_999_999, round((seconds - whole) * 1e9)))


def message_seconds(message: DurationMessage | Timestamp) -> float:
    """A Duration in seconds, or a Timestamp in seconds since the epoch."""
    return message.seconds + message.nanos / 1e9


def timestamp_of(moment: datetime) -> Timestamp:
    if moment.tzinfo is None:
        raise UsageError(
            f"{moment!r} has no time zone, so it is not a point in time; use for example "
            "datetime.now(timezone.utc)"
        )
    since = moment - _EPOCH
    return Timestamp(seconds=since.days * 86_400 + since.seconds, nanos=since.microseconds * 1_000)


def moment_of(stamp: Timestamp) -> datetime:
    """A Timestamp as a datetime in UTC."""
    return _EPOCH + timedelta(seconds=stamp.seconds, microseconds=stamp.nanos // 1_000)
