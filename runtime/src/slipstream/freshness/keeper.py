"""The store of this process, and what happens to readers while it does not answer."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from slipstream.freshness.configuration import freshness_settings
from slipstream.freshness.protocol.store import Store

T = TypeVar("T")
REST_SECONDS = 1.0  # readers leave a store alone that long after it did not answer; writers always ask

_rests_until = 0.0


@cache
def open_client() -> Redis:
    """Connections are made on use and are not shared across a fork. One retry: every script may be repeated without harm."""
    settings = freshness_settings()
    return Redis.from_url(
        settings.store,
        socket_timeout=settings.store_seconds,
        socket_connect_timeout=settings.store_seconds,
        retry=Retry(NoBackoff(), 1),
        retry_on_error=[ConnectionError],
        protocol=2,
    )


@cache
def open_store() -> Store:
    return Store(open_client(), freshness_settings().prefix)


def ask_store(question: Callable[[Store], T]) -> T | None:
    """The store's answer for a reader, or None at once while it rests after an error."""
    global _rests_until
    if time.monotonic() < _rests_until:
        return None
    try:
        return question(open_store())
    except RedisError:
        _rests_until = time.monotonic() + REST_SECONDS
        return None
