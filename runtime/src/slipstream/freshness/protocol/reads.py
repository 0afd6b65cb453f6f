"""Says which tags a query carries: the narrowest that every write able to change its answer must emit.

A query is described per table by what its WHERE proves about the rows it looks at. Anything not understood is `Unknown` and
widens to the table; it is never guessed.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from slipstream.freshness.protocol.tags import (
    NULL,
    Column,
    Table,
    Tag,
    condition_tag,
    encode_value,
    row_tag,
    table_tag,
    whole_table_tag,
)

MOST_BRANCHES = 100  # an IN of more values is read as the table: its tags would cost more than the misses that they save


@dataclass(frozen=True, slots=True)
class Equal:
    """`column = value`, or `column IS NULL` when the value is None. (`column = NULL` is never true: describe it as
    `Either(())`.)
    """

    column: Column
    value: object


@dataclass(frozen=True, slots=True)
class Both:
    """AND: every part holds, so one usable part is enough."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """OR, IN: some part holds, so every part must be usable. Without parts it is false."""

    parts: tuple["Predicate", ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Whatever else: proves nothing."""


Predicate = Equal | Both | Either | Unknown


def carried_tags(table: Table, predicate: Predicate) -> frozenset[Tag]:
    """The tags of a query that looks only at rows of `table` for which `predicate` holds (the same for a table of a join).

    Always `t*`; then rows or conditions where the predicate confines the query to them, else `t`. An empty answer carries the
    same tags as a full one: the insert that fills it emits them.
    """
    narrow = _confining_tags(table, predicate)
    return frozenset({whole_table_tag(table)}) | (frozenset({table_tag(table)}) if narrow is None else narrow)


def _confining_tags(table: Table, predicate: Predicate) -> frozenset[Tag] | None:
    if isinstance(predicate, Equal):
        tag = _equality_tag(table, predicate)
        return None if tag is None else frozenset({tag})
    if isinstance(predicate, Both):
        row = _row_of_composite_key(table, predicate)
        if row is not None:
            return frozenset({row})
        usable = [tags for part in predicate.parts if (tags := _confining_tags(table, part)) is not None]
        return min(usable, key=_breadth, default=None)
    if isinstance(predicate, Either):
        branches = [_confining_tags(table, part) for part in predicate.parts]
        tags = frozenset[Tag]().union(*(branch for branch in branches if branch is not None))
        return None if None in branches or len(tags) > MOST_BRANCHES else tags
    return None


def _equality_tag(table: Table, equality: Equal) -> Tag | None:
    if table.key == (equality.column,):
        row = row_tag(table, (equality.value,))
        if row is not None:
            return row
    return condition_tag(table, equality.column, equality.value)


def _row_of_composite_key(table: Table, predicate: Both) -> Tag | None:
    values: Mapping[Column, object] = {part.column: part.value for part in predicate.parts if isinstance(part, Equal)}
    if not table.key or any(encode_value(column.kind, values.get(column)) in (None, NULL) for column in table.key):
        return None
    return row_tag(table, [values[column] for column in table.key])


def _breadth(tags: frozenset[Tag]) -> tuple[bool, int, list[Tag]]:
    """Rows before conditions (fewer writes emit them), then few before many, then by name, so that one query always carries the
    same.
    """
    return any("{" in tag for tag in tags), len(tags), sorted(tags)
