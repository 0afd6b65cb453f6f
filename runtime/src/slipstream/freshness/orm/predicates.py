"""What a Django query's WHERE proves about each table that it names, in the protocol's words."""

from __future__ import annotations

import datetime
import enum
import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import EmptyResultSet, FullResultSet
from django.db.models.expressions import Col, RawSQL
from django.db.models.fields.related_lookups import RelatedExact, RelatedIn, RelatedIsNull
from django.db.models.lookups import Exact, In, IntegerFieldExact, IsNull
from django.db.models.sql.constants import INNER
from django.db.models.sql.datastructures import BaseTable, Join
from django.db.models.sql.query import Query
from django.db.models.sql.where import AND, OR, ExtraWhere, WhereNode

from slipstream.freshness.protocol.reads import MOST_BRANCHES, Both, Either, Equal, Predicate, Unknown
from slipstream.freshness.protocol.tags import Table

# Exactly these classes: a subclass of another author may mean something else.
_EXACT = (Exact, RelatedExact, IntegerFieldExact)
_IN = (In, RelatedIn)
_IS_NULL = (IsNull, RelatedIsNull)
_COLUMN = re.compile(r'"[^"]+"\."[^"]+"')  # what prefetching a many-to-many relation adds with extra()


class Opaque(Exception):
    """The query holds SQL that is not made of objects; nothing can be said about its tables but their names."""


@dataclass(slots=True)
class Mention:
    """A table that the query names once: `confine` tells, given what its triggers report, what holds for the rows looked at.

    `is_certain` False: Django forgets, once it has compiled, whether it named this one.
    """

    name: str
    is_certain: bool
    confine: Callable[[Table], Predicate]


@dataclass(frozen=True, slots=True)
class _OneOf:
    """In every row that matters, this column of this alias has one of these values (None: it is NULL)."""

    alias: str
    column: str
    values: tuple[Any, ...]


@dataclass(slots=True)
class _Facts:
    """What WHERE proves, by alias. `others`: disjunctions, judged for each alias as a whole."""

    equalities: dict[str, list[_OneOf]] = field(default_factory=lambda: defaultdict(list))
    others: list[Any] = field(default_factory=list)


def mentions_of(compiler: Any) -> list[Mention] | None:
    """Every table in the compiler's query and its subqueries, as often as it is named; None when that cannot be told."""
    if getattr(compiler, "qualify", None):
        return None  # a filter on a window function: the window looks at rows that the filter drops
    try:
        return list(_walk(compiler.query, compiler))
    except Opaque:
        return None


def _walk(query: Any, compiler: Any) -> Iterator[Mention]:
    if query.combinator:
        for part in query.combined_queries:
            yield from _walk(part, compiler)
        return
    inner = getattr(query, "inner_query", None)
    if inner is not None:
        yield from _walk(inner, compiler)
        for expression in query.annotation_select.values():
            yield from _visit(expression, compiler)
        return
    if query.extra_tables or query.extra_order_by or not all(_COLUMN.fullmatch(sql) for sql, _ in query.extra.values()):
        raise Opaque
    aliases = dict(query.alias_map)
    facts = _facts_of(query.where, aliases, compiler)
    for alias, source in aliases.items():
        if type(source) not in (BaseTable, Join):
            raise Opaque
        if type(source) is Join and source.filtered_relation is not None:
            yield from _visit(source.filtered_relation.resolved_condition, compiler)
        yield Mention(source.table_name, bool(query.alias_refcount.get(alias)), _confine(alias, source, facts, compiler))
    yield from _visit(query.where, compiler)
    for expression in (*query.annotation_select.values(), *query.select, *query.order_by):
        yield from _visit(expression, compiler)


def _visit(node: Any, compiler: Any) -> Iterator[Mention]:
    if isinstance(node, Query):
        yield from _walk(node, compiler)
    elif isinstance(node, RawSQL | ExtraWhere):
        raise Opaque
    elif isinstance(node, WhereNode):
        for child in node.children:
            yield from _visit(child, compiler)
    elif hasattr(node, "get_source_expressions"):
        for expression in node.get_source_expressions():
            if expression is not None:
                yield from _visit(expression, compiler)
    rhs = getattr(node, "rhs", None)
    if isinstance(rhs, Query) and not any(rhs is part for part in node.get_source_expressions()):
        yield from _walk(rhs, compiler)


def _facts_of(where: Any, aliases: dict[str, Any], compiler: Any) -> _Facts:
    facts = _Facts()
    _gather(where, facts, compiler)
    joins = [(alias, source) for alias, source in aliases.items() if type(source) is Join]
    for _ in range(2):  # forward along the joins, and back where both sides must exist
        for alias, join in joins:
            is_inner = join.join_type == INNER
            for left, right in join.join_cols:
                _carry_over(facts, join.parent_alias, left, alias, right)
                if is_inner:
                    _carry_over(facts, alias, right, join.parent_alias, left)
    return facts


def _gather(node: Any, facts: _Facts, compiler: Any) -> None:
    if isinstance(node, WhereNode):
        if node.negated or (node.connector != AND and len(node.children) > 1):
            if not node.negated and node.connector == OR:
                facts.others.append(node)
            return
        for child in node.children:
            _gather(child, facts, compiler)
        return
    found = _read_lookup(node, compiler)
    if found is not None:
        facts.equalities[found.alias].append(found)


def _carry_over(facts: _Facts, source: str, column: str, target: str, target_column: str) -> None:
    for fact in list(facts.equalities.get(source, ())):
        if fact.column == column and None not in fact.values:
            carried = _OneOf(target, target_column, fact.values)
            if carried not in facts.equalities[target]:
                facts.equalities[target].append(carried)


def _confine(alias: str, source: Any, facts: _Facts, compiler: Any) -> Callable[[Table], Predicate]:
    # Of a table that is joined with LEFT JOIN, NULL may mean "no row", which no write to a row reports.
    may_be_absent = type(source) is Join and source.join_type != INNER

    def confine(table: Table) -> Predicate:
        parts = [_to_predicate(fact, table, may_be_absent) for fact in facts.equalities.get(alias, ())]
        parts += [_judge(node, alias, table, may_be_absent, compiler) for node in facts.others]
        return Both(tuple(parts))

    return confine


def _judge(node: Any, alias: str, table: Table, may_be_absent: bool, compiler: Any) -> Predicate:
    if isinstance(node, WhereNode):
        if node.negated or (node.connector not in (AND, OR) and len(node.children) > 1):
            return Unknown()
        parts = tuple(_judge(child, alias, table, may_be_absent, compiler) for child in node.children)
        return Either(parts) if node.connector == OR and parts else Both(parts)
    found = _read_lookup(node, compiler)
    return Unknown() if found is None or found.alias != alias else _to_predicate(found, table, may_be_absent)


def _to_predicate(fact: _OneOf, table: Table, may_be_absent: bool) -> Predicate:
    column = next((one for one in (*table.key, *table.conditions) if one.name == fact.column), None)
    if column is None or (may_be_absent and None in fact.values):
        return Unknown()
    if len(fact.values) == 1:
        return Equal(column, fact.values[0])
    return Either(tuple(Equal(column, value) for value in fact.values))


def _read_lookup(node: Any, compiler: Any) -> _OneOf | None:
    """The lookup as "this column has one of these values", or None where it is something else."""
    kind = type(node)
    if kind not in _EXACT and kind not in _IN and kind not in _IS_NULL:
        return None
    left = node.lhs
    if type(left) is not Col or left.alias is None:
        return None
    if kind in _IS_NULL:
        return _OneOf(left.alias, left.target.column, (None,)) if node.rhs is True else None
    if not node.rhs_is_direct_value() or (kind in _IN and len(node.rhs) > MOST_BRANCHES):
        return None
    try:
        sql, parameters = node.process_rhs(compiler, compiler.connection)
    except EmptyResultSet:
        return _OneOf(left.alias, left.target.column, ())
    except (FullResultSet, TypeError, ValueError):
        return None
    if sql.strip("()").replace(" ", "").split(",") != ["%s"] * len(parameters) or (kind in _EXACT and len(parameters) != 1):
        return None
    values = tuple(_plain(value) for value in parameters)
    return None if None in values else _OneOf(left.alias, left.target.column, values)


def _plain(value: Any) -> Any:
    """The value as the protocol encodes it: drivers and Django wrap numbers and texts in types of their own."""
    if isinstance(value, enum.Enum):
        value = value.value
    if isinstance(value, bool | datetime.date | uuid.UUID):
        return value
    if isinstance(value, int):
        return int(value)
    return str.__str__(value) if isinstance(value, str) else value
