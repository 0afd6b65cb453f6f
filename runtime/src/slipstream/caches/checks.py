"""Django's system check for the CACHES entries of slipstream: a mistake is told at start, not at the first request."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from slipstream.lifetimes import UnknownLifetime, all_lifetimes


def check_caches(app_configs: Any = None, **kwargs: Any) -> list[checks.CheckMessage]:
    """Return an error for each CACHES entry of slipstream that cannot be used, and for a lifetime that is no number.

    Two entries that are one logical cache (the same servers and KEY_PREFIX) are warned of: to bump one bumps the other.

    No server is asked: one that is away must not keep the site from starting.
    """
    errors: list[checks.CheckMessage] = []
    seen: dict[tuple[Any, ...], str] = {}
    for alias, entry in settings.CACHES.items():
        if not str(entry.get("BACKEND", "")).startswith("slipstream."):
            continue
        params = {name: value for name, value in entry.items() if name not in ("BACKEND", "LOCATION")}
        try:
            cache = import_string(entry["BACKEND"])(entry.get("LOCATION", ""), params)
            same = (cache.key_prefix, *[driver.name for driver in cache.drivers])
            if seen.setdefault(same, alias) != alias:
                errors.append(
                    checks.Warning(
                        f'CACHES["{alias}"] is the same cache as CACHES["{seen[same]}"]: the same servers and KEY_PREFIX.',
                        hint="Give each a KEY_PREFIX of its own; else clearing one clears the other.",
                        id="slipstream.caches.W001",
                    )
                )
        except (ImproperlyConfigured, UnknownLifetime, ImportError, ValueError) as error:
            errors.append(checks.Error(f'CACHES["{alias}"]: {error}', id="slipstream.caches.E001"))
    try:
        all_lifetimes()
    except UnknownLifetime as error:
        errors.append(checks.Error(str(error), id="slipstream.caches.E002"))
    return errors


def refuse_mistakes() -> None:
    """Raise ImproperlyConfigured for the first error that ``check_caches`` finds; warnings do not keep a site from starting."""
    for message in check_caches():
        if message.is_serious():
            raise ImproperlyConfigured(message.msg)
