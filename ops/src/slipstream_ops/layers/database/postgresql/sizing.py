"""PostgreSQL's numbers from the database's share of its host's memory, and from how many connections the stack opens."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import GIGABYTE, MEGABYTE, app_processes, format_megabytes, share_of

RESERVED = 3  # connections only for the superuser
TOOL_CONNECTIONS = 10  # migrations, management commands, a shell, the sampling of numbers
FEWEST_CONNECTIONS = 20
MOST_CONNECTIONS = 400  # blueprint B1


def own_host(host: Host) -> bool:
    return host.layers - {"application"} == {"database"}


def project_processes(stack: Stack) -> int:
    """Processes of the project that may talk to the database: app servers, workers (with their parents) and beat."""
    config = stack.config
    served = sum(
        config.appserver.instances * int(app_processes(host, config.appserver.processes, config.appserver.instances).value)
        for host in stack.hosts
        if "appserver" in host.layers
    )
    queues = (config.workers.high, config.workers.default, config.workers.low)
    return served + (sum(queues) + len(queues) + 1 if stack.has_workers else 0)


def connections_of_pool(stack: Stack) -> int:
    """Most connections that one process of the project holds: one for each thread and one for work beside the request,
    less when ``max_connections`` is written and has no room for that."""
    wanted = stack.config.appserver.threads + 1
    written = stack.config.database.max_connections
    if written is None:
        return wanted
    room = (written - RESERVED - TOOL_CONNECTIONS) // max(1, project_processes(stack))
    return max(1, min(wanted, room))


def count_connections(stack: Stack) -> Sized:
    """``max_connections``: blueprint B2 wants them well under the maximum, B1 the maximum under 400."""
    if stack.config.database.max_connections is not None:
        return Sized(
            "max_connections", stack.config.database.max_connections, "written in the stack file", "what is written wins"
        )
    processes, pool = project_processes(stack), connections_of_pool(stack)
    wanted = max(FEWEST_CONNECTIONS, 2 * processes * pool + TOOL_CONNECTIONS + RESERVED)
    return Sized(
        "max_connections",
        min(wanted, MOST_CONNECTIONS - 1),
        f"2 x {processes} processes x {pool} pooled + {TOOL_CONNECTIONS + RESERVED}; {FEWEST_CONNECTIONS} or more, under 400",
        "twice, because old and new processes overlap while the site is reloaded; the rest is for the tool",
    )


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    """B1's shares of RAM when the host is the database's own; on a shared host shares that together stay within its part."""
    share = share_of(host, "database", stack.config.database.memory)
    connections = count_connections(stack)
    return (connections, *_memory(share.bytes, share.reason, int(connections.value), own_host(host)), *_cores(host))


def _memory(memory: int, reason: str, connections: int, is_own: bool) -> tuple[Sized, ...]:
    whose = f"{memory // MEGABYTE} MB ({reason})"
    buffers = max(32 * MEGABYTE, min(memory // 4, 8 * GIGABYTE))
    maintenance = max(16 * MEGABYTE, min(memory // 16, 2 * GIGABYTE))
    if is_own:
        work = max(4 * MEGABYTE, 2 * memory // connections)
        work_formula, work_reason = f"2 x RAM / {connections} connections", "most connections are idle most of the time"
    else:
        work = max(MEGABYTE, memory // 4 // connections)
        work_formula = f"25% of the share / {connections} connections"
        work_reason = "even with every connection sorting at once (hash tables twice this) the share is enough"
    log_bytes = 4 * GIGABYTE if is_own else GIGABYTE
    return (
        Sized(
            "shared_buffers", format_megabytes(buffers), f"25% of {whose}, at most 8 GB", "the rest is the system's file cache"
        ),
        Sized(
            "effective_cache_size",
            format_megabytes(memory // 2),
            f"50% of {whose}",
            "what the planner may expect in memory, its own and the system's; nothing is taken",
        ),
        Sized("work_mem", f"{work // 1024}kB", work_formula, work_reason),
        Sized(
            "maintenance_work_mem",
            format_megabytes(maintenance),
            f"1/16 of {whose}, at most 2 GB",
            "for each of three vacuums, or the building of an index",
        ),
        Sized(
            "max_wal_size",
            format_megabytes(log_bytes),
            "4 GB on a host of its own, else 1 GB",
            "disk for the log between two checkpoints; more writes than that bring the next one forward",
        ),
    )


def _cores(host: Host) -> tuple[Sized, ...]:
    cores = host.cores if own_host(host) else host.cores // 4
    return (
        Sized(
            "max_parallel_workers_per_gather",
            min(4, cores // 2),
            "half of the database's cores, at most 4; on a shared host it counts on a quarter of them",
            "a parallel query takes cores from other visitors",
        ),
    )
