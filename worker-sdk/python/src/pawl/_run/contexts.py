"""What a run needs of the layer above it: the contexts that code gets, and whose code is running."""

from __future__ import annotations

from contextvars import Context as Variables
from typing import Any, Protocol

from .rest import Rest


class Contexts(Protocol):
    def of_run(self, run: Any) -> Any:
        """The context that the workflow's code gets."""

    def invoke(self, body: Any) -> Any:
        """Calls the function of a step."""

    def rest_of(self, variables: Variables) -> Rest | None:
        """That of the run whose workflow code runs with these variables."""

    def is_flow(self, run: Any, variables: Variables) -> bool:
        """Whether what runs with these variables is the run's workflow code, and not a step's."""
