"""Renders HAProxy's configuration and the error pages it answers with."""

from __future__ import annotations

from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

from slipstream import wire
from slipstream_ops.execution import ACCOUNT_PREFIX
from slipstream_ops.layers.accelerator.health import ACCELERATOR_HEALTH_PATH
from slipstream_ops.layers.contract import File
from slipstream_ops.layers.edge.haproxy.sizes import PAGE_LIMIT_BYTES, PAGE_STATUSES, app_servers, sizes
from slipstream_ops.layers.edge.pages import RETRY_AFTER_SECONDS, page_for
from slipstream_ops.layers.edge.timeouts import timeouts_of
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack


def folder_of(stack: Stack) -> Path:
    return stack.state.rendered / "edge"


def configuration_of(stack: Stack) -> Path:
    return folder_of(stack) / "haproxy.cfg"


def certificate_of(stack: Stack) -> Path:
    """The operator's certificate, or the one that the lifecycle makes with the machine's own authority."""
    written = stack.config.edge.certificate
    return (stack.project.root / written) if written else folder_of(stack) / "certificate.pem"


def stats_socket_of(stack: Stack) -> Path:
    return stack.state.run / "edge" / "stats.sock"


def page_path(stack: Stack, status: int) -> Path:
    return folder_of(stack) / "pages" / f"{status}.html"


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    pages = [page_for(stack, status, PAGE_LIMIT_BYTES) for status in sorted(set(PAGE_STATUSES))]
    accelerator = stack.endpoint("accelerator")
    is_beside = "accelerator" in host.layers and accelerator.socket is not None
    apps = stack.endpoint("edge.apps")
    canonical = next((name for name in stack.config.site.names if not name.startswith("*")), "localhost")
    text = fill(
        __package__,
        "haproxy.cfg.j2",
        n=SimpleNamespace(**{sized.name: sized for sized in sizes(stack, host)}),
        t=timeouts_of(stack.config),
        is_root=host.is_root,
        user=f"{ACCOUNT_PREFIX}edge",
        stats_socket=stats_socket_of(stack),
        https=stack.endpoint("edge.https"),
        http=stack.endpoint("edge.http"),
        apps=apps,
        apps_socket=apps.socket,
        certificate=certificate_of(stack),
        max_connections=stack.config.edge.max_connections,
        trusted=[str(ip_network(network, strict=False)) for network in stack.config.edge.trusted_proxies],
        canonical=canonical,
        health_path=wire.HEALTH_PATH,
        accelerator_health_path=ACCELERATOR_HEALTH_PATH,
        cache_header=wire.CACHE_HEADER,
        bypass=wire.BYPASS_PARAMETER,
        accelerator=f"unix@{accelerator.socket}" if is_beside else accelerator.netloc,
        accelerator_on_this_host=is_beside,
        purge_may_pass=is_beside,
        servers=[SimpleNamespace(name=name, address=stack.endpoint(name).netloc) for name in app_servers(stack)],
        pages=[
            SimpleNamespace(status=page.status, path=page_path(stack, page.status), is_temporary=page.is_temporary)
            for page in pages
        ],
        retry_after=RETRY_AFTER_SECONDS,
    )
    return (File(configuration_of(stack), text), *(File(page_path(stack, page.status), page.html) for page in pages))
