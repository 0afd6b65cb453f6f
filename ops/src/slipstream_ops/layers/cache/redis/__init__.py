"""Redis as the cache: small values in memory, the least popular leave first, nothing on disk."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from slipstream_ops.layers.cache.redis.resp import decode, first_info, number_in
from slipstream_ops.layers.cache.redis.server import MAX_CLIENTS, REQUIREMENTS, RedisServer, is_local_to
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.layers.contract import Action, Command, EndpointNeed, File, Lent, Service, Sized, VitalsSource
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import share_of
from slipstream_ops.stack import StackFile

__all__ = [
    "REQUIREMENTS",
    "TITLE",
    "check",
    "endpoints",
    "offer",
    "parse",
    "reload",
    "render",
    "services",
    "sizes",
    "vitals_sources",
]

TITLE = "Redis"
LENDS = (Lent(("redis",), "redis>=5"), Lent(("hiredis",), "hiredis>=3"), Lent(("lz4",), "lz4>=4.3"))
SMALLEST_MEGABYTES = 16


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (EndpointNeed("cache", 8620, socket="cache/redis.sock"),)


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    share = share_of(host, "cache", stack.config.cache.memory)
    megabytes = max(SMALLEST_MEGABYTES, share.megabytes * 85 // 100)
    cores_of_its_own = 1 if host.is_shared else host.cores
    threads = min(4, cores_of_its_own - 1) if cores_of_its_own >= 4 else 1
    return (
        Sized(
            "maxmemory",
            f"{megabytes}mb",
            f"85% of {share.megabytes} MB ({share.reason})",
            "the rest is for fragmentation and the buffers of connections",
        ),
        Sized(
            "maxmemory-policy",
            "allkeys-lfu",
            "fixed",
            "the least often used leave first: a crawler that reads every page once does not drive out what visitors read",
        ),
        Sized("maxclients", MAX_CLIENTS, "fixed", "far above what app servers and workers open; within the limit of open files"),
        Sized(
            "io-threads",
            threads,
            "cores - 1, at most 4, when 4 or more are the cache's own; else 1",
            "threads for reading and writing sockets pay only where cores are idle",
        ),
    )


def server(stack: Stack, host: Host) -> RedisServer:
    own = fill(__package__ or __name__, "cache.conf.j2")
    return RedisServer(stack, "cache", stack.secrets.cache_password, sizes(stack, host), own)


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    return server(stack, host).files()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (server(stack, host).trial(),)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return (server(stack, host).service(),)


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    return server(stack, host).reload()


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"urls": [url]}`` for processes on ``host``: the unix socket when the cache is there too, else TCP."""
    endpoint = stack.endpoint("cache")
    password = quote(stack.secrets.cache_password, safe="")
    if is_local_to(host, "cache", endpoint):
        return {"urls": [f"unix://:{password}@{quote(str(endpoint.socket))}?db=0"]}
    return {"urls": [f"redis://:{password}@{endpoint.netloc}/0"]}


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    return (VitalsSource("cache", server(stack, host).exchange(("INFO", "all"))),)


def parse(raw: str) -> CacheVitals:
    """The cache's numbers from the replies to AUTH, INFO and QUIT."""
    info = first_info(decode(raw))
    used, most = number_in(info, "used_memory"), number_in(info, "maxmemory")
    return CacheVitals(
        memory_used_bytes=used,
        memory_max_bytes=most or None,  # 0 means without limit
        memory_resident_bytes=number_in(info, "used_memory_rss"),
        hits=number_in(info, "keyspace_hits"),
        misses=number_in(info, "keyspace_misses"),
        evictions=number_in(info, "evicted_keys"),
        keys=sum(
            int(value.partition("=")[2].partition(",")[0]) for name, value in info.items() if name[:2] == "db" and "=" in value
        ),
        clients=number_in(info, "connected_clients"),
        clients_max=number_in(info, "maxclients"),
        clients_refused=number_in(info, "rejected_connections"),
        operations=number_in(info, "total_commands_processed"),
        operations_per_second=number_in(info, "instantaneous_ops_per_sec"),
        uptime_seconds=number_in(info, "uptime_in_seconds"),
    )
