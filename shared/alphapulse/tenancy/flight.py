"""Let callers that want the same thing at the same time share one piece of work."""

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class SingleFlight(Generic[Key, Value]):
    """Runs at most one piece of work per key at a time."""

    def __init__(self) -> None:
        self._under_way: dict[Key, asyncio.Task[Value]] = {}

    async def run(self, key: Key, start: Callable[[], Awaitable[Value]]) -> Value:
        """Return what the work for `key` that is under way gives, or begin it.

        A caller that is cancelled does not take the work of the others with it.
        """
        task = self._under_way.get(key)
        if task is None:
            task = asyncio.ensure_future(_await(start))
            self._under_way[key] = task
            task.add_done_callback(lambda done: self._landed(key, done))
        return await asyncio.shield(task)

    def forget(self, key: Key) -> None:
        """Let callers from now on begin anew; those who wait get what they wait for."""
        self._under_way.pop(key, None)

    def carries(self, key: Key) -> bool:
        """Tell whether work for `key` is under way."""
        return key in self._under_way

    def keys(self) -> list[Key]:
        """Return the keys of all work under way."""
        return list(self._under_way)

    def _landed(self, key: Key, task: asyncio.Task[Value]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # or asyncio complains of it when no caller waits any more


async def _await(start: Callable[[], Awaitable[Any]]) -> Any:
    return await start()
