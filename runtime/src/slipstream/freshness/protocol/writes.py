"""Says which tags a committed write emits, from the rows before and after it, so that every reader whose answer it may change
is told.
"""

from collections.abc import Iterable, Mapping

from slipstream.freshness.protocol.tags import Table, Tag, condition_tag, row_tag, table_tag, whole_table_tag

MOST_TAGS = (
    200  # one statement's tags; beyond, naming the table costs less than naming rows (20,000 rows then cost what one costs)
)


def emitted_tags(table: Table, rows: Iterable[Mapping[str, object]]) -> frozenset[Tag]:
    """The tags of a write, given the image of each row before it and after it, by column name (an unchanged column counts as
    well).

    Every image emits its row, the condition of every column in `table.conditions`, and `t`: a row moved from one section to
    another so names both. No image (an UPDATE that matched nothing) emits nothing. Folds to `t*` beyond 200 tags, and where an
    image lacks a column or holds a value without canonical text, because a reader may carry exactly the tag that cannot be
    written.
    """
    tags: set[Tag] = set()
    for row in rows:
        images = [condition_tag(table, column, row[column.name]) if column.name in row else None for column in table.conditions]
        if table.key:
            images.append(row_tag(table, [row[column.name] for column in table.key]) if _has_key(table, row) else None)
        named = [tag for tag in images if tag is not None]
        if len(named) < len(images):
            return folded_tags(table)
        tags.update(named, (table_tag(table),))
        if len(tags) > MOST_TAGS:
            return folded_tags(table)
    return frozenset(tags)


def folded_tags(table: Table) -> frozenset[Tag]:
    """The tags of a write whose rows are too many or unknown: TRUNCATE, DDL, COPY without transition tables, raw SQL without
    triggers.
    """
    return frozenset({whole_table_tag(table)})


def name_transaction(database: str, server_started_us: int, xid: int) -> str:
    """A name that no other transaction ever has: by database alias, `pg_postmaster_start_time()` in microseconds and
    `pg_current_xact_id()`.

    Transaction ids alone come back: a promoted standby assigns again what its predecessor assigned and did not replicate. A
    pending transaction of another server start is over, and may be reaped.
    """
    return f"{database}:{server_started_us}:{xid}"


def _has_key(table: Table, row: Mapping[str, object]) -> bool:
    return all(column.name in row for column in table.key)
