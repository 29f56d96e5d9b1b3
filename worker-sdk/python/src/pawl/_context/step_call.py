"""What the parameters of `ctx.step` and `ctx.compensate` mean."""

from __future__ import annotations

from typing import Any

from .._run.call import StepCall, function_name
from .._run.keys import check_name
from .._run.options import DEFAULT, UNSET, StepOptions
from ..errors import UsageError
from ..step import Step


def parse_call(
    base: StepOptions | None, name: Any, fn: Any, args: tuple[Any, ...], own: tuple[Any, ...]
) -> tuple[str, Any, tuple[Any, ...], StepOptions]:
    """The name, function, arguments and options of a call with or without a name; `base`: the workflow's
    options for its steps.
    """
    if not isinstance(name, str):
        args = args if fn is None else (fn, *args)
        name, fn = (name.name if isinstance(name, Step) else function_name(name)), name
    check_name("a step", name)
    if isinstance(fn, Step):
        base = fn.options.over(base)
        fn = fn.fn
    key, retry, timeout, recovery, reduce, version, returns = own
    plain = own[:-1] == (None,) * 6
    options = (
        DEFAULT
        if plain and returns is UNSET
        else StepOptions.of(
            key=key,
            retry=retry,
            timeout=timeout,
            recovery=recovery,
            reduce=reduce,
            version=version,
            returns=returns,
        )
    )
    return name, fn, args, options.over(base)


def step_call(
    name: str, fn: Any, args: tuple[Any, ...], kwargs: dict[str, Any], options: StepOptions
) -> StepCall:
    if not callable(fn):
        raise UsageError(
            f'step "{name}" needs a function to run; it got {type(fn).__name__}: '
            f'ctx.step("{name}", fn, arg, …)'
        )
    return StepCall(name, fn, args, kwargs, options)
