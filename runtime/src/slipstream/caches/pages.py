"""Django's own page cache (cache_page and its middleware) without stampedes: the keys it asks for tell what it is doing.

The middleware asks for a page's header list, then for the page, and after the view stores the two. A miss claims
the key; the store that follows fulfils the claim; the end of the request (`close`) gives up what was not fulfilled and
leaves a mark, so that a page which turned out not to be cacheable makes nobody wait (Varnish calls it hit-for-miss).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from slipstream.caches.driver import Claim, Driver
from slipstream.caches.envelope import MISSING, load, seal
from slipstream.caches.herd import PASS
from slipstream.caches.mistakes import Unpicklable, raise_or_log_once

if TYPE_CHECKING:
    from slipstream.caches.backend import SurvivingCache

# django.utils.cache: _generate_cache_key and _generate_cache_header_key.
PAGE_CACHE_KEY = b":views.decorators.cache.cache_"
HEADER_LIST_KEY = b":views.decorators.cache.cache_header."


@dataclass(slots=True)
class _Held:
    """A claim that this request must fulfil, and what it will store when the page itself is there."""

    claim: Claim
    flight_key: tuple[int, bytes, Any]
    generations: dict[Driver, bytes]  # of all servers at the time of the claim: the page must not outlive a bump since
    deferred: tuple[int, bytes, int | None] | None = None


class PageClaims:
    """The claims of the request that is running in this thread."""

    def __init__(self, cache: SurvivingCache) -> None:
        self._cache = cache
        self._held: dict[bytes, _Held] = {}
        self._is_any_fulfilled = False

    def read(self, full: bytes, generation: bytes, raw: bytes | None, default: Any) -> Any:
        """Return what another process computed, or the previous page, or `default`: then this request is to render."""
        held = self._held.get(full)
        if held is not None:
            if held.deferred is None:
                return default
            flags, payload, _ = held.deferred
            return load(seal(flags, payload, held.claim.generation), held.claim.generation)
        herd = self._cache.herd
        flight_key, steps = herd.begin(full, generation, raw)
        is_kept = False
        try:
            decision = herd.walk(full, steps)
            if decision.value is not MISSING:
                return decision.value
            if decision.claim is not None:
                scope_key = self._cache.scope.generation_key
                generations = {
                    driver: driver.generations[scope_key] for driver in self._cache.drivers if scope_key in driver.generations
                }
                self._held[full] = _Held(decision.claim, flight_key, generations)
                is_kept = True
            return default
        finally:
            if not is_kept:
                herd.end(flight_key)

    def write(self, key: Any, full: bytes, value: Any, spread_ms: int | None, lifetime_ms: int | None) -> None:
        """Store a page or a header list; a page that has no pickle is a mistake, and is not stored."""
        cache = self._cache
        try:
            flags, payload = cache.encode(key, value)
        except Unpicklable as mistake:
            raise_or_log_once(mistake)
            return
        if spread_ms == 0:
            cache.delete(key)
            return
        held = self._held.get(full)
        if HEADER_LIST_KEY in full:
            # It must outlive the page: without it a page that is there cannot be found.
            kept_ms = None if lifetime_ms is None else 2 * lifetime_ms + cache.grace_ms
            if held is None:
                cache.write(full, flags, payload, kept_ms)
            else:
                # Others wait for this key and would then miss the page, which is stored a moment later: keep it till then.
                held.deferred = (flags, payload, kept_ms)
            return
        if held is None:
            waiting = next((other for other in self._held.values() if other.deferred), None)
            cache.write(full, flags, payload, spread_ms, cache.grace_ms, waiting.generations if waiting else None)
            if waiting is not None and waiting.claim.is_mine:
                cache.counts.recomputed += 1
        else:
            del self._held[full]
            sealed = cache.herd.fill(held.claim, flags, payload, spread_ms, cache.grace_ms)
            if sealed is not None:
                held.flight_key[2].raw = (held.claim.generation, sealed)
                cache.counts.recomputed += 1
            cache.herd.end(held.flight_key)
        self._is_any_fulfilled = True
        self._store_deferred()

    def close(self) -> None:
        """Give up what the request did not fulfil."""
        if not self._held:
            self._is_any_fulfilled = False
            return
        self._store_deferred()
        # A HEAD request claims the GET page before it asks for its own: that page is cacheable, so no mark is left.
        mark, mark_ms = (b"", 0) if self._is_any_fulfilled else (PASS, int(self._cache.options.pass_seconds * 1000))
        for held in self._held.values():
            self._cache.herd.release(held.claim, mark, mark_ms)
            self._cache.herd.end(held.flight_key)
        self._held.clear()
        self._is_any_fulfilled = False

    def _store_deferred(self) -> None:
        for full, held in list(self._held.items()):
            if held.deferred is not None:
                flags, payload, kept_ms = held.deferred
                sealed = self._cache.herd.fill(held.claim, flags, payload, kept_ms, 0)
                if sealed is not None:
                    held.flight_key[2].raw = (held.claim.generation, sealed)
                self._cache.herd.end(held.flight_key)
                del self._held[full]
