"""What a cache asks of one server, whatever the product: reads and writes that carry the generation, claims, and amends."""

from __future__ import annotations

import logging
import secrets
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from slipstream.caches.faults import CacheUnavailable, Server
from slipstream.caches.options import CacheOptions

logger = logging.getLogger("slipstream.caches")

# Lost writes that are remembered key by key; beyond it the caches concerned start anew on the server.
OWED_KEYS_AT_MOST = 10_000


class Scope:
    """A logical cache on a server: its prefix, and the key under which the server keeps its generation."""

    __slots__ = ("generation_key", "generation_request", "prefix", "read_head")

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix.encode()
        self.generation_key = self.prefix + b":slipstream:generation"
        length = len(self.generation_key)
        self.generation_request = b"*2\r\n$3\r\nGET\r\n$%d\r\n%b\r\n" % (length, self.generation_key)
        self.read_head = b"*3\r\n$4\r\nMGET\r\n$%d\r\n%b\r\n$" % (length, self.generation_key)

    def is_value(self, key: bytes) -> bool:
        """Say whether a server's key belongs to a value of this cache (and is no claim or generation)."""
        return key.startswith(self.prefix + b":") and not key.endswith((b":claim", b":slipstream:generation"))


@dataclass(frozen=True, slots=True)
class Claim:
    """What was found when a process asked to be the one that recomputes a key."""

    server: Driver
    key: bytes
    generation: bytes
    raw: bytes | None  # the value found there, expired or of an earlier generation
    owner: bytes  # the token of whoever holds the claim
    is_mine: bool
    seen: bytes  # what the product compares to know whether the key was written since


class Driver(Server, ABC):
    """One server of a product. Every method is one operation with one deadline, and raises CacheUnavailable.

    Lifetimes are milliseconds, None for ever. Keys are complete. Values of another generation, and expired ones,
    count as absent in every answer.
    """

    def __init__(self, name: str, connect: Callable[[float], Any], options: CacheOptions) -> None:
        super().__init__(name, connect, options.timeout_seconds, options.failures_before_ejection, options.retry_seconds)
        self.owed: dict[bytes, None] = {}  # keys to delete here before the next operation
        self.owed_scopes: dict[bytes, Scope] = {}  # caches to start anew here before the next operation
        # What stand-ins hold until this server is back, by key or, for a cache that has to start anew there, by its scope.
        self._lent: dict[tuple[bytes, Driver], Scope] = {}
        self._settling = threading.RLock()

    @abstractmethod
    def read(self, scope: Scope, key: bytes) -> tuple[bytes, bytes | None]:
        """Return (generation, raw value or None)."""

    @abstractmethod
    def read_many(self, scope: Scope, keys: Sequence[bytes]) -> tuple[bytes, list[bytes | None]]:
        """Return (generation, raw values in the order of the keys)."""

    @abstractmethod
    def write(
        self,
        scope: Scope,
        key: bytes,
        flags: int,
        payload: bytes,
        lifetime_ms: int | None,
        grace_ms: int = 0,
        generation: bytes | None = None,
    ) -> None:
        """Store a value; with `grace_ms` it stays that much longer, as a previous one.

        With `generation` it is a value of that generation, and absent if the cache was bumped since.
        """

    @abstractmethod
    def write_many(self, scope: Scope, items: Sequence[tuple[bytes, int, bytes, int | None]]) -> None:
        """Store (key, flags, payload, lifetime_ms) items."""

    @abstractmethod
    def add(self, scope: Scope, key: bytes, flags: int, payload: bytes, lifetime_ms: int | None) -> bool:
        """Store a value where there is none; say whether it was stored."""

    @abstractmethod
    def touch(self, scope: Scope, key: bytes, lifetime_ms: int | None, grace_ms: int) -> bool:
        """Give a value a new lifetime; say whether there was one."""

    @abstractmethod
    def increment(self, scope: Scope, key: bytes, delta: int) -> int | None:
        """Add to an integer and return it; None if there is none; raises TypeError if it is something else."""

    @abstractmethod
    def delete_many(self, scope: Scope, keys: Sequence[bytes]) -> list[bool]:
        """Remove values and the claims on them; say for each whether it was there."""

    @abstractmethod
    def claim(self, scope: Scope, key: bytes, token: bytes, claim_ms: int) -> Claim:
        """Claim the recomputation of a key, unless another holds it, and read the key in the same breath."""

    @abstractmethod
    def fill(
        self, scope: Scope, claim: Claim, flags: int, payload: bytes, lifetime_ms: int | None, grace_ms: int
    ) -> bytes | None:
        """Store under a claim and give it up; None, and nothing stored, if the key was written, deleted or bumped since."""

    @abstractmethod
    def release(self, claim: Claim, mark: bytes = b"", mark_ms: int = 0) -> None:
        """Give up a claim; a mark left in its place tells others not to wait."""

    @abstractmethod
    def start_generation(self, scope: Scope) -> bytes:
        """Return the generation of a cache, making one if the server has none."""

    @abstractmethod
    def renew_generation(self, scope: Scope, timeout_seconds: float) -> None:
        """Make everything that the cache holds on this server absent, at once and for every process."""

    @abstractmethod
    def estimate_keys(self, scope: Scope, timeout_seconds: float) -> int:
        """Return about how many values of the cache the server holds."""

    def forget_connections(self) -> None:
        super().forget_connections()
        self._settling = threading.RLock()

    def claim_key(self, key: bytes) -> bytes:
        """Return the key under which a claim on `key` is kept."""
        return key + b":claim"

    def adopt(self, scope: Scope, generation: bytes | None) -> bytes:
        """Remember the generation that a server reported; None means it has lost it, and gets a new one."""
        if not generation:
            return self.start_generation(scope)
        self.generations[scope.generation_key] = generation
        return generation

    def owe(self, scope: Scope, keys: Sequence[bytes], stand_in: Driver | None = None) -> None:
        """Remember that writes to these keys may not have reached this server: what it has there must not be read again.

        Once it is back the same holds for what a stand-in has: it would be read when this one is away the next time.
        """
        with self._settling:
            if len(self.owed) + len(keys) > OWED_KEYS_AT_MOST:
                self.owed_scopes[scope.generation_key] = scope
                keys = [scope.generation_key]
            else:
                self.owed.update(dict.fromkeys(keys))
            if stand_in is not None:
                self._lent.update({(key, stand_in): scope for key in keys})

    def owe_generation(self, scope: Scope) -> None:
        """Remember that a bump did not reach this server."""
        with self._settling:
            self.owed_scopes[scope.generation_key] = scope

    def settle(self, scope: Scope) -> None:
        """Delete what is owed before anything else is asked of the server; raises CacheUnavailable when it is still away."""
        with self._settling:
            for owed_scope in list(self.owed_scopes.values()):
                self.renew_generation(owed_scope, self.timeout_seconds)
                del self.owed_scopes[owed_scope.generation_key]
            keys = list(self.owed)
            for start in range(0, len(keys), 1000):
                chunk = keys[start : start + 1000]
                self.delete_many(scope, chunk)
                self.counts.settled += len(chunk)
                for key in chunk:
                    self.owed.pop(key, None)
            lent, self._lent = self._lent, {}
        # Outside the lock: two servers may have stood in for each other.
        for (key, stand_in), lent_scope in lent.items():
            if key == lent_scope.generation_key:
                stand_in.owe_generation(lent_scope)
            else:
                stand_in.owe(lent_scope, [key])


def new_generation() -> bytes:
    """Return a name that no earlier generation had: 8 characters of 48 random bits, which any product stores as they are."""
    return secrets.token_urlsafe(6).encode()


class Ejected(CacheUnavailable):
    """Every server that could hold the key is ejected."""
