"""When a failed step is tried again. The server does the arithmetic and keeps the count."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from ._lib import limits
from .duration import Duration, duration_message, seconds_of
from .errors import UsageError
from .v1 import common_pb2 as pb


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts. Made by `exponential`, `linear`, `constant` and `delays`."""

    kind: Literal["exponential", "linear", "constant", "delays"]
    initial_s: float = 0.0
    coefficient: float = 0.0
    increment_s: float = 0.0
    max_s: float | None = None
    delays_s: tuple[float, ...] = ()


def _number(name: str, value: float, least: float) -> float:
    if not (isinstance(value, int | float) and least <= value < float("inf")):
        raise UsageError(f"{name} is a number of seconds of at least {least}; it is {value!r}")
    return float(value)


def exponential(base: float = 2, max: float = 60, initial: float | None = None) -> Backoff:
    """base, base², base³ … seconds, at most `max`: by default 2, 4, 8, 16, 32, 60, 60 …

    `initial` (seconds, `base` by default) sets the first delay apart.
    """
    _number("base", base, 1)
    first = _number("initial", base if initial is None else initial, 0)
    return Backoff("exponential", first, coefficient=base, max_s=_number("max", max, 0))


def linear(start: float = 1, step: float = 1, max: float | None = None) -> Backoff:
    """start, start + step, start + 2 step … seconds: by default 1, 2, 3 …; at most `max` if given."""
    return Backoff(
        "linear",
        _number("start", start, 0),
        increment_s=_number("step", step, 0),
        max_s=None if max is None else _number("max", max, 0),
    )


def constant(delay: float) -> Backoff:
    """The same delay each time, in seconds."""
    return Backoff("constant", _number("delay", delay, 0))


def delays(durations: Sequence[Duration]) -> Backoff:
    """These delays one after the other; the last one repeats."""
    if not 1 <= len(durations) <= limits.DELAYS_MAX:
        raise UsageError(
            f"a list of delays has 1 to {limits.DELAYS_MAX} of them; this one has {len(durations)}"
        )
    return Backoff("delays", delays_s=tuple(seconds_of(duration) for duration in durations))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """How a failed step is retried. A step without it has one attempt, because not every step may be
    repeated. The server keeps count, so crashes do not reset it.
    """

    #: The number of attempts, including the first.
    max_attempts: int = 3
    #: The delay before the next attempt. A list has the delays in order, and its last one repeats; a
    #: function receives the number of failed attempts (from 1) and returns seconds. Delays over 2 s hold
    #: no worker. Default: `exponential()`, which gives an overloaded service more time each time.
    backoff: Backoff | Sequence[Duration] | Callable[[int], float] | None = None
    #: No attempt starts later than this after the first one. Default: no limit.
    max_elapsed: Duration | None = None
    #: 0 to 1: each delay is multiplied by a random factor between 1 - jitter and 1. Set it if many runs
    #: fail at the same time and would retry at the same time.
    jitter: float = 0.0
    #: Exception classes, or their names, that are not retried. `TerminalError` is never retried.
    non_retryable: Sequence[type[BaseException] | str] = ()
    #: When no attempt is left: fail the step, or pause the run (RETRIES_EXHAUSTED) for an operator.
    on_exhausted: Literal["fail", "pause"] = "fail"
    #: The number of worker crashes during the step after which its run is paused (CRASH_LOOP). Crashes do
    #: not count as attempts. Default: 3.
    max_crashes: int | None = None


#: A number of attempts, or a Retry.
RetryLike = int | Retry

_KINDS = {
    "exponential": pb.BACKOFF_EXPONENTIAL,
    "linear": pb.BACKOFF_LINEAR,
    "constant": pb.BACKOFF_CONSTANT,
}


def _resolve_backoff(retry: Retry) -> Backoff:
    backoff = retry.backoff
    if backoff is None:
        return exponential()
    if isinstance(backoff, Backoff):
        return backoff
    if callable(backoff):
        count = max(1, min(retry.max_attempts - 1, limits.DELAYS_MAX))
        return delays([backoff(failed) for failed in range(1, count + 1)])
    return delays(backoff)


def retry_message(retry: RetryLike) -> pb.RetryPolicy:
    """The policy as the server wants it; UsageError for what makes no sense."""
    if isinstance(retry, int):
        retry = Retry(max_attempts=retry)
    if not isinstance(retry, Retry):
        raise UsageError(
            f"retry is a number of attempts or a Retry(max_attempts=…); it is {retry!r}"
        )
    if not isinstance(retry.max_attempts, int) or not 1 <= retry.max_attempts <= 1_000_000:
        raise UsageError(
            "max_attempts counts the first attempt too, so it is a whole number from 1 on; "
            f"it is {retry.max_attempts!r}"
        )
    if not 0 <= retry.jitter <= 1:
        raise UsageError(f"jitter is between 0 and 1; it is {retry.jitter!r}")
    if retry.on_exhausted not in ("fail", "pause"):
        raise UsageError(f'on_exhausted is "fail" or "pause"; it is {retry.on_exhausted!r}')
    if retry.max_crashes is not None and not 1 <= retry.max_crashes <= 1_000:
        raise UsageError(
            f"max_crashes is a whole number from 1 to 1000; it is {retry.max_crashes!r}"
        )
    backoff = _resolve_backoff(retry)
    message = pb.RetryPolicy(
        max_attempts=retry.max_attempts,
        jitter=retry.jitter,
        max_crashes=retry.max_crashes or 0,
        non_retryable_types=[
            name if isinstance(name, str) else name.__name__ for name in retry.non_retryable
        ],
        on_exhausted=(
            pb.ON_EXHAUSTED_PAUSE if retry.on_exhausted == "pause" else pb.ON_EXHAUSTED_FAIL
        ),
    )
    if retry.max_elapsed is not None:
        message.max_elapsed.CopyFrom(duration_message(seconds_of(retry.max_elapsed)))
    if backoff.kind == "delays":
        message.delays.extend(duration_message(delay) for delay in backoff.delays_s)
        return message
    message.backoff = _KINDS[backoff.kind]
    message.initial_interval.CopyFrom(duration_message(backoff.initial_s))
    if backoff.kind == "exponential":
        message.coefficient = backoff.coefficient
    if backoff.kind == "linear":
        message.increment.CopyFrom(duration_message(backoff.increment_s))
    if backoff.max_s is not None:
        message.max_interval.CopyFrom(duration_message(backoff.max_s))
    return message
