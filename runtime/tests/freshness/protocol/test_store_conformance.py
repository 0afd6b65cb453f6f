"""Runs the same steps through the pure decisions and through the scripts in a real Redis, and demands the same answers and the
same state.
"""

import secrets
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from protocol_model.redis_server import RedisServer
from redis import Redis

from slipstream.freshness.protocol import stamps
from slipstream.freshness.protocol.stamps import Miss, StoreState, Value
from slipstream.freshness.protocol.store import Store

TAGS = ("public.a", "public.a*", "public.a:1", "public.b{c='x%20y}")
XIDS = ("default:1:10", "default:1:11")
KEYS = ("k1", "k2")
HOUR_MS = 3_600_000

some_tags = st.frozensets(st.sampled_from(TAGS), max_size=3)
an_xid = st.sampled_from(XIDS)
a_key = st.sampled_from(KEYS)


class Conformance(RuleBasedStateMachine):
    """Both sides draw the same nonces. The store's clock stands still in the pure state; leases are an hour long or over."""

    server: RedisServer

    def __init__(self) -> None:
        super().__init__()
        self.client: Redis = self.server.client()
        self.client.flushall()
        self.store = Store(self.client, prefix="test:")
        run_id = self.client.info("server")["run_id"]
        self.state = StoreState(run_id)
        self.nonces = 0
        self.seen: list[Miss] = [Miss("never", 0)]
        secrets_token_hex = secrets.token_hex
        self.restore = lambda: setattr(secrets, "token_hex", secrets_token_hex)
        secrets.token_hex = lambda nbytes=None: self.nonce  # type: ignore[assignment,misc]

    def teardown(self) -> None:
        self.restore()
        self.client.close()

    @property
    def nonce(self) -> str:
        return f"nonce{self.nonces}"

    @rule(key=a_key)
    def look_up(self, key: str) -> None:
        self.nonces += 1
        self.state, expected = stamps.look_up(self.state, key, self.nonce)
        assert self.store.look_up(key) == expected
        if isinstance(expected, Miss):
            self.seen.append(expected)

    @rule()
    def begin(self) -> None:
        self.nonces += 1
        self.state, expected = stamps.begin(self.state, self.nonce)
        assert self.store.begin() == expected
        self.seen.append(expected)

    @rule(
        key=a_key,
        tags=some_tags,
        body=st.binary(max_size=20),
        audience=st.sampled_from(["everyone", "person:5"]),
        ago=st.integers(1, 3),
    )
    def fill(self, key: str, tags: frozenset[str], body: bytes, audience: str, ago: int) -> None:
        self.nonces += 1
        seen = self.seen[-min(ago, len(self.seen))]
        value = Value(body, tags, audience, seen.p, seen.epoch)
        self.state, expected = stamps.fill(self.state, key, value, self.nonce)
        assert self.store.fill(key, value, lifetime_seconds=3600) == expected

    @rule(tags=some_tags, ago=st.integers(1, 3))
    def certify(self, tags: frozenset[str], ago: int) -> None:
        self.nonces += 1
        seen = self.seen[-min(ago, len(self.seen))]
        self.state, expected = stamps.certify(self.state, tags, seen.p, seen.epoch, self.nonce)
        assert self.store.certify(tags, seen.p, seen.epoch) == expected

    @rule(tags=some_tags, xid=an_xid)
    def pend(self, tags: frozenset[str], xid: str) -> None:
        self.nonces += 1
        self.state = stamps.open_epoch(stamps.pend(self.state, tags, xid), self.nonce)
        self.store.pend(tags, xid)

    @rule(tags=some_tags, xid=an_xid)
    def stamp(self, tags: frozenset[str], xid: str) -> None:
        self.nonces += 1
        self.state, expected = stamps.stamp(self.state, tags, xid, self.nonce)
        assert self.store.stamp(tags, xid) == expected

    @rule(xid=an_xid)
    def acknowledge(self, xid: str) -> None:
        self.state = stamps.acknowledge(self.state, xid)
        self.store.acknowledge(xid)

    @rule(xids=st.lists(an_xid, unique=True))
    def unacknowledged(self, xids: list[str]) -> None:
        assert self.store.unacknowledged(xids) == stamps.unacknowledged(self.state, xids)

    @rule(is_recent=st.booleans())
    def renew_lease(self, is_recent: bool) -> None:
        """From the store's future, so that the pure clock may stand at 0, or from so long ago that it is over."""
        self.nonces += 1
        from_ms = HOUR_MS if is_recent else -HOUR_MS
        self.state = stamps.renew_lease(stamps.open_epoch(self.state, self.nonce), from_ms)
        self.store.renew_lease(self.store.read_clock_ms() + from_ms)

    @rule()
    def renew_epoch(self) -> None:
        self.nonces += 1
        self.state = stamps.renew_epoch(self.state, self.nonce)
        assert self.store.renew_epoch() == self.nonce

    @rule()
    def flush(self) -> None:
        self.client.flushall()
        self.state = StoreState(self.state.run_id)

    @rule(tag=st.sampled_from(TAGS))
    def evict_stamp(self, tag: str) -> None:
        self.client.delete(f"test:t:{tag}")
        self.state = self.state._replace(stamps=stamps._without(self.state.stamps, tag))

    @rule(tag=st.sampled_from(TAGS))
    def evict_pending(self, tag: str) -> None:
        self.client.delete(f"test:p:{tag}")
        self.state = self.state._replace(pending=stamps._without(self.state.pending, tag))

    @rule()
    def evict_epoch(self) -> None:
        self.client.delete("test:e")
        self.state = self.state._replace(epoch=None, epoch_run_id="", seq=0)

    @rule()
    def evict_lease(self) -> None:
        self.client.delete("test:d")
        self.state = self.state._replace(lease_until_ms=0)

    @rule()
    def change_run_id(self) -> None:
        """What a restart from a snapshot looks like: the epoch was opened by another server process."""
        if self.state.epoch is not None:
            self.client.hset("test:e", "run_id", "0" * 40)
            self.state = self.state._replace(epoch_run_id="0" * 40)

    @rule()
    def forget_scripts(self) -> None:
        self.client.script_flush()

    @invariant()
    def states_agree(self) -> None:
        pipe = self.client.pipeline(transaction=False)
        pipe.hgetall("test:e")
        for tag in TAGS:
            pipe.get(f"test:t:{tag}")
            pipe.smembers(f"test:p:{tag}")
        for key in KEYS:
            pipe.hgetall(f"test:v:{key}")
        found: list[Any] = pipe.execute()
        epoch = {name.decode(): value.decode() for name, value in found[0].items()}
        expected = {"epoch": self.state.epoch, "run_id": self.state.epoch_run_id, "seq": str(self.state.seq)}
        assert epoch == ({} if self.state.epoch is None else expected)
        for position, tag in enumerate(TAGS):
            stamp, pending = found[1 + 2 * position : 3 + 2 * position]
            known = dict(self.state.stamps).get(tag)
            assert stamp == (None if known is None else f"{known.epoch} {known.seq}".encode())
            assert {xid.decode() for xid in pending} == dict(self.state.pending).get(tag, frozenset())
        for key, fields in zip(KEYS, found[1 + 2 * len(TAGS) :], strict=True):
            value = dict(self.state.values).get(key)
            assert bool(fields) == (value is not None)
            if value is not None:
                assert (fields[b"b"], fields[b"a"], fields[b"p"]) == (value.body, value.audience.encode(), str(value.p).encode())


def test_scripts_and_pure_decisions_agree(redis_server: RedisServer) -> None:
    Conformance.server = redis_server
    checks = [HealthCheck.too_slow]
    run_state_machine_as_test(
        Conformance, settings=settings(max_examples=120, stateful_step_count=40, deadline=None, suppress_health_check=checks)
    )


@pytest.fixture
def store(redis_server: RedisServer) -> Iterator[Store]:
    with redis_server.client() as client:
        client.flushall()
        client.config_set("maxmemory", 0)
        yield Store(client)
        client.config_set("maxmemory", 0)


def keep_daemon_alive(store: Store) -> None:
    store.renew_lease(store.read_clock_ms() + HOUR_MS)


def test_value_is_hit_until_a_write_pends_and_again_after_the_next_fill(store: Store) -> None:
    keep_daemon_alive(store)
    seen = store.look_up("articles")
    assert isinstance(seen, Miss)
    value = Value(b"\x00body\n", frozenset(TAGS), "everyone", seen.p, seen.epoch)
    assert store.fill("articles", value, lifetime_seconds=60)
    assert store.look_up("articles") == value

    store.pend([TAGS[2]], XIDS[0])
    assert isinstance(store.look_up("articles"), Miss)
    assert not store.fill("articles", value, lifetime_seconds=60)
    store.pend([TAGS[2], TAGS[3]], XIDS[0])
    assert store.pending_transactions() == {XIDS[0]: frozenset({TAGS[2], TAGS[3]})}
    proof = store.stamp([TAGS[2], TAGS[3]], XIDS[0])
    assert proof.n == seen.p + 1
    assert store.pending_transactions() == {}
    assert isinstance(store.look_up("articles"), Miss)

    again = store.begin()
    assert store.fill("articles", value._replace(p=again.p), lifetime_seconds=60)
    assert store.certify(TAGS, again.p, again.epoch) == (again.epoch, again.p)


def test_dead_daemon_ends_hits_fills_and_certificates(store: Store) -> None:
    keep_daemon_alive(store)
    seen = store.begin()
    value = Value(b"body", frozenset(TAGS), "everyone", seen.p, seen.epoch)
    assert store.fill("articles", value, lifetime_seconds=60)
    store._client.delete("slipstream:d")
    store.renew_lease(store.read_clock_ms() - stamps.LEASE_MS + 200)
    assert store.look_up("articles") == value
    deadline = time.monotonic() + 20
    while isinstance(store.look_up("articles"), Value):
        assert time.monotonic() < deadline, "the daemon's lease of 200 ms is not over after 20 s"
        time.sleep(0.02)
    assert not store.fill("articles", value, lifetime_seconds=60)
    assert store.certify(TAGS, seen.p, seen.epoch) is None


def test_sequence_numbers_stay_exact_beyond_a_floats_text(store: Store) -> None:
    """Lua prints numbers with 14 digits; the scripts must not."""
    keep_daemon_alive(store)
    store._client.hset("slipstream:e", "seq", 2**53 - 10)
    seen = store.begin()
    assert seen.p == 2**53 - 10
    assert store.fill("k", Value(b"", frozenset(TAGS), "everyone", seen.p, seen.epoch), lifetime_seconds=60)
    assert store.stamp(TAGS, XIDS[0]).n == 2**53 - 9
    assert isinstance(store.look_up("k"), Miss)


def test_full_store_refuses_fills_but_never_writes_or_reads(store: Store) -> None:
    keep_daemon_alive(store)
    seen = store.begin()
    store.pend(TAGS, XIDS[0])
    store._client.config_set("maxmemory", 1)
    with pytest.raises(Exception, match="maxmemory"):
        store.fill("k", Value(b"body", frozenset(TAGS), "everyone", seen.p, seen.epoch), lifetime_seconds=60)
    assert store.stamp(TAGS, XIDS[0]).n == seen.p + 1
    store.pend(TAGS, XIDS[1])
    assert store.pending_transactions().keys() == {XIDS[1]}
    assert isinstance(store.look_up("k"), Miss)
    keep_daemon_alive(store)


def test_only_what_may_be_lost_expires(store: Store) -> None:
    """volatile-* policies evict only keys that expire: pending sets, their index and the epoch must not."""
    keep_daemon_alive(store)
    seen = store.begin()
    store.fill("k", Value(b"body", frozenset(TAGS), "everyone", seen.p, seen.epoch), lifetime_seconds=60)
    store.pend(TAGS, XIDS[0])
    store.stamp([TAGS[0]], XIDS[1])
    store.acknowledge(XIDS[1])
    expires = {key.decode().split(":")[1] for key in store._client.scan_iter() if store._client.pttl(key) > 0}
    stays = {key.decode().split(":")[1] for key in store._client.scan_iter() if store._client.pttl(key) == -1}
    assert (expires, stays) == ({"t", "v", "a", "d"}, {"p", "w", "e"})


def test_restart_from_a_snapshot_brings_nothing_back(tmp_path_factory: pytest.TempPathFactory) -> None:
    server = RedisServer(tmp_path_factory.mktemp("redis-with-a-past"))
    try:
        server.start()
        with server.client() as client:
            store = Store(client)
            keep_daemon_alive(store)
            seen = store.begin()
            store.fill("k", Value(b"old", frozenset(TAGS), "everyone", seen.p, seen.epoch), lifetime_seconds=60)
            client.save()
            store.stamp(TAGS, XIDS[0])
        server.stop()
        server.start()
        with server.client() as client:
            assert client.exists("slipstream:v:k"), "the dump was not loaded, so the test shows nothing"
            found = Store(client).look_up("k")
            assert isinstance(found, Miss)
            assert found.epoch != seen.epoch
    finally:
        server.stop()


class CountingRedis(Redis):
    round_trips = 0

    def execute_command(self, *args: Any, **options: Any) -> Any:
        self.round_trips += 1
        return super().execute_command(*args, **options)


def test_each_decision_is_one_round_trip_and_one_more_where_redis_forgot_the_script(redis_server: RedisServer) -> None:
    with CountingRedis(unix_socket_path=str(redis_server.socket)) as client:
        store = Store(client)
        value = Value(b"body", frozenset(TAGS), "everyone", 0, "E")
        decisions: list[Callable[[], object]] = [
            lambda: store.look_up("k"),
            store.begin,
            lambda: store.fill("k", value, 60),
            lambda: store.certify(TAGS, 0, "E"),
            lambda: store.pend(TAGS, XIDS[0]),
            lambda: store.stamp(TAGS, XIDS[0]),
            lambda: store.acknowledge(XIDS[0]),
            lambda: store.unacknowledged(XIDS),
            store.pending_transactions,
            lambda: store.renew_lease(0),
            store.renew_epoch,
        ]
        for decide in decisions:
            decide()
            client.round_trips = 0
            decide()
            assert client.round_trips == 1
        client.script_flush()
        client.round_trips = 0
        store.begin()
        assert client.round_trips == 2


def test_decoding_client_is_refused_with_one_sentence() -> None:
    with pytest.raises(ValueError, match="decode_responses=True"):
        Store(Redis(decode_responses=True))
