"""The cache that Django sees: its API, over servers that may be away, slow, or be made new at any moment.

Under a fault reads miss and writes do nothing: get -> default, get_many -> what was found, has_key, add, touch, delete
-> False, set -> None, set_many -> the keys not stored, incr and decr -> the delta (a counter that was lost and began
anew), incr_version -> the new version, get_or_set -> the computed value, clear -> False. A strict cache raises
CacheUnavailable instead.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from random import getrandbits
from time import time
from typing import Any, ClassVar, NamedTuple

from django.core.cache.backends.base import (
    DEFAULT_TIMEOUT,
    BaseCache,
    CacheKeyWarning,
    InvalidCacheKey,
    default_key_func,
)

from slipstream.caches.counts import CacheCounts, counts_of
from slipstream.caches.driver import Driver, Scope
from slipstream.caches.envelope import MISSING, encode, is_current, load
from slipstream.caches.faults import CacheUnavailable, CommandRefused
from slipstream.caches.herd import Herd
from slipstream.caches.mistakes import Unpicklable, raise_or_log_once
from slipstream.caches.options import read_options, read_servers
from slipstream.caches.pages import PAGE_CACHE_KEY, PageClaims
from slipstream.caches.servers import Servers
from slipstream.lifetimes import UnknownLifetime, to_seconds

JITTER_STEPS = 256
CONTROL_CHARACTERS = re.compile(r"[\x00-\x20\x7f]")
KEY_CHARACTERS_AT_MOST = 250  # memcached's own limit, which Django warns about everywhere


class Found(NamedTuple):
    """What a key held: its value or MISSING, and what a claim on it starts from."""

    value: Any
    generation: bytes
    raw: bytes | None


class SurvivingCache(BaseCache):  # type: ignore[misc]  # Django carries no types
    """What the backends of all products share. See the module for what each method answers under a fault."""

    default_location: ClassVar[str]
    connection_names: ClassVar[frozenset[str]]
    driver_class: ClassVar[Any]  # (location, options) -> Driver
    has_key_limits: ClassVar[bool]

    def __init__(self, location: Any, params: Mapping[str, Any]) -> None:
        backend = f"slipstream.caches.{type(self).__name__}"
        entry = {name.upper(): value for name, value in params.items()}
        self.options = read_options(entry, self.connection_names, backend)
        servers = read_servers(location, self.default_location, backend)
        if isinstance(entry.get("TIMEOUT"), str) and not entry["TIMEOUT"].strip().isdigit():
            entry["TIMEOUT"] = to_seconds(entry["TIMEOUT"])
        super().__init__(entry | {"OPTIONS": {}})
        self.scope = Scope(self.key_prefix)
        self.counts: CacheCounts = counts_of(self.key_prefix)
        self.servers = Servers(self.driver_class, servers, self.scope, self.counts, self.options)
        self.drivers = self.servers.drivers
        self.driver_for, self.group = self.servers.pick, self.servers.group
        self.missed, self.lost = self.servers.missed, self.servers.lost
        self.herd = Herd(self)
        self._factors = _jitter_factors(self.options.jitter)
        self._pages = PageClaims(self)

    # Django's API

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        full = self.full_key(key, version)
        try:
            generation, raw = self.driver_for(full).read(self.scope, full)
        except CacheUnavailable as fault:
            return self.missed(fault, default)
        if raw is not None:
            value = load(raw, generation)
            if value is not MISSING:
                self.counts.hits += 1
                return value
        self.counts.misses += 1
        if PAGE_CACHE_KEY in full:
            return self._pages.read(full, generation, raw, default)
        return default

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        by_full = {self.full_key(key, version): key for key in keys}
        found: dict[Any, Any] = {}
        for driver, fulls in self.group(by_full):
            try:
                generation, raws = driver.read_many(self.scope, fulls)
            except CacheUnavailable as fault:
                self.missed(fault, None)
                continue
            for full, raw in zip(fulls, raws, strict=True):
                if raw is not None:
                    value = load(raw, generation)
                    if value is not MISSING:
                        found[by_full[full]] = value
        self.counts.hits += len(found)
        self.counts.misses += len(by_full) - len(found)
        return found

    def set(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> None:
        full = self.full_key(key, version)
        lifetime = self.lifetime_ms(timeout, is_spread=True)
        if PAGE_CACHE_KEY in full:
            self._pages.write(key, full, value, lifetime, self.lifetime_ms(timeout))
            return
        flags, payload = self.encode(key, value)
        if lifetime == 0:
            self.delete(key, version)
        else:
            self.write(full, flags, payload, lifetime)

    def set_many(self, data: Mapping[Any, Any], timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> list[Any]:
        if self.lifetime_ms(timeout) == 0:
            self.delete_many(data, version)
            return []
        by_full = {self.full_key(key, version): key for key in data}
        encoded = {full: self.encode(key, data[key]) for full, key in by_full.items()}
        stored: set[bytes] = set()
        for driver, fulls in self.group(by_full, is_writing=True):
            items = [(full, *encoded[full], self.lifetime_ms(timeout, is_spread=True)) for full in fulls]
            try:
                driver.write_many(self.scope, items)
            except CacheUnavailable as fault:
                self.lost(fault, driver, fulls)
            else:
                stored.update(fulls)
        return [key for full, key in by_full.items() if full not in stored]

    def add(self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        full = self.full_key(key, version)
        flags, payload = self.encode(key, value)
        lifetime = self.lifetime_ms(timeout)
        if lifetime == 0:
            return not self.has_key(key, version)
        driver = None
        try:
            driver = self.driver_for(full, is_writing=True)
            return driver.add(self.scope, full, flags, payload, lifetime)
        except CacheUnavailable as fault:
            self.lost(fault, driver, [full])
            return False

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        lifetime = self.lifetime_ms(timeout)
        if lifetime == 0:
            return self.delete(key, version)
        full = self.full_key(key, version)
        try:
            return self.driver_for(full).touch(self.scope, full, lifetime, self.grace_ms)
        except CacheUnavailable as fault:
            return bool(self.missed(fault, False))

    def delete(self, key: Any, version: int | None = None) -> bool:
        full = self.full_key(key, version)
        driver = None
        try:
            driver = self.driver_for(full, is_writing=True)
            return driver.delete_many(self.scope, [full])[0]
        except CacheUnavailable as fault:
            self.lost(fault, driver, [full])
            return False

    def delete_many(self, keys: Iterable[Any], version: int | None = None) -> None:
        for driver, fulls in self.group([self.full_key(key, version) for key in keys], is_writing=True):
            try:
                driver.delete_many(self.scope, fulls)
            except CacheUnavailable as fault:
                self.lost(fault, driver, fulls)

    def has_key(self, key: Any, version: int | None = None) -> bool:
        full = self.full_key(key, version)
        try:
            generation, raw = self.driver_for(full).read(self.scope, full)
        except CacheUnavailable as fault:
            return bool(self.missed(fault, False))
        return raw is not None and is_current(raw, generation, time() * 1000)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        full = self.full_key(key, version)
        driver = None
        try:
            driver = self.driver_for(full, is_writing=True)
            number = driver.increment(self.scope, full, delta)
        except CacheUnavailable as fault:
            self.lost(fault, driver, [full])
            return delta
        except TypeError as error:
            raise TypeError(f"Key {key!r} holds no integer, so it cannot be counted up or down.") from error
        if number is None:
            raise ValueError(f"Key {key!r} not found")
        return number

    def incr_version(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Move a value to another version; raises ValueError if there is none and the server could be asked."""
        version = self.version if version is None else version
        full = self.full_key(key, version)
        try:
            generation, raw = self.driver_for(full).read(self.scope, full)
        except CacheUnavailable as fault:
            self.missed(fault, None)
            return int(version + delta)
        value = MISSING if raw is None else load(raw, generation)
        if value is MISSING:
            raise ValueError(f"Key {key!r} not found")
        self.set(key, value, version=version + delta)
        self.delete(key, version=version)
        return int(version + delta)

    def get_or_set(self, key: Any, default: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> Any:
        """Return the value; compute it, once across processes, if there is none.

        While another process recomputes an expired value the previous one is returned; where there is none this waits
        `wait_seconds` and then computes for itself. An exception of the computation gives the claim up and is raised.
        """
        full = self.full_key(key, version)
        compute = default if callable(default) else lambda: default
        return self.herd.get_or_compute(key, full, compute, self.lifetime_ms(timeout, is_spread=True))

    def get_or_compute(self, key: Any, compute: Callable[[], Any], timeout: Any, found: Found | None = None) -> Any:
        """As get_or_set, for a key that look_at_many may have read already."""
        full = self.full_key(key, None)
        return self.herd.get_or_compute(key, full, compute, self.lifetime_ms(timeout, is_spread=True), found)

    def look_at_many(self, keys: Iterable[Any]) -> dict[Any, Found]:
        """Read many keys, a round trip for each server, keeping of the missing ones what get_or_compute needs to know."""
        by_full = {self.full_key(key, None): key for key in keys}
        looked: dict[Any, Found] = {}
        for driver, fulls in self.group(by_full):
            try:
                generation, raws = driver.read_many(self.scope, fulls)
            except CacheUnavailable as fault:
                self.missed(fault, None)
                continue
            for full, raw in zip(fulls, raws, strict=True):
                value = MISSING if raw is None else load(raw, generation)
                looked[by_full[full]] = Found(value, generation, raw)
        return looked

    def clear(self) -> bool:
        """Make this logical cache new, whatever else the servers hold; say whether every server was reached."""
        from slipstream.caches.generations import bump_cache

        self._pages.close()
        return not bump_cache(self, is_patient=False).unreached

    def validate_key(self, key: str) -> None:
        if len(key) > KEY_CHARACTERS_AT_MOST or CONTROL_CHARACTERS.search(key):
            message = (
                f"Cache key contains characters that will cause errors if used with memcached: {key!r}"
                if len(key) <= KEY_CHARACTERS_AT_MOST
                else f"Cache key will cause errors if used with memcached: {key!r} (longer than {KEY_CHARACTERS_AT_MOST})"
            )
            if self.has_key_limits:
                raise InvalidCacheKey(message)
            warnings.warn(message, CacheKeyWarning, stacklevel=4)

    def close(self, **kwargs: Any) -> None:
        """End of a request: claims on pages that it did not fulfil are given up. Connections stay open."""
        self._pages.close()

    # What the rest of the package builds on

    @property
    def grace_ms(self) -> int:
        """How long an expired value is kept as the previous one."""
        return int(self.options.grace_seconds * 1000)

    def full_key(self, key: Any, version: int | None) -> bytes:
        """Return the key that the servers see."""
        if self.key_func is not default_key_func:
            full = str(self.make_key(key, version=version))
        else:
            full = f"{self.key_prefix}:{self.version if version is None else version}:{key}"
        if len(full) > KEY_CHARACTERS_AT_MOST or CONTROL_CHARACTERS.search(full):
            self.validate_key(full)
        return full.encode("utf-8", "surrogatepass")

    def lifetime_ms(self, timeout: Any, *, is_spread: bool = False) -> int | None:
        """Return a timeout (seconds, the name of a lifetime, None for ever) in milliseconds; 0 is "already over".

        A name that nobody defined raises UnknownLifetime when DEBUG is on; else it is logged once, and nothing is stored.
        """
        if timeout is DEFAULT_TIMEOUT:
            timeout = self.default_timeout
        elif isinstance(timeout, str):
            try:
                timeout = to_seconds(timeout)
            except UnknownLifetime as mistake:
                raise_or_log_once(mistake)
                return 0
        if timeout is None:
            return None
        milliseconds = timeout * 1000
        if is_spread:
            milliseconds *= self._factors[getrandbits(8)]
        return int(milliseconds) if milliseconds >= 1 else 0

    def encode(self, key: Any, value: Any) -> tuple[int, bytes]:
        """Return (flags, payload); raises Unpicklable, a PicklingError that names the key."""
        try:
            return encode(value, self.options.compress_above_bytes)
        except Exception as reason:
            raise Unpicklable(key, value, reason) from reason

    def write(
        self,
        full: bytes,
        flags: int,
        payload: bytes,
        lifetime_ms: int | None,
        grace_ms: int = 0,
        generations: Mapping[Driver, bytes] | None = None,
    ) -> None:
        """Store a value, or count and remember that it could not be stored."""
        driver = None
        try:
            driver = self.driver_for(full, is_writing=True)
            generation = generations.get(driver) if generations else None
            driver.write(self.scope, full, flags, payload, lifetime_ms, grace_ms, generation)
        except CommandRefused as refusal:
            # Too large or out of memory: the older value must not survive the newer one.
            self.lost(refusal, driver, [full])
        except CacheUnavailable as fault:
            self.lost(fault, driver, [full])


@lru_cache
def _jitter_factors(jitter: float) -> list[float]:
    """From 1 down to 1 - jitter, never longer than asked for: a session or a one-time code must not outlive its promise."""
    return [1.0 - step * jitter / (JITTER_STEPS - 1) for step in range(JITTER_STEPS)]
