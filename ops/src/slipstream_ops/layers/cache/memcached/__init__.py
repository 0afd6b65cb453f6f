"""Memcached as the cache: values in memory alone, several threads, nothing to recover, and no password."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipstream_ops.layers.cache.memcached.stats import COMMANDS, parse
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    Exchange,
    ExchangeProbe,
    File,
    Lent,
    Requirement,
    Service,
    Sized,
    VitalsSource,
    Wait,
)
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import share_of
from slipstream_ops.stack import StackFile

__all__ = [
    "LENDS",
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

TITLE = "Memcached"
REQUIREMENTS = (Requirement("memcached", "memcached"),)
LENDS = (Lent(("pymemcache",), "pymemcache>=4.0"), Lent(("lz4",), "lz4>=4.3"))
SMALLEST_MEGABYTES = 16
MAX_CLIENTS = 1000
DESCRIPTORS_BESIDE_CLIENTS = 64  # listening sockets, the threads' own pipes and event queues

FLAGS = {"memory": "-m", "connections": "-c", "threads": "-t", "largest value": "-I"}


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    """A port alone: Memcached listens either on a unix socket or on addresses, and processes of other hosts need the latter."""
    return (EndpointNeed("cache", 8620),)


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    share = share_of(host, "cache", stack.config.cache.memory)
    megabytes = max(SMALLEST_MEGABYTES, share.megabytes * 85 // 100)
    threads = max(1, min(4, host.cores // 2 if host.is_shared else host.cores))
    return (
        Sized(
            "memory",
            megabytes,
            f"85% of {share.megabytes} MB ({share.reason}), at least {SMALLEST_MEGABYTES}",
            "MB for values; the rest is for the table of keys and the buffers of connections",
        ),
        Sized("connections", MAX_CLIENTS, "fixed", "far above what app servers and workers open; within the limit of open files"),
        Sized(
            "threads",
            threads,
            "half of the cores beside other services, all of them alone; 1 to 4",
            "a thread answers more than all Python processes of a host ask; beyond 4 they wait for each other's locks",
        ),
        Sized(
            "largest value",
            "4m",
            "fixed",
            "the default of 1 MB silently refuses long pages and lists; over 0.5 MB a value lies in several chunks",
        ),
    )


def start_script(stack: Stack) -> Path:
    return stack.state.rendered / "cache" / "memcached.sh"


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    content = fill(
        __package__ or __name__,
        "memcached.sh.j2",
        endpoint=stack.endpoint("cache"),
        sizes=sizes(stack, host),
        flags=FLAGS,
    )
    return (File(start_script(stack), content, is_executable=True),)


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """A start on a socket of its own: Memcached has no checker, and only a start reads every option."""
    script = fill(__package__ or __name__, "trial.sh")
    return (
        Command(
            ("/bin/sh", "-c", script, "trial", str(start_script(stack))),
            why="checking the cache's configuration",
            account="cache",
            timeout_seconds=30,
        ),
    )


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return (
        Service(
            name="cache",
            layer="cache",
            command=("/bin/sh", str(start_script(stack))),
            account="cache",
            probe=ExchangeProbe(exchange(stack, "version"), b"VERSION "),
            open_files=MAX_CLIENTS + DESCRIPTORS_BESIDE_CLIENTS,
            listens=("cache",),
        ),
    )


def exchange(stack: Stack, *commands: str) -> Exchange:
    """``commands`` of the text protocol; ``quit`` makes the server end the answer."""
    endpoint = stack.endpoint("cache")
    lines = "".join(f"{command}\r\n" for command in (*commands, "quit"))
    return Exchange((endpoint.address, endpoint.port), lines.encode(), timeout_seconds=2.0)


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """The memory limit is set in the running server: a restart would empty the cache. All else changes with the next start."""
    (megabytes,) = (sized.value for sized in sizes(stack, host) if sized.name == "memory")
    return (
        Wait(
            ExchangeProbe(exchange(stack, f"cache_memlimit {megabytes}"), b"OK\r\n"),
            why="reloading the cache",
            timeout_seconds=5,
        ),
    )


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"urls": ["memcached://host:port"]}``: one server; clients spread the keys over as many as the list names."""
    return {"urls": [f"memcached://{stack.endpoint('cache').netloc}"]}


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    return (VitalsSource("cache", exchange(stack, *COMMANDS)),)
