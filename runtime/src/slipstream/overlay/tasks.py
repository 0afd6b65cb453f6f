"""Background tasks go to the stack's broker."""

from __future__ import annotations

from typing import Any

from slipstream.overlay.change import Change, Settings, change
from slipstream.overlay.offer import Offer

BROKER_NAMES = ("CELERY_BROKER_URL", "BROKER_URL")
"""As Celery's documentation has it: with ``namespace="CELERY"``, and the name of before Celery 4."""


def place_queues(settings: Settings, offer: Offer) -> list[Change]:
    """Names that the project uses get the stack's address; Celery also reads CELERY_BROKER_URL from the environment first."""
    if not offer.broker_url:
        return []
    changes = [
        one
        for name in BROKER_NAMES
        if name in settings
        for one in change(settings, name, offer.broker_url, "tasks are queued in the stack's broker")
    ]
    return changes + (confirm_publishing(settings) if offer.broker_url.startswith("amqp") else [])


def confirm_publishing(settings: Settings) -> list[Change]:
    """Over AMQP a task counts as sent when the broker has written it; without, one that was just sent dies with the broker.

    The older name is set only where the project uses the older names: Celery refuses a mixture.
    """
    names = ["CELERY_BROKER_TRANSPORT_OPTIONS", *(["BROKER_TRANSPORT_OPTIONS"] if "BROKER_URL" in settings else [])]
    changes: list[Change] = []
    for name in names:
        options: dict[str, Any] = settings.get(name) or {}
        changes += change(settings, name, {"confirm_publish": True, **options}, "a sent task is one that the broker has written")
    return changes
