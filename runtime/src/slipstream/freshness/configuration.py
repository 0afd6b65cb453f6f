"""What the project chose about freshness: the key ``FRESHNESS`` of the ``SLIPSTREAM`` setting, checked and frozen."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

LOST_STORE_ANSWERS = ("refuse", "bounded")


@dataclass(frozen=True)
class FreshnessSettings:
    """Keys in capitals. Without a store nothing is tracked, and no part of Django is changed."""

    store: str = ""  # URL of a Redis that keeps nothing on disk, maxmemory-policy volatile-* or noeviction
    prefix: str = "slipstream:"  # separates stacks that share a Redis
    lost_store: str = "refuse"  # a write while the store does not answer: refused, or "bounded" (seen within 1 s)
    store_seconds: float = 0.5  # the longest that a request waits for the store
    databases: tuple[str, ...] = ()  # aliases; empty means all
    untracked_tables: tuple[str, ...] = ("django_session", "django_migrations")  # what reads them is not kept
    cached_models: tuple[str, ...] = ()  # "app.Model", "app.*" or "*": their queries are cached
    query_seconds: float = 3600.0  # the longest life of a cached query


def read(written: Mapping[str, Any]) -> FreshnessSettings:
    """The settings in ``written``; ImproperlyConfigured says what is wrong and what was meant."""
    known = {one.name.upper(): one.name for one in fields(FreshnessSettings)}
    for key in written:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(known)}."
            raise ImproperlyConfigured(f'SLIPSTREAM["FRESHNESS"]["{key}"] is not a setting of slipstream. {hint}')
    values: dict[str, Any] = {known[key]: tuple(value) if isinstance(value, list) else value for key, value in written.items()}
    settings = FreshnessSettings(**values)
    if settings.lost_store not in LOST_STORE_ANSWERS:
        raise ImproperlyConfigured(
            f'SLIPSTREAM["FRESHNESS"]["LOST_STORE"] is {settings.lost_store!r}; write one of {", ".join(LOST_STORE_ANSWERS)}.'
        )
    return settings


@cache
def freshness_settings() -> FreshnessSettings:
    """Those in force; read at the first call."""
    from slipstream.conf import runtime_settings

    return read(runtime_settings().freshness)


def is_followed(alias: str) -> bool:
    """True when reads and writes of this database are tracked."""
    settings = freshness_settings()
    return bool(settings.store) and (not settings.databases or alias in settings.databases)
