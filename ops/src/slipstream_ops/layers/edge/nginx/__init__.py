"""nginx as the edge: TLS ends here, visitors' claims are dropped, and app servers are balanced by what requests meet."""

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
    VitalsSource,
)
from slipstream_ops.layers.edge.nginx.control import check_configuration, drain, ready, set_weight, take_over
from slipstream_ops.layers.edge.nginx.reading import parse
from slipstream_ops.layers.edge.nginx.rendering import (
    certificate_of,
    data_folder_of,
    generation_of,
    render,
    run_folder_of,
    start_script_of,
    stats_socket_of,
)
from slipstream_ops.layers.edge.nginx.sizes import open_files, sizes
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

TITLE = "nginx"
REQUIREMENTS = (Requirement("nginx", "nginx-light"),)
LENDS: tuple[Lent, ...] = ()


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    edge = config.edge
    return (
        EndpointNeed("edge.https", edge.port or 8443, pinned=edge.port is not None, public=True),
        EndpointNeed("edge.http", edge.http_port or 8080, pinned=edge.http_port is not None, public=True),
        EndpointNeed("edge.apps", 8600, socket="edge/apps.sock"),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (check_configuration(stack),)


def _probe(stack: Stack) -> HttpProbe:
    """Any answer of the edge itself; 503 means that nobody behind it is up, which is not the edge's fault."""
    https = stack.endpoint("edge.https")
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(https.address, https.address)
    return HttpProbe((reachable, https.port), HEALTH_PATH, statuses=(200, 502, 503, 504), tls=True)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return (
        Service(
            name="edge",
            layer="edge",
            command=("/bin/sh", str(start_script_of(stack))),
            account="edge",
            probe=_probe(stack),
            drops_itself=True,
            folders=(run_folder_of(stack), data_folder_of(stack)),
            reads=(certificate_of(stack),),
            stop_signal="QUIT",  # what visitors have asked for is finished; TERM would cut it off
            open_files=open_files(stack),
            listens=("edge.https", "edge.http", "edge.apps"),
        ),
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """New workers take over the listening sockets, the old ones finish what they have: no request in progress is lost."""
    *files, _ = render(stack, host)
    return take_over(stack, generation_of(files))


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    return (VitalsSource("edge", Exchange(stats_socket_of(stack), b"GET /numbers HTTP/1.0\r\n\r\n")),)
