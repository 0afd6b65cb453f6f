"""Follows every statement on its way to the database: what it reads goes to the recorder, what may write gets a transaction."""

from __future__ import annotations

import datetime
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils import timezone

from slipstream.freshness import commits
from slipstream.freshness.catalog import Catalog, catalog_of
from slipstream.freshness.orm.predicates import mentions_of
from slipstream.freshness.protocol.reads import Unknown, carried_tags
from slipstream.freshness.recorder import Recorder, current_recorder, note_obstacle, note_read
from slipstream.freshness.sql.statement import Statement, read_statement
from slipstream.freshness.standing import Standing, note_altered, standing_of
from slipstream.freshness.untriggered import fetch_now, tags_of_write

CLOCK_SECONDS = 60.0  # how long an answer that depends on the time is true enough

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]
_OPAQUE = Statement("", is_understood=False)


def follow(execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A wrapper for `connection.execute_wrappers`, the outermost one."""
    connection: BaseDatabaseWrapper = context["connection"]
    standing = standing_of(connection)
    statement = read_statement(sql) if isinstance(sql, str) else _OPAQUE
    if statement.controls_transaction:
        if statement.commits:
            return commits.commit(connection, lambda: execute(sql, params, many, context))
        if statement.verb in ("ROLLBACK", "ABORT") and "to" not in sql.lower().split():
            standing.end_transaction()
        return execute(sql, params, many, context)
    note_statement(connection, standing, statement, sql, params)
    if not statement.may_write or not is_in_autocommit(connection):
        return execute(sql, params, many, context)
    if statement.refuses_transactions:
        standing.end_transaction()
        answer = execute(sql, params, many, context)
        if statement.verb == "CALL" and connection.vendor == "postgresql":
            commits.settle_visible(connection)
        return answer
    with explicit_transaction(connection):
        # The transaction is a new one to Django, so what was noted above must be said again.
        note_writing(connection, standing, statement)
        answer = execute(sql, params, many, context)
        if connection.vendor == "sqlite":
            fetch_now(context["cursor"])
        return answer


def refuse(execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """A wrapper for databases that are not followed: what reads them is not kept."""
    note_obstacle(f"it uses the database {context['connection'].alias}, which is not followed")
    return execute(sql, params, many, context)


@contextmanager
def explicit_transaction(connection: Any) -> Iterator[None]:
    """BEGIN, and COMMIT through the write path, on this very connection; a copy of a connection is unknown to `atomic`."""
    if connections[connection.alias] is connection:
        with transaction.atomic(using=connection.alias, savepoint=False):
            yield
        return
    connection.set_autocommit(False)
    try:
        yield
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    finally:
        connection.set_autocommit(True)


def is_in_autocommit(connection: Any) -> bool:
    """True when the next statement would commit by itself."""
    return bool(
        not connection.in_atomic_block and connection.get_autocommit() and commits.transaction_status(connection) == commits.IDLE
    )


def note_statement(connection: Any, standing: Standing, statement: Statement, sql: Any, params: Any) -> None:
    """Record what the statement reads and what it does to its transaction."""
    if statement.may_write:
        note_writing(connection, standing, statement)
        note_obstacle(f"it may have written to the database ({statement.verb or 'an unknown statement'})")
        return
    if statement.locks_rows:
        standing.has_locks = True
    if not statement.is_read:
        return
    recorder = current_recorder()
    if recorder is None:
        note_read(())  # counted: a build whose thread this was must not be shared
        return
    compiler = standing.compiler if standing.sql is sql else None
    record_read(connection, standing, statement, (compiler, sql, params), recorder)
    if statement.reads_clock or (params and has_present_time(params)):
        recorder.cap(CLOCK_SECONDS)


def note_writing(connection: Any, standing: Standing, statement: Statement) -> None:
    standing.may_have_written = True
    if connection.vendor != "postgresql":
        tags = tags_of_write(statement)
        if tags is None:
            standing.has_definitions = True  # anything may have been written: a new epoch
        else:
            standing.noted.update(tags)
    if statement.is_definition:
        standing.has_definitions = True
    if statement.changes_session:
        note_altered(connection, f"{statement.verb} was run on this connection")


def record_read(
    connection: Any, standing: Standing, statement: Statement, origin: tuple[Any, Any, Any], recorder: Recorder
) -> None:
    """Tell the recorder the tags of a read, or why it has none."""
    reason = refusal_of(connection, standing)
    if reason:
        recorder.refuse(reason)
        return
    catalog = catalog_of(connection.alias, recorder.epoch, connection)
    if catalog.is_replica:
        recorder.refuse("it was read from a replica, which may lag behind")
        return
    if not catalog.reads_committed:
        recorder.refuse(f"its transaction is {catalog.isolation}: its snapshot may be older than the build")
        return
    compiler, sql, params = origin
    key: Any = (sql, params, compiler is None)
    try:
        known = catalog.tags_by_statement.get(key)
    except TypeError:  # a parameter that has no hash
        key = known = None
    if known is not None:
        recorder.add(known)
        return
    tags, reason = tags_of(catalog, statement, compiler)
    recorder.add(tags)
    if reason:
        recorder.refuse(reason)
    elif key is not None:
        catalog.remember(key, tags)


def refusal_of(connection: Any, standing: Standing) -> str:
    """Why this connection's answers, for now, are not the world's; empty when they are."""
    if standing.altered:
        return standing.altered
    if standing.may_have_written:
        return "its transaction has written"
    if standing.has_locks:
        return "its transaction has locked rows"
    if connection.vendor != "postgresql":
        if connection.in_atomic_block or not connection.get_autocommit():
            return "it is read inside a transaction, whose snapshot may be older than the build"
        return ""
    isolation = getattr(connection, "isolation_level", None)
    if isolation is not None and int(isolation) > 2:  # IsolationLevel.READ_COMMITTED
        return "its transaction is repeatable read or serializable: its snapshot may be older than the build"
    return ""


def tags_of(catalog: Catalog, statement: Statement, compiler: Any) -> tuple[frozenset[str], str]:
    """The narrowest tags, and why they are not all; what Django's objects say counts only where the text agrees."""
    tags: set[str] = set()
    reason = ""
    named = Counter(statement.relations)
    mentioned: dict[str, list[Any]] = {}
    mentions = mentions_of(compiler) if compiler is not None else None
    for mention in mentions or ():
        mentioned.setdefault(mention.name, []).append(mention)
    for (schema, name), times in named.items():
        relation = catalog.find(schema, name)
        if relation is None:
            if schema is None and name in statement.own_names:
                continue
            reason = f"it reads {name}, which is not known"
            continue
        if relation.table is None:
            reason = f"it reads {relation.schema}.{relation.name}, {relation.why_untracked}"
            continue
        every = mentioned.get(name, []) if schema is None else []
        certain = [mention for mention in every if mention.is_certain]
        found = certain if len(certain) == times else every
        if len(found) == times:
            for mention in found:
                tags.update(carried_tags(relation.table, mention.confine(relation.table)))
        else:
            tags.update(carried_tags(relation.table, Unknown()))
    return frozenset(tags), reason


def has_present_time(params: Any) -> bool:
    """True when a parameter is a moment within a minute from now: it was computed from the clock."""
    values = params.values() if isinstance(params, dict) else params
    for value in values:
        if isinstance(value, datetime.datetime):
            now = timezone.now() if value.tzinfo else datetime.datetime.now()
            if abs((value - now).total_seconds()) < CLOCK_SECONDS:
                return True
    return False
