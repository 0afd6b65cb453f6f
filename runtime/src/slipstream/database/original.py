"""The SQLite file that is copied from: opened read-only, never changed, and read as it is, without anybody's conversions."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from slipstream.database.trouble import MOST_SHOWN, Trouble

ROWS_AT_ONCE = 2000


def hash_file(path: Path) -> str:
    """SHA-256 of the file, as hexadecimal digits."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while part := stream.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


class Original:
    """An open SQLite database, seen as it was at one instant: others may go on writing to it meanwhile."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def fetch(self, sql: str) -> list[tuple[Any, ...]]:
        return self._connection.execute(sql).fetchall()

    def tables(self) -> list[str]:
        """Names of all tables but SQLite's own and the insides of full-text indexes."""
        found = self.fetch("SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'")
        virtual = [name for name, sql in found if (sql or "").upper().startswith("CREATE VIRTUAL")]
        return sorted(name for name, _ in found if not any(name == v or name.startswith(f"{v}_") for v in virtual))

    def columns(self, table: str) -> list[str]:
        return [row[1] for row in self.fetch(f"PRAGMA table_xinfo({quote_name(table)})")]

    def count(self, table: str) -> int:
        return int(self.fetch(f"SELECT count(*) FROM {quote_name(table)}")[0][0])

    def rows(self, table: str, columns: list[str]) -> Iterator[list[tuple[Any, ...]]]:
        """Rows in batches: the values of ``columns`` as SQLite keeps them (None, int, float, str, bytes)."""
        names = ", ".join(quote_name(column) for column in columns)
        cursor = self._connection.execute(f"SELECT {names} FROM {quote_name(table)}")
        while batch := cursor.fetchmany(ROWS_AT_ONCE):
            yield batch

    def applied_migrations(self) -> set[tuple[str, str]]:
        if "django_migrations" not in self.tables():
            return set()
        return {(app, name) for app, name in self.fetch("SELECT app, name FROM django_migrations")}

    def refuse_dangling_references(self, tables: set[str]) -> None:
        """``Trouble`` naming rows of ``tables`` that refer to rows that do not exist: SQLite tolerates them, others do not."""
        try:
            found = [row for row in self.fetch("PRAGMA foreign_key_check") if row[0] in tables]
        except sqlite3.DatabaseError:
            return  # a reference to something without a unique index; the target finds what really dangles
        if not found:
            return
        shown = []
        for table, row_id, parent, key in found[:MOST_SHOWN]:
            column = next(row[3] for row in self.fetch(f"PRAGMA foreign_key_list({quote_name(table)})") if row[0] == key)
            where = f'table {table}, column "{column}"'
            if row_id is not None:
                value = self.fetch(f"SELECT {quote_name(column)} FROM {quote_name(table)} WHERE rowid = {int(row_id)}")[0][0]
                where = f'table {table}, row {row_id}, column "{column}" = {value!r}'
            shown.append(f"{where}: there is no such row in table {parent}")
        raise Trouble(
            f"{len(found)} rows of the original refer to rows that do not exist",
            "Correct or delete them in the original, then copy again",
            shown,
        )


@contextmanager
def open_original(path: Path) -> Iterator[Original]:
    """The database in the file ``path``, read-only; ``Trouble`` when it is none."""
    if not path.is_file():
        raise Trouble(f"there is no file {path}", "Check the NAME of the project's database")
    connection = _connect(path)
    try:
        yield Original(connection)
    finally:
        connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    """A connection that has seen the database, from where on nothing changes for it.

    A file in WAL mode needs two files beside it even for reading. Where this user may not make them and nobody has them open,
    the file itself holds everything, and SQLite may take it as unchanging.
    """
    ways = ["mode=ro"]
    if not path.with_name(path.name + "-wal").exists():
        ways.append("mode=ro&immutable=1")
    reason = None
    for way in ways:
        connection = sqlite3.connect(f"file:{quote(str(path))}?{way}", uri=True, isolation_level=None)
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            return connection
        except sqlite3.Error as error:
            reason = reason or error
            connection.close()
    raise Trouble(f"{path} cannot be read as an SQLite database ({reason})", "Check the file and its permissions")
