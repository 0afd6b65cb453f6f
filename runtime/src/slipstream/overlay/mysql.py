"""The stack's MariaDB in a project's settings: the driver, the character set, and the time limits of a request's statements."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from slipstream import wire
from slipstream.overlay.offer import DatabaseOffer

BACKEND = "django.db.backends.mysql"
SPATIAL_BACKEND = "django.contrib.gis.db.backends.mysql"


def choose_backend(engine: str) -> str:
    """The backend for a project that had ``engine``; one that wraps Django's own (for metrics) is kept."""
    if "gis" in engine or "spatialite" in engine:
        return SPATIAL_BACKEND
    return engine if "mysql" in engine else BACKEND


def options(offered: DatabaseOffer) -> dict[str, Any]:
    """OPTIONS of the entry. The server cannot tell a visitor's connection from a migration's, so each sets its own limits."""
    chosen: dict[str, Any] = {"charset": "utf8mb4"}  # before Django 5.2 the default could not hold emoji
    if offered.statement_seconds and not os.environ.get(wire.UNHURRIED_VARIABLE):
        seconds = offered.statement_seconds
        # A transaction that outlives its request by half is forgotten.
        chosen["init_command"] = f"SET max_statement_time = {seconds}, idle_transaction_timeout = {seconds * 3 // 2}"
    return chosen


def provide_driver() -> None:
    """PyMySQL in the place of mysqlclient, the driver that Django's backend imports, where the project has not that one."""
    if find_spec("MySQLdb") is None and find_spec("pymysql") is not None:
        import_module("pymysql").install_as_MySQLdb()
