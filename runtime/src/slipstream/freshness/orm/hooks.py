"""Puts the hooks into Django: statements, commits, what compilers execute, and what goes round the statement wrappers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.db.backends.utils import CursorWrapper
from django.db.models.sql.compiler import SQLCompiler, SQLDeleteCompiler, SQLInsertCompiler, SQLUpdateCompiler
from django.db.models.sql.constants import GET_ITERATOR_CHUNK_SIZE, MULTI

from slipstream.freshness import commits, untriggered
from slipstream.freshness.configuration import is_followed
from slipstream.freshness.orm.statements import explicit_transaction, follow, is_in_autocommit, refuse
from slipstream.freshness.recorder import note_obstacle
from slipstream.freshness.standing import begin_standing, is_own, standing_of

Fetch = Callable[[], Any]
Answer = Callable[[Any, str, Any, Any, Fetch], Any]
"""(compiler, sql, params, result type, fetch from the database) -> what execute_sql returns."""

_answer: Answer | None = None
_is_installed = False
FOLLOWED_VENDORS = ("postgresql", *untriggered.VENDORS)
_WRITING_COMPILERS = (SQLInsertCompiler, SQLUpdateCompiler, SQLDeleteCompiler)


def answer_queries_with(answer: Answer) -> None:
    """Let the query cache answer what Django's compilers ask."""
    global _answer
    _answer = answer


def install_hooks() -> None:
    """Follow every connection of this process from now on; once."""
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    connection_created.connect(_follow_connection, dispatch_uid="slipstream.freshness")
    for connection in connections.all(initialized_only=True):
        if connection.connection is not None:
            _follow_connection(connection)
    _hook_compiler()
    _hook_transactions()
    _hook_cursor()


def may_follow(connection: Any) -> bool:
    return connection.vendor in FOLLOWED_VENDORS and is_followed(connection.alias) and not is_own(connection)


def _follow_connection(connection: Any, **kwargs: Any) -> None:
    if is_own(connection):
        return
    begin_standing(connection)
    wrapper = follow if may_follow(connection) else refuse
    if wrapper not in connection.execute_wrappers:
        # In front: execute_wrapper() ends with pop(), which must not take this one.
        connection.execute_wrappers.insert(0, wrapper)


def _hook_compiler() -> None:
    original = SQLCompiler.execute_sql

    def execute_sql(
        self: Any, result_type: Any = MULTI, chunked_fetch: bool = False, chunk_size: int = GET_ITERATOR_CHUNK_SIZE
    ) -> Any:
        if isinstance(self, _WRITING_COMPILERS) or not may_follow(self.connection):
            return original(self, result_type, chunked_fetch, chunk_size)
        try:
            sql, params = self.as_sql()
        except EmptyResultSet:
            return iter([]) if result_type == MULTI else None

        def fetch() -> Any:
            self.as_sql = lambda *args, **kwargs: (sql, params)  # compiled already
            standing = standing_of(self.connection)
            before = standing.compiler, standing.sql
            standing.compiler, standing.sql = self, sql
            try:
                return original(self, result_type, chunked_fetch, chunk_size)
            finally:
                del self.as_sql
                current = standing_of(self.connection)
                current.compiler, current.sql = before

        if _answer is None or chunked_fetch or not sql:
            return fetch()
        return _answer(self, sql, params, result_type, fetch)

    SQLCompiler.execute_sql = execute_sql


def _hook_transactions() -> None:
    send_commit, send_rollback = BaseDatabaseWrapper._commit, BaseDatabaseWrapper._rollback

    def _commit(self: Any) -> Any:
        if self.connection is None or not may_follow(self):
            return send_commit(self)
        return commits.commit(self, lambda: send_commit(self))

    def _rollback(self: Any) -> Any:
        try:
            return send_rollback(self)
        finally:
            if may_follow(self):
                standing_of(self).end_transaction()

    BaseDatabaseWrapper._commit = _commit
    BaseDatabaseWrapper._rollback = _rollback


def _hook_cursor() -> None:
    """COPY and stored procedures reach the driver's cursor without passing the statement wrappers."""
    look_up, call = CursorWrapper.__getattr__, CursorWrapper.callproc

    def __getattr__(self: Any, name: str) -> Any:
        found = look_up(self, name)
        if name != "copy" or not may_follow(self.db):
            return found

        def copy(*args: Any, **kwargs: Any) -> _CopyInTransaction:
            return _CopyInTransaction(self.db, found, args, kwargs)

        return copy

    def callproc(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not may_follow(self.db):
            return call(self, *args, **kwargs)
        note_obstacle("it may have written to the database (a stored procedure)")
        if not is_in_autocommit(self.db):
            standing_of(self.db).may_have_written = True
            return call(self, *args, **kwargs)
        with explicit_transaction(self.db):
            standing_of(self.db).may_have_written = True
            return call(self, *args, **kwargs)

    CursorWrapper.__getattr__ = __getattr__
    CursorWrapper.callproc = callproc


class _CopyInTransaction:
    """psycopg's `cursor.copy(...)`, inside an explicit transaction when it would commit by itself."""

    def __init__(self, connection: Any, copy: Callable[..., Any], args: Any, kwargs: Any) -> None:
        self._connection, self._make = connection, partial(copy, *args, **kwargs)
        self._atomic: Any = None

    def __enter__(self) -> Any:
        note_obstacle("it may have written to the database (COPY)")
        if is_in_autocommit(self._connection):
            self._atomic = explicit_transaction(self._connection)
            self._atomic.__enter__()
        standing_of(self._connection).may_have_written = True
        try:
            self._copy = self._make()
            return self._copy.__enter__()
        except BaseException as error:
            if self._atomic is not None:
                self._atomic.__exit__(type(error), error, error.__traceback__)
            raise

    def __exit__(self, *error: Any) -> Any:
        try:
            with self._connection.wrap_database_errors:
                done = self._copy.__exit__(*error)
        except BaseException as failure:
            if self._atomic is not None:
                self._atomic.__exit__(type(failure), failure, failure.__traceback__)
            raise
        if self._atomic is not None:
            self._atomic.__exit__(*error)
        return done
