"""Redis as the broker: queues in memory, kept in a file, never evicted."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from urllib.parse import quote

from slipstream import wire
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.cache.redis.resp import decode, first_info, number_in
from slipstream_ops.layers.cache.redis.server import MAX_CLIENTS, REQUIREMENTS, RedisServer
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
    "questions",
    "reload",
    "render",
    "services",
    "sizes",
    "vitals_sources",
]

TITLE = "Redis"
LENDS = (
    Lent(("redis",), "redis>=5"),
    Lent(("hiredis",), "hiredis>=3"),
    Lent(("packaging",), "packaging"),  # kombu's transport imports it without saying so
)
SMALLEST_MEGABYTES = 32
CELERY_DEFAULT_QUEUE = "celery"  # of tasks that a project routes nowhere
UNACKNOWLEDGED = "unacked"  # hash in which Celery's Redis transport keeps what workers took


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (EndpointNeed("broker", 8621),)


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    share = share_of(host, "broker")
    megabytes = max(SMALLEST_MEGABYTES, share.megabytes * 60 // 100)
    return (
        Sized(
            "maxmemory",
            f"{megabytes}mb",
            f"60% of {share.megabytes} MB ({share.reason}), at least {SMALLEST_MEGABYTES} MB",
            "while its file is rewritten, pages that change exist twice",
        ),
        Sized(
            "maxmemory-policy",
            "noeviction",
            "fixed",
            "a full broker refuses new work with an error; it never drops work silently",
        ),
        Sized("maxclients", MAX_CLIENTS, "fixed", "far above what app servers and workers open; within the limit of open files"),
    )


def server(stack: Stack, host: Host) -> RedisServer:
    own = fill(__package__ or __name__, "broker.conf.j2")
    return RedisServer(stack, "broker", stack.secrets.broker_password, sizes(stack, host), own)


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    return server(stack, host).files()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (server(stack, host).trial(),)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return (server(stack, host).service(stop_timeout_seconds=30),)  # the file is forced to the disk at the end


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    return server(stack, host).reload()


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"url": url}``. TCP on every host: a queue does not feel the difference, and not every version of Celery's
    transport takes a password with a unix socket."""
    password = quote(stack.secrets.broker_password, safe="")
    return {"url": f"redis://:{password}@{stack.endpoint('broker').netloc}/0"}


def queue_names(stack: Stack) -> tuple[str, ...]:
    """Queues that are watched: the stack's, Celery's default, and those the project declares."""
    return tuple(dict.fromkeys((*wire.QUEUES, CELERY_DEFAULT_QUEUE, *stack.project.queues)))


def questions(stack: Stack) -> tuple[tuple[str, ...], ...]:
    """Commands whose replies ``parse`` reads. ECHO before each length says whose it is."""
    lengths = [command for name in queue_names(stack) for command in (("ECHO", f"queue:{name}"), ("LLEN", name))]
    return (("INFO", "all"), *lengths, ("ECHO", "unacknowledged"), ("HLEN", UNACKNOWLEDGED))


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    return (VitalsSource("broker", server(stack, host).exchange(*questions(stack))),)


def parse(raw: str) -> BrokerVitals:
    """The broker's numbers from the replies to AUTH, INFO, (ECHO, LLEN) for each queue, ECHO, HLEN and QUIT."""
    replies = decode(raw)
    info = first_info(replies)
    counts = {
        name: count
        for name, count in pairwise(replies)
        if isinstance(name, str) and type(count) is int and (name == "unacknowledged" or name.startswith("queue:"))
    }
    is_kept = info["aof_enabled"] == "1" if "aof_enabled" in info else None
    return BrokerVitals(
        queues={name.removeprefix("queue:"): count for name, count in counts.items() if name.startswith("queue:")},
        unacknowledged=counts.get("unacknowledged"),
        memory_used_bytes=number_in(info, "used_memory"),
        memory_max_bytes=number_in(info, "maxmemory") or None,  # 0 means without limit
        clients=number_in(info, "connected_clients"),
        clients_max=number_in(info, "maxclients"),
        clients_refused=number_in(info, "rejected_connections"),
        is_loading=info["loading"] == "1" if "loading" in info else None,
        is_kept_on_disk=is_kept,
        last_write_succeeded=info["aof_last_write_status"] == "ok" if "aof_last_write_status" in info else None,
        uptime_seconds=number_in(info, "uptime_in_seconds"),
    )
