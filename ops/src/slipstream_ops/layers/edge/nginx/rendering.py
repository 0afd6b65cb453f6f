"""Renders nginx's configuration, one file for each app server's share, its start script and the error pages."""

from __future__ import annotations

import hashlib
import re
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from slipstream import wire
from slipstream_ops.execution import ACCOUNT_PREFIX
from slipstream_ops.layers.accelerator.health import ACCELERATOR_HEALTH_PATH
from slipstream_ops.layers.contract import File
from slipstream_ops.layers.edge.nginx.sizes import FULL_WEIGHT, PAGE_STATUSES, app_servers, open_files, sizes
from slipstream_ops.layers.edge.pages import RETRY_AFTER_SECONDS, page_for
from slipstream_ops.layers.edge.timeouts import timeouts_of
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Endpoint, Host, Stack

CLAIMS = (
    *(f"X-Slipstream-{name}" for name in (
        "Bypass", "Cache", "Cookies", "Location", "Path", "Purge", "Recipients", "Stale", "Vary",
    )),
    *(f"X-Forwarded-{name}" for name in (
        "Prefix", "Server", "Scheme", "Protocol", "Ssl", "By", "Path", "Uri", "Method", "User", "Email", "Groups",
        "Client-Cert", "Client-Dn", "Access-Token", "Preferred-Username", "Script-Name", "Script", "Context", "Base",
    )),
    "Forwarded", "Via", "X-Real-IP", "X-Client-IP", "X-Cluster-Client-IP", "True-Client-IP", "X-Host", "X-Original-Host",
    "X-Original-URL", "X-Rewrite-URL", "X-Scheme", "X-URL-Scheme", "X-Cache", "Proxy", "Proxy-Connection",
    "Front-End-Https", "X-Script-Name", "Trailer", "HTTP2-Settings",
)  # fmt: skip
"""Headers that only the layers in front of the application may write. nginx drops headers by whole names, not by beginnings;
those with an underscore it drops by itself."""


def folder_of(stack: Stack) -> Path:
    return stack.state.rendered / "edge"


def configuration_of(stack: Stack) -> Path:
    return folder_of(stack) / "nginx.conf"


def start_script_of(stack: Stack) -> Path:
    return folder_of(stack) / "start.sh"


def certificate_of(stack: Stack) -> Path:
    """The operator's certificate, or the one that the lifecycle makes with the machine's own authority."""
    written = stack.config.edge.certificate
    return (stack.project.root / written) if written else folder_of(stack) / "certificate.pem"


def run_folder_of(stack: Stack) -> Path:
    return stack.state.run / "edge"


def data_folder_of(stack: Stack) -> Path:
    return stack.state.data / "edge"


def stats_socket_of(stack: Stack) -> Path:
    return run_folder_of(stack) / "stats.sock"


def pages_folder_of(stack: Stack) -> Path:
    return folder_of(stack) / "pages"


def share_file(stack: Stack, name: str, percent: int = 100) -> File:
    """One app server's line in the pools: its weight; with 0 percent it gets no new request."""
    weight = f"weight={FULL_WEIGHT * percent // 100}" if percent else "down"
    numbers = {sized.name: sized for sized in sizes(stack, stack.host_of("edge"))}
    text = fill(
        __package__,
        "share.conf.j2",
        name=name,
        address=stack.endpoint(name).netloc,
        weight=weight,
        n=SimpleNamespace(**numbers),
    )
    return File(folder_of(stack) / "shares" / f"{name}.conf", text)


def generation_file(stack: Stack, generation: str) -> File:
    """Names the configuration in force: whoever asks the stats socket knows that a reload has come to its end."""
    return File(folder_of(stack) / "generation.conf", f'return 200 "generation {generation}\\n";\n')


def names_by_address(endpoints: dict[str, Endpoint]) -> list[tuple[str, str]]:
    """Patterns of the last address in a list of tries, and what the log calls it."""
    return [(re.escape(endpoint.netloc), name) for name, endpoint in endpoints.items()]


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    """The last file is the generation, which depends on all others."""
    files: list[File] = [File(configuration_of(stack), fill(__package__, "nginx.conf.j2", **_values(stack, host)))]
    files += [share_file(stack, name) for name in app_servers(stack)]
    files += [
        File(pages_folder_of(stack) / f"{page.status}.html", page.html)
        for page in (page_for(stack, status) for status in sorted(set(PAGE_STATUSES)))
    ]
    start = fill(
        __package__,
        "start.sh.j2",
        configuration=configuration_of(stack),
        pid=run_folder_of(stack) / "nginx.pid",
        pipe=run_folder_of(stack) / "log.pipe",
        sockets=[stats_socket_of(stack), *([apps] if (apps := stack.endpoint("edge.apps").socket) else [])],
    )
    files.append(File(start_script_of(stack), start, is_executable=True))
    return (*files, generation_file(stack, generation_of(files)))


def generation_of(files: list[File]) -> str:
    return hashlib.sha256("\0".join(file.content for file in files).encode()).hexdigest()[:12]


def _values(stack: Stack, host: Host) -> dict[str, Any]:
    accelerator, apps = stack.endpoint("accelerator"), stack.endpoint("edge.apps")
    site = stack.config.site
    canonical = next((name for name in site.names if not name.startswith("*")), "localhost")
    servers = app_servers(stack)
    return {
        "n": SimpleNamespace(**{sized.name: sized for sized in sizes(stack, host)}),
        "t": timeouts_of(stack.config),
        "is_root": host.is_root,
        "user": f"{ACCOUNT_PREFIX}edge",
        "run": run_folder_of(stack),
        "data": data_folder_of(stack),
        "shares": folder_of(stack) / "shares",
        "generation": folder_of(stack) / "generation.conf",
        "pages": pages_folder_of(stack),
        "page_statuses": sorted(set(PAGE_STATUSES) - {502, 503}),
        "stats_socket": stats_socket_of(stack),
        "https": stack.endpoint("edge.https"),
        "http": stack.endpoint("edge.http"),
        "apps": apps,
        "certificate": certificate_of(stack),
        "max_connections": stack.config.edge.max_connections,
        "open_files": open_files(stack),
        "trusted": [str(ip_network(network, strict=False)) for network in stack.config.edge.trusted_proxies],
        "purgers": [str(ip_network(network, strict=False)) for network in stack.config.accelerator.purgers],
        "canonical": canonical,
        "names": [name for name in site.names if not name.startswith("*")],
        "health_path": wire.HEALTH_PATH,
        "accelerator_health_path": ACCELERATOR_HEALTH_PATH,
        "cache_header": wire.CACHE_HEADER,
        "bypass": wire.BYPASS_PARAMETER,
        "accelerator": accelerator,
        "servers": servers,
        "known": names_by_address({"accelerator": accelerator, **{name: stack.endpoint(name) for name in servers}}),
        "claims": CLAIMS,
        "retry_after": RETRY_AFTER_SECONDS,
    }
