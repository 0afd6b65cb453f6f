"""One recomputation, whatever the number of processes; the previous value or a bounded wait for everybody else."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from cache_servers import CacheServer, wait_until

from slipstream.caches.counts import counts_of

WORKER = Path(__file__).parent / "herd_worker.py"
PROCESSES = 8
_numbers = itertools.count()


def stampede(server: CacheServer, **order: Any) -> list[dict[str, Any]]:
    order = {"backend": server.backend, "location": server.location, "how": "get_or_set", "lifetime": 60} | order
    workers = [
        subprocess.Popen(
            [sys.executable, str(WORKER), json.dumps(order)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for _ in range(order.get("processes", PROCESSES))
    ]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            assert worker.stdin is not None
            worker.stdin.write("go\n")
            worker.stdin.flush()
        return [json.loads(worker.communicate(timeout=60)[0]) for worker in workers]
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def prefix() -> str:
    return f"herd{next(_numbers)}"


def store_expired(cache: Any, key: str, value: Any) -> None:
    cache.get_or_set(key, lambda: value, 0.05)
    wait_until(lambda: cache.get(key) is None, "the value expires")


@pytest.mark.parametrize("how", ["get_or_set", "async"])
def test_a_thousand_requests_on_one_expired_key_compute_it_once(server: CacheServer, make_cache: Any, how: str) -> None:
    name = prefix()
    store_expired(make_cache(server, KEY_PREFIX=name), "key", "old")
    results = stampede(server, prefix=name, how=how, requests=125, compute_seconds=1.0)
    assert sum(result["computed"] for result in results) == 1
    answers = [answer for result in results for answer in result["answers"]]
    assert set(answers) <= {"old", "new"}
    assert sum(result["answers"].get("old", 0) for result in results) > 0
    assert sum(sum(result["answers"].values()) for result in results) == 1000


@pytest.mark.parametrize("how", ["get_or_set", "async"])
def test_a_thousand_requests_on_one_missing_key_compute_it_once(server: CacheServer, how: str) -> None:
    results = stampede(server, prefix=prefix(), how=how, requests=125, compute_seconds=0.5, options={"wait_seconds": 10})
    assert sum(result["computed"] for result in results) == 1
    assert sum(result["answers"].get("new", 0) for result in results) == 1000
    assert sum(result["failures"] for result in results) == 0


def test_nobody_waits_beyond_the_bound(server: CacheServer) -> None:
    results = stampede(server, prefix=prefix(), requests=4, compute_seconds=3.0, options={"wait_seconds": 0.5})
    assert sum(result["computed"] for result in results) == 4 * PROCESSES  # every one of them, its wait being over
    assert max(result["longest_seconds"] for result in results) < 0.5 + 3.0 + 1.5  # the bound, the computing, a busy machine


@pytest.mark.parametrize("state", ["missing", "expired"])
def test_django_page_cache_renders_once(server: CacheServer, make_cache: Any, state: str) -> None:
    name = prefix()
    if state == "expired":
        stampede(server, prefix=name, how="page", lifetime=1, requests=1, processes=1, compute_seconds=0)
        cache = make_cache(server, KEY_PREFIX=name)
        time.sleep(1.1)  # the page's lifetime; its header list lives on
        assert cache.counts is counts_of(name)
    results = stampede(server, prefix=name, how="page", requests=125, compute_seconds=0.7, options={"wait_seconds": 10})
    assert sum(result["computed"] for result in results) == 1
    assert sum(sum(result["answers"].values()) for result in results) == 1000


def test_an_invalidated_value_is_never_the_previous_one(cache: Any) -> None:
    for invalidate in (lambda: cache.delete("key"), lambda: cache.clear()):
        store_expired(cache, "key", "old")
        invalidate()
        claimed, released, seen = threading.Event(), threading.Event(), []

        def compute(claimed: threading.Event = claimed, released: threading.Event = released) -> str:
            claimed.set()
            released.wait(10)
            return "new"

        owner = threading.Thread(target=lambda: cache.get_or_set("key", compute, 60))
        owner.start()
        assert claimed.wait(10)
        reader = threading.Thread(target=lambda seen=seen: seen.append(cache.get_or_set("key", lambda: "mine", 60)))
        reader.start()
        released.set()
        owner.join(10)
        reader.join(10)
        assert seen == ["new"]
        cache.clear()


@pytest.mark.parametrize("was_there", [False, True])
def test_what_was_computed_before_an_invalidation_is_not_stored_after_it(cache: Any, was_there: bool) -> None:
    """The race of every cache-aside: read the old data, lose the processor, store it after the delete."""
    for invalidate in (lambda: cache.delete("key"), lambda: cache.clear(), lambda: cache.set("key", "newer")):
        if was_there:
            store_expired(cache, "key", "old")

        def compute(invalidate: Any = invalidate) -> str:
            invalidate()
            return "stale"

        assert cache.get_or_set("key", compute, 60) == "stale"  # its own caller asked before
        assert cache.get("key") in (None, "newer")
        cache.clear()


def test_the_claim_of_a_failed_computation_is_given_up(cache: Any) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get_or_set("key", fail)
    began = time.monotonic()
    assert cache.get_or_set("key", lambda: 1) == 1
    assert time.monotonic() - began < 1


def test_the_claim_of_a_dead_process_expires(server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(server, OPTIONS={"claim_seconds": 1})
    claim = cache.herd.ask(cache.full_key("key", None))  # and then the process dies
    assert claim.is_mine
    assert cache.get_or_set("key", lambda: "computed") == "computed"
    assert cache.get("key") == "computed"


def test_pages_that_turn_out_uncacheable_make_nobody_wait(server: CacheServer, make_cache: Any) -> None:
    """Without the mark each request would wait for the one before it."""
    cache = make_cache(server)
    key = "views.decorators.cache.cache_header.x"
    assert cache.get(key) is None  # claims the page
    cache.close()  # its response was not to be cached
    other = make_cache(server, KEY_PREFIX=cache.key_prefix)
    began = time.monotonic()
    for _ in range(3):
        assert other.get(key) is None
        other.close()
    assert time.monotonic() - began < 1


def test_ten_thousand_keys_of_one_lifetime_expire_over_a_fifth_of_it(server: CacheServer, make_cache: Any) -> None:
    cache = make_cache(server, OPTIONS={"timeout_seconds": 5})
    cache.get("a")
    for start in range(0, 10_000, 1000):
        cache.set_many({f"k{number}": number for number in range(start, start + 1000)}, 1000)
    driver, names = cache.drivers[0], [cache.full_key(f"k{number}", None) for number in range(10_000)]
    if server.product == "redis":
        from slipstream.caches.redis import _Exchanging, pack

        request = b"".join(pack(b"PTTL", name) for name in names)
        left = [answer / 1000 for answer in driver.call(_Exchanging.exchange_many, request, len(names))]
    else:
        from slipstream.caches.memcached import _seconds_left

        left = [driver.call(_seconds_left, name) for name in names]
    assert max(left) <= 1000
    assert max(left) - min(left) >= 0.2 * 1000 - 1.0  # the second it took to set them
    assert len({round(seconds / 10) for seconds in left}) >= 20  # and evenly


def test_django_page_cache_under_asgi(server: CacheServer) -> None:
    """The end of an ASGI request is told in another context than its views ran in; the claims must end with it all the same."""
    script = WORKER.parent / "asgi_site.py"
    command = [sys.executable, str(script), server.backend, server.location, prefix()]
    run = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert run.returncode == 0, run.stderr
    report = json.loads(run.stdout.splitlines()[-1])
    assert report["public"]["rendered"] == 1
    assert report["private"]["rendered"] == 20
    assert report["public"]["statuses"] == report["private"]["statuses"] == [200]
    assert report["private"]["seconds"] < 10  # two rounds of rendering, and not the 20 s that one may wait


def test_a_computation_that_asks_for_itself_does_not_wait_for_itself(cache: Any) -> None:
    began = time.monotonic()
    assert cache.get_or_set("key", lambda: cache.get_or_set("key", lambda: 1) + 1) == 2
    assert time.monotonic() - began < 1.5


def test_no_read_after_an_invalidation_is_older(server: CacheServer, make_cache: Any) -> None:
    """A writer that changes the data and deletes the key, against readers that compute it from the data all the time."""
    cache = make_cache(server, OPTIONS={"timeout_seconds": 5})
    data, done = [0], [0]  # what the database says; the last change whose invalidation has returned
    is_over = threading.Event()
    errors: list[str] = []

    def compute() -> int:
        value = data[0]
        time.sleep(0.0005)  # the time between reading the data and storing the value
        return value

    def read() -> None:
        while not is_over.is_set():
            before = done[0]
            if cache.get_or_set("key", compute, 60) < before:
                errors.append("get_or_set")

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    try:
        for value in range(1, 301):
            data[0] = value
            if value % 10:
                cache.delete("key")
            else:
                cache.clear()
            done[0] = value
            found = cache.get("key")
            if found is not None and found < value:
                errors.append(f"{found} after {value}")
            cache.get_or_set("key", compute, 60)
    finally:
        is_over.set()
        for reader in readers:
            reader.join()
    assert errors == []
    assert cache.counts.faults == cache.counts.lost_writes == 0
