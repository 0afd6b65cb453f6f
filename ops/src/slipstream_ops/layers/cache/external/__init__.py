"""Cache servers that others run, by the URLs in the stack file: Redis, plain or with TLS."""

from __future__ import annotations

from typing import Any

from slipstream_ops.layers.cache import redis
from slipstream_ops.layers.cache.redis.remote import exchange_with, wait_for_answer
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    File,
    Lent,
    Requirement,
    Service,
    Sized,
    VitalsSource,
    Wait,
)
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

TITLE = "external cache"
LENDS = (Lent(("redis",), "redis>=5"), Lent(("hiredis",), "hiredis>=3"), Lent(("lz4",), "lz4>=4.3"))
REQUIREMENTS: tuple[Requirement, ...] = ()


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return ()


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    return ()


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return ()


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return ()


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    return ()


def preflight(stack: Stack, host: Host) -> tuple[Wait, ...]:
    """Each server lets us in and answers. Raises ``Complaint`` for a URL that names no server."""
    return tuple(wait for url in stack.config.cache.urls for wait in wait_for_answer(url, "cache"))


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"urls": [...]}`` as the stack file writes them."""
    return {"urls": list(stack.config.cache.urls)}


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """One source for each server, named "cache", "cache-2", ...; none for a server that may not be asked."""
    asked = (exchange_with(url, ("INFO", "all")) for url in stack.config.cache.urls)
    return tuple(
        VitalsSource("cache" if number == 1 else f"cache-{number}", exchange)
        for number, exchange in enumerate(asked, 1)
        if exchange is not None
    )


def parse(raw: str) -> CacheVitals:
    return redis.parse(raw)
