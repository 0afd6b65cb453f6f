"""The PostgreSQL that is copied into: whose rows it holds, whether it is what the copy needs, and whether all arrived."""

from __future__ import annotations

import json
from typing import Any

from django.apps import apps
from django.core.management.color import no_style
from django.db import IntegrityError, connections, transaction
from django.db.backends.postgresql import psycopg_any
from django.db.migrations.loader import MigrationLoader

from slipstream.database.original import Original, quote_name
from slipstream.database.trouble import MOST_SHOWN, Trouble

MIGRATIONS = "django_migrations"
"""The target's own record of how its tables were made; never copied."""


def require_postgresql(target: str) -> None:
    connection = connections[target]
    if connection.vendor != "postgresql":
        raise Trouble(
            f'the database "{target}" of these settings is {connection.display_name}, not PostgreSQL',
            'Set server = "postgresql" in [database] of the stack file',
        )
    if not psycopg_any.is_psycopg3:
        raise Trouble("the copy needs psycopg 3, and this project has psycopg2 only", "Install psycopg[binary]")


def find_finished(target: str) -> tuple[int, int, str] | None:
    """Tables, rows and the original's hash of a copy that was carried out before; None when there was none."""
    with connections[target].cursor() as cursor:
        cursor.execute("SELECT to_regclass('slipstream.copy') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return None
        cursor.execute("SELECT tables, rows, sha256 FROM slipstream.copy WHERE finished IS NOT NULL")
        row = cursor.fetchone()
        return row and (row[0], row[1], row[2])


def claim(target: str, sha256: str) -> None:
    """Note in the target that its tables are made for this copy; ``Trouble`` when it holds rows that came another way."""
    with transaction.atomic(using=target), connections[target].cursor() as cursor:
        cursor.execute("SELECT to_regclass('slipstream.copy') IS NOT NULL")
        if cursor.fetchone()[0]:
            cursor.execute("SELECT made FROM slipstream.copy")
            row = cursor.fetchone()
            made = json.loads(row[0]) if row and row[0] else None
            if made is not None:
                counts = _count_rows(target, cursor)
                _refuse_rows(target, [name for name, count in counts.items() if count != made.get(name, 0)])
        else:
            counts = _count_rows(target, cursor)
            _refuse_rows(target, [name for name, count in counts.items() if count and name not in _made_by_migrate()])
            cursor.execute("CREATE SCHEMA IF NOT EXISTS slipstream")
            cursor.execute(
                "CREATE TABLE slipstream.copy (sha256 text NOT NULL, begun timestamptz NOT NULL DEFAULT now(), made text, "
                "finished timestamptz, tables bigint, rows bigint)"
            )
        cursor.execute("DELETE FROM slipstream.copy")
        cursor.execute("INSERT INTO slipstream.copy (sha256) VALUES (%s)", [sha256])


def note_what_migrate_made(target: str) -> None:
    """Rows by table, so that a second attempt can tell them from rows that somebody wrote in between."""
    with connections[target].cursor() as cursor:
        cursor.execute("UPDATE slipstream.copy SET made = %s", [json.dumps(_count_rows(target, cursor))])


def _refuse_rows(target: str, tables: list[str]) -> None:
    if tables:
        raise Trouble(
            f'the database "{target}" already holds rows that this copy did not bring',
            "The copy goes into an empty database only: keep what is there, or remove the database first",
            [f"table {name}" for name in tables[:MOST_SHOWN]],
        )


def _count_rows(target: str, cursor: Any) -> dict[str, int]:
    counts = {}
    for name in connections[target].introspection.table_names(cursor):
        cursor.execute(f"SELECT count(*) FROM {quote_name(name)}")
        counts[name] = cursor.fetchone()[0]
    return counts


def _made_by_migrate() -> set[str]:
    """Tables that every ``migrate`` fills, so that rows in them say nothing about who was here."""
    made = {MIGRATIONS}
    for label in ("contenttypes.ContentType", "auth.Permission", "sites.Site"):
        try:
            made.add(apps.get_model(label)._meta.db_table)
        except LookupError:
            continue
    return made


def require_same_migrations(original: Original, target: str) -> None:
    """``Trouble`` when the original lacks migrations that the project has: its tables would not be what the models expect."""
    loader = MigrationLoader(connections[target])
    there = original.applied_migrations()
    replaced_by = {old: key for key, migration in loader.replacements.items() for old in migration.replaces}

    def is_there(key: tuple[str, str]) -> bool:
        squashed = loader.replacements.get(key)
        return (
            key in there
            or replaced_by.get(key) in there
            or (squashed is not None and all(old in there for old in squashed.replaces))
        )

    missing = sorted(key for key in loader.applied_migrations if key in loader.disk_migrations and not is_there(key))
    if missing:
        raise Trouble(
            f"the original lacks {len(missing)} migrations of the project",
            "Bring it up to date with `python manage.py migrate` and the project's own settings, then copy again",
            [f"{app}.{name}" for app, name in missing[:MOST_SHOWN]],
        )


def check_references(cursor: Any) -> None:
    try:
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
    except IntegrityError as error:
        cause: Any = error.__cause__
        raise Trouble(
            "a row of the original refers to a row that does not exist",
            "Correct or delete it in the original, then copy again",
            [f"table {cause.diag.table_name}: {cause.diag.message_detail}"],
        ) from None


def reset_sequences(cursor: Any, copied: list[Any], target: str) -> None:
    for sql in connections[target].ops.sequence_reset_sql(no_style(), copied):
        cursor.execute(sql)


def require_same_counts(cursor: Any, counts: dict[str, int]) -> None:
    different = []
    for name, expected in counts.items():
        cursor.execute(f"SELECT count(*) FROM {quote_name(name)}")
        (found,) = cursor.fetchone()
        if found != expected:
            different.append(f"table {name}: {expected:,} rows in the original, {found:,} arrived")
    if different:
        raise Trouble(
            "not every row arrived", "Stop whatever writes to the original, then copy again; this should not happen", different
        )
