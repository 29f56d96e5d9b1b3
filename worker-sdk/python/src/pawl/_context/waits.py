"""Waits that the server keeps: for time, and for signals."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine
from datetime import datetime, tzinfo
from typing import Any, overload

from .._codec.typed import builder
from .._run import waits
from .._run.callback import Callback, CallbackOperation, callback_call
from .._run.keys import Claim, check_name
from .._run.wait import WaitCall, WaitOperation
from ..duration import Duration
from ..errors import UsageError, WaitTimeoutError
from .base import ContextBase

MISSING = waits.MISSING


class Waits(ContextBase):
    def _wait(self, namespace: str, key: str | None, call: WaitCall) -> Coroutine[Any, Any, Any]:
        check_name("a wait", call.name)
        return self._run_wait(self._claim(namespace, call.name, key), call)

    async def _run_wait(self, claim: Claim, call: WaitCall) -> Any:
        return await WaitOperation(self._run, claim, call).wait()

    def sleep(self, duration: Duration, *, name: str = "sleep") -> Coroutine[Any, Any, None]:
        """Waits for a duration: `await ctx.sleep("1 day")`. The server keeps the timer; the worker is free."""
        return self._wait("sleep:", None, waits.sleep_call(name, duration))

    @overload
    def sleep_until(
        self, moment: datetime, *, name: str = "sleep"
    ) -> Coroutine[Any, Any, None]: ...
    @overload
    def sleep_until(
        self, *, cron: str, time_zone: str | tzinfo = "", name: str = "sleep"
    ) -> Coroutine[Any, Any, None]: ...
    def sleep_until(
        self,
        moment: datetime | None = None,
        *,
        cron: str | None = None,
        time_zone: str | tzinfo = "",
        name: str = "sleep",
    ) -> Coroutine[Any, Any, None]:
        """Waits until a time, which needs a time zone, or until the next time that matches a cron
        expression: `await ctx.sleep_until(cron="0 9 * * MON-FRI", time_zone="Europe/Berlin")`.

        `time_zone`: an IANA time zone, by name or as a ZoneInfo. Default: UTC.
        """
        if (moment is None) == (cron is None):
            raise UsageError("ctx.sleep_until takes a moment, or a cron expression: cron=…")
        if moment is not None:
            if time_zone:
                raise UsageError("ctx.sleep_until takes a time zone with cron only")
            call = waits.sleep_until_call(name, moment)
        else:
            call = waits.cron_call(name, cron or "", str(time_zone))
        return self._wait("sleep:", None, call)

    def signal(
        self,
        name: str,
        *,
        timeout: Duration | None = None,
        default: Any = MISSING,
        returns: Any = None,
        key: object = None,
    ) -> Coroutine[Any, Any, Any]:
        """Waits for the next signal with this name and returns its payload. Signals of one name are
        received in order, and a signal that was sent before the wait counts.

        - `timeout`: how long to wait, kept by the server. Default: forever, because waiting costs nothing.
        - `default`: the result at the timeout. Default: none, and WaitTimeoutError is raised.
        - `returns`: the type of the payload. Default: any.
        """
        call = waits.signal_call(name, timeout, default, builder(returns))
        return self._wait("signal:", waits.key_of(key), call)

    async def signals(
        self, name: str, *, timeout: Duration | None = None, returns: Any = None
    ) -> AsyncIterator[Any]:
        """Yields the signals with this name, one after the other: `async for order in ctx.signals("order"):`.

        `timeout`: the iteration ends when no signal has arrived for this long. Default: never. Each
        iteration has its own scope, in which it numbers the signals.
        """
        check_name("a wait", name)
        claim = self._claim("signals:", name, None)
        inner = claim.inner
        call = waits.signal_call(name, timeout, MISSING, builder(returns))
        try:
            while True:
                place = inner.claim("signal:", name, None)
                try:
                    payload = await WaitOperation(self._run, place, call).wait()
                except WaitTimeoutError:
                    return
                yield payload
        finally:
            claim.end()
            if not self._run.left:
                self._run.end_scope(inner, "the iteration over signals has ended")

    def callback(
        self,
        name: str = "callback",
        *,
        key: object = None,
        timeout: Duration | None = None,
        default: Any = MISSING,
        returns: Any = None,
    ) -> Coroutine[Any, Any, Callback[Any]]:
        """Creates a URL for an external process: pass `url` on in a step, then await `result()`, which is
        the body that the process posts. The URL is the same in every replay. It works like a key, so keep
        it out of step results.

        - `timeout`: how long to wait, from now. Default: forever.
        - `default`: the result at the timeout. Default: none, and WaitTimeoutError is raised.
        - `returns`: the type of the result. Default: any.
        """
        check_name("a callback", name)
        call = callback_call(name, timeout, default, builder(returns))
        return self._open_callback(self._claim("callback:", name, waits.key_of(key)), call)

    async def _open_callback(self, claim: Claim, call: WaitCall) -> Callback[Any]:
        operation = CallbackOperation(self._run, claim, call)
        return Callback(operation, await operation.address())
