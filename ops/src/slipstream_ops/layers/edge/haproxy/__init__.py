"""HAProxy as the edge: TLS ends here, visitors' claims are dropped, and app servers get no more than they can carry."""

from __future__ import annotations

from slipstream.wire import HEALTH_PATH
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    Exchange,
    HttpProbe,
    Lent,
    Requirement,
    Service,
    Signal,
    VitalsSource,
    Wait,
)
from slipstream_ops.layers.edge.haproxy.control import drain, ready, set_weight
from slipstream_ops.layers.edge.haproxy.reading import parse
from slipstream_ops.layers.edge.haproxy.rendering import certificate_of, configuration_of, render, stats_socket_of
from slipstream_ops.layers.edge.haproxy.sizes import open_files, sizes
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = [
    "LENDS",
    "REQUIREMENTS",
    "TITLE",
    "check",
    "drain",
    "endpoints",
    "parse",
    "ready",
    "reload",
    "render",
    "services",
    "set_weight",
    "sizes",
    "vitals_sources",
]

TITLE = "HAProxy"
REQUIREMENTS = (Requirement("haproxy", "haproxy"),)
LENDS: tuple[Lent, ...] = ()


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    edge = config.edge
    return (
        EndpointNeed("edge.https", edge.port or 8443, pinned=edge.port is not None, public=True),
        EndpointNeed("edge.http", edge.http_port or 8080, pinned=edge.http_port is not None, public=True),
        EndpointNeed("edge.apps", 8600, socket="edge/apps.sock"),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (
        Command(("haproxy", "-c", "-f", str(configuration_of(stack))), "checking the edge's configuration", timeout_seconds=30.0),
    )


def _probe(stack: Stack) -> HttpProbe:
    """Any answer of the edge itself; 503 means that nobody behind it is up, which is not the edge's fault."""
    https = stack.endpoint("edge.https")
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(https.address, https.address)
    return HttpProbe((reachable, https.port), HEALTH_PATH, statuses=(200, 503), tls=True)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return (
        Service(
            name="edge",
            layer="edge",
            # -W: a master that stays, so that a reload (USR2) starts new workers and lets the old ones finish;
            # -db: in the foreground, as the process manager wants it.
            command=("haproxy", "-W", "-db", "-f", str(configuration_of(stack))),
            account="edge",
            probe=_probe(stack),
            drops_itself=True,
            folders=(stats_socket_of(stack).parent,),
            reads=(certificate_of(stack),),
            open_files=open_files(stack),
            listens=("edge.https", "edge.http", "edge.apps"),
        ),
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """New workers take over the listening sockets, the old ones finish what they have: no connection is lost."""
    return (
        *check(stack, host),
        Signal("edge", "USR2"),
        Wait(_probe(stack), "the reloaded edge answers", timeout_seconds=15.0),
    )


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    return (VitalsSource("edge", Exchange(stats_socket_of(stack), b"show info;show stat\n")),)
