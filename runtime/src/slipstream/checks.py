"""Django system checks: what keeps a project from the speed that the stack offers, each with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Tags, Warning, register

from slipstream.caches.checks import check_caches
from slipstream.overlay.applications import MIDDLEWARE

register(check_caches, Tags.caches)


@register(Tags.compatibility)  # type: ignore[untyped-decorator]
def check_middleware_is_first(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if settings.MIDDLEWARE and settings.MIDDLEWARE[0] == MIDDLEWARE:
        return []
    return [
        Warning(
            f"{MIDDLEWARE} is not the first middleware.",
            hint="Put it first: log lines of what runs before it lack the request id, and health checks pay for it.",
            id="slipstream.W001",
        )
    ]


@register(Tags.caches)  # type: ignore[untyped-decorator]
def check_default_cache_is_shared(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    backend = settings.CACHES.get("default", {}).get("BACKEND", "")
    if not backend.endswith((".LocMemCache", ".DummyCache")):
        return []
    return [
        Warning(
            f"The default cache is {backend}: every process has its own, or nothing is kept.",
            hint="Name a Redis or Memcached server in CACHES, or let the stack offer its own.",
            id="slipstream.W002",
        )
    ]


@register(Tags.security)  # type: ignore[untyped-decorator]
def check_session_engine_spares_database(app_configs: Sequence[Any] | None, **kwargs: Any) -> list[CheckMessage]:
    if "django.contrib.sessions" not in settings.INSTALLED_APPS or not settings.SESSION_ENGINE.endswith("backends.db"):
        return []
    return [
        Warning(
            "Each request with a session asks the database for it.",
            hint='Set SESSION_ENGINE to "django.contrib.sessions.backends.cached_db".',
            id="slipstream.W003",
        )
    ]
