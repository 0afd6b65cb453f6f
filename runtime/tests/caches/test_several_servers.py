"""Several servers: what moves when one is lost, what a load notices of it, and that nothing old comes back with it."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from cache_servers import CacheServer, wait_until

from slipstream.caches.ring import rank_servers, slot_of


@pytest.fixture(params=["redis", "memcached"])
def three(request: pytest.FixtureRequest) -> Iterator[list[CacheServer]]:
    servers: list[CacheServer] = []
    with contextlib.ExitStack() as cleanup:
        for _ in range(3):
            server = CacheServer(request.param)
            cleanup.callback(server.close)
            servers.append(server.start())
        yield servers


@pytest.fixture
def make(three: list[CacheServer], make_cache: Any) -> Any:
    return lambda **entry: make_cache(three[0], location=[server.location for server in three], **entry)


def test_each_server_has_its_share_and_a_lost_one_moves_no_other() -> None:
    for names in (["a:1", "b:1", "c:1"], [f"10.0.0.{number}:6379" for number in range(8)]):
        ranks = rank_servers(names)
        shares = [sum(rank[0] == index for rank in ranks) / len(ranks) for index in range(len(names))]
        assert max(shares) < 1.2 / len(names)
        fewer = rank_servers(names[:-1])
        kept = sum(len(names) - 1 != before[0] == after[0] for before, after in zip(ranks, fewer, strict=True))
        lost = sum(before[0] == len(names) - 1 for before in ranks)
        assert kept + lost == len(ranks)
    assert len({slot_of(f"cache:1:key{number}".encode()) for number in range(100_000)}) == 4096


def test_losing_one_of_three_loses_a_third(three: list[CacheServer], make: Any) -> None:
    cache = make(OPTIONS={"timeout_seconds": 1.0})
    keys = [f"key{number}" for number in range(3000)]
    assert cache.set_many(dict.fromkeys(keys, 1)) == []
    assert len(cache.get_many(keys)) == 3000
    three[1].kill()
    for _ in range(5):
        cache.get_many(keys)
    missed = 3000 - len(cache.get_many(keys))
    assert 0.25 * 3000 < missed <= 0.4 * 3000
    assert cache.set_many(dict.fromkeys(keys, 2)) == []  # the others have taken over
    assert cache.get_many(keys) == dict.fromkeys(keys, 2)


def test_a_server_that_returns_with_its_data_returns_nothing_old(three: list[CacheServer], make: Any) -> None:
    """Paused, so that it keeps what it had: values changed or deleted meanwhile must not come back, on it or its stand-ins."""
    cache = make(OPTIONS={"timeout_seconds": 0.1, "retry_seconds": 0.5})
    keys = [f"key{number}" for number in range(300)]
    cache.set_many(dict.fromkeys(keys, "old"))
    three[2].pause()
    wait_until(lambda: not cache.get_many(keys) or bool(cache.drivers[2].retry_at), "the paused server is ejected")
    cache.set_many(dict.fromkeys(keys[:100], "new"))
    for key in keys[100:200]:
        cache.delete(key)
    three[2].resume()
    wait_until(lambda: bool(cache.get_many(keys)) and not cache.drivers[2].retry_at, "the server is used again")
    found = cache.get_many(keys)
    assert {found.get(key) for key in keys[:100]} <= {"new", None}
    assert {found.get(key) for key in keys[100:200]} == {None}
    assert {found[key] for key in keys[200:] if key in found} == {"old"}
    # And once more: what the stand-ins hold from the first time must not be served the second time.
    cache.set_many(dict.fromkeys(keys[:100], "newest"))
    three[2].pause()
    wait_until(lambda: not cache.get_many(keys) or bool(cache.drivers[2].retry_at), "the paused server is ejected again")
    assert set(cache.get_many(keys[:100]).values()) <= {"newest"}
    three[2].resume()


def test_a_bump_that_did_not_reach_a_server_is_told_and_made_up_for(three: list[CacheServer], make: Any) -> None:
    from slipstream.caches.generations import bump_cache

    cache = make(OPTIONS={"timeout_seconds": 0.1, "retry_seconds": 0.2})
    keys = [f"key{number}" for number in range(100)]
    cache.set_many(dict.fromkeys(keys, "old"))
    three[0].pause()
    bumped = bump_cache(cache, "pages")
    assert bumped.unreached == (cache.drivers[0].name,)
    assert len(bumped.renewed) == 2
    assert "NOT reached" in str(bumped)
    three[0].resume()
    wait_until(lambda: cache.set_many(dict.fromkeys(["a", "b", "c", "d", "e", "f"], 1)) == [], "all servers are used again")
    assert cache.get_many(keys) == {}


def test_a_load_does_not_notice_that_the_server_is_killed(own_server: CacheServer, make_cache: Any) -> None:
    """Eight threads that read through the cache: no exception, and hits again within the ejection time of its return."""
    cache = make_cache(own_server, OPTIONS={"retry_seconds": 1.0})
    failures: list[BaseException] = []
    served = [0]
    is_over = threading.Event()

    def visit(number: int) -> None:
        step = 0
        while not is_over.is_set():
            step += 1
            try:
                key = f"page{(number * 31 + step) % 50}"
                assert cache.get_or_set(key, lambda: "content", 60) == "content"
                cache.get_many([key, "other"])
                cache.add(f"{key}lock", 1)
                served[0] += 1
            except BaseException as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: served[0] > 200, "the load runs")
        own_server.kill()
        before = served[0]
        wait_until(lambda: served[0] > before + 500, "the load goes on without a cache")
        own_server.start()
        returned = time.monotonic()
        wait_until(lambda: cache.get("page1") == "content", "the cache is used again")
        assert time.monotonic() - returned < 1.0 + 2.0  # its ejection time, on a busy machine
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def test_forked_processes_have_connections_of_their_own(own_server: CacheServer, make_cache: Any) -> None:
    import os

    cache = make_cache(own_server)
    cache.set("a", "parent")
    child = os.fork()
    if child == 0:
        is_right = all(cache.set(f"child{number}", number) or cache.get(f"child{number}") == number for number in range(200))
        os._exit(0 if is_right else 1)
    for number in range(200):
        cache.set(f"parent{number}", number)
        assert cache.get(f"parent{number}") == number
    assert os.waitpid(child, 0)[1] == 0
