"""One recomputation of an expired value across threads, processes and hosts, and what everybody else gets meanwhile.

A claim is a key with the owner's token and an expiry: it dies with its owner. Claiming and reading the value are one
step, so that a value stored just before the claim is seen and not computed again. The owner stores only if
nobody wrote, deleted or bumped the key since the claim (the leases of Nishtala et al., NSDI 2013). The protocol is a
generator that names the next step; `Herd` walks it with threads and the async methods walk it with a loop.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from time import monotonic, sleep
from typing import TYPE_CHECKING, Any

from slipstream.caches.driver import Claim
from slipstream.caches.envelope import MISSING, load, load_previous
from slipstream.caches.faults import CacheUnavailable
from slipstream.caches.mistakes import Unpicklable, raise_or_log_once

if TYPE_CHECKING:
    from slipstream.caches.backend import Found, SurvivingCache

PASS = b"pass"  # in the place of a claim: the value cannot be cached, so nobody need wait for it
FIRST_POLL_SECONDS = 0.005
LONGEST_POLL_SECONDS = 0.05


class Flight:
    """A key that this process is waiting for or computing: its other threads look here, and not at the server."""

    __slots__ = ("claim", "landed", "raw", "thread")

    def __init__(self) -> None:
        self.thread = threading.get_ident()
        self.landed = threading.Event()
        self.raw: tuple[bytes, bytes] | None = None  # (generation, envelope) once it is there
        self.claim: Claim | None = None  # what others wait for; they may store under it when their wait is over


@dataclass(frozen=True, slots=True)
class Ask:
    """Step: claim the key; the walker sends back a Claim, or None when no server can be asked."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Step: sleep, or until this process's own flight lands."""

    seconds: float
    flight: Flight | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """End of the protocol: the value to return, or MISSING and the claim to compute under (None: compute, store nothing)."""

    value: Any
    claim: Claim | None = None


Steps = Generator[Ask | Wait, Claim | None, Decision]

_flights: dict[tuple[int, bytes], Flight] = {}
_flights_lock = threading.Lock()


class Herd:
    """The protocol of one logical cache."""

    def __init__(self, cache: SurvivingCache) -> None:
        self.cache = cache

    def get_or_compute(
        self, key: Any, full: bytes, compute: Callable[[], Any], lifetime_ms: int | None, found: Found | None = None
    ) -> Any:
        """Return the value of a key, computed at most once at a time. See SurvivingCache.get_or_set."""
        value, generation, raw = found or self.look(full)
        if value is not MISSING:
            return value
        if not generation:
            return compute()  # no server can be asked: asking for a claim would cost the timeout once more
        flight_key, steps = self.begin(full, generation, raw)
        try:
            decision = self.walk(full, steps)
            if decision.value is not MISSING:
                return decision.value
            value = self._compute_under(decision.claim, compute)
            self.store(key, decision.claim, value, lifetime_ms, flight_key)
            return value
        finally:
            self.end(flight_key)

    def look(self, full: bytes) -> tuple[Any, bytes, bytes | None]:
        """Read a key: (fresh value or MISSING, generation, raw); the generation is empty when no server can be asked."""
        cache = self.cache
        try:
            generation, raw = cache.driver_for(full).read(cache.scope, full)
        except CacheUnavailable as fault:
            cache.missed(fault, None)
            return MISSING, b"", None
        value = MISSING if raw is None else load(raw, generation)
        if value is MISSING:
            cache.counts.misses += 1
        else:
            cache.counts.hits += 1
        return value, generation, raw

    def begin(
        self, full: bytes, generation: bytes, raw: bytes | None, *, is_blocking: bool = True
    ) -> tuple[tuple[int, bytes, Flight], Steps]:
        """Return the flight to end and the steps to walk, for a key that was found missing or expired.

        Whoever waits by blocking the thread must not wait for what the same thread is to compute.
        """
        own = Flight()
        where = (id(self.cache.drivers[0]), full)
        with _flights_lock:
            flight = _flights.setdefault(where, own)
        return (*where, own), self._steps(where, flight, own, load_previous(raw, generation), is_blocking)

    def end(self, flight_key: tuple[int, bytes, Flight]) -> None:
        """Land the flight, if it is this caller's, so that the waiting threads look again."""
        where, own = flight_key[:2], flight_key[2]
        with _flights_lock:
            if _flights.get(where) is own:
                del _flights[where]
        own.landed.set()

    def walk(self, full: bytes, steps: Steps) -> Decision:
        """Walk the steps with this thread."""
        answer: Claim | None = None
        try:
            while True:
                step = steps.send(answer)
                answer = None
                if isinstance(step, Ask):
                    answer = self.ask(full)
                elif step.flight is not None:
                    step.flight.landed.wait(step.seconds)
                else:
                    sleep(step.seconds)
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def ask(self, full: bytes) -> Claim | None:
        """Claim a key and read it; None when no server can be asked."""
        cache = self.cache
        try:
            driver = cache.driver_for(full, is_writing=True)
            return driver.claim(cache.scope, full, secrets.token_hex(8).encode(), int(cache.options.claim_seconds * 1000))
        except CacheUnavailable as fault:
            return cache.missed(fault, None)  # type: ignore[no-any-return]

    def store(
        self,
        key: Any,
        claim: Claim | None,
        value: Any,
        lifetime_ms: int | None,
        flight_key: tuple[int, bytes, Flight] | None = None,
    ) -> None:
        """Store a computed value under its claim; a value that has no pickle is a mistake, and is not stored."""
        cache = self.cache
        if claim is None:
            return
        if lifetime_ms == 0:
            self.release(claim)
            return
        try:
            flags, payload = cache.encode(key, value)
        except Unpicklable as mistake:
            self.release(claim)
            raise_or_log_once(mistake)
            return
        sealed = self.fill(claim, flags, payload, lifetime_ms, cache.grace_ms)
        if sealed is not None and flight_key is not None:
            flight_key[2].raw = (claim.generation, sealed)

    def fill(self, claim: Claim, flags: int, payload: bytes, lifetime_ms: int | None, grace_ms: int) -> bytes | None:
        """Store a payload under a claim and return the envelope; None when it was superseded or lost."""
        cache = self.cache
        try:
            if claim.server.retry_at:
                raise CacheUnavailable(f"cache server {claim.server.name} was ejected meanwhile")
            sealed = claim.server.fill(cache.scope, claim, flags, payload, lifetime_ms, grace_ms)
        except CacheUnavailable as fault:
            cache.lost(fault, claim.server, [claim.key])
            return None
        if sealed is None:
            cache.counts.superseded += 1
        return sealed

    def release(self, claim: Claim, mark: bytes = b"", mark_ms: int = 0) -> None:
        """Give up a claim that is ours."""
        if claim.is_mine and not claim.server.retry_at:
            try:
                claim.server.release(claim, mark, mark_ms)
            except CacheUnavailable:
                pass  # it expires by itself

    def _compute_under(self, claim: Claim | None, compute: Callable[[], Any]) -> Any:
        try:
            value = compute()
        except BaseException:
            if claim is not None:
                self.release(claim)
            raise
        if claim is not None:
            self.cache.counts.recomputed += 1
        return value

    def _steps(self, where: tuple[int, bytes], flight: Flight, own: Flight, previous: Any, is_blocking: bool) -> Steps:
        counts = self.cache.counts
        ends_at = monotonic() + self.cache.options.wait_seconds
        poll = FIRST_POLL_SECONDS
        while flight is not own:  # another thread of this process is at it
            if previous is not MISSING:
                counts.served_previous += 1
                return Decision(previous)
            if is_blocking and flight.thread == own.thread:
                return Decision(MISSING)  # computed by a computation of itself, or by another request on this very thread
            left = ends_at - monotonic()
            if left <= 0:
                counts.waited_in_vain += 1
                # Storing under the other thread's claim is allowed; giving it up is not.
                return Decision(MISSING, flight.claim and replace(flight.claim, is_mine=False))
            yield Wait(left, flight)
            if flight.raw is not None:
                generation, raw = flight.raw
                value = load(raw, generation)
                if value is not MISSING:
                    counts.waited += 1
                    return Decision(value)
            if flight.landed.is_set():
                with _flights_lock:
                    flight = _flights.setdefault(where, own)
        while True:
            claim = yield Ask()
            if claim is None:
                return Decision(MISSING)
            value = MISSING if claim.raw is None else load(claim.raw, claim.generation)
            if value is not MISSING:
                if claim.is_mine:
                    self.release(claim)
                if claim.raw is not None:
                    own.raw = (claim.generation, claim.raw)
                counts.waited += 1
                return Decision(value)
            if claim.is_mine:
                own.claim = claim
                return Decision(MISSING, claim)
            if claim.owner == PASS:
                return Decision(MISSING)
            previous = load_previous(claim.raw, claim.generation)
            if previous is not MISSING:
                counts.served_previous += 1
                return Decision(previous)
            own.claim = claim
            left = ends_at - monotonic()
            if left <= 0:
                counts.waited_in_vain += 1
                return Decision(MISSING, claim)
            yield Wait(min(poll, left))
            poll = min(poll * 1.5, LONGEST_POLL_SECONDS)


def _forget_flights_after_fork() -> None:
    global _flights_lock
    _flights_lock = threading.Lock()
    _flights.clear()  # the parent's threads do not exist here


os.register_at_fork(after_in_child=_forget_flights_after_fork)
