"""The Redis side of a cache: each operation is one round trip that carries the generation along."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from inspect import signature
from random import getrandbits
from time import time
from typing import Any

from redis.connection import AbstractConnection, SSLConnection, UnixDomainSocketConnection, parse_url
from redis.connection import Connection as TcpConnection
from redis.exceptions import NoScriptError, ResponseError

from slipstream.caches.asynchronous import AsyncSurvivingCache
from slipstream.caches.driver import Claim, Driver, Scope, new_generation
from slipstream.caches.envelope import HEADER_BYTES, is_current, seal
from slipstream.caches.faults import CommandRefused
from slipstream.caches.options import CacheOptions
from slipstream.caches.redis_scripts import ADD, FILL, INCREMENT, RELEASE, TOUCH, Script
from slipstream.caches.sockets import DeadlineSocket, open_tcp, open_unix

# Told to redis-py as they are. Everything about time and retries is the backend's own.
CONNECTION_NAMES = frozenset(
    {"db", "username", "password", "client_name", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile", "ssl_cert_reqs"}
    | {"ssl_check_hostname", "credential_provider"}
)

# No CLIENT SETINFO: it would add two round trips to connecting. The argument has changed its name within redis-py 7.
UNNAMED: dict[str, None] = dict.fromkeys(
    {"driver_info"} & set(signature(AbstractConnection.__init__).parameters) or {"lib_name", "lib_version"}
)


class _Exchanging:
    """What the three kinds of connection share: one deadline, and answers read without redis-py's retries."""

    _sock: Any
    _parser: Any
    slipstream_deadline = 0.0

    def begin(self, deadline: float, is_longer: bool = False) -> None:
        """Start an operation that must end by `deadline` (monotonic seconds)."""
        sock = self._sock
        if type(sock) is DeadlineSocket:
            sock.begin(deadline, is_longer)

    def exchange(self, request: bytes) -> Any:
        """Send one packed command and return its answer."""
        self._sock.sendall(request)
        answer = self._parser.read_response(disable_decoding=True)
        if isinstance(answer, ResponseError):
            raise CommandRefused(str(answer))
        return answer

    def exchange_many(self, request: bytes, answers: int) -> list[Any]:
        """Send several packed commands at once and return their answers, errors among them as values."""
        self._sock.sendall(request)
        read = self._parser.read_response
        return [read(disable_decoding=True) for _ in range(answers)]

    def run_script(self, script: Script, rest: tuple[bytes, ...]) -> Any:
        """Run a script by its digest, or by its source where the server has not seen it yet."""
        answer = self.exchange_many(pack(b"EVALSHA", script.digest, *rest), 1)[0]
        if isinstance(answer, NoScriptError):
            answer = self.exchange_many(pack(b"EVAL", script.source, *rest), 1)[0]
        if isinstance(answer, ResponseError):
            raise CommandRefused(str(answer))
        return answer

    def is_stale(self) -> bool:
        """Say whether the server has closed this idle connection."""
        try:
            return bool(self.can_read(0))  # type: ignore[attr-defined]
        except Exception:  # whatever it says: a connection that cannot be asked is not used again
            return True

    def close(self) -> None:
        """Drop the connection."""
        self.disconnect()  # type: ignore[attr-defined]


class _Tcp(_Exchanging, TcpConnection):
    def _connect(self) -> DeadlineSocket:
        return open_tcp(self.host, self.port, self.slipstream_deadline, self.socket_timeout)  # type: ignore[arg-type]


class _Tls(SSLConnection, _Tcp):
    """TLS over a socket opened within the deadline; afterwards the timeout holds for each receive."""


class _Unix(_Exchanging, UnixDomainSocketConnection):
    def _connect(self) -> DeadlineSocket:
        return open_unix(self.path, self.slipstream_deadline, self.socket_timeout)  # type: ignore[arg-type]


def pack(*parts: bytes) -> bytes:
    """Return a command in the Redis protocol."""
    return b"*%d\r\n" % len(parts) + b"".join([b"$%d\r\n%b\r\n" % (len(part), part) for part in parts])


class RedisDriver(Driver):
    """One Redis server."""

    def __init__(self, location: str, options: CacheOptions) -> None:
        settings = parse_url(location) | dict(options.connection)  # type: ignore[no-untyped-call]
        kind = {SSLConnection: _Tls, UnixDomainSocketConnection: _Unix}.get(settings.pop("connection_class", None), _Tcp)
        # RESP2: the same replies with and without hiredis.
        settings |= {"socket_timeout": options.timeout_seconds, "protocol": 2} | UNNAMED

        def connect(deadline: float) -> Any:
            connection = kind(**settings)
            connection.slipstream_deadline = deadline
            connection.connect()
            connection._sock.settimeout(options.timeout_seconds)
            return connection

        super().__init__(_name(settings), connect, options)

    def read(self, scope: Scope, key: bytes) -> tuple[bytes, bytes | None]:
        generation, raw = self.call(_Exchanging.exchange, scope.read_head + b"%d\r\n%b\r\n" % (len(key), key))
        if generation is None:
            return self.start_generation(scope), None
        self.generations[scope.generation_key] = generation
        return generation, raw

    def read_many(self, scope: Scope, keys: Sequence[bytes]) -> tuple[bytes, list[bytes | None]]:
        answer = self.call(_Exchanging.exchange, pack(b"MGET", scope.generation_key, *keys))
        if answer[0] is None:
            return self.start_generation(scope), [None] * len(keys)
        self.generations[scope.generation_key] = answer[0]
        del answer[0]
        return self.generations[scope.generation_key], answer

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
            request = _set(key, _seal(flags, payload, own, lifetime_ms, grace_ms), lifetime_ms, grace_ms)
            stored, current = self.call(_Exchanging.exchange_many, request + scope.generation_request, 2)
            if isinstance(stored, Exception):
                raise CommandRefused(str(stored))
            if current == own or generation:
                return
            own = self.adopt(scope, current)

    def write_many(self, scope: Scope, items: Sequence[tuple[bytes, int, bytes, int | None]]) -> None:
        generation = self.generations.get(scope.generation_key) or self.start_generation(scope)
        while True:
            request = [_set(key, seal(flags, payload, generation), lifetime, 0) for key, flags, payload, lifetime in items]
            request.append(scope.generation_request)
            answers = self.call(_Exchanging.exchange_many, b"".join(request), len(items) + 1)
            current = answers.pop()
            for answer in answers:
                if isinstance(answer, Exception):
                    raise CommandRefused(str(answer))
            if current == generation:
                return
            generation = self.adopt(scope, current)

    def add(self, scope: Scope, key: bytes, flags: int, payload: bytes, lifetime_ms: int | None) -> bool:
        generation = self.generations.get(scope.generation_key) or self.start_generation(scope)
        while True:
            lifetime = b"" if lifetime_ms is None else b"%d" % lifetime_ms
            sealed = seal(flags, payload, generation)
            answer = self._run(ADD, [key, scope.generation_key], [generation, _now_ms(), sealed, lifetime])
            if isinstance(answer, int):
                return bool(answer)
            generation = self.adopt(scope, answer)

    def touch(self, scope: Scope, key: bytes, lifetime_ms: int | None, grace_ms: int) -> bool:
        expiry, kept = b"", b""
        lifetime = b"" if lifetime_ms is None else b"%d" % lifetime_ms
        if lifetime_ms is not None:
            expiry, kept = b"%d" % (int(time() * 1000) + lifetime_ms), b"%d" % (lifetime_ms + grace_ms)
        return bool(self._run(TOUCH, [key, scope.generation_key], [b"", _now_ms(), lifetime, expiry, kept]))

    def increment(self, scope: Scope, key: bytes, delta: int) -> int | None:
        nonce = struct.pack(">I", getrandbits(32))
        answer = self._run(INCREMENT, [key, scope.generation_key], [b"", _now_ms(), b"%d" % delta, nonce])
        if answer == -1:
            raise TypeError("the value is not an integer")
        return None if answer is None else int(answer)

    def delete_many(self, scope: Scope, keys: Sequence[bytes]) -> list[bool]:
        request = [scope.generation_request]
        for key in keys:
            request.append(pack(b"GETRANGE", key, b"0", b"25"))
        doomed = [name for key in keys for name in (key, self.claim_key(key))]
        request.append(pack(b"UNLINK", *doomed))
        generation, *heads, removed = self.call(_Exchanging.exchange_many, b"".join(request), len(keys) + 2)
        if isinstance(removed, Exception):
            raise CommandRefused(str(removed))
        now = time() * 1000
        return [generation is not None and isinstance(head, bytes) and is_current(head, generation, now) for head in heads]

    def claim(self, scope: Scope, key: bytes, token: bytes, claim_ms: int) -> Claim:
        claim_key = self.claim_key(key)
        request = pack(b"SET", claim_key, token, b"NX", b"PX", b"%d" % claim_ms)
        request += pack(b"MGET", scope.generation_key, key, claim_key)
        answer, values = self.call(_Exchanging.exchange_many, request, 2)
        if isinstance(answer, Exception) or isinstance(values, Exception):
            raise CommandRefused(str(answer))
        generation, raw, owner = values
        if generation is None:
            generation, raw = self.start_generation(scope), None
        self.generations[scope.generation_key] = generation
        return Claim(self, key, generation, raw, owner or b"", owner == token, b"" if raw is None else raw[:HEADER_BYTES])

    def fill(
        self, scope: Scope, claim: Claim, flags: int, payload: bytes, lifetime_ms: int | None, grace_ms: int
    ) -> bytes | None:
        sealed = _seal(flags, payload, claim.generation, lifetime_ms, grace_ms)
        kept = b"" if lifetime_ms is None else b"%d" % (lifetime_ms + grace_ms)
        keys = [claim.key, self.claim_key(claim.key), scope.generation_key]
        stored = self._run(FILL, keys, [claim.owner, claim.generation, claim.seen, sealed, kept])
        return sealed if stored else None

    def release(self, claim: Claim, mark: bytes = b"", mark_ms: int = 0) -> None:
        self._run(RELEASE, [self.claim_key(claim.key)], [claim.owner, mark, b"%d" % mark_ms])

    def start_generation(self, scope: Scope) -> bytes:
        request = pack(b"SET", scope.generation_key, new_generation(), b"NX") + scope.generation_request
        answer, current = self.call(_Exchanging.exchange_many, request, 2)
        if not isinstance(current, bytes):
            raise CommandRefused(str(answer))
        return self.adopt(scope, current)

    def renew_generation(self, scope: Scope, timeout_seconds: float) -> None:
        generation = new_generation()
        self.call(_Exchanging.exchange, pack(b"SET", scope.generation_key, generation), timeout_seconds=timeout_seconds)
        self.adopt(scope, generation)

    def estimate_keys(self, scope: Scope, timeout_seconds: float) -> int:
        samples = 400  # a share of one half is then known to 2.5 points (one standard deviation)
        request = pack(b"DBSIZE") + pack(b"RANDOMKEY") * samples
        size, *names = self.call(_Exchanging.exchange_many, request, samples + 1, timeout_seconds=timeout_seconds)
        found = [name for name in names if isinstance(name, bytes)]
        return round(size * sum(map(scope.is_value, found)) / len(found)) if found else 0

    def _run(self, script: Script, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        return self.call(_Exchanging.run_script, script, (b"%d" % len(keys), *keys, *arguments), is_repeatable=False)


class RedisCache(AsyncSurvivingCache):
    """Django cache on one or several Redis servers: BACKEND "slipstream.caches.RedisCache", LOCATION redis://, rediss://, unix://."""

    default_location = "redis://127.0.0.1:6379"
    connection_names = CONNECTION_NAMES
    driver_class = RedisDriver
    has_key_limits = False


def _name(settings: dict[str, Any]) -> str:
    place = settings.get("path") or f"{settings.get('host', 'localhost')}:{settings.get('port', 6379)}"
    return f"{place}/{settings.get('db') or 0}"


def _now_ms() -> bytes:
    return b"%d" % (time() * 1000)


def _seal(flags: int, payload: bytes, generation: bytes, lifetime_ms: int | None, grace_ms: int) -> bytes:
    if grace_ms and lifetime_ms is not None:
        return seal(flags, payload, generation, int(time() * 1000) + lifetime_ms)
    return seal(flags, payload, generation)


def _set(key: bytes, sealed: bytes, lifetime_ms: int | None, grace_ms: int) -> bytes:
    if lifetime_ms is None:
        return b"*3\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n" % (len(key), key, len(sealed), sealed)
    kept = b"%d" % (lifetime_ms + grace_ms)
    return b"*5\r\n$3\r\nSET\r\n$%d\r\n%b\r\n$%d\r\n%b\r\n$2\r\nPX\r\n$%d\r\n%b\r\n" % (
        len(key), key, len(sealed), sealed, len(kept), kept,
    )  # fmt: skip
