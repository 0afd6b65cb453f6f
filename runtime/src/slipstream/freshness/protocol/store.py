"""Speaks to the store: every decision of `stamps` as one script inside Redis, one round trip each.

The Redis must keep no past (no persistence, no promoted replica: such a one is noticed and begins a new epoch) and must evict
only keys that expire (`maxmemory-policy volatile-*` or `noeviction`): stamps and values do, what is pending and the epoch do
not. Every script may be repeated without harm, so the client may retry after a lost answer.
"""

import secrets
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from hashlib import sha1
from pathlib import Path
from typing import Any, cast

from redis import Redis
from redis.exceptions import NoScriptError

from slipstream.freshness.protocol.stamps import LEASE_MS, Miss, Proof, Value

_SCRIPTS = Path(__file__).parent / "scripts"
_STAMP_LIFETIME_MS = (
    8 * 24 * 3600 * 1000
)  # a stamp that expires before its values only makes them miss; values live at most a week
_ACKNOWLEDGEMENT_LIFETIME_SECONDS = 3600  # the daemon asks within seconds; one that expired only makes it stamp again


class Store:
    """The protocol's store on one Redis. Raises redis.RedisError where the store does not answer or refuses.

    `prefix` separates stacks that share a Redis. The client must not decode responses: bodies are bytes. Transactions are named
    by `writes.name_transaction`; tags are those of `tags`, without line breaks.
    """

    def __init__(self, client: Redis, prefix: str = "slipstream:") -> None:
        if client.connection_pool.connection_kwargs.get("decode_responses"):
            raise ValueError(
                "Opening the freshness store: the Redis client decodes responses, but cached bodies are bytes; "
                "create the client without decode_responses=True."
            )
        self._client = client
        self._prefix = prefix

    def look_up(self, key: str) -> Value | Miss:
        """The value if it is valid now, else the (E, p) for a build begun after this answer."""
        answer = self._run("look_up", key)
        if answer[0] == 0:
            return Miss(answer[1].decode(), answer[2])
        _, body, tags, audience, p, epoch = answer
        return Value(body, frozenset(tags.decode().split("\n")) - {""}, audience.decode(), p, epoch.decode())

    def begin(self) -> Miss:
        """(E, p) for a page that begins; may be used for 100 ms."""
        epoch, p = self._run("begin")
        return Miss(epoch.decode(), p)

    def fill(self, key: str, value: Value, lifetime_seconds: float) -> bool:
        """Keeps the value for `lifetime_seconds` if none of its tags moved since its (E, p); says whether it did."""
        tags = "\n".join(sorted(value.tags))
        lifetime_ms = max(1, round(lifetime_seconds * 1000))
        kept = self._run("fill", key, value.body, tags, value.audience, value.p, value.epoch, lifetime_ms, _STAMP_LIFETIME_MS)
        return bool(kept)

    def pend(self, tags: Iterable[str], xid: str) -> None:
        """Before COMMIT: ends all hits and fills of these tags until `stamp`."""
        self._run("pend", xid, *sorted(tags))

    def stamp(self, tags: Iterable[str], xid: str) -> Proof:
        """After COMMIT returned: invalidates the tags; the answer is the point with which to purge."""
        epoch, n = self._run("stamp", xid, *sorted(tags))
        return Proof(epoch.decode(), n)

    def certify(self, tags: Collection[str], p: int, epoch: str) -> Proof | None:
        """The point up to which a page built since (E, p) is proved true, or None when it may not be shared."""
        answer = self._run("certify", p, epoch, _STAMP_LIFETIME_MS, *sorted(tags))
        return Proof(epoch, answer[1]) if answer[0] else None

    def acknowledge(self, xid: str) -> None:
        """After the stamp succeeded and every accelerator acknowledged its purge: the daemon need not repeat them."""
        self._client.set(f"{self._prefix}a:{xid}", 1, ex=_ACKNOWLEDGEMENT_LIFETIME_SECONDS)

    def unacknowledged(self, xids: Sequence[str]) -> list[str]:
        """Which of these transactions the daemon must stamp and purge itself."""
        known = cast("list[bytes | None]", self._client.mget([f"{self._prefix}a:{xid}" for xid in xids])) if xids else []
        return [xid for xid, found in zip(xids, known, strict=True) if found is None]

    def pending_transactions(self) -> dict[str, frozenset[str]]:
        """Every transaction between PEND and STAMP with its tags, for the reaper."""
        found = cast("dict[bytes, bytes]", self._client.hgetall(f"{self._prefix}w"))
        return {xid.decode(): frozenset(tags.decode().split("\n")) for xid, tags in found.items()}

    def read_clock_ms(self) -> int:
        """The store's clock; the daemon reads it before it reads the outbox."""
        seconds, microseconds = self._client.time()
        return seconds * 1000 + microseconds // 1000

    def renew_lease(self, outbox_read_from_ms: int) -> None:
        """After all that the outbox held was stamped: the daemon counts as alive until 1 s after `outbox_read_from_ms`."""
        self._run("renew_lease", outbox_read_from_ms + LEASE_MS)

    def renew_epoch(self) -> str:
        """Ends the epoch: nothing cached or certified before counts any longer. Answers the new one."""
        return cast("bytes", self._run("renew_epoch")).decode()

    def _run(self, name: str, *arguments: str | bytes | int) -> Any:
        source, digest = _load_script(name)
        nonce = secrets.token_hex(8)  # an epoch that comes back would bring its old values back
        values = (f"{self._prefix}e", self._prefix, nonce, *arguments)
        try:
            return self._client.evalsha(digest, 1, *cast("tuple[str, ...]", values))
        except NoScriptError:
            return self._client.eval(source, 1, *cast("tuple[str, ...]", values))


@cache
def _load_script(name: str) -> tuple[str, str]:
    prelude = (_SCRIPTS / "prelude.lua").read_text()
    source = (_SCRIPTS / f"{name}.lua").read_text().replace("-- prelude\n", prelude, 1)
    return source, sha1(source.encode()).hexdigest()  # SHA-1 is how Redis names scripts
