"""One shared cache, as several logical ones that can be bumped separately (blueprint D3)."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

LOGICAL = ("pages", "fragments", "queries", "sessions")
"""Beside ``default``: each with its own key prefix, so that raising one VERSION empties one of them."""

REPLACED = ("django.core.cache.backends.locmem.LocMemCache", "django.core.cache.backends.dummy.DummyCache")
"""Not caches of a site: every process has its own, or nothing is kept. Any other choice of the project is kept."""


MEMCACHED = "memcached://"
"""Scheme of the stack's URLs of Memcached servers; a LOCATION has none. Every other URL is a Redis server's."""


def backend(urls: tuple[str, ...]) -> str:
    """The runtime's backend, which survives faults and stampedes; Django's own while the runtime has none."""
    has_own = find_spec("slipstream.caches") is not None
    if urls[0].startswith(MEMCACHED):
        return "slipstream.caches.MemcachedCache" if has_own else "django.core.cache.backends.memcached.PyMemcacheCache"
    return "slipstream.caches.RedisCache" if has_own else "django.core.cache.backends.redis.RedisCache"


def place_caches(settings: Settings, offer: Offer) -> list[Change]:
    if not offer.cache_urls:
        return []
    caches: dict[str, dict[str, Any]] = dict(value_of(settings, "CACHES"))
    servers = [url.removeprefix(MEMCACHED) for url in offer.cache_urls]
    location: str | list[str] = servers[0] if len(servers) == 1 else servers
    chosen = backend(offer.cache_urls)
    default = caches.get("default", {"BACKEND": REPLACED[0]})
    if default.get("BACKEND") in REPLACED:
        kept: dict[str, Any] = {
            key: default[key] for key in ("TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION") if key in default
        }
        caches["default"] = {**kept, "BACKEND": chosen, "LOCATION": location}
    for name in LOGICAL:
        caches.setdefault(name, {"BACKEND": chosen, "LOCATION": location, "KEY_PREFIX": name})
    return change(
        settings,
        "CACHES",
        caches,
        "the stack's cache, shared by all processes; pages, fragments, queries and sessions can be bumped one by one",
    )
