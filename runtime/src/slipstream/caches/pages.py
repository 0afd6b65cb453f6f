"""Django's own page cache (cache_page and its middleware) without stampedes: the keys it asks for tell what it is doing.

The middleware asks for a page's header list, then for the page, and after the view stores the two. A miss claims
the key; the store that follows fulfils the claim; the end of the request (`close`) gives up what was not fulfilled and
leaves a mark, so that a page which turned out not to be cacheable makes nobody wait (Varnish calls it hit-for-miss).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.core.signals import request_finished

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


@dataclass(slots=True)
class _Request:
    """What one request holds in one cache."""

    cache: SurvivingCache
    held: dict[bytes, _Held] = field(default_factory=dict)
    is_any_fulfilled: bool = False


Requests = dict[tuple[int, bytes], _Request]  # by cache

# Under WSGI a request has its thread, and so a context. Under ASGI several requests may share a cache object and a context, a
# request goes through several threads and tasks, and its end is told in another context than its views ran in; what all
# of it has in common is the ThreadSensitiveContext that Django's handler opens.
_of_context: ContextVar[Requests | None] = ContextVar("slipstream_page_claims", default=None)
_of_asgi_request: WeakKeyDictionary[ThreadSensitiveContext, Requests] = WeakKeyDictionary()


class PageClaims:
    """The claims of the request that is running."""

    def __init__(self, cache: SurvivingCache) -> None:
        self._cache = cache
        self._where = (id(cache.drivers[0]), cache.scope.generation_key)

    @property
    def _request(self) -> _Request:
        requests = _requests()
        if requests is None:
            requests = {}
            asgi_request = SyncToAsync.thread_sensitive_context.get(None)
            if asgi_request is None:
                _of_context.set(requests)
            else:
                _of_asgi_request[asgi_request] = requests
        return requests.setdefault(self._where, _Request(self._cache))

    def read(self, full: bytes, generation: bytes, raw: bytes | None, default: Any) -> Any:
        """Return what another process computed, or the previous page, or `default`: then this request is to render."""
        request = self._request
        held = request.held.get(full)
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
                request.held[full] = _Held(decision.claim, flight_key, generations)
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
        request = self._request
        held = request.held.get(full)
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
            waiting = next((other for other in request.held.values() if other.deferred), None)
            cache.write(full, flags, payload, spread_ms, cache.grace_ms, waiting.generations if waiting else None)
            if waiting is not None and waiting.claim.is_mine:
                cache.counts.recomputed += 1
        else:
            del request.held[full]
            sealed = cache.herd.fill(held.claim, flags, payload, spread_ms, cache.grace_ms)
            if sealed is not None:
                held.flight_key[2].raw = (held.claim.generation, sealed)
                cache.counts.recomputed += 1
            cache.herd.end(held.flight_key)
        request.is_any_fulfilled = True
        _store_deferred(request)

    def close(self) -> None:
        """Give up what the request did not fulfil in this cache."""
        requests = _requests()
        if requests is not None:
            request = requests.pop(self._where, None)
            if not requests:
                _of_context.set(None)  # a context that is inherited from here is another request's
            if request is not None:
                _give_up(request)


def _requests() -> Requests | None:
    asgi_request = SyncToAsync.thread_sensitive_context.get(None)
    return _of_context.get() if asgi_request is None else _of_asgi_request.get(asgi_request)


def _give_up(request: _Request) -> None:
    if not request.held:
        return
    _store_deferred(request)
    herd, options = request.cache.herd, request.cache.options
    # A HEAD request claims the GET page before it asks for its own: that page is cacheable, so no mark is left.
    mark, mark_ms = (b"", 0) if request.is_any_fulfilled else (PASS, int(options.pass_seconds * 1000))
    for held in request.held.values():
        herd.release(held.claim, mark, mark_ms)
        herd.end(held.flight_key)


def _store_deferred(request: _Request) -> None:
    herd = request.cache.herd
    for full, held in list(request.held.items()):
        if held.deferred is not None:
            flags, payload, kept_ms = held.deferred
            sealed = herd.fill(held.claim, flags, payload, kept_ms, 0)
            if sealed is not None:
                held.flight_key[2].raw = (held.claim.generation, sealed)
            herd.end(held.flight_key)
            del request.held[full]


def _end_of_request(**kwargs: Any) -> None:
    """Django closes the caches of the context it is in; under ASGI that is not the one the request used them in."""
    requests = _requests()
    while requests:
        _give_up(requests.popitem()[1])


request_finished.connect(_end_of_request, dispatch_uid="slipstream.caches.pages")
