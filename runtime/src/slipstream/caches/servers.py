"""Which of a cache's servers is asked, and what is noted when it cannot be."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from slipstream.caches.counts import CacheCounts
from slipstream.caches.driver import Driver, Ejected, Scope
from slipstream.caches.faults import CacheUnavailable
from slipstream.caches.options import CacheOptions
from slipstream.caches.ring import rank_servers, slot_of

# One driver per process for the same server and options, so that caches and threads share connections and breakers.
_drivers: dict[Any, Driver] = {}
_drivers_lock = threading.Lock()
_rank_tables: dict[tuple[str, ...], list[tuple[int, ...]]] = {}


class Servers:
    """The servers of one logical cache."""

    def __init__(self, driver_class: Any, names: Sequence[str], scope: Scope, counts: CacheCounts, options: CacheOptions) -> None:
        self.scope = scope
        self.counts = counts
        self.is_strict = options.strict
        self.drivers = [_shared_driver(driver_class, name, options) for name in names]
        self._only = self.drivers[0] if len(self.drivers) == 1 else None
        self._ranks = [] if self._only else _ranks_of(tuple(driver.name for driver in self.drivers))

    def pick(self, full: bytes, *, is_writing: bool = False) -> Driver:
        """Return the server of a key, or the next in its rank that is not ejected; raises Ejected when all are."""
        only = self._only
        if only is not None:
            if only.retry_at and not only.may_be_tried():
                if is_writing:
                    only.owe(self.scope, [full])
                raise Ejected(f"cache server {only.name} is ejected")
            if only.owed or only.owed_scopes:
                self._settle(only, full, is_writing)
            return only
        drivers = self.drivers
        away: list[Driver] = []
        for index in self._ranks[slot_of(full)]:
            driver = drivers[index]
            if not driver.retry_at or driver.may_be_tried():
                if driver.owed or driver.owed_scopes:
                    self._settle(driver, full, is_writing)
                if is_writing:
                    # What the ejected ones have is old from now on; what the stand-in has, once they are back.
                    for ejected in away:
                        ejected.owe(self.scope, [full], driver)
                return driver
            away.append(driver)
        if is_writing:
            for ejected in away:
                ejected.owe(self.scope, [full])
        raise Ejected("every cache server is ejected")

    def group(self, fulls: Iterable[bytes], *, is_writing: bool = False) -> list[tuple[Driver, list[bytes]]]:
        """Return the keys by the server that holds them; keys without a living server are left out and counted."""
        groups: dict[Driver, list[bytes]] = {}
        if self._only is not None:
            keys = list(fulls)
            if not keys:
                return []
            try:
                return [(self.pick(keys[0]), keys)]
            except CacheUnavailable as fault:
                if is_writing:
                    self.lost(fault, self._only, keys)
                else:
                    self.missed(fault, None)
                return []
        for full in fulls:
            try:
                groups.setdefault(self.pick(full, is_writing=is_writing), []).append(full)
            except CacheUnavailable as fault:
                self.missed(fault, None)
        return list(groups.items())

    def missed(self, fault: CacheUnavailable, default: Any) -> Any:
        """Account for a read that a fault turned into a miss; a strict cache raises."""
        self.counts.faults += 1
        if self.is_strict:
            raise fault
        return default

    def lost(self, fault: CacheUnavailable, driver: Driver | None, fulls: Sequence[bytes]) -> None:
        """Account for a write that a fault turned into nothing; a strict cache raises.

        The key is deleted before the server is next used: after a lost write its old value is a wrong one.
        """
        self.counts.lost_writes += 1
        if driver is not None:
            driver.owe(self.scope, fulls)
        if self.is_strict:
            raise fault

    def _settle(self, driver: Driver, full: bytes, is_writing: bool) -> None:
        try:
            driver.settle(self.scope)
        except CacheUnavailable:
            if is_writing:
                driver.owe(self.scope, [full])
            raise


def _shared_driver(driver_class: Any, name: str, options: CacheOptions) -> Driver:
    times = (options.timeout_seconds, options.failures_before_ejection, options.retry_seconds)
    identity = (driver_class, name, times, repr(options.connection))
    with _drivers_lock:
        if identity not in _drivers:
            _drivers[identity] = driver_class(name, options)
        return _drivers[identity]


def _ranks_of(names: tuple[str, ...]) -> list[tuple[int, ...]]:
    if names not in _rank_tables:
        _rank_tables[names] = rank_servers(names)
    return _rank_tables[names]
