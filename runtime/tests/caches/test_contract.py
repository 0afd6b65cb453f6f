"""What every backend promises while its servers are well, and the same calls while they are not."""

from __future__ import annotations

import asyncio
import contextlib
import decimal
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cache_servers import CacheServer, FaultProxy, running, wait_until
from django.utils.safestring import SafeString, mark_safe

import slipstream.caches as slipstream_caches
from slipstream.caches import CacheUnavailable, MemcachedCache, server_counts

VALUES = [
    None, True, 0, -1, 2**80, 1.5, "", "text é", "x" * 50_000, b"", b"\x00\xff", b"y" * 50_000, [1, 2], {"a": (1, {2})},
    decimal.Decimal("1.10"), mark_safe("<b>"), "\ud800",
]  # fmt: skip


def test_every_kind_of_value_comes_back_as_it_was(cache: Any) -> None:
    for value in VALUES:
        cache.set("value", value)
        found = cache.get("value", "nothing")
        assert found == value
        assert type(found) is type(value)
    assert cache.set_many({f"k{number}": value for number, value in enumerate(VALUES)}) == []
    assert cache.get_many([f"k{number}" for number in range(len(VALUES))] + ["none"]) == {
        f"k{number}": value for number, value in enumerate(VALUES)
    }
    cache.set("safe", mark_safe("<i>"))
    assert isinstance(cache.get("safe"), SafeString)


def test_add_stores_only_where_there_is_nothing(cache: Any) -> None:
    assert cache.add("key", 1) is True
    assert cache.add("key", 2) is False
    assert cache.get("key") == 1
    cache.clear()
    assert cache.add("key", 3) is True  # the value of before the clear is nothing
    assert cache.get("key") == 3


def test_counters_are_exact_and_keep_their_lifetime(cache: Any) -> None:
    with pytest.raises(ValueError, match="not found"):
        cache.incr("counter")
    cache.set("counter", 2**60, timeout=2)
    assert cache.incr("counter") == 2**60 + 1
    assert cache.decr("counter", 2) == 2**60 - 1
    wait_until(lambda: cache.get("counter") is None, "the counter expires as it was set to")
    cache.set("word", "text")
    with pytest.raises(TypeError, match="holds no integer"):
        cache.incr("word")


def test_touch_and_delete_say_whether_there_was_a_value(cache: Any) -> None:
    assert not cache.touch("key")
    assert not cache.delete("key")
    cache.set("key", 1, timeout=1)
    assert cache.touch("key", timeout=60)
    time.sleep(1.1)  # what is shown is that the old lifetime has passed
    assert cache.get("key") == 1
    assert cache.delete("key") is True
    assert cache.delete("key") is False
    assert not cache.has_key("key")


def test_clear_makes_this_cache_new_and_no_other(server: CacheServer, make_cache: Callable[..., Any]) -> None:
    pages, queries = make_cache(server), make_cache(server)
    other_process = make_cache(server, KEY_PREFIX=pages.key_prefix)
    for cache in (pages, queries):
        cache.set_many({"a": 1, "b": 2})
    assert other_process.get("a") == 1
    assert pages.clear() is True
    assert other_process.get("a") is None
    assert pages.get_many(["a", "b"]) == {}
    assert not pages.has_key("a")
    assert not pages.touch("a")
    assert not pages.delete("a")
    with pytest.raises(ValueError, match="not found"):
        pages.incr("a")
    assert queries.get_many(["a", "b"]) == {"a": 1, "b": 2}
    other_process.set("a", 5)  # written with the new generation, though this one never read it
    assert pages.get("a") == 5


def test_a_write_by_a_process_that_missed_a_bump_is_read(server: CacheServer, make_cache: Callable[..., Any]) -> None:
    """The generation a writer remembers may be old: the answer to the write says so, and it is written again."""
    cache = make_cache(server)
    cache.set("a", 1)
    driver = cache.drivers[0]
    before = dict(driver.generations)
    cache.clear()
    for write in (lambda: cache.set("a", 2), lambda: cache.set_many({"a": 2}), lambda: cache.add("a", 2)):
        cache.delete("a")
        driver.generations.update(before)
        write()
        assert cache.get("a") == 2


def test_a_lost_generation_never_comes_back(own_server: CacheServer, make_cache: Callable[..., Any]) -> None:
    cache = make_cache(own_server)
    cache.set("a", 1)
    own_server.kill()
    own_server.start()
    assert cache.get("a") is None
    cache.set("a", 2)
    assert cache.get("a") == 2


def test_async_methods_do_what_the_others_do(cache: Any) -> None:
    async def run() -> None:
        await cache.aset("a", 1)
        assert await cache.aget("a") == 1
        assert await cache.aincr("a") == 2
        assert await cache.adecr("a", 2) == 0
        assert await cache.aset_many({"b": 1, "c": 2}) == []
        assert await cache.aget_many(["b", "c", "d"]) == {"b": 1, "c": 2}
        assert await cache.aadd("b", 5) is False
        assert await cache.atouch("b") is True
        assert await cache.ahas_key("b")
        assert await cache.adelete("b") is True
        await cache.adelete_many(["c"])
        assert await cache.aincr_version("a") == 2
        assert await cache.aget("a", version=2) == 0

        async def compute() -> str:
            await asyncio.sleep(0)
            return "computed"

        assert await cache.aget_or_set("e", compute) == "computed"
        assert await cache.aget_or_set("e", lambda: "again") == "computed"
        assert await cache.aclear() is True
        assert await cache.aget("e") is None

    asyncio.run(run())


FAULT_ANSWERS: list[tuple[str, Callable[[Any], Any], Any]] = [
    ("get", lambda cache: cache.get("a", "default"), "default"),
    ("get_many", lambda cache: cache.get_many(["a", "b"]), {}),
    ("has_key", lambda cache: cache.has_key("a"), False),
    ("set", lambda cache: cache.set("a", 1), None),
    ("set_many", lambda cache: cache.set_many({"a": 1, "b": 2}), ["a", "b"]),
    ("add", lambda cache: cache.add("a", 1), False),
    ("touch", lambda cache: cache.touch("a"), False),
    ("delete", lambda cache: cache.delete("a"), False),
    ("delete_many", lambda cache: cache.delete_many(["a", "b"]), None),
    ("incr", lambda cache: cache.incr("a", 3), 3),
    ("decr", lambda cache: cache.decr("a", 3), -3),
    ("incr_version", lambda cache: cache.incr_version("a"), 2),
    ("get_or_set", lambda cache: cache.get_or_set("a", lambda: "computed"), "computed"),
    ("clear", lambda cache: cache.clear(), False),
]


@pytest.mark.parametrize("fault", ["refuse", "silent", "drip", "truncate", "garbage"])
def test_under_a_fault_each_call_is_a_bounded_miss(
    proxy: FaultProxy, own_server: CacheServer, make_cache: Any, fault: str
) -> None:
    location = own_server.location.replace(str(own_server.port), str(proxy.port))
    for name, call, expected in FAULT_ANSWERS:
        proxy.fault = "none"
        cache = make_cache(own_server, location=location, OPTIONS={"failures_before_ejection": 1000, "timeout_seconds": 0.1})
        cache.set_many({"a": 1, "b": 2})
        proxy.fault = fault
        began = time.monotonic()
        assert call(cache) == expected, name
        assert time.monotonic() - began < 1.0, name  # 0.1 s for each of its steps
        strict = make_cache(
            own_server,
            location=location,
            OPTIONS={"failures_before_ejection": 1000, "strict": True, "timeout_seconds": 0.1},
        )
        with pytest.raises(CacheUnavailable):
            call(strict)


def test_three_failures_eject_and_the_return_is_seen(own_server: CacheServer, make_cache: Any, caplog: Any) -> None:
    caplog.set_level("INFO", "slipstream.caches")
    cache = make_cache(own_server, OPTIONS={"retry_seconds": 0.5})
    cache.set("a", 1)
    own_server.kill()
    for _ in range(100):
        assert cache.get("a") is None
    counts = server_counts()[cache.drivers[0].name]
    assert counts["failures"] == 3
    assert counts["ejections"] == 1
    assert sum("ejected" in record.message for record in caplog.records) == 1
    assert len(caplog.records) == 2  # the first failure, and the ejection: not one a request
    own_server.start()
    cache.set("b", 2)
    wait_until(lambda: cache.set("b", 3) or cache.get("b") == 3, "the server is used again", 3)
    assert server_counts()[cache.drivers[0].name]["returns"] == 1
    assert sum("is back" in record.message for record in caplog.records) == 1


def test_a_paused_server_costs_its_timeout_three_times_and_then_nothing(own_server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(own_server, OPTIONS={"timeout_seconds": 0.05})
    wait_until(lambda: cache.set("a", 1) or cache.get("a") == 1, "the server answers")
    own_server.pause()
    try:
        began = time.monotonic()
        for _ in range(1000):
            assert cache.get("a") is None
        assert time.monotonic() - began < 1.0  # 3 x 50 ms, and 997 looks at the clock
    finally:
        own_server.resume()


def test_what_was_deleted_while_the_server_was_away_is_not_served_afterwards(
    proxy: FaultProxy, own_server: CacheServer, make_cache: Any
) -> None:
    location = own_server.location.replace(str(own_server.port), str(proxy.port))
    cache = make_cache(own_server, location=location, OPTIONS={"retry_seconds": 0.2})
    for lose in (lambda: cache.delete("a"), lambda: cache.set("a", "new"), lambda: cache.incr("a"), lambda: cache.clear()):
        wait_until(lambda: cache.set("a", 1) or cache.get("a") == 1, "the server is in use")
        proxy.fault = "refuse"
        lose()
        proxy.fault = "none"
        wait_until(lambda: cache.set("other", 1) or cache.get("other") == 1, "the server is in use again")
        assert cache.get("a") is None


def test_a_restarted_server_is_no_failure(own_server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(own_server)
    cache.set("a", 1)
    own_server.kill()
    own_server.start()
    cache.set("a", 2)
    assert cache.get("a") == 2
    assert cache.incr("a") == 3
    counts = server_counts()[cache.drivers[0].name]
    assert counts["failures"] == 0
    assert counts["reconnects"] == 1


def test_passwords_databases_and_unix_sockets(make_cache: Any) -> None:
    with running("redis", "--requirepass", "secret", "--unixsocket", "DIRECTORY/redis.sock") as server:
        path = f"unix://{server.directory}/redis.sock"
        first = make_cache(server, OPTIONS={"password": "secret", "strict": True})
        first.set("a", 1)
        assert first.get("a") == 1
        same = make_cache(server, location=f"{path}?password=secret", KEY_PREFIX=first.key_prefix, OPTIONS={"strict": True})
        assert same.get("a") == 1
        other = make_cache(server, location=f"{path}?db=3&password=secret", KEY_PREFIX=first.key_prefix)
        assert other.get("a") is None
        assert other.set("a", 2) is None
        assert first.get("a") == 1
        wrong = make_cache(server, OPTIONS={"password": "guess"})
        assert wrong.get("a") is None
        assert server_counts()[wrong.drivers[0].name]["failures"] >= 1


def test_a_memcached_socket(make_cache: Any, tmp_path: Any) -> None:
    path = tmp_path / "memcached.sock"
    tmp_path.chmod(0o777)
    tmp_path.parent.chmod(0o755)
    process = subprocess.Popen([shutil.which("memcached") or "memcached", "-s", str(path), "-a", "0777", "-u", "root"])
    try:
        wait_until(path.exists, "memcached has made its socket")
        cache = MemcachedCache(str(path), {"OPTIONS": {"strict": True, "timeout_seconds": 1}})
        cache.set("a", 1)
        assert cache.get("a") == 1
    finally:
        process.kill()
        process.wait()


def test_connecting_is_part_of_the_time(make_cache: Any, redis_server: CacheServer) -> None:
    """A listener whose queue is full: the kernel drops what would connect, as a host that is gone does."""
    with contextlib.ExitStack() as cleanup:
        listener = cleanup.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            filler = cleanup.enter_context(socket.socket())
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(listener.getsockname())
        cache = make_cache(
            redis_server, location=f"redis://127.0.0.1:{listener.getsockname()[1]}", OPTIONS={"timeout_seconds": 0.05}
        )
        began = time.monotonic()
        assert cache.get("a") is None
        assert 0.04 < time.monotonic() - began < 0.5
        assert server_counts()[cache.drivers[0].name]["timeouts"] == 1


def test_a_value_too_large_for_the_server_removes_the_older_one(memcached_server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(memcached_server, OPTIONS={"compress_above_bytes": 10_000_000, "timeout_seconds": 2})
    cache.set("a", "small")
    cache.set("a", "x" * 2_000_000)
    assert cache.get("a") is None
    assert cache.set_many({"a": "x" * 2_000_000, "b": 1}) == ["a", "b"]
    assert cache.get("a") is None
    assert not cache.drivers[0].retry_at  # the server lives: it has answered


def test_nothing_flushes() -> None:
    """No source of slipstream sends a command that empties a server."""
    for path in (Path(slipstream_caches.__file__).parent).rglob("*.py"):
        assert not re.search(r"flush_?(all|db)\b", path.read_text(), re.IGNORECASE), path


def test_computed_values_are_touched_and_counted_like_others(cache: Any) -> None:
    """They carry their expiry with them, because they stay a while longer as previous values."""
    assert cache.get_or_set("number", lambda: 5, 1) == 5
    assert cache.incr("number") == 6
    assert cache.touch("number", 60)
    time.sleep(1.1)  # the lifetime it had at first
    assert cache.get("number") == 6
    assert cache.touch("number", None)
    assert cache.get_many(["number"]) == {"number": 6}
    assert not cache.add("number", 1)
    assert cache.get_or_set("over-soon", lambda: 1, 0.05) == 1
    wait_until(lambda: not cache.has_key("over-soon"), "it expires")
    with pytest.raises(ValueError, match="not found"):
        cache.incr("over-soon")
    assert not cache.touch("over-soon")
    assert not cache.delete("over-soon")
    cache.get_or_set("over-soon", lambda: 1, 0.05)
    wait_until(lambda: not cache.has_key("over-soon"), "it expires")
    assert cache.add("over-soon", 2)
    assert cache.get("over-soon") == 2


def test_computing_without_a_server_costs_one_timeout(own_server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(own_server, OPTIONS={"timeout_seconds": 0.2})
    cache.set("a", 1)
    own_server.pause()
    try:
        assert cache.get_or_set("a", lambda: "computed") == "computed"
        assert asyncio.run(cache.aget_or_set("a", lambda: "computed")) == "computed"
        assert server_counts()[cache.drivers[0].name]["timeouts"] == 2
    finally:
        own_server.resume()
