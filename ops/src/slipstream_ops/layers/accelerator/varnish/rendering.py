"""Renders Varnish's rules (one file per subject), its secret and the script that reloads them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from types import SimpleNamespace

from slipstream import wire
from slipstream_ops.layers.accelerator.health import ACCELERATOR_HEALTH_PATH
from slipstream_ops.layers.accelerator.varnish.sizes import SHORT_GRACE_SECONDS, sizes
from slipstream_ops.layers.contract import File
from slipstream_ops.layers.edge.pages import RETRY_AFTER_SECONDS, page_for
from slipstream_ops.layers.edge.timeouts import timeouts_of
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack

PARTS = (
    "main",
    "backends",
    "intake",
    "bypass",
    "address",
    "redirects",
    "purging",
    "cookies",
    "choosing",
    "serving",
    "storing",
    "pages",
    "delivering",
)


def folder_of(stack: Stack) -> Path:
    return stack.state.rendered / "accelerator"


def work_folder_of(stack: Stack) -> Path:
    return stack.state.run / "accelerator" / "work"


def secret_of(stack: Stack) -> Path:
    return folder_of(stack) / "secret"


def reload_script_of(stack: Stack) -> Path:
    return folder_of(stack) / "reload.sh"


def main_file_of(stack: Stack) -> Path:
    return folder_of(stack) / "main.vcl"


def quote_vcl(text: str) -> str:
    """``text`` as a VCL expression: a long string, which has no escapes, cut wherever its end mark occurs in the text."""
    return '{"' + text.replace('"}', '"} + {"""} + "}" + {"') + '"}'


def pattern_of(names: Iterable[str], anything: str) -> str:
    """A regular expression that matches any of ``names``, in which a last ``*`` stands for ``anything``."""
    return "|".join(re.escape(name.removesuffix("*")) + (anything if name.endswith("*") else "") for name in names)


def _purgers(networks: Iterable[str]) -> list[tuple[str, int | None]]:
    parsed = [ip_network(network, strict=False) for network in networks]
    return [(str(net.network_address), None if net.prefixlen == net.max_prefixlen else net.prefixlen) for net in parsed]


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    site = stack.config.site
    apps = stack.endpoint("edge.apps")
    canonical = next((name for name in site.names if not name.startswith("*")), None)
    values = {
        "n": SimpleNamespace(**{sized.name: sized for sized in sizes(stack, host)}),
        "t": timeouts_of(stack.config),
        "apps": apps,
        "apps_socket": apps.socket if "edge" in host.layers else None,
        "health_path": wire.HEALTH_PATH,
        "accelerator_health_path": ACCELERATOR_HEALTH_PATH,
        "parameter": re.escape(wire.BYPASS_PARAMETER),
        "header": wire.BYPASS_HEADER,
        "cache_header": wire.CACHE_HEADER,
        "secret": stack.secrets.bypass_secret,
        "parameters": pattern_of(site.ignored_parameters, "[^=&]*"),
        "ignored": pattern_of(site.ignored_cookies, "[^=;]*"),
        "canonical": canonical if site.redirect_to_canonical else None,
        "canonical_pattern": re.escape(canonical or ""),
        "redirects": sorted(site.redirects.items()),
        "missing": "|".join(re.escape(prefix) for prefix in site.missing),
        "purgers": _purgers(stack.config.accelerator.purgers),
        "edge_port": stack.endpoint("edge.https").port,
        # "fresh" is "respect" for now: pages are shared as the application says.
        "mode": "observe" if site.mode == "observe" else "respect",
        "short_grace": SHORT_GRACE_SECONDS,
        "grace": stack.config.accelerator.grace_seconds,
        "retry_after": RETRY_AFTER_SECONDS,
        "pages": {status: quote_vcl(page_for(stack, status).html) for status in (404, 503)},
    }
    folder = folder_of(stack)
    # Only the bypass rules hold a secret; the others are for everybody to read.
    rules = tuple(
        File(folder / f"{part}.vcl", fill(__package__, f"{part}.vcl.j2", **values), "accelerator", is_secret=part == "bypass")
        for part in PARTS
    )
    # The configuration's name comes from its content: a reload without a change loads nothing.
    digest = hashlib.sha256("\0".join(file.content for file in rules).encode()).hexdigest()[:12]
    admin = stack.endpoint("accelerator.admin")
    script = fill(
        __package__,
        "reload.sh.j2",
        name=f"site_{digest}",
        main=main_file_of(stack),
        admin=f"{admin.address}:{admin.port}",
        secret=secret_of(stack),
    )
    return (
        *rules,
        File(secret_of(stack), stack.secrets.accelerator_secret + "\n", "accelerator", is_secret=True),
        File(reload_script_of(stack), script, is_executable=True),
    )
