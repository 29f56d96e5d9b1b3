"""Waits that the server keeps: for time, and for signals."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .._codec.typed import build_as, builder
from .._run import waits
from .._run.keys import check_name
from .._run.wait import WaitCall, WaitOperation
from ..duration import Duration
from .base import ContextBase

MISSING = waits.MISSING


class Waits(ContextBase):
    async def _wait(self, namespace: str, key: str | None, call: WaitCall) -> Any:
        check_name("a wait", call.name)
        scope = self._here.scope
        place = self._claim(scope, namespace, call.name, key)
        return await WaitOperation(self._run, scope, place, call).wait()

    async def sleep(self, duration: Duration, *, name: str = "sleep") -> None:
        """Waits, by the server's clock: `await ctx.sleep("1 day")`. The worker is free meanwhile."""
        await self._wait("sleep:", None, waits.sleep_call(name, duration))

    async def sleep_until(self, moment: datetime, *, name: str = "sleep") -> None:
        """Waits for a moment in time, which needs a time zone."""
        await self._wait("sleep:", None, waits.sleep_until_call(name, moment))

    async def signal(
        self,
        name: str,
        *,
        timeout: Duration | None = None,
        default: Any = MISSING,
        returns: Any = None,
        key: object = None,
    ) -> Any:
        """Waits for a signal, and returns its payload. Signals of one name are taken in their order;
        one that came before is there already.

        At the `timeout` (default: none) it returns `default`, or raises WaitTimeoutError without one.
        `returns` is the payload's type.
        """
        call = waits.signal_call(name, timeout, default)
        payload = await self._wait("signal:", waits.key_of(key), call)
        if payload is default:
            return payload
        return build_as(builder(returns), payload, f'the payload of signal "{name}"')
