"""Child runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from .._run import waits
from .._run.child import ChildOptions, ParentClose, child_call, child_input, child_start
from .._run.definition import Definition
from .._run.keys import Claim
from .._run.spawn import ChildHandle, spawn_child
from .._run.wait import WaitCall, WaitOperation
from .base import ContextBase

R = TypeVar("R")


class Children(ContextBase):
    @overload
    async def child(
        self,
        workflow: Definition[R],
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        parent_close: ParentClose = "cancel",
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
        parent_close: ParentClose = "cancel",
    ) -> Any: ...
    def child(
        self,
        workflow: Definition[Any] | str,
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        parent_close: ParentClose = "cancel",
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Starts a child run and waits for its result. Of a workflow that is known by its name only,
        the input is the one argument.

        - `run_id`: by default derived from this run's id and the step's key.
        - `key`: tells children of one workflow apart by what they are about.
        - `parent_close`: what happens to the child when this run ends first, in whatever way. `cancel` (the
          default) cancels it; with `abandon` it continues.
        """
        name, input = child_input(workflow, args, kwargs)
        options = ChildOptions(run_id or "", queue, priority, tags or {}, parent_close)
        return self._child(workflow, name, input, waits.key_of(key), options)

    @overload
    async def spawn(
        self,
        workflow: Definition[R],
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        parent_close: ParentClose = "cancel",
        **kwargs: Any,
    ) -> ChildHandle[R]: ...
    @overload
    async def spawn(
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
        parent_close: ParentClose = "cancel",
    ) -> ChildHandle[Any]: ...
    def spawn(
        self,
        workflow: Definition[Any] | str,
        /,
        *args: Any,
        run_id: str | None = None,
        key: object = None,
        queue: str = "",
        priority: int | None = None,
        tags: dict[str, str] | None = None,
        parent_close: ParentClose = "cancel",
        **kwargs: Any,
    ) -> Coroutine[Any, Any, ChildHandle[Any]]:
        """Starts a child run and returns its handle, so that the code continues beside it; `result()` of the
        handle waits for it. The options are those of `child`. A child that is still running when this run
        ends is cancelled; with `parent_close="abandon"` it continues.
        """
        name, input = child_input(workflow, args, kwargs)
        options = ChildOptions(run_id or "", queue, priority, tags or {}, parent_close)
        build = None if isinstance(workflow, str) else workflow.build
        start = self._claim("spawn:", name, waits.key_of(key))
        wait = self._claim("child:", name, waits.key_of(key))
        # Many may be under way that nobody waits for.
        wait.end()
        child = child_start(self._run, start, workflow, name, input, options)
        work = spawn_child(self._run, start, wait, name, child, build)
        return self._run.asked.add(start, f'child "{name}"', work)

    def _child(
        self,
        workflow: Definition[R] | str,
        name: str,
        input: Any,
        key: str | None,
        options: ChildOptions,
    ) -> Coroutine[Any, Any, R]:
        build = None if isinstance(workflow, str) else workflow.build
        claim = self._claim("child:", name, key)
        call = child_call(self._run, claim, workflow, name, input, options, build)
        return self._run.asked.add(claim, f'child "{name}"', self._run_child(claim, call))

    async def _run_child(self, claim: Claim, call: WaitCall) -> Any:
        self._run.asked.begun(claim)
        return await WaitOperation(self._run, claim, call).wait()
