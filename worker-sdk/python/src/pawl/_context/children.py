"""Child runs."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar, overload

from .._run import waits
from .._run.child import ChildOptions, child_call, child_input
from .._run.definition import Definition
from .._run.keys import Claim, check_name, check_text
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
        **kwargs: Any,
    ) -> Coroutine[Any, Any, Any]:
        """Starts a child run and waits for its result. Of a workflow that is known by its name only,
        the input is the one argument.

        - `run_id`: by default derived from this run's id and the step's key.
        - `key`: tells children of one workflow apart by what they are about.
        """
        name, input = child_input(workflow, args, kwargs)
        check_name("a child workflow", name)
        check_text("the run id of a child", run_id or "")
        for tag, text in (tags or {}).items():
            check_text("the name of a tag", tag)
            check_text(f'the tag "{tag}"', text)
        options = ChildOptions(run_id or "", queue, priority, tags or {})
        return self._child(workflow, name, input, waits.key_of(key), options)

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
