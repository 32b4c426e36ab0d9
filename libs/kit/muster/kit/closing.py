"""Ending clients of Kafka within a bound, whatever state the broker is in.

aiokafka's `stop()` waits for a broker that may be down, and raises CancelledError of tasks of its own, which must not
be taken for a cancellation of the caller.
"""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any

from aiokafka.errors import KafkaError


async def closed(closing: Coroutine[Any, Any, Any], limit_s: float) -> bool:
    """Whether this closed in order within the limit; what is left of it then is cancelled. Bugs are raised."""
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.wait({task}, timeout=limit_s)
    finally:
        in_time = task.done()
        await cancelled([task])
    if task.cancelled() or not in_time:
        return False
    error = task.exception()
    if error is not None and not isinstance(error, KafkaError | OSError | TimeoutError):
        raise error
    return error is None


async def cancelled(tasks: Iterable["asyncio.Future[Any]"], limit_s: float = 1.0) -> None:
    """Cancel tasks and wait until they have ended, or the limit is over."""
    running = [task for task in tasks if not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=limit_s)
