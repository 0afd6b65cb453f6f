"""Servers for the cache tests: one of each product for the run, emptied of nothing: each cache has a prefix of its own."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import django
from cache_servers import CacheServer, FaultProxy, running
from django.conf import settings
from django.utils.module_loading import import_string

if not settings.configured:
    settings.configure(SECRET_KEY="test", USE_TZ=True, ALLOWED_HOSTS=["*"])
django.setup()

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[CacheServer]:
    with running("redis") as server:
        yield server


@pytest.fixture(scope="session")
def memcached_server() -> Iterator[CacheServer]:
    with running("memcached") as server:
        yield server


@pytest.fixture(params=["redis", "memcached"])
def server(request: pytest.FixtureRequest) -> CacheServer:
    """A server of each product in turn, shared by all tests: not to be stopped."""
    return request.getfixturevalue(f"{request.param}_server")  # type: ignore[no-any-return]


@pytest.fixture(params=["redis", "memcached"])
def own_server(request: pytest.FixtureRequest) -> Iterator[CacheServer]:
    """A server of each product in turn, for this test alone."""
    with running(request.param) as server:
        yield server


@pytest.fixture
def proxy(own_server: CacheServer) -> Iterator[FaultProxy]:
    faults = FaultProxy(own_server.port)
    yield faults
    faults.close()


@pytest.fixture
def make_cache() -> Callable[..., Any]:
    """Return a function that makes a cache as Django would; without a KEY_PREFIX it gets one of its own."""

    def make(server: CacheServer, location: Any = None, **entry: Any) -> Any:
        entry.setdefault("KEY_PREFIX", f"test{next(_numbers)}")
        # On a busy machine 50 ms pass without the server's fault; tests of the time limit name their own.
        entry["OPTIONS"] = {"timeout_seconds": 2.0} | entry.get("OPTIONS", {})
        return import_string(server.backend)(location or server.location, entry)

    return make


@pytest.fixture
def cache(server: CacheServer, make_cache: Callable[..., Any]) -> Any:
    return make_cache(server)
