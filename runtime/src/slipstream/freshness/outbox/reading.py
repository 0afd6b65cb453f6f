"""Reads what the triggers noted, of this transaction before COMMIT, of all visible ones in the daemon, and turns it into tags."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from slipstream.freshness.catalog import SCHEMA, table_from_definition
from slipstream.freshness.outbox.triggers import image_columns
from slipstream.freshness.protocol.tags import Table, Tag, table_of
from slipstream.freshness.protocol.writes import MOST_TAGS, emitted_tags, folded_tags, name_transaction

# The microsecond at which this server was started: part of a transaction's name.
SERVER_STARTED_US = "(extract(epoch FROM pg_catalog.pg_postmaster_start_time()) * 1000000)::bigint"
HAS_OUTBOX = f"SELECT pg_catalog.to_regclass('{SCHEMA}.outbox') IS NOT NULL"
READ_OWN = f"""
SELECT xid::text::bigint, {SERVER_STARTED_US}, relation_schema, relation_name, definition, images::text
FROM {SCHEMA}.outbox WHERE xid = pg_catalog.pg_current_xact_id_if_assigned()
"""
MOST_ROWS = 10_000  # transactions of the outbox in one reading
READ_ALL = f"""
SELECT xid::text::bigint, {SERVER_STARTED_US}, relation_schema, relation_name, definition, images::text
FROM {SCHEMA}.outbox WHERE xid IN (SELECT xid FROM {SCHEMA}.outbox ORDER BY xid LIMIT {MOST_ROWS})
"""

Row = tuple[int, int, str, str, str, str | None]


@dataclass(frozen=True)
class NotedTransaction:
    """What one transaction changed, under the name that no other transaction ever has."""

    name: str
    xid: int
    tags: frozenset[Tag]


def gather(alias: str, rows: Iterable[Row]) -> list[NotedTransaction]:
    """The transactions in these rows, each with the tags that it emits; beyond 200 tags of one table, the table is folded."""
    tags: dict[tuple[int, int], set[Tag]] = defaultdict(set)
    for xid, server_started_us, schema, name, definition, images in rows:
        tags[xid, server_started_us] |= _tags_of(schema, name, definition, images)
    return [
        NotedTransaction(name_transaction(alias, server_started_us, xid), xid, fold(found))
        for (xid, server_started_us), found in tags.items()
    ]


def fold(tags: set[Tag]) -> frozenset[Tag]:
    """The same tags, those of a table that has too many as `t*` (every reader of the table carries that)."""
    by_table: dict[Tag, set[Tag]] = defaultdict(set)
    for tag in tags:
        by_table[table_of(tag)].add(tag)
    folded = (
        {Tag(f"{table}*")} if f"{table}*" in found or len(found) > MOST_TAGS else found for table, found in by_table.items()
    )
    return frozenset().union(*folded)


def _tags_of(schema: str, name: str, definition: str, images: str | None) -> frozenset[Tag]:
    try:
        table = table_from_definition(schema, name, definition)
    except (ValueError, KeyError, TypeError):
        return folded_tags(Table(schema, name))
    if images is None:
        return folded_tags(table)
    columns = image_columns(table)
    return emitted_tags(table, (dict(zip(columns, image, strict=False)) for image in json.loads(images)))
