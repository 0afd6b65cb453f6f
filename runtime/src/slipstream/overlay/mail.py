"""Mail goes to the local sink where the stack has one: nothing leaves by accident."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change
from slipstream.overlay.offer import Offer


def catch_mail(settings: Settings, offer: Offer) -> list[Change]:
    """Every backend is replaced, those that call a provider's API too; ``[mail] server = "external"`` leaves the project's."""
    if not offer.mail:
        return []
    after = {
        "EMAIL_BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "EMAIL_HOST": offer.mail.host,
        "EMAIL_PORT": offer.mail.port,
        "EMAIL_HOST_USER": "",
        "EMAIL_HOST_PASSWORD": "",
        "EMAIL_USE_TLS": False,
        "EMAIL_USE_SSL": False,
    }
    return [
        one for name, value in after.items() for one in change(settings, name, value, "outbound mail is caught by the local sink")
    ]
