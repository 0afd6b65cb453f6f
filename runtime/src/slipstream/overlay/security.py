"""Life behind the edge's TLS: what is believed about a request, and what cookies need."""

from __future__ import annotations

import ipaddress

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

LOCAL_DOMAINS = ("localhost", "test", "local", "internal", "example", "invalid")
"""Reserved by RFC 2606 and RFC 6762, or in use for private networks."""


def trust_edge(settings: Settings, offer: Offer) -> list[Change]:
    origins = list(value_of(settings, "CSRF_TRUSTED_ORIGINS"))
    port = "" if offer.https_port == 443 else f":{offer.https_port}"
    origins += [origin for name in offer.hosts if (origin := f"https://{name}{port}") not in origins]
    changes = [
        *change(
            settings,
            "SECURE_PROXY_SSL_HEADER",
            ("HTTP_X_FORWARDED_PROTO", "https"),
            "TLS ends at the edge, which drops what visitors send and sets this header itself",
        ),
        *change(settings, "USE_X_FORWARDED_HOST", False, "the edge passes Host on; another header for it could be spoofed"),
        *change(settings, "SECURE_SSL_REDIRECT", False, "the edge redirects HTTP before it reaches the application"),
        *change(settings, "SESSION_COOKIE_SECURE", True, "the site is HTTPS only"),
        *change(settings, "CSRF_COOKIE_SECURE", True, "the site is HTTPS only"),
        *change(settings, "CSRF_TRUSTED_ORIGINS", origins, "the names and the port that visitors see"),
    ]
    if all(is_local(name) for name in offer.hosts):
        changes += change(
            settings, "SECURE_HSTS_SECONDS", 0, "a browser would refuse plain HTTP on every port of a local name for that long"
        )
    return changes


def is_local(name: str) -> bool:
    try:
        return not ipaddress.ip_address(name.strip("[]")).is_global
    except ValueError:
        return name.rpartition(".")[2] in LOCAL_DOMAINS
