"""The edge's numbers: connections, threads and how many requests the app servers may carry at once."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.layers.edge.pages import SAME_PAGE
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import app_processes

BUFFER_BYTES = 32768
"""Twice HAProxy's own: holds a request head (cookies included), one of our error pages, and what a retry sends again."""

PAGE_LIMIT_BYTES = BUFFER_BYTES - 2048
"""An error page with its head must fit one buffer."""

PAGE_STATUSES = (400, 403, 404, 405, 408, 500, *SAME_PAGE, 503)


def app_servers(stack: Stack) -> tuple[str, ...]:
    """Names of the app servers ("app-1", ...), in order."""
    names = [name for name in stack.endpoints if name.startswith("app-") and name[4:].isdigit()]
    return tuple(sorted(names, key=lambda name: int(name[4:])))


def slots(stack: Stack) -> Sized:
    config = stack.config.appserver
    processes = int(app_processes(stack.host_of("appserver"), config.processes, config.instances).value)
    return Sized(
        "slots",
        processes * config.threads,
        f"{processes} processes x {config.threads} threads of one app server",
        "a request waits here, where the next free server takes it, rather than behind a slow one in a server's own queue",
    )


def global_connections(stack: Stack) -> int:
    return stack.config.edge.max_connections * 2


def open_files(stack: Stack) -> int:
    # Each connection counted by HAProxy has a second one to the server behind; 200 for checks, logs and listeners.
    return global_connections(stack) * 2 + 200


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    visitors = stack.config.edge.max_connections
    each = slots(stack)
    total = int(each.value) * len(app_servers(stack))
    return (
        Sized(
            "maxconn",
            global_connections(stack),
            f"2 x max_connections {visitors}",
            "a visitor's connection, and the accelerator's for the same request on its way to an app server",
        ),
        Sized(
            "nbthread", host.cores, "cores of the host", "TLS handshakes are the only work of weight; they spread over all cores"
        ),
        Sized(
            "bufsize",
            BUFFER_BYTES,
            "fixed",
            "holds a large cookie header, an own error page, and a request that may have to be sent again",
        ),
        each,
        Sized(
            "upgrades",
            max(1, int(each.value) // 2),
            f"half of {each.value} slots, at least 1",
            "WebSockets stay for hours; however many there are, pages keep half of every app server",
        ),
        Sized(
            "fallback",
            max(1, total),
            f"{each.value} slots x {len(app_servers(stack))} app servers, at least 1",
            "without the accelerator every page is built anew: as many at once as there are workers, the rest waits in the queue",
        ),
    )
