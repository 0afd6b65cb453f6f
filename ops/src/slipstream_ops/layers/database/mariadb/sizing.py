"""MariaDB's numbers from the database's share of its host's memory, and from how many connections the stack opens."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.layers.database.postgresql.sizing import MOST_CONNECTIONS, TOOL_CONNECTIONS, own_host, project_processes
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import GIGABYTE, MEGABYTE, share_of

KILOBYTE = 1 << 10


def count_connections(stack: Stack) -> Sized:
    """``max_connections``: blueprint B2 wants them well under the maximum, B1 the maximum under 400."""
    if stack.config.database.max_connections is not None:
        return Sized(
            "max_connections", stack.config.database.max_connections, "written in the stack file", "what is written wins"
        )
    processes, threads = project_processes(stack), stack.config.appserver.threads
    wanted = 2 * processes * threads + TOOL_CONNECTIONS
    return Sized(
        "max_connections",
        min(wanted, MOST_CONNECTIONS - 1),
        f"2 x {processes} processes x {threads} threads + {TOOL_CONNECTIONS} = {wanted}, under {MOST_CONNECTIONS}",
        "twice, because old and new processes overlap while the site is reloaded; the rest is for the tool",
    )


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    """B1's 80% of RAM when the host is the database's own; on a shared host shares that together stay within its part."""
    share = share_of(host, "database", stack.config.database.memory)
    connections = count_connections(stack)
    return (connections, *_memory(share.bytes, share.reason, int(connections.value), own_host(host)))


def _memory(memory: int, reason: str, connections: int, is_own: bool) -> tuple[Sized, ...]:
    percent = 80 if is_own else 60
    pool = max(32 * MEGABYTE, memory * percent // 100)
    log = max(32 * MEGABYTE, min(pool // 4, 4 * GIGABYTE if is_own else GIGABYTE))
    each = memory * (100 - percent) // 400 // connections  # a quarter of the rest
    return (
        Sized(
            "innodb_buffer_pool_size",
            _megabytes(pool),
            f"{percent}% of {memory // MEGABYTE} MB ({reason})",
            "the data set should fit; InnoDB reads past the system's file cache, so this is its only cache",
        ),
        Sized(
            "innodb_log_file_size",
            _megabytes(log),
            "a quarter of the pool, 32 MB to 1 GB (4 GB on a host of its own)",
            "disk for the log; when it is full changed pages are written at once, and after a crash it is read again",
        ),
        Sized(
            "sort_buffer_size",
            _kilobytes(max(256 * KILOBYTE, min(each, 2 * MEGABYTE))),
            f"a quarter of the rest / {connections} connections, 256 kB to 2 MB",
            "taken whole by each sort, so more than the default of 2 MB costs every small one time",
        ),
        Sized(
            "join_buffer_size",
            "256K",
            "fixed",
            "several in one statement; joins that need more lack an index",
        ),
        Sized(
            "tmp_memory_table_size",
            _kilobytes(max(MEGABYTE, min(2 * each, 64 * MEGABYTE))),
            f"half of the rest / {connections} connections, 1 to 64 MB",
            "a temporary table over this goes to the disk",
        ),
    )


def _megabytes(count: int) -> str:
    return f"{count // MEGABYTE}M"


def _kilobytes(count: int) -> str:
    return f"{count // KILOBYTE}K"
