"""Limits on when runs may start."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from ._run.keys import check_text
from .duration import Duration, duration_message, seconds_of
from .errors import UsageError
from .v1.common_pb2 import FlowControl
from .v1.run_pb2 import Debounce as DebounceMessage

_COUNT_MAX: Final = 100_000
# Text and variables: {customer.id}.
_TEMPLATE: Final = re.compile(r"(?:[^{}]|\{[^{}]+\})*")


class Concurrency(NamedTuple):
    """The maximum number of concurrent runs, from 1 to 100,000, per value of `key`. A run counts while it is
    ready for a worker or held by one; a run that waits frees its place.
    """

    limit: int
    #: A template over the input, such as "{customer.id}". Empty: all runs of the workflow share the limit.
    key: str = ""


class RateLimit(NamedTuple):
    """The maximum number of starts in any period of this length (a sliding window), per value of `key`."""

    limit: int
    period: Duration
    #: A template over the input, such as "{customer.id}". Empty: all runs of the workflow share the limit.
    key: str = ""


class Debounce(NamedTuple):
    """Merges starts with the same key into one run. It starts once no further start has arrived for `period`,
    at the latest `max_wait` after the first, with the latest input. All callers get the same run.
    """

    key: str
    period: Duration
    #: None: no limit.
    max_wait: Duration | None = None


def _check_limit(what: str, limit: int, key: str) -> None:
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= _COUNT_MAX:
        raise UsageError(
            f"the limit of {what} is a whole number from 1 to {_COUNT_MAX}; it is {limit!r}"
        )
    _check_template(f"the key of {what}", key)


def _check_template(what: str, template: str) -> None:
    check_text(what, template)
    if not _TEMPLATE.fullmatch(template):
        raise UsageError(
            f'{what} is "{template}", which has a brace without its other half; write for example '
            '"{customer.id}"'
        )


def flow_message(
    concurrency: int | Concurrency | None, rate_limit: RateLimit | None, fairness_key: str
) -> FlowControl | None:
    """None where there are no limits."""
    if concurrency is None and rate_limit is None and not fairness_key:
        return None
    _check_template("fairness_key", fairness_key)
    flow = FlowControl(fairness_key=fairness_key)
    if concurrency is not None:
        limit, key = concurrency if isinstance(concurrency, tuple) else (concurrency, "")
        _check_limit("concurrency", limit, key)
        flow.concurrency.limit = limit
        flow.concurrency.key = key
    if rate_limit is not None:
        limit, period, key = rate_limit
        _check_limit("rate_limit", limit, key)
        flow.rate.limit = limit
        flow.rate.period.CopyFrom(duration_message(seconds_of(period)))
        flow.rate.key = key
    return flow


def debounce_message(debounce: Debounce) -> DebounceMessage:
    key, period, max_wait = debounce
    check_text("the key of debounce", key)
    message = DebounceMessage(key=key, period=duration_message(seconds_of(period)))
    if max_wait is not None:
        message.max_wait.CopyFrom(duration_message(seconds_of(max_wait)))
    return message
