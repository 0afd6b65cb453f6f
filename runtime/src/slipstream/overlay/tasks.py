"""Background tasks go to the stack's broker."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change
from slipstream.overlay.offer import Offer

BROKER_NAMES = ("CELERY_BROKER_URL", "BROKER_URL")
"""As Celery's documentation has it: with ``namespace="CELERY"``, and the name of before Celery 4."""


def place_queues(settings: Settings, offer: Offer) -> list[Change]:
    """Names that the project uses get the stack's address; Celery also reads CELERY_BROKER_URL from the environment first."""
    if not offer.broker_url:
        return []
    return [
        one
        for name in BROKER_NAMES
        if name in settings
        for one in change(settings, name, offer.broker_url, "tasks are queued in the stack's broker")
    ]
