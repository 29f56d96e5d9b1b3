"""What is to be executed as a step."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import CodeType
from typing import Any

from .._codec.payload import digest, encode
from .._codec.typed import Build, Unbuildable, builder, hints_of
from .._lib.limits import SHOWN_INPUT_BYTES_MAX
from ..errors import UsageError
from ..v1.common_pb2 import STEP_KIND_STEP, Payload, StepKind
from .options import StepOptions, Unset

#: By code object: the annotation as it was, and what it means.
_returns: dict[CodeType, tuple[Any, Build | None]] = {}
_STREAMS = ("AsyncIterator", "AsyncGenerator", "AsyncIterable", "Iterator", "Generator")


def unwrap(fn: Any) -> Any:
    """The function behind partials and bound methods."""
    while isinstance(fn, functools.partial):
        fn = fn.func
    return getattr(fn, "__func__", fn)


def takes_context(fn: Any) -> bool:
    """Whether the first parameter that is open is named ctx: it gets the context."""
    code = getattr(unwrap(fn), "__code__", None)
    if not isinstance(code, CodeType):
        return False
    first = 1 if inspect.ismethod(fn) else 0
    return code.co_argcount > first and code.co_varnames[first] == "ctx"


def is_async(fn: Any) -> bool:
    """Whether everything that it does is awaited."""
    plain = unwrap(fn)
    return inspect.iscoroutinefunction(plain) or inspect.isasyncgenfunction(plain)


def result_builder(fn: Any) -> Build | None:
    """How to make the function's result from recorded data; None where nothing says so, or the data is
    it already.
    """
    plain = unwrap(fn)
    annotations = getattr(plain, "__annotations__", None)
    if not annotations or "return" not in annotations:
        return None
    hint = annotations["return"]
    code: Any = getattr(plain, "__code__", None)
    # One code object makes many functions, each with annotations of its own; texts are read in a
    # function's own variables.
    cached = isinstance(code, CodeType) and not (isinstance(hint, str) and code.co_freevars)
    if cached:
        known = _returns.get(code)
        if known is not None and known[0] is hint:
            return known[1]
    resolved = hints_of(plain).get("return", Any) if isinstance(hint, str) else hint
    name = getattr(resolved, "__name__", "")
    build = None if name in _STREAMS else builder(resolved)
    if cached:
        _returns[code] = (hint, build)
    return build


def input_of(fn: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    """The arguments as they are digested and shown: f(1, b=2) is f(1, 2)."""
    if not kwargs:
        return list(args)
    try:
        signature = inspect.signature(fn)
        bound = signature.bind_partial(*((None,) if takes_context(fn) else ()), *args, **kwargs)
    except (TypeError, ValueError):
        return [*args, dict(kwargs)]
    positional = list(bound.args)[1 if takes_context(fn) else 0 :]
    return [*positional, dict(bound.kwargs)] if bound.kwargs else positional


class StepCall:
    """A function with its arguments and options."""

    __slots__ = (
        "args",
        "build",
        "fn",
        "input",
        "input_digest",
        "is_async",
        "kind",
        "kwargs",
        "name",
        "options",
    )

    def __init__(
        self,
        name: str,
        fn: Callable[..., Any],
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: StepOptions,
        kind: StepKind = STEP_KIND_STEP,
    ) -> None:
        self.name = name
        self.kind = kind
        self.fn = fn
        self.args = args
        self.kwargs = kwargs
        self.options = options
        self.is_async = is_async(fn)
        returns = options.returns
        self.build = result_builder(fn) if isinstance(returns, Unset) else returns
        if isinstance(self.build, Unbuildable):
            raise UsageError(
                f'step "{name}" returns a {self.build.name}, of which nothing can be recorded that it '
                "could be made from again; return plain data, a dataclass or a pydantic model"
            )
        self.input_digest = ""
        self.input: Payload | None = None
        if args or kwargs:
            what = f'the arguments of step "{name}"'
            arguments = input_of(fn, args, kwargs)
            self.input_digest = digest(arguments, what)
            encoded = encode(arguments[0] if len(arguments) == 1 else arguments, what)
            if len(encoded.data) <= SHOWN_INPUT_BYTES_MAX:
                self.input = encoded.payload()

    def invoke(self, context: Callable[[], Any]) -> Any:
        """`context`: makes what the function gets as its first parameter, if it takes it."""
        if takes_context(self.fn):
            return self.fn(context(), *self.args, **self.kwargs)
        return self.fn(*self.args, **self.kwargs)


def function_name(fn: Any) -> str:
    """The name that a function's step has by default."""
    name = getattr(unwrap(fn), "__name__", "")
    if not isinstance(name, str) or name in ("", "<lambda>"):
        raise UsageError(
            "this step's function has no name to record it under; give one: "
            'ctx.step("name", lambda: …)'
        )
    return name
