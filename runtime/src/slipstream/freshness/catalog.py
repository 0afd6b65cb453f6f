"""Asks the database what its tables are and which triggers report their writes: tags are named by what is installed, not by code.

A catalog holds for one epoch of the store. Whoever changes triggers or tables begins a new epoch, and a reader that meets a new
epoch reads the catalog again: a value named by triggers that are gone is thus never kept.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from slipstream.freshness.protocol.tags import Column, Kind, Table

SCHEMA = "slipstream"
TRIGGERS = ("slipstream_insert", "slipstream_update", "slipstream_delete", "slipstream_truncate")
DEFINITION_VERSION = 1
MOST_STATEMENTS = 5000  # with their parameters and tags about 1 KB each

_RELATIONS = """
SELECT n.nspname, c.relname, c.relkind::text, pg_catalog.pg_table_is_visible(c.oid), c.relrowsecurity,
       c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid)),
       t.names, t.definition
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN (
    SELECT tgrelid, array_agg(tgname::text || tgenabled::text ORDER BY tgname) AS names,
           CASE WHEN min(tgargs) = max(tgargs) THEN min(tgargs) END AS definition
    FROM (SELECT tgrelid, tgname, tgenabled, encode(tgargs, 'hex') AS tgargs FROM pg_catalog.pg_trigger
          WHERE tgname LIKE 'slipstream\\_%') AS ours GROUP BY tgrelid) AS t ON t.tgrelid = c.oid
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_toast%'
  AND (n.nspname <> 'pg_catalog')
"""
_IDENTITY = """
SELECT pg_catalog.current_database(), pg_catalog.current_setting('search_path'), CURRENT_USER,
       pg_catalog.current_setting('default_transaction_isolation'), pg_catalog.pg_is_in_recovery(),
       pg_catalog.array_to_string(pg_catalog.current_schemas(false), ',')
"""


@dataclass(frozen=True)
class Relation:
    """One table, view or the like. `table` is None where writes are not reported, and `why_untracked` says why."""

    schema: str
    name: str
    table: Table | None
    why_untracked: str = ""


@dataclass(frozen=True)
class Catalog:
    """What one role sees of one database. `identity` goes into the name of every cached answer."""

    relations: Mapping[tuple[str | None, str], Relation]
    identity: str
    is_replica: bool
    isolation: str
    tags_by_statement: dict[Any, frozenset[str]] = field(default_factory=dict, compare=False, repr=False)

    @property
    def reads_committed(self) -> bool:
        """True when each statement has a snapshot of its own, unless its transaction chose otherwise."""
        return self.isolation in ("read committed", "read uncommitted")

    def remember(self, key: Any, tags: frozenset[str]) -> None:
        """Keep the tags of a statement with these parameters: working them out again costs 60 us."""
        if len(self.tags_by_statement) >= MOST_STATEMENTS:
            self.tags_by_statement.clear()
        self.tags_by_statement[key] = tags

    def find(self, schema: str | None, name: str) -> Relation | None:
        """The relation that `name` means; without a schema, as the search path says."""
        return self.relations.get((schema, name))


def read_catalog(cursor: Any) -> Catalog:
    """Ask the database, through an open cursor."""
    cursor.execute(_IDENTITY)
    database, search_path, role, isolation, is_replica, schemas = cursor.fetchone()
    cursor.execute(_RELATIONS)
    relations: dict[tuple[str | None, str], Relation] = {}
    for schema, name, kind, is_visible, has_row_security, is_inherited, triggers, definition in cursor.fetchall():
        relation = _judge(schema, name, kind, has_row_security, is_inherited, triggers, definition)
        relations[schema, name] = relation
        if is_visible:
            relations[None, name] = relation
    identity = blake2b(json.dumps([database, search_path, schemas, role]).encode(), digest_size=12).hexdigest()
    return Catalog(relations, identity, is_replica, isolation)


def _judge(
    schema: str, name: str, kind: str, has_row_security: bool, is_inherited: bool, triggers: list[str] | None, definition: str
) -> Relation:
    why = ""
    if kind != "r":
        why = {"v": "a view", "m": "a materialised view", "f": "a foreign table", "p": "a partitioned table"}[kind]
    elif has_row_security:
        why = "under row-level security"
    elif is_inherited:
        why = "part of an inheritance or partition tree"
    elif not triggers:
        why = "without triggers: run manage.py slipstream_triggers install"
    elif triggers != sorted(f"{trigger}A" for trigger in TRIGGERS):
        why = "with triggers that are incomplete or disabled: run manage.py slipstream_triggers install"
    table = None
    if not why:
        try:
            table = table_from_definition(schema, name, bytes.fromhex(definition).rstrip(b"\0").decode())
        except (ValueError, KeyError, TypeError):
            why = "with triggers of another version: run manage.py slipstream_triggers install"
    return Relation(schema, name, table, why)


def write_definition(key: list[Column], conditions: list[Column]) -> str:
    """What a trigger carries as its argument: the columns that name the table's rows, and those whose conditions it reports."""
    return json.dumps(
        {
            "v": DEFINITION_VERSION,
            "key": [[one.name, one.kind.value] for one in key],
            "conditions": [[one.name, one.kind.value] for one in conditions],
        },
        separators=(",", ":"),
    )


@lru_cache(maxsize=1000)
def table_from_definition(schema: str, name: str, definition: str) -> Table:
    """The table as its triggers know it. Raises ValueError for a definition of another version."""
    document = json.loads(definition)
    if document["v"] != DEFINITION_VERSION:
        raise ValueError(f"Reading the triggers of {schema}.{name}: version {document['v']}, not {DEFINITION_VERSION}.")
    return Table(
        schema,
        name,
        tuple(Column(column, Kind(kind)) for column, kind in document["key"]),
        tuple(Column(column, Kind(kind)) for column, kind in document["conditions"]),
    )


_known: dict[tuple[str, ...], tuple[str | None, Catalog]] = {}
_lock = threading.Lock()


def catalog_of(alias: str, epoch: str | None, connection: Any) -> Catalog:
    """The catalog of a database as it was at some moment of `epoch`, read through `connection` where it is not known yet.

    `epoch` None (nothing will be kept) takes any that is known.
    """
    place = (alias, *(str(connection.settings_dict.get(part)) for part in ("NAME", "USER", "HOST", "PORT")))
    found = _known.get(place)  # Django's test runner puts another database behind an alias
    if found is not None and epoch in (None, found[0]):
        return found[1]
    if connection.vendor == "postgresql":
        with connection.wrap_database_errors, connection.connection.cursor() as cursor:
            catalog = read_catalog(cursor)
    else:
        from slipstream.freshness.untriggered import catalog_by_name  # which is made of this module's parts

        catalog = catalog_by_name(connection)
    with _lock:
        _known[place] = (epoch, catalog)
    return catalog


def forget_catalogs() -> None:
    with _lock:
        _known.clear()
