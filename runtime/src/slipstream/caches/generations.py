"""Making a logical cache new at once, without flushing anything else: `bump` gives its servers a new generation.

Every value names the generation it was made in, and every read brings the current one along in the same round trip, so
that no process serves an older value once bump has returned. The old values expire by themselves.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.cache import caches

from slipstream.caches.faults import CacheUnavailable

if TYPE_CHECKING:
    from slipstream.caches.backend import SurvivingCache

REACH_SECONDS = 2.0  # a bump is rare and must arrive: it may take longer than an operation of a request


class UnknownCache(ValueError):
    """A logical cache was named that is not in CACHES, or is not one of slipstream's."""


@dataclass(frozen=True, slots=True)
class Bump:
    """What a bump did, and the work it will cause."""

    name: str
    renewed: tuple[str, ...]  # servers that hold nothing of the cache any more
    unreached: tuple[str, ...]  # servers that could not be told; this process tells them when they return
    values: int | None  # about how many values will be computed again; None when it was not counted

    def __str__(self) -> str:
        work = "" if self.values is None else f"; about {self.values} values will be computed again as they are asked for"
        away = f". NOT reached: {', '.join(self.unreached)}; bump again when they are back" if self.unreached else ""
        return f"{self.name}: new on {len(self.renewed)} server{'s' * (len(self.renewed) != 1)}{work}{away}"


def bump(name: str) -> Bump:
    """Make the cache with this alias in CACHES new; every value in it is a miss for every process from now on.

    Caches with the same KEY_PREFIX on the same servers are one logical cache. Raises UnknownCache.
    """
    from slipstream.caches.backend import SurvivingCache

    if name not in settings.CACHES:
        nearest = difflib.get_close_matches(name, settings.CACHES, n=1)
        hint = f"Did you mean {nearest[0]}?" if nearest else f"There are {', '.join(sorted(settings.CACHES))}."
        raise UnknownCache(f"There is no cache {name!r} in CACHES. {hint}")
    cache = caches[name]
    if not isinstance(cache, SurvivingCache):
        raise UnknownCache(
            f"Cache {name!r} is a {type(cache).__module__}.{type(cache).__name__}, which has no generations; its clear() may "
            "empty more than itself. Set its BACKEND to slipstream.caches.RedisCache or MemcachedCache."
        )
    return bump_cache(cache, name)


def bump_cache(cache: SurvivingCache, name: str = "", *, is_patient: bool = True) -> Bump:
    """As bump, for a cache at hand; without patience (clear) in the time of a usual operation, and without a count."""
    renewed: list[str] = []
    unreached: list[str] = []
    values = 0
    for driver in cache.drivers:
        if not is_patient and driver.retry_at:
            driver.owe_generation(cache.scope)
            unreached.append(driver.name)
            continue
        try:
            if is_patient:
                values += driver.estimate_keys(cache.scope, REACH_SECONDS)
        except CacheUnavailable:
            pass  # a count is worth having; the bump is what matters
        try:
            driver.renew_generation(cache.scope, REACH_SECONDS if is_patient else driver.timeout_seconds)
            renewed.append(driver.name)
        except CacheUnavailable:
            driver.owe_generation(cache.scope)
            unreached.append(driver.name)
    if unreached and cache.options.strict:
        raise CacheUnavailable(f"cache servers not reached by a bump: {', '.join(unreached)}")
    return Bump(name or cache.key_prefix, tuple(renewed), tuple(unreached), values if is_patient else None)
