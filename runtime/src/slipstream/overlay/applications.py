"""The runtime's place among the project's applications and middleware."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

APPLICATION = "slipstream"
MIDDLEWARE = "slipstream.middleware.SlipstreamMiddleware"


def install_runtime(settings: Settings, offer: Offer) -> list[Change]:
    installed = list(value_of(settings, "INSTALLED_APPS"))
    if any(name == APPLICATION or name.startswith(f"{APPLICATION}.apps.") for name in installed):
        return []
    return change(
        settings, "INSTALLED_APPS", [*installed, APPLICATION], "checks and commands; last, so that it overrides nothing"
    )


def enter_first(settings: Settings, offer: Offer) -> list[Change]:
    middleware = [name for name in value_of(settings, "MIDDLEWARE") if name != MIDDLEWARE]
    return change(
        settings,
        "MIDDLEWARE",
        [MIDDLEWARE, *middleware],
        "first: health checks cost nothing, and every log line of a request carries its id",
    )


def configure_runtime(settings: Settings, offer: Offer) -> list[Change]:
    """The SLIPSTREAM dictionary; keys that the project writes itself stay."""
    written = value_of(settings, "SLIPSTREAM")
    after = {"MODE": offer.mode, **(written if isinstance(written, dict) else {})}
    return change(settings, "SLIPSTREAM", after, "what the stack file says about sharing pages")
