"""Installs, lists and removes the triggers of one database, derived from the database itself, whoever made its tables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.db import transaction
from django.db.utils import Error

from slipstream.freshness.catalog import SCHEMA, Catalog, Relation, forget_catalogs, read_catalog, write_definition
from slipstream.freshness.configuration import freshness_settings
from slipstream.freshness.outbox.triggers import (
    CREATE_OUTBOX,
    LIST_FUNCTIONS,
    create_statements,
    drop_statements,
    note_whole_table,
)
from slipstream.freshness.protocol.tags import Column, Kind, Table

MOST_CONDITIONS = (
    12  # each costs a tag for each row written; foreign keys first, then unique columns, then the other indexed ones
)
LOCK_SECONDS = 5  # a table that is busy longer is told, not waited for: installing must not queue the site's queries behind it

_KINDS = {
    "int2": Kind.INTEGER,
    "int4": Kind.INTEGER,
    "int8": Kind.INTEGER,
    "uuid": Kind.UUID,
    "bool": Kind.BOOLEAN,
    "date": Kind.DATE,
    "text": Kind.TEXT,
    "varchar": Kind.TEXT,
}

_TABLES = """
SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname = ANY (pg_catalog.current_schemas(false))
  AND n.nspname <> %s AND NOT c.relrowsecurity AND NOT c.relispartition
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhparent, i.inhrelid))
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                  WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e')
ORDER BY 2, 3
"""
_COLUMNS = """
SELECT a.attname, ty.typname, k.rank,
       coalesce(co.collisdeterministic, true),
       EXISTS (SELECT FROM pg_catalog.pg_constraint f
               WHERE f.conrelid = a.attrelid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND i.indisunique AND i.indkey[0] = a.attnum),
       EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = a.attrelid AND a.attnum = ANY (i.indkey))
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type ty ON ty.oid = a.atttypid AND ty.typnamespace = 'pg_catalog'::regnamespace
LEFT JOIN pg_catalog.pg_collation co ON co.oid = a.attcollation
LEFT JOIN LATERAL (
    SELECT ordinality AS rank
    FROM pg_catalog.pg_index p, unnest(p.indkey::smallint[]) WITH ORDINALITY AS u(attnum, ordinality)
    WHERE p.indrelid = a.attrelid AND p.indisprimary AND u.attnum = a.attnum) AS k ON true
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""
_KEY_SIZE = "SELECT coalesce(max(indnkeyatts), 0) FROM pg_catalog.pg_index WHERE indrelid = %s AND indisprimary"


@dataclass(frozen=True)
class Installed:
    """What `install` did: names of tables, and of those that it could not change, with the reason."""

    changed: tuple[str, ...]
    unchanged: tuple[str, ...]
    failed: tuple[tuple[str, str], ...]


def install(connection: Any) -> Installed:
    """Give every ordinary table of the search path its triggers; tables that have the right ones are left alone."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_catalog.to_regclass(%s) IS NULL", [f"{SCHEMA}.outbox"])
        if cursor.fetchone()[0]:
            with transaction.atomic(using=connection.alias):
                for statement in CREATE_OUTBOX.split(";\n"):
                    if statement.strip():
                        cursor.execute(statement)
        catalog = read_catalog(cursor)
        wanted = _plan(cursor)
    changed, unchanged, failed = [], [], []
    for table in wanted:
        name = f"{table.schema}.{table.name}"
        found = catalog.find(table.schema, table.name)
        if found is not None and found.table == table:
            unchanged.append(name)
            continue
        try:
            _replace(connection, table)
            changed.append(name)
        except Error as error:
            failed.append((name, str(error).strip().splitlines()[0]))
    untracked = set(freshness_settings().untracked_tables)
    for relation in {id(one): one for one in catalog.relations.values()}.values():
        if relation.name in untracked and (relation.table is not None or "triggers that" in relation.why_untracked):
            remove_from(connection, relation)
            changed.append(f"{relation.schema}.{relation.name}")
    forget_catalogs()
    return Installed(tuple(changed), tuple(unchanged), tuple(failed))


def remove(connection: Any) -> tuple[str, ...]:
    """Take every trigger away; reads of these tables are not kept from then on.

    The outbox table stays: running processes and the daemon go on reading it, and find it empty.
    """
    catalog = list_relations(connection)
    names = []
    for relation in {id(one): one for one in catalog.relations.values()}.values():
        if relation.table is not None or "triggers" in relation.why_untracked:
            remove_from(connection, relation)
            if relation.table is not None:
                names.append(f"{relation.schema}.{relation.name}")
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(LIST_FUNCTIONS)
        for (function,) in cursor.fetchall():
            cursor.execute(f"DROP FUNCTION {function}")
    forget_catalogs()
    return tuple(sorted(names))


def remove_from(connection: Any, relation: Relation) -> None:
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        for statement in drop_statements(relation.schema, relation.name):
            cursor.execute(statement)
        if relation.table is not None:
            definition = write_definition(list(relation.table.key), list(relation.table.conditions))
            cursor.execute(note_whole_table(relation.schema, relation.name, definition))


def list_relations(connection: Any) -> Catalog:
    with connection.cursor() as cursor:
        return read_catalog(cursor)


def _replace(connection: Any, table: Table) -> None:
    definition = write_definition(list(table.key), list(table.conditions))
    with transaction.atomic(using=connection.alias), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'")
        for statement in create_statements(table, definition):
            cursor.execute(statement)


def _plan(cursor: Any) -> list[Table]:
    cursor.execute(_TABLES, [SCHEMA])
    untracked = set(freshness_settings().untracked_tables)
    return [_describe(cursor, oid, schema, name) for oid, schema, name in cursor.fetchall() if name not in untracked]


def _describe(cursor: Any, oid: int, schema: str, name: str) -> Table:
    cursor.execute(_COLUMNS, [oid])
    key: list[tuple[int, Column]] = []
    ranked: list[tuple[tuple[bool, bool], int, Column]] = []
    for number, (column, kind, rank, is_deterministic, is_foreign, is_unique, is_indexed) in enumerate(cursor.fetchall()):
        if kind not in _KINDS or not is_deterministic:
            continue
        described = Column(column, _KINDS[kind])
        if rank is not None:
            key.append((rank, described))
        if is_foreign or is_unique or is_indexed:
            ranked.append(((not is_foreign, not is_unique), number, described))
    cursor.execute(_KEY_SIZE, [oid])
    is_whole = len(key) == cursor.fetchone()[0]
    whole_key = tuple(column for _, column in sorted(key, key=lambda one: one[0])) if is_whole else ()
    single = whole_key if len(whole_key) == 1 else ()  # its conditions are the rows themselves
    conditions = [column for _, _, column in sorted(ranked, key=lambda one: one[:2]) if column not in single]
    return Table(schema, name, whole_key, tuple(conditions[:MOST_CONDITIONS]))
