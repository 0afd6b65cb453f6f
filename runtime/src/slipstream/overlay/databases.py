"""Connections that are kept, to the project's own databases or to the stack's."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from slipstream.overlay import mysql
from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import DatabaseOffer, Offer

CONNECTION_SECONDS = 300
"""Blueprint D2: long enough to save nearly every connect, short enough that a moved database is noticed."""

SQLITE_WAIT_SECONDS = 20
"""How long a writer waits for another one. Django's 5 s turn a slow import beside the site into "database is locked"."""

KEPT_KEYS = ("ATOMIC_REQUESTS", "AUTOCOMMIT", "TEST")
"""How the project uses its database, not where it is."""


def place_databases(settings: Settings, offer: Offer) -> list[Change]:
    before = value_of(settings, "DATABASES")
    after = {alias: keep_connections(entry) for alias, entry in before.items()}
    whys = ["connections are kept for 300 s and checked before use"]
    if any("sqlite" in entry.get("ENGINE", "") for entry in after.values()):
        whys = ["SQLite: writers wait for each other instead of failing; the file itself is not changed"]
    if offer.database:
        after[offer.database.alias] = own_database(before.get(offer.database.alias, {}), offer.database)
        whys = ["the stack's own database, with kept connections"]
    return change(settings, "DATABASES", after, "; ".join(whys))


def own_database(replaced: dict[str, Any], offered: DatabaseOffer) -> dict[str, Any]:
    """The entry for the stack's database, with what the project says about how it uses its database."""
    entry = {key: replaced[key] for key in KEPT_KEYS if key in replaced}
    engine = str(replaced.get("ENGINE", ""))
    if offered.engine == mysql.BACKEND:
        backend = mysql.choose_backend(engine)
        entry["OPTIONS"] = mysql.options(offered)
        mysql.provide_driver()
    elif "gis" in engine or "spatialite" in engine:
        backend = "django.contrib.gis.db.backends.postgis"
    elif "postgres" in engine:
        backend = engine  # also one that wraps Django's, for metrics
    else:
        backend = offered.engine
    entry |= {
        "ENGINE": backend,
        "NAME": offered.name,
        "USER": offered.user,
        "PASSWORD": offered.password,
        "HOST": offered.host,
        "PORT": str(offered.port),
    }
    if offered.pool_max > 1 and may_pool():
        # A pool pays when threads share it. It is filled on demand, and a connection lives no longer than a kept one would.
        pool = {"min_size": 0, "max_size": offered.pool_max, "max_lifetime": CONNECTION_SECONDS, "timeout": 10}
        return {**entry, "CONN_MAX_AGE": 0, "CONN_HEALTH_CHECKS": True, "OPTIONS": {"pool": pool}}
    # One thread needs one connection: keeping it saves the pool's background threads.
    return {**entry, "CONN_MAX_AGE": CONNECTION_SECONDS, "CONN_HEALTH_CHECKS": True}


def may_pool() -> bool:
    """Django pools connections from 5.1 on, with psycopg 3 and psycopg_pool."""
    import django

    return django.VERSION >= (5, 1) and all(find_spec(name) is not None for name in ("psycopg", "psycopg_pool"))


def keep_connections(entry: dict[str, Any]) -> dict[str, Any]:
    """A project's own entry with connections that are kept, where nothing speaks against it."""
    engine = str(entry.get("ENGINE", ""))
    if "sqlite" in engine or "spatialite" in engine:
        return tune_sqlite(entry)
    is_pooled = entry.get("OPTIONS", {}).get("pool") or entry.get("DISABLE_SERVER_SIDE_CURSORS")  # the latter: behind pgbouncer
    if not engine or engine.endswith("dummy") or entry.get("CONN_MAX_AGE", 0) != 0 or is_pooled:
        return entry
    return {**entry, "CONN_MAX_AGE": CONNECTION_SECONDS, "CONN_HEALTH_CHECKS": entry.get("CONN_HEALTH_CHECKS", True)}


def tune_sqlite(entry: dict[str, Any]) -> dict[str, Any]:
    """Several processes write to one file: they wait for each other, and a transaction takes its lock at its beginning.

    Not done: WAL would change the project's file for good (a copy without its -wal file lacks the last writes), and kept
    connections would go on reading a file that was replaced by a restore; opening one costs a tenth of a millisecond.
    """
    import django

    name = str(entry.get("NAME", ""))
    if name == ":memory:" or "mode=memory" in name:
        return entry
    options = dict(entry.get("OPTIONS", {}))
    options.setdefault("timeout", SQLITE_WAIT_SECONDS)
    if django.VERSION >= (5, 1) and not entry.get("ATOMIC_REQUESTS"):
        # A transaction that begins reading and then writes fails at once, whatever the timeout, when another one wrote in
        # between. With ATOMIC_REQUESTS each request would hold the write lock, readers too: left as it is there.
        options.setdefault("transaction_mode", "IMMEDIATE")
    return {**entry, "OPTIONS": options}
