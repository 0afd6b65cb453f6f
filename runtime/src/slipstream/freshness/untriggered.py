"""Databases where no trigger reports writes (SQLite, MySQL): the statements that Django sends are all that is known of them.

The promise is weaker, and said aloud: writes by other programs are not seen; of what the database does by itself (its own
cascades and triggers) nothing is known; tags name whole tables. A writer that dies between PEND and STAMP is given up after a
minute.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from typing import Any

from slipstream.freshness.catalog import Catalog, Relation
from slipstream.freshness.outbox.reading import NotedTransaction
from slipstream.freshness.protocol.tags import Table, Tag
from slipstream.freshness.protocol.writes import folded_tags, name_transaction
from slipstream.freshness.sql.statement import Statement

VENDORS = ("sqlite", "mysql")
GIVEN_UP_SECONDS = 60  # between PEND and COMMIT lies nothing; a process that stops there for a minute is taken for dead


class NamedTables(Catalog):
    """A catalog that believes every name: each is a table whose writes are seen when Django sends them."""

    def find(self, schema: str | None, name: str) -> Relation | None:
        schema, name = schema or "main", name.lower()
        return Relation(schema, name, Table(schema, name))


def catalog_by_name(connection: Any) -> Catalog:
    return NamedTables({}, str(connection.settings_dict["NAME"]), False, "read committed")


def tags_of_write(statement: Statement) -> frozenset[Tag] | None:
    """Every table that the statement names, as a whole; None when it may have written to any."""
    if not statement.is_understood or not statement.relations or statement.is_definition:
        return None
    tables = (Table(schema or "main", name.lower()) for schema, name in statement.relations)
    return frozenset().union(*(folded_tags(table) for table in tables))


def name_write(alias: str, tags: set[str]) -> NotedTransaction:
    """A name like that of any transaction, with the present time in place of the server's start."""
    number = secrets.randbits(53)
    return NotedTransaction(name_transaction(alias, time.time_ns() // 1000, number), number, frozenset(map(Tag, tags)))


def is_given_up(name: str) -> bool:
    began_us = int(name.rsplit(":", 2)[1])
    return time.time() - began_us / 1e6 > GIVEN_UP_SECONDS


class _Fetched:
    """A cursor whose rows were fetched already."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor
        self._rows: list[Any] = cursor.fetchall()

    def fetchone(self) -> Any:
        return self._rows.pop(0) if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        fetched, self._rows = self._rows[:size], self._rows[size:]
        return fetched

    def fetchall(self) -> list[Any]:
        return self.fetchmany(len(self._rows))

    def __iter__(self) -> Iterator[Any]:
        return iter(self.fetchall())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)


def fetch_now(cursor: Any) -> None:
    """SQLite cannot commit while rows of a RETURNING are left to be fetched."""
    if cursor.cursor.description is not None:
        cursor.cursor = _Fetched(cursor.cursor)
