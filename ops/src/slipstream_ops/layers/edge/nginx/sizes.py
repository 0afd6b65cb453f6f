"""nginx's numbers as the edge: connections, processes, and the sizes of heads and bodies that it lets in."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.layers.edge.pages import SAME_PAGE
from slipstream_ops.placement import Host, Stack

PAGE_STATUSES = (400, 403, 404, 405, 408, 500, *SAME_PAGE, 503)

FULL_WEIGHT = 100
"""Of each app server, so that a percentage is a weight."""


def app_servers(stack: Stack) -> tuple[str, ...]:
    """Names of the app servers ("app-1", ...), in order."""
    names = [name for name in stack.endpoints if name.startswith("app-") and name[4:].isdigit()]
    return tuple(sorted(names, key=lambda name: int(name[4:])))


def connections(stack: Stack) -> int:
    return stack.config.edge.max_connections * 4


def open_files(stack: Stack) -> int:
    # A connection is a file; 200 more for logs, listeners, bodies and error pages.
    return connections(stack) + 200


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    visitors = stack.config.edge.max_connections
    return (
        Sized("worker_processes", host.cores, "cores of the host", "TLS handshakes are the only work of weight"),
        Sized(
            "worker_connections",
            connections(stack),
            f"4 x max_connections {visitors}, for each process",
            "a visitor, the way to the accelerator, its way back in and on to an app server; when they run out, idle visitors go",
        ),
        Sized(
            "head",
            "32k",
            "the accelerator's largest header line, and less than its whole head",
            "a head that is let in here and refused behind would look like a dying accelerator",
        ),
        Sized(
            "client_max_body_size",
            "1g",
            "fixed",
            "bodies wait on the disk here until they are whole; larger files belong into object storage by the browser itself",
        ),
        Sized(
            "client_body_buffer_size",
            "64k",
            "forms fit, uploads do not",
            "nothing is written to the disk for a form",
        ),
        Sized(
            "proxy_buffer_size",
            "32k",
            "the largest head of an answer that is passed on",
            "a page with many cookies or a long Content-Security-Policy is no error",
        ),
        Sized(
            "keepalive",
            64,
            "fixed, for each process",
            "idle connections to the accelerator that are used again; more only lie about",
        ),
        Sized(
            "max_fails",
            3,
            "fixed, within fail_timeout",
            "one ended worker is not a dead app server; a dead one refuses three connections in no time",
        ),
        Sized(
            "fail_timeout",
            "5s",
            "fixed",
            "how long a failed app server is left alone before one request tries it again, which goes on to another if it fails",
        ),
    )
