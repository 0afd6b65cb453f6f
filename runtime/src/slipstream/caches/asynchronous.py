"""The async half of the cache API: the same operations, from a thread, so that the event loop never waits for a server.

Django gives a cache no place to close connections that belong to an event loop, so the connections are the threads'
own. Unlike Django's defaults these run in parallel (not on the one thread-sensitive thread), are atomic where the
synchronous ones are (aincr, aget_or_set) and keep their promises under faults and stampedes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Any, TypeVar

from asgiref.sync import sync_to_async
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from slipstream.caches.backend import SurvivingCache
from slipstream.caches.envelope import MISSING
from slipstream.caches.herd import Ask, Decision, Steps

T = TypeVar("T")

LANDING_POLL_SECONDS = 0.01  # looking at this process's own flight: no server is asked


class AsyncSurvivingCache(SurvivingCache):
    """Adds the async methods; each is described at its synchronous twin."""

    async def aget(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return await _in_thread(self.get, key, default, version)

    async def aget_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        return await _in_thread(self.get_many, keys, version)

    async def aset(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        await _in_thread(self.set, key, value, timeout, version)

    async def aset_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        return await _in_thread(self.set_many, data, timeout, version)

    async def aadd(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return await _in_thread(self.add, key, value, timeout, version)

    async def atouch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return await _in_thread(self.touch, key, timeout, version)

    async def adelete(self, key: Any, version: int | None = None) -> bool:
        return await _in_thread(self.delete, key, version)

    async def adelete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        await _in_thread(self.delete_many, keys, version)

    async def ahas_key(self, key: Any, version: int | None = None) -> bool:
        return await _in_thread(self.has_key, key, version)

    async def aincr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await _in_thread(self.incr, key, delta, version)

    async def adecr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await _in_thread(self.incr, key, -delta, version)

    async def aincr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await _in_thread(self.incr_version, key, delta, version)

    async def adecr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        return await _in_thread(self.incr_version, key, -delta, version)

    async def aclear(self) -> bool:
        return await _in_thread(self.clear)

    async def aclose(self, **kwargs: Any) -> None:
        self.close(**kwargs)

    async def aget_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """As get_or_set; `default` may be a coroutine function too, and is computed on the caller's own loop."""
        herd, full = self.herd, self.full_key(key, version)
        lifetime_ms = self.lifetime_ms(timeout, is_spread=True)
        value, generation, raw = await _in_thread(herd.look, full)
        if value is not MISSING:
            return value
        if not generation:
            value = default() if callable(default) else default
            return await value if inspect.isawaitable(value) else value
        flight_key, steps = herd.begin(full, generation, raw, is_blocking=False)
        try:
            decision = await _walk(self, full, steps)
            if decision.value is not MISSING:
                return decision.value
            try:
                value = default() if callable(default) else default
                if inspect.isawaitable(value):
                    value = await value
            except BaseException:
                if decision.claim is not None:
                    # Not awaited: a cancelled task may not await, and the claim must not outlive it.
                    asyncio.get_running_loop().run_in_executor(None, herd.release, decision.claim)
                raise
            if decision.claim is not None:
                self.counts.recomputed += 1
            await _in_thread(herd.store, key, decision.claim, value, lifetime_ms, flight_key)
            return value
        finally:
            herd.end(flight_key)


async def _walk(cache: SurvivingCache, full: bytes, steps: Steps) -> Decision:
    answer = None
    try:
        while True:
            step = steps.send(answer)
            answer = None
            if isinstance(step, Ask):
                answer = await _in_thread(cache.herd.ask, full)
            elif step.flight is None:
                await asyncio.sleep(step.seconds)
            else:
                ends_at = monotonic() + step.seconds
                while not step.flight.landed.is_set() and monotonic() < ends_at:
                    await asyncio.sleep(LANDING_POLL_SECONDS)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def _in_thread(function: Callable[..., T], *args: Any) -> T:
    return await sync_to_async(function, thread_sensitive=False)(*args)
