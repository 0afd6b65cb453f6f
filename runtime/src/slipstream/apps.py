"""The runtime as a Django application: its system checks and template tags."""

from __future__ import annotations

from django.apps import AppConfig


class SlipstreamConfig(AppConfig):
    name = "slipstream"
    verbose_name = "slipstream"

    def ready(self) -> None:
        from slipstream import checks  # noqa: F401 - importing registers them
