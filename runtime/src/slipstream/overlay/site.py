"""Who may see the site and what an error shows: DEBUG and the host names."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

LOOPBACK = ("127.0.0.1", "[::1]")


def switch_debug_off(settings: Settings, offer: Offer) -> list[Change]:
    if offer.keeps_debug:
        return []
    return change(
        settings, "DEBUG", False, "errors show the site's own page, queries are not recorded; [project] debug = true keeps it"
    )


def allow_hosts(settings: Settings, offer: Offer) -> list[Change]:
    """Names of the stack file join the project's own; a project that takes every name still does."""
    allowed = list(value_of(settings, "ALLOWED_HOSTS"))
    if "*" in allowed:
        return []
    # A wildcard name "*.example.org" is ".example.org" to Django, which also matches the bare domain.
    names = [name.removeprefix("*") for name in offer.hosts]
    if "localhost" in names:
        names += LOOPBACK
    missing = [name for name in names if name not in allowed]
    return change(settings, "ALLOWED_HOSTS", allowed + missing, "the names that the stack file gives the site")
