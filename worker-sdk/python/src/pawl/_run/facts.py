"""What is known of a run when its execution begins."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What is known of a run when its execution starts."""

    run_id: str
    #: Of this life of the run id; what outlives the run is named by it.
    run_uid: str
    fence: int
    #: How often the run has been leased out, from 1.
    attempt: int
    workflow: str
    version: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    session_id: str = ""
    user_id: str = ""
    traceparent: str = ""
    cancelling: bool = False
    #: How far the server's clock is ahead of this machine's.
    clock_ahead_s: float = 0.0
    #: Ask before every step, and do not run what the answer does not allow.
    confirm_starts: bool = False
    #: The run has lost a worker: await each start until something has ended.
    careful: bool = False
