"""The Memcached side of a cache: the same answers as Redis's from a server without scripts, by compare-and-swap."""

from __future__ import annotations

import select
import socket as plain_socket
from collections.abc import Sequence
from hashlib import blake2b
from time import time
from typing import Any
from urllib.parse import unquote_to_bytes

from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheClientError, MemcacheServerError, MemcacheUnexpectedCloseError

from slipstream.caches.asynchronous import AsyncSurvivingCache
from slipstream.caches.driver import Claim, Driver, Scope, new_generation
from slipstream.caches.envelope import (
    EXPIRING,
    EXPIRY_BYTES,
    HEADER_BYTES,
    INTEGER,
    KIND,
    MISSING,
    encode,
    is_current,
    load,
    seal,
)
from slipstream.caches.faults import CommandRefused
from slipstream.caches.options import CacheOptions
from slipstream.caches.sockets import DeadlineSocket, open_tcp, open_unix

CONNECTION_NAMES = frozenset({"tls_context"})
KEY_BYTES_AT_MOST = 250
RELATIVE_SECONDS_AT_MOST = 30 * 86400  # protocol.txt: a larger expiry is taken for a Unix time
SWAPS_AT_MOST = 1000  # a counter so contended that a swap fails this often in 50 ms does not exist
SAMPLED_KEYS = 2000
PLACEHOLDER = seal(0, b"", b"claimed:")  # of a generation that no cache has: absent to every reader


class _Client(Client):  # type: ignore[misc]  # pymemcache carries no complete types
    """pymemcache's client over a socket with a deadline."""

    deadline = 0.0

    def _connect(self) -> None:
        self.close()
        if isinstance(self.server, tuple):
            host, port = self.server
            sock: plain_socket.socket = open_tcp(host, port, self.deadline, self.timeout)
            if self.tls_context:
                sock = self.tls_context.wrap_socket(sock, server_hostname=host)
        else:
            sock = open_unix(self.server, self.deadline, self.timeout)
        sock.settimeout(self.timeout)
        self.sock = sock

    def begin(self, deadline: float, is_longer: bool = False) -> None:
        """Start an operation that must end by `deadline` (monotonic seconds)."""
        self.deadline = deadline
        sock = self.sock
        if type(sock) is DeadlineSocket:
            sock.begin(deadline, is_longer)

    def exchange(self, request: bytes, ending: bytes) -> bytes:
        """Send commands and return their answers up to the `ending` that only the last one has.

        Not raw_command: in pymemcache 4.0 that forgets what it has read when an answer comes in several pieces.
        """
        if self.sock is None:
            self._connect()
        sock = self.sock
        assert sock is not None
        sock.sendall(request)
        answer = b""
        while not answer.endswith(ending):
            piece = sock.recv(65536)
            if not piece:
                raise MemcacheUnexpectedCloseError()
            answer += piece
        return answer

    def values(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of keys in one round trip.

        Not get_many: 50 keys cost 155 us of CPU this way and 205 us that way, which checks the keys again (bench.caches).
        """
        if self.sock is None:
            self._connect()
        sock = self.sock
        assert sock is not None
        sock.sendall(b"get %b\r\n" % b" ".join(keys))
        found: dict[bytes, bytes] = {}
        answer = sock.recv(65536)
        start = 0
        while True:
            end = answer.find(b"\r\n", start)
            if end >= 0:
                line = answer[start:end]
                if line == b"END":
                    return found
                if not line.startswith(b"VALUE "):
                    raise CommandRefused(line[:80].decode("ascii", "replace"))
                _, key, _, size = line.split(b" ")
                value_end = end + 2 + int(size)
                if len(answer) >= value_end + 2:
                    found[key] = answer[end + 2 : value_end]
                    start = value_end + 2
                    continue
            piece = sock.recv(65536)
            if not piece:
                raise MemcacheUnexpectedCloseError()
            answer, start = answer[start:] + piece, 0

    def is_stale(self) -> bool:
        """Say whether the server has closed this idle connection."""
        if self.sock is None:
            return True
        poll = select.poll()
        poll.register(self.sock, select.POLLIN)
        return bool(poll.poll(0))  # anything to read, or the end: not usable


class MemcachedDriver(Driver):
    """One Memcached server."""

    def __init__(self, location: str, options: CacheOptions) -> None:
        def connect(deadline: float) -> _Client:
            client = _Client(
                _address(location),
                timeout=options.timeout_seconds,
                connect_timeout=options.timeout_seconds,
                default_noreply=False,
                **options.connection,
            )
            client.begin(deadline)
            client._connect()
            return client

        super().__init__(location, connect, options)

    def read(self, scope: Scope, key: bytes) -> tuple[bytes, bytes | None]:
        found = self.call(_Client.values, [scope.generation_key, key])
        return self._generation(scope, found), found.get(key)

    def read_many(self, scope: Scope, keys: Sequence[bytes]) -> tuple[bytes, list[bytes | None]]:
        found = self.call(_Client.values, [scope.generation_key, *keys])
        return self._generation(scope, found), [found.get(key) for key in keys]

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
        own = generation or self.generations.get(scope.generation_key) or self.start_generation(scope)
        while True:
            sealed, expiry = _sealed(flags, payload, own, lifetime_ms, grace_ms)
            current = self.call(_set_and_look, scope, [(key, sealed, expiry)])
            if current == own or generation:
                return
            own = self.adopt(scope, current)

    def write_many(self, scope: Scope, items: Sequence[tuple[bytes, int, bytes, int | None]]) -> None:
        own = self.generations.get(scope.generation_key) or self.start_generation(scope)
        while True:
            sealed = [(key, *_sealed(flags, payload, own, lifetime, 0)) for key, flags, payload, lifetime in items]
            current = self.call(_set_and_look, scope, sealed)
            if current == own:
                return
            own = self.adopt(scope, current)

    def add(self, scope: Scope, key: bytes, flags: int, payload: bytes, lifetime_ms: int | None) -> bool:
        return bool(self.call(self._add, scope, key, flags, payload, lifetime_ms, is_repeatable=False))

    def touch(self, scope: Scope, key: bytes, lifetime_ms: int | None, grace_ms: int) -> bool:
        return bool(self.call(self._touch, scope, key, lifetime_ms, grace_ms))

    def increment(self, scope: Scope, key: bytes, delta: int) -> int | None:
        number = self.call(self._increment, scope, key, delta, is_repeatable=False)
        if number is MISSING:
            raise TypeError("the value is not an integer")
        return number  # type: ignore[no-any-return]

    def delete_many(self, scope: Scope, keys: Sequence[bytes]) -> list[bool]:
        return self.call(self._delete, scope, keys)  # type: ignore[no-any-return]

    def claim(self, scope: Scope, key: bytes, token: bytes, claim_ms: int) -> Claim:
        claim_key = self.claim_key(key)
        # One more: memcached counts whole ticks of its own clock, and the first one may end at once.
        found = self.call(_claim, [scope.generation_key, key, claim_key], token, _expiry(claim_ms) + 1)
        generation = self._generation(scope, {name: value for name, (value, _) in found.items()})
        raw, seen = found.get(key, (None, b""))
        owner = found.get(claim_key, (b"", b""))[0]
        return Claim(self, key, generation, raw, owner, owner == token, seen)

    def fill(
        self, scope: Scope, claim: Claim, flags: int, payload: bytes, lifetime_ms: int | None, grace_ms: int
    ) -> bytes | None:
        sealed, expiry = _sealed(flags, payload, claim.generation, lifetime_ms, grace_ms)
        is_stored = self.call(_fill, scope, claim, self.claim_key(claim.key), sealed, expiry, is_repeatable=False)
        return sealed if is_stored else None

    def release(self, claim: Claim, mark: bytes = b"", mark_ms: int = 0) -> None:
        self.call(_release, self.claim_key(claim.key), claim.owner, mark, _expiry(mark_ms))

    def start_generation(self, scope: Scope) -> bytes:
        current = self.call(_start, scope.generation_key, new_generation())
        if current is None:
            raise CommandRefused("the generation could not be stored")
        return self.adopt(scope, current)

    def renew_generation(self, scope: Scope, timeout_seconds: float) -> None:
        generation = new_generation()
        self.call(_Client.set, scope.generation_key, generation, timeout_seconds=timeout_seconds)
        self.adopt(scope, generation)

    def estimate_keys(self, scope: Scope, timeout_seconds: float) -> int:
        total, names = self.call(_sample, timeout_seconds=timeout_seconds)
        return round(total * sum(map(scope.is_value, names)) / len(names)) if names else 0

    def claim_key(self, key: bytes) -> bytes:
        long = key + b":claim"
        return long if len(long) <= KEY_BYTES_AT_MOST else blake2b(key, digest_size=20).hexdigest().encode() + b":claim"

    def _generation(self, scope: Scope, found: dict[bytes, bytes]) -> bytes:
        generation = found.get(scope.generation_key)
        if generation is None:
            return self.start_generation(scope)
        self.generations[scope.generation_key] = generation
        return generation

    def _look(self, client: _Client, scope: Scope, key: bytes) -> tuple[bytes | None, bytes | None, bytes, bool]:
        """Return (generation, raw, swap token, whether the value is current)."""
        found = client.gets_many([scope.generation_key, key])
        generation = found.get(scope.generation_key, (None, b""))[0]
        raw, token = found.get(key, (None, b""))
        is_there = raw is not None and generation is not None and is_current(raw, generation, time() * 1000)
        return generation, raw, token, is_there

    def _add(self, client: _Client, scope: Scope, key: bytes, flags: int, payload: bytes, lifetime_ms: int | None) -> bool:
        while True:
            generation, raw, token, is_there = self._look(client, scope, key)
            if is_there:
                return False
            if generation is None:
                generation = _start(client, scope.generation_key, new_generation()) or b""
            sealed, expiry = _sealed(flags, payload, generation, lifetime_ms, 0)
            if raw is None:
                is_stored = _refusable(client.add, key, sealed, expiry)
            else:
                is_stored = _refusable(client.cas, key, sealed, token, expiry)
            if is_stored is not None:  # None: the key went away between the look and the swap
                return bool(is_stored)

    def _touch(self, client: _Client, scope: Scope, key: bytes, lifetime_ms: int | None, grace_ms: int) -> bool:
        for _ in range(SWAPS_AT_MOST):
            _, raw, token, is_there = self._look(client, scope, key)
            if not is_there or raw is None:
                return False
            if not raw[1] & EXPIRING:
                return bool(client.touch(key, _expiry(lifetime_ms)))
            ends_ms = 2**48 - 1 if lifetime_ms is None else int(time() * 1000) + lifetime_ms
            payload_at = HEADER_BYTES + EXPIRY_BYTES
            renewed = raw[:HEADER_BYTES] + ends_ms.to_bytes(EXPIRY_BYTES, "big") + raw[payload_at:]
            if client.cas(key, renewed, token, _expiry(None if lifetime_ms is None else lifetime_ms + grace_ms)):
                return True
        return False

    def _increment(self, client: _Client, scope: Scope, key: bytes, delta: int) -> Any:
        for _ in range(SWAPS_AT_MOST):
            generation, raw, token, is_there = self._look(client, scope, key)
            if not is_there or raw is None or generation is None:
                return None
            if raw[1] & KIND != INTEGER:
                return MISSING
            number = load(raw, generation) + delta
            flags, payload = encode(number, 1 << 30)
            expires_ms = int.from_bytes(raw[HEADER_BYTES : HEADER_BYTES + EXPIRY_BYTES], "big") if raw[1] & EXPIRING else None
            # A swap sets the time to live anew, and the text protocol does not tell what was left: the meta command does.
            left = _seconds_left(client, key)
            if left == 0:
                return None
            if client.cas(key, seal(flags, payload, generation, expires_ms), token, _absolute(left)):
                return int(number)
        raise CommandRefused("the counter is too contended")

    def _delete(self, client: _Client, scope: Scope, keys: Sequence[bytes]) -> list[bool]:
        found = client.values([scope.generation_key, *keys])
        generation = found.get(scope.generation_key)
        doomed = b"".join(b"delete %b noreply\r\ndelete %b noreply\r\n" % (key, self.claim_key(key)) for key in keys)
        client.exchange(doomed + b"mn\r\n", b"MN\r\n")
        now = time() * 1000
        return [generation is not None and key in found and is_current(found[key], generation, now) for key in keys]


class MemcachedCache(AsyncSurvivingCache):
    """Django cache on Memcached servers: BACKEND "slipstream.caches.MemcachedCache", LOCATION host:port or a socket's path."""

    default_location = "127.0.0.1:11211"
    connection_names = CONNECTION_NAMES
    driver_class = MemcachedDriver
    has_key_limits = True


def _refusable(action: Any, *args: Any) -> Any:
    try:
        return action(*args)
    except MemcacheUnexpectedCloseError:
        raise  # to pymemcache a server's error too, to us no answer at all
    except (MemcacheServerError, MemcacheClientError) as refusal:
        raise CommandRefused(str(refusal)) from refusal


def _set_and_look(client: _Client, scope: Scope, items: Sequence[tuple[bytes, bytes, int]]) -> bytes | None:
    """Store, and learn the generation in the same round trip."""
    request = [b"set %b 0 %d %d\r\n%b\r\n" % (key, expiry, len(sealed), sealed) for key, sealed, expiry in items]
    request.append(b"get %b\r\n" % scope.generation_key)
    answer = client.exchange(b"".join(request), b"END\r\n")
    lines = answer.split(b"\r\n")
    if lines[: len(items)] != [b"STORED"] * len(items):
        refusal = next(line for line in lines if line != b"STORED")
        raise CommandRefused(refusal[:80].decode("ascii", "replace"))
    return lines[len(items) + 1] if len(lines) > len(items) + 2 else None


def _claim(client: _Client, keys: list[bytes], token: bytes, expiry: int) -> dict[bytes, tuple[bytes, bytes]]:
    """Claim, and read [generation, key, claim]; a missing key gets a placeholder, which a delete takes away.

    So that the store that follows can be a compare-and-swap in every case: a delete or a set in between wins.
    """
    _refusable(client.add, keys[2], token, expiry)
    found: dict[bytes, tuple[bytes, bytes]] = client.gets_many(keys)
    if keys[1] not in found and found.get(keys[2], (b"", b""))[0] == token:
        _refusable(client.add, keys[1], PLACEHOLDER, expiry)
        found = client.gets_many(keys)
    return found


def _fill(client: _Client, scope: Scope, claim: Claim, claim_key: bytes, sealed: bytes, expiry: int) -> bool:
    found = client.values([scope.generation_key, claim_key])
    if found.get(claim_key) != claim.owner:
        return False
    is_stored = False
    if claim.seen and found.get(scope.generation_key) == claim.generation:
        is_stored = bool(_refusable(client.cas, claim.key, sealed, claim.seen, expiry))
    client.delete(claim_key)
    return is_stored


def _release(client: _Client, claim_key: bytes, owner: bytes, mark: bytes, mark_expiry: int) -> None:
    value, token = client.gets(claim_key)
    if value == owner:
        if mark:
            client.cas(claim_key, mark, token, mark_expiry)
        else:
            client.delete(claim_key)


def _start(client: _Client, generation_key: bytes, generation: bytes) -> bytes | None:
    _refusable(client.add, generation_key, generation)
    return client.get(generation_key)  # type: ignore[no-any-return]


def _seconds_left(client: _Client, key: bytes) -> int:
    """Return what is left of a key's life in seconds, -1 for ever, 0 when it is gone (meta command, memcached 1.6)."""
    answer = client.exchange(b"mg %b t\r\n" % key, b"\r\n")
    return int(answer.split(b"t", 1)[1].split()[0]) if answer.startswith(b"HD t") else 0


def _sample(client: _Client) -> tuple[int, list[bytes]]:
    total = int(client.stats()[b"curr_items"])
    sock = client.sock
    assert sock is not None
    sock.sendall(b"lru_crawler metadump all\r\n")
    dump = b""
    while dump.count(b"\n") < SAMPLED_KEYS and not dump.endswith((b"END\r\n", b"BUSY currently processing crawler request\r\n")):
        chunk = sock.recv(65536)
        if not chunk:
            break
        dump += chunk
    client.close()  # the rest of the dump is not wanted
    lines = [line for line in dump.split(b"\n")[:SAMPLED_KEYS] if line.startswith(b"key=")]
    return total, [unquote_to_bytes(line[4:].split(b" ", 1)[0]) for line in lines]


def _sealed(flags: int, payload: bytes, generation: bytes, lifetime_ms: int | None, grace_ms: int) -> tuple[bytes, int]:
    if grace_ms and lifetime_ms is not None:
        return seal(flags, payload, generation, int(time() * 1000) + lifetime_ms), _expiry(lifetime_ms + grace_ms)
    return seal(flags, payload, generation), _expiry(lifetime_ms)


def _expiry(lifetime_ms: int | None) -> int:
    """Return memcached's expiry: whole seconds (rounded up, 0 is for ever), as a Unix time beyond 30 days."""
    return 0 if lifetime_ms is None else _absolute(-(-lifetime_ms // 1000))


def _absolute(seconds: int) -> int:
    if seconds < 0:
        return 0
    return seconds if seconds <= RELATIVE_SECONDS_AT_MOST else int(time()) + seconds


def _address(location: str) -> Any:
    """Return pymemcache's form of host:port, a path, or unix:path."""
    path = location.removeprefix("unix:")
    if path != location or path.startswith("/"):
        return path
    host, separator, port = location.rpartition(":")
    return (host.strip("[]"), int(port)) if separator and port.isdigit() else (location.strip("[]"), 11211)
