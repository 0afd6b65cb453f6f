"""Where static files are collected."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer


def collect_beside_state(settings: Settings, offer: Offer) -> list[Change]:
    """STATIC_ROOT in the state folder, so that no folder of the project is written to and every account can read it."""
    if not offer.static_root or "django.contrib.staticfiles" not in value_of(settings, "INSTALLED_APPS"):
        return []
    return change(
        settings, "STATIC_ROOT", offer.static_root, "collected into the stack's state; the project's folder is not written to"
    )
