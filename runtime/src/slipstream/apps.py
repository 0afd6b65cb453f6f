"""The runtime as a Django application: its system checks and template tags."""

from __future__ import annotations

import sys

from django.apps import AppConfig


class SlipstreamConfig(AppConfig):  # type: ignore[misc]
    name = "slipstream"
    verbose_name = "slipstream"

    def ready(self) -> None:
        from slipstream import checks  # noqa: F401 - importing registers them
        from slipstream.caches.checks import refuse_mistakes
        from slipstream.conf import runtime_settings
        from slipstream.freshness.configuration import freshness_settings

        # A wrong key is refused at the start, not at the first request: an app server runs no system checks by itself.
        runtime_settings()
        refuse_mistakes()

        if freshness_settings().store:
            from slipstream.freshness.activation import activate

            activate()
        if "celery" in sys.modules:  # the project's package has imported its Celery application by now
            from slipstream.jobs import connect_signals

            connect_signals()
