"""How a step is executed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, Self

from .._codec.payload import digest_text
from .._codec.typed import Build, builder
from .._lib.text import flaw_of
from ..duration import Duration, seconds_of
from ..errors import UsageError
from ..retry import RetryLike, retry_message
from ..v1.common_pb2 import RetryPolicy
from .stream import Reduce


class Unset:
    """What an option is that was not given."""


UNSET = Unset()


@dataclass(frozen=True, slots=True)
class StepOptions:
    """Step options, complete and checked; None: not given."""

    key: str | None = None
    retry: RetryPolicy | None = None
    timeout_s: float | None = None
    recovery: Literal["retry", "at_most_once"] | None = None
    reduce: Reduce = "join"
    definition_digest: str = ""
    #: Makes the result from recorded data; Unset: by the function's annotation.
    returns: Build | Unset | None = UNSET

    @property
    def at_most_once(self) -> bool:
        return self.recovery == "at_most_once"

    @classmethod
    def of(
        cls,
        *,
        key: object = None,
        retry: RetryLike | None = None,
        timeout: Duration | None = None,
        recovery: Literal["retry", "at_most_once"] | None = None,
        reduce: Reduce | None = None,
        version: str | None = None,
        returns: Any = UNSET,
    ) -> Self:
        if (
            reduce is not None
            and not callable(reduce)
            and reduce not in ("join", "collect", "last")
        ):
            raise UsageError(f'reduce is "join", "collect", "last" or a function; it is {reduce!r}')
        if recovery not in (None, "retry", "at_most_once"):
            raise UsageError(f'recovery is "retry" or "at_most_once"; it is {recovery!r}')
        return cls(
            key=None if key is None else key_text(key),
            retry=None if retry is None else retry_message(retry),
            timeout_s=None if timeout is None else seconds_of(timeout),
            recovery=recovery,
            reduce="join" if reduce is None else reduce,
            definition_digest="" if version is None else digest_text(version),
            returns=UNSET if returns is UNSET else builder(returns),
        )

    def over(self, base: StepOptions | None) -> StepOptions:
        """These options; what they leave open is taken from `base`."""
        if base is None or base is DEFAULT:
            return self
        if self is DEFAULT:
            return base
        return StepOptions(
            key=self.key if self.key is not None else base.key,
            retry=self.retry if self.retry is not None else base.retry,
            timeout_s=self.timeout_s if self.timeout_s is not None else base.timeout_s,
            recovery=self.recovery or base.recovery,
            reduce=base.reduce if self.reduce == "join" else self.reduce,
            definition_digest=self.definition_digest or base.definition_digest,
            returns=base.returns if isinstance(self.returns, Unset) else self.returns,
        )


def key_text(key: object) -> str:
    """An explicit key as text; whole numbers and booleans as every SDK writes them."""
    if isinstance(key, bool):
        return "true" if key else "false"
    text = str(key) if isinstance(key, str | int) else ""
    if text == "":
        raise UsageError(f"a key is a text that is not empty, or a whole number; it is {key!r}")
    flaw = flaw_of(text)
    if flaw:
        raise UsageError(f"the key {text[:40]!a} has {flaw}; leave it out")
    return text


DEFAULT = StepOptions()
