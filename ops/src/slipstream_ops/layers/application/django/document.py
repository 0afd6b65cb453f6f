"""The overlay document: what the stack offers to the project's settings."""

from __future__ import annotations

import json
from typing import Any

from slipstream import wire
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import Host, Stack, product_named

OFFERING_LAYERS = ("cache", "database", "broker", "mail")
"""Layers whose product may define ``offer(stack, host) -> dict | None``: the document's entry of the same name."""


def offer_of(stack: Stack, host: Host, layer: str) -> dict[str, Any] | None:
    """What the product of ``layer`` offers to processes on ``host``; None where the project's own settings stay."""
    server = stack.server_of(layer)
    is_placed = server == "external" or any(layer in one.layers for one in stack.hosts)
    if server is None or not is_placed:
        return None
    offer = getattr(product_named(layer, server), "offer", None)
    return offer(stack, host) if offer else None


def build_document(stack: Stack, host: Host) -> dict[str, Any]:
    edge = stack.endpoints.get("edge.https")
    document: dict[str, Any] = {
        "protocol": wire.PROTOCOL,
        "mode": stack.config.site.mode,
        "debug": stack.config.project.debug,
        "hosts": list(stack.config.site.names),
        "https_port": edge.port if edge else 443,
        **{layer: offer_of(stack, host, layer) for layer in OFFERING_LAYERS},
        "static_root": str(stack.state.static),
        "project_root": str(stack.project.root),
        "bypass_secret": stack.secrets.bypass_secret,
    }
    assert document.keys() == set(wire.OVERLAY_KEYS)
    return document


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    content = json.dumps(build_document(stack, host), indent=2) + "\n"
    return (File(stack.state.overlay, content, account="app", is_secret=True),)
