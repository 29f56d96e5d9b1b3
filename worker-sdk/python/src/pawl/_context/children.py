"""Child runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from .._codec.typed import build_as
from .._run import waits
from .._run.child import ChildOptions, child_call, child_input
from .._run.wait import WaitOperation
from .base import ContextBase

if TYPE_CHECKING:
    from ..workflow import Workflow

R = TypeVar("R")


class Children(ContextBase):
    @overload
    async def child(
        self,
        workflow: Workflow[..., R],
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> R: ...
    @overload
    async def child(
        self,
        workflow: str,
        input: Any = None,
        /,
        *,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
    ) -> Any: ...
    async def child(
        self,
        workflow: Workflow[..., Any] | str,
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        """Starts a child run and waits for its result. Of a workflow that is known by its name only,
        the input is the one argument.

        - `run_id`: by default derived from this run's id and the step's key.
        - `key`: tells children of one workflow apart by what they are about.
        """
        name, input = child_input(workflow, args, kwargs)
        options = ChildOptions(run_id or "", queue, priority, tags or {})
        return await self._run_child(workflow, name, input, waits.key_of(key), options)

    async def _run_child(
        self,
        workflow: Workflow[..., R] | str,
        name: str,
        input: Any,
        key: str | None,
        options: ChildOptions,
    ) -> R:
        scope = self._here.scope
        place = self._claim(scope, "child:", name, key)
        call = child_call(self._run, place, workflow, name, input, options)
        result = await WaitOperation(self._run, scope, place, call).wait()
        build = None if isinstance(workflow, str) else workflow.build
        value: R = build_as(build, result, f'the result of child "{name}"')
        return value
