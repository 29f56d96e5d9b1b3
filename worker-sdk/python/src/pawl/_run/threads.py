"""Threads for steps that are plain functions.

The pool that asyncio has by itself holds as many threads as there are cores, and four: steps that
wait for one another, or for a program that uses that pool too, would wait for a thread for ever.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

#: Made as they are needed, and kept.
_THREADS_MAX = 256
_pool = ThreadPoolExecutor(_THREADS_MAX, thread_name_prefix="pawl-step")


async def in_thread(function: Callable[..., Any], *args: Any) -> Any:
    """What the function returns or raises; it runs in a copy of the caller's context."""
    run = functools.partial(contextvars.copy_context().run, function, *args)
    return await asyncio.get_running_loop().run_in_executor(_pool, run)
