"""The SQL of the outbox table and of the triggers that fill it: statement-level, with transition tables, ENABLE ALWAYS."""

from __future__ import annotations

from hashlib import blake2b

from slipstream.freshness.catalog import SCHEMA, TRIGGERS
from slipstream.freshness.protocol.tags import Table
from slipstream.freshness.protocol.writes import MOST_TAGS

# UNLOGGED: half the cost of a row. A crash empties it, but a crash is also a new postmaster, and so a new epoch.
CREATE_OUTBOX = f"""
CREATE SCHEMA IF NOT EXISTS {SCHEMA};
CREATE UNLOGGED TABLE IF NOT EXISTS {SCHEMA}.outbox (
    xid xid8 NOT NULL, relation_schema text NOT NULL, relation_name text NOT NULL, definition text NOT NULL, images jsonb
);
CREATE INDEX IF NOT EXISTS outbox_xid ON {SCHEMA}.outbox (xid);
COMMENT ON TABLE {SCHEMA}.outbox IS
    'slipstream: rows before and after each write (images; NULL: unknown or too many), until their tags are invalidated';
"""
LIST_FUNCTIONS = f"""
SELECT p.oid::regprocedure::text FROM pg_catalog.pg_proc p
WHERE p.pronamespace = pg_catalog.to_regnamespace('{SCHEMA}') AND p.proname LIKE 'note\\_%'
"""

_FUNCTION = """
CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $slipstream$
DECLARE
    images jsonb; noted bigint;
BEGIN
    IF TG_OP <> 'TRUNCATE' THEN
        BEGIN
            IF TG_OP = 'INSERT' THEN
                SELECT count(*), jsonb_agg(jsonb_build_array({columns})) INTO noted, images
                FROM (SELECT {wanted} FROM slipstream_after LIMIT {most}) AS i;
            ELSIF TG_OP = 'DELETE' THEN
                SELECT count(*), jsonb_agg(jsonb_build_array({columns})) INTO noted, images
                FROM (SELECT {wanted} FROM slipstream_before LIMIT {most}) AS i;
            ELSE
                SELECT count(*), jsonb_agg(jsonb_build_array({columns})) INTO noted, images FROM (
                    (SELECT {wanted} FROM slipstream_before LIMIT {most})
                    UNION ALL (SELECT {wanted} FROM slipstream_after LIMIT {most})
                ) AS i;
                noted := noted / 2;
            END IF;
            IF noted = 0 THEN RETURN NULL; END IF;
            IF noted >= {most} THEN images := NULL; END IF;
        EXCEPTION WHEN OTHERS THEN images := NULL;  -- a column was renamed or dropped since: the whole table is noted
        END;
    END IF;
    INSERT INTO {schema}.outbox VALUES (pg_current_xact_id(), TG_TABLE_SCHEMA, TG_TABLE_NAME, TG_ARGV[0], images);
    RETURN NULL;
END $slipstream$
"""
_EVENTS = {
    "slipstream_insert": ("INSERT", "REFERENCING NEW TABLE AS slipstream_after"),
    "slipstream_update": ("UPDATE", "REFERENCING OLD TABLE AS slipstream_before NEW TABLE AS slipstream_after"),
    "slipstream_delete": ("DELETE", "REFERENCING OLD TABLE AS slipstream_before"),
    "slipstream_truncate": ("TRUNCATE", ""),
}
assert tuple(_EVENTS) == TRIGGERS


def function_name(schema: str, table: str) -> str:
    """One function for each table: its plans are kept, and it names no column at run time."""
    return f"{SCHEMA}.note_{blake2b(f'{schema}.{table}'.encode(), digest_size=8).hexdigest()}"


def image_columns(table: Table) -> list[str]:
    """The columns of an image, in order: of the key, then those with conditions that are not of the key."""
    key = [column.name for column in table.key]
    return key + [column.name for column in table.conditions if column.name not in key]


def create_statements(table: Table, definition: str) -> list[str]:
    """Replace the triggers of one table, and note it as wholly changed, so that nothing named by the old ones survives."""
    function = function_name(table.schema, table.name)
    target = f"{quote(table.schema)}.{quote(table.name)}"
    names = [quote(column) for column in image_columns(table)]
    columns, wanted = ", ".join(f"i.{name}" for name in names), ", ".join(names) or "1"
    argument = literal(definition)
    statements = [
        *drop_statements(table.schema, table.name),
        _FUNCTION.format(function=function, columns=columns, wanted=wanted, schema=SCHEMA, most=MOST_TAGS + 1),
    ]
    for trigger, (event, tables) in _EVENTS.items():
        statements.append(
            f"CREATE TRIGGER {trigger} AFTER {event} ON {target} {tables} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {function}({argument})"
        )
        statements.append(f"ALTER TABLE {target} ENABLE ALWAYS TRIGGER {trigger}")
    return [*statements, note_whole_table(table.schema, table.name, definition)]


def drop_statements(schema: str, name: str) -> list[str]:
    target = f"{quote(schema)}.{quote(name)}"
    return [f"DROP TRIGGER IF EXISTS {trigger} ON {target}" for trigger in TRIGGERS]


def note_whole_table(schema: str, name: str, definition: str) -> str:
    return (
        f"INSERT INTO {SCHEMA}.outbox VALUES "
        f"(pg_catalog.pg_current_xact_id(), {literal(schema)}, {literal(name)}, {literal(definition)}, NULL)"
    )


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    escaped = text.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'"
