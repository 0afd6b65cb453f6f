"""Sessions are read from the cache and survive its restart (blueprint D2)."""

from __future__ import annotations

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

APPLICATION = "django.contrib.sessions"
DB = "django.contrib.sessions.backends.db"
CACHE = "django.contrib.sessions.backends.cache"
CACHED_DB = "django.contrib.sessions.backends.cached_db"


def keep_sessions(settings: Settings, offer: Offer) -> list[Change]:
    """``db`` becomes ``cached_db``; ``cache`` too where slipstream migrates the database: its table is there.

    Engines that keep sessions in files or in signed cookies do not touch the database at each request: they are kept.
    """
    if APPLICATION not in value_of(settings, "INSTALLED_APPS") or not offer.cache_urls:
        return []
    engine = value_of(settings, "SESSION_ENGINE")
    if engine == DB:
        why = "read from the cache, written to the database as well: no query at each request, and a cache restart loses none"
    elif engine == CACHE and offer.database:
        why = "written to the database as well: a restart of the cache would have logged everybody out"
    else:
        return []
    changes = change(settings, "SESSION_ENGINE", CACHED_DB, why)
    if value_of(settings, "SESSION_CACHE_ALIAS") == "default":
        changes += change(settings, "SESSION_CACHE_ALIAS", "sessions", "other caches can be bumped without logging anybody out")
    return changes
