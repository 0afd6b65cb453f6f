"""Caches that survive faults, stampedes, restarts and mistakes: the backends for CACHES, and what goes with them."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.caches.checks import check_caches
    from slipstream.caches.counts import cache_counts
    from slipstream.caches.decorator import cached
    from slipstream.caches.faults import CacheUnavailable, server_counts
    from slipstream.caches.generations import Bump, UnknownCache, bump
    from slipstream.caches.memcached import MemcachedCache
    from slipstream.caches.redis import RedisCache

__all__ = [
    "Bump",
    "CacheUnavailable",
    "MemcachedCache",
    "RedisCache",
    "UnknownCache",
    "bump",
    "cache_counts",
    "cached",
    "check_caches",
    "server_counts",
]

# Imported when asked for: a project with Redis needs no pymemcache, and settings may name these before apps are ready.
_HOMES = {
    "Bump": "generations",
    "CacheUnavailable": "faults",
    "MemcachedCache": "memcached",
    "RedisCache": "redis",
    "UnknownCache": "generations",
    "bump": "generations",
    "cache_counts": "counts",
    "cached": "decorator",
    "check_caches": "checks",
    "server_counts": "faults",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
