"""The waits that user code can ask for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .._codec.typed import Build, build_as
from ..duration import Duration, duration_message, seconds_of, timestamp_of
from ..errors import UsageError, WaitTimeoutError
from ..v1.common_pb2 import STEP_KIND_SIGNAL, STEP_KIND_SLEEP
from ..v1.step_pb2 import WaitSpec
from .keys import check_name, check_texts
from .options import key_text
from .wait import Resolution, WaitCall


class Missing:
    """What a default is that was not given."""


MISSING = Missing()


def key_of(key: object) -> str | None:
    return None if key is None else key_text(key)


def _nothing(resolution: Resolution) -> None:
    return None


def sleep_call(name: str, duration: Duration) -> WaitCall:
    wait = WaitSpec(duration=duration_message(seconds_of(duration)))
    return WaitCall(name, STEP_KIND_SLEEP, wait, _nothing)


def sleep_until_call(name: str, moment: datetime) -> WaitCall:
    return WaitCall(name, STEP_KIND_SLEEP, WaitSpec(until=timestamp_of(moment)), _nothing)


def cron_call(name: str, cron: str, time_zone: str) -> WaitCall:
    if not isinstance(cron, str) or cron.strip() == "":
        raise UsageError(
            'ctx.sleep_until got an empty cron expression; "0 9 * * *" is every day at 9'
        )
    check_texts({"the cron expression": cron, "the time zone": time_zone})
    wait = WaitSpec(cron=cron)
    if time_zone:
        wait.time_zone = time_zone
    return WaitCall(name, STEP_KIND_SLEEP, wait, _nothing)


def signal_call(name: str, timeout: Duration | None, default: Any, build: Build | None) -> WaitCall:
    def finish(resolution: Resolution) -> Any:
        if resolution.outcome != "timed_out":
            return build_as(build, resolution.value, f'the payload of signal "{name}"')
        if default is MISSING:
            raise WaitTimeoutError(f'the signal "{name}"', resolution.step_key)
        return default

    check_name("a wait", name)
    wait = WaitSpec(signal_name=name)
    if timeout is not None:
        wait.duration.CopyFrom(duration_message(seconds_of(timeout)))
    return WaitCall(name, STEP_KIND_SIGNAL, wait, finish)
