"""Values that are recorded when they are first asked for."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Coroutine
from typing import Any

from .._run.ask import run_step
from .._run.call import StepCall
from .._run.keys import Claim
from .._run.options import DEFAULT
from ..v1.common_pb2 import STEP_KIND_VALUE
from .base import ContextBase


class Values(ContextBase):
    def _value(self, name: str, body: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        claim = self._claim("value:", name, None)
        return run_step(self._run, claim, StepCall(name, body, (), {}, DEFAULT, STEP_KIND_VALUE))

    def now(self) -> Coroutine[Any, Any, float]:
        """The time in seconds since the epoch, recorded."""

        async def body() -> float:
            return round(time.time() * 1000)

        claim = self._claim("value:", "now", None)
        return self._run_seconds(claim, StepCall("now", body, (), {}, DEFAULT, STEP_KIND_VALUE))

    async def _run_seconds(self, claim: Claim, call: StepCall) -> float:
        ms: float = await run_step(self._run, claim, call)
        return ms / 1000

    def random(self) -> Coroutine[Any, Any, float]:
        """A random number from 0 to 1, recorded."""

        async def body() -> float:
            return random.random()

        made: Coroutine[Any, Any, float] = self._value("random", body)
        return made

    def uuid(self) -> Coroutine[Any, Any, str]:
        """A random UUID, recorded."""

        async def body() -> str:
            return str(uuid.uuid4())

        made: Coroutine[Any, Any, str] = self._value("uuid", body)
        return made

    def current_tags(self) -> Coroutine[Any, Any, dict[str, str]]:
        """The run's tags by now, recorded; `ctx.tags` are those that it was started with."""

        async def body() -> dict[str, str]:
            return await self._run.link.current_tags(self.run_id)

        made: Coroutine[Any, Any, dict[str, str]] = self._value("tags", body)
        return made
