"""Reads one SQL statement: its verb, the relations that it names, the functions that it calls, whether it can only read.

A lexer and a walk over clauses, not a grammar. Whatever it does not know makes the statement opaque: read as "may write", and
its answer is not kept. The same walk runs over what Django wrote, so that no relation escapes the reading of its objects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property, lru_cache

from slipstream.freshness.sql.functions import BARE, is_pure, reads_clock, words

LONGEST_KEPT = 20_000  # characters; longer ones have long lists of parameters and seldom come twice

_TOKEN = re.compile(
    r"""
    (?P<space>\s+|--[^\n]*(?:\n|$)|/\*(?:(?!/\*|\*/).)*\*/)
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<text>(?:[bBxXnN])?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`)
  | (?P<word>[^\W\d][\w$]*)
  | (?P<number>\d[\w.]*|\.\d+)
  | (?P<parameter>%s|%\([^)]*\)s)
  | (?P<symbol>::|%%|[-+*/<>=~!@\#^&|`?:.,;()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)

# Words before "(" that are no function calls.
_NO_CALL = words(
    """
    ALL AND ANY ARRAY AS ASC BETWEEN BY CASE CHAR CHARACTER COLLATE CROSS DECIMAL DESC DISTINCT ELSE END EXCEPT EXISTS
    FETCH FILTER FROM FULL GROUP HAVING ILIKE IN INNER INTERSECT INTERVAL IS JOIN LATERAL LEFT LIKE LIMIT MATERIALIZED
    NATURAL NOT NULL NUMERIC OFFSET ON ONLY OR ORDER OUTER OVER PARTITION PRECISION RECURSIVE RIGHT SELECT SETS SIMILAR
    SOME THEN TIME TIMESTAMP UNION UNIQUE USING VALUES VARCHAR VARYING WHEN WHERE WINDOW WITH WITHIN CUBE ROLLUP GROUPING
    SYMMETRIC ISNULL NOTNULL VARIADIC
    """
)
_ENDS_FROM = words(
    """
    WHERE GROUP HAVING WINDOW ORDER LIMIT OFFSET FETCH FOR UNION EXCEPT INTERSECT SET RETURNING VALUES SELECT
    """
)
_OPENS_QUERY = frozenset(("SELECT", "WITH", "VALUES"))
_FROM_IS_ARGUMENT = frozenset(("EXTRACT", "SUBSTRING", "TRIM", "OVERLAY", "POSITION"))
_WRITES = frozenset(("INSERT", "UPDATE", "DELETE", "MERGE", "INTO", "TRUNCATE"))
_DDL = frozenset(["CREATE", "ALTER", "DROP", "IMPORT"])  # what may change the meaning of a name or rows without a trigger
_SESSION = frozenset(["SET", "RESET", "DISCARD", "LOAD", "PREPARE", "EXECUTE", "DEALLOCATE"])
_HARMLESS = words(
    """
    statement_timeout lock_timeout idle_in_transaction_session_timeout work_mem maintenance_work_mem application_name
    synchronous_commit constraints jit
    """
)  # settings that change no answer
_CONTROL = words(
    """
    BEGIN START COMMIT END ROLLBACK ABORT SAVEPOINT RELEASE
    """
)
_OUTSIDE_TRANSACTIONS = frozenset(["VACUUM", "CALL", "CHECKPOINT", "PRAGMA"])


@dataclass(frozen=True)
class Statement:
    """What is known about one statement. `relations` repeats a relation as often as it is named, as (schema or None, name)."""

    verb: str
    relations: tuple[tuple[str | None, str], ...] = ()
    own_names: frozenset[str] = frozenset()  # of its WITH queries
    functions: frozenset[str] = frozenset()
    is_understood: bool = True
    writes: bool = False
    locks_rows: bool = False
    names_temporary: bool = False
    setting: str = ""  # what SET sets

    @cached_property
    def may_write(self) -> bool:
        """True unless it is known to do nothing but read."""
        if self.verb == "SET" and not self.changes_session:
            return False
        return not self.is_read and self.verb not in _CONTROL and self.verb not in ("SHOW", "FETCH", "CLOSE")

    @cached_property
    def is_read(self) -> bool:
        return self.verb in _OPENS_QUERY and self.is_understood and not self.writes and not self.opaque_functions

    @cached_property
    def opaque_functions(self) -> frozenset[str]:
        """Functions that may read tables, write them, or answer differently each time."""
        return frozenset(name for name in self.functions if not is_pure(name) and not reads_clock(name))

    @cached_property
    def reads_clock(self) -> bool:
        return any(reads_clock(name) for name in self.functions)

    @cached_property
    def is_definition(self) -> bool:
        return self.verb in _DDL

    @cached_property
    def changes_session(self) -> bool:
        """It may change what a name means on this connection from now on."""
        if self.verb == "SET" and self.setting in _HARMLESS:
            return False
        return self.verb in _SESSION or "set_config" in self.functions or (self.names_temporary and not self.is_read)

    @cached_property
    def commits(self) -> bool:
        return self.verb in ("COMMIT", "END")

    @cached_property
    def controls_transaction(self) -> bool:
        return self.verb in _CONTROL

    @cached_property
    def refuses_transactions(self) -> bool:
        """The database refuses to run it inside an explicit transaction."""
        return self.verb in _OUTSIDE_TRANSACTIONS


@dataclass(slots=True)
class _Frame:
    """One level of parentheses. `expects`: a relation comes next; `is_from`: a comma brings another one."""

    opened_by: str = ""
    expects: bool = False
    is_from: bool = False


@dataclass(slots=True)
class _Walk:
    relations: list[tuple[str | None, str]] = field(default_factory=list)
    own_names: set[str] = field(default_factory=set)
    functions: set[str] = field(default_factory=set)
    writes: bool = False
    locks_rows: bool = False


def read_statement(sql: str) -> Statement:
    """What the statement does, as far as it can be told. Never raises; what is not known is `is_understood=False`."""
    return _read_known(sql) if len(sql) <= LONGEST_KEPT else _read(sql)


@lru_cache(maxsize=4096)
def _read_known(sql: str) -> Statement:
    return _read(sql)


def _read(sql: str) -> Statement:
    tokens = _split(sql)
    if not tokens:
        return Statement("", is_understood=False)
    verb = next((text.upper() for kind, text in tokens if kind == "word"), "")
    while tokens and tokens[-1] == ("symbol", ";"):
        tokens.pop()
    is_understood = ("opaque", "") not in tokens and ("symbol", ";") not in tokens
    walk = _Walk()
    balanced = _walk(tokens, walk)
    if verb == "CREATE" and any(text.upper() == "DATABASE" for _, text in tokens[:3]):
        verb = "VACUUM"
    if any(kind == "word" and text.upper() == "CONCURRENTLY" for kind, text in tokens[:6]) or (
        verb == "ALTER" and any(text.upper() == "SYSTEM" for _, text in tokens[:2])
    ):
        verb = "VACUUM"  # stands for whatever must run outside a transaction
    return Statement(
        verb,
        tuple(walk.relations),
        frozenset(walk.own_names),
        frozenset(walk.functions),
        is_understood and balanced,
        walk.writes,
        walk.locks_rows,
        any(kind == "word" and text.upper() in ("TEMP", "TEMPORARY") for kind, text in tokens),
        next((text.lower() for kind, text in tokens[1:] if text.upper() not in ("LOCAL", "SESSION")), "")
        if verb == "SET"
        else "",
    )


def _split(sql: str) -> list[tuple[str, str]]:
    tokens: list[tuple[str, str]] = []
    position = 0
    while position < len(sql):
        found = _TOKEN.match(sql, position)
        if found is None:
            tokens.append(("opaque", ""))
            position += 1
            continue
        kind = found.lastgroup or ""
        text = found[0]
        if (kind == "quoted" and tokens and tokens[-1][1].upper() == "U" and sql[: found.start()].endswith("&")) or (
            kind == "word" and text.upper() == "U" and sql[found.end() : found.end() + 2] in ('&"', "&'")
        ):
            tokens.append(("opaque", ""))
        elif kind == "quoted":
            tokens.append(("name", text[1:-1].replace(text[0] * 2, text[0])))
        elif kind != "space":
            tokens.append((kind, text))
        position = found.end()
    return tokens


def _walk(tokens: list[tuple[str, str]], walk: _Walk) -> bool:
    frames = [_Frame()]
    i = 0
    while i < len(tokens):
        kind, text = tokens[i]
        upper = text.upper() if kind == "word" else ""
        before = tokens[i - 1][1].upper() if i and tokens[i - 1][0] == "word" else ""
        after = tokens[i + 1][1] if i + 1 < len(tokens) and tokens[i + 1][0] == "symbol" else ""
        frame = frames[-1]
        if (kind, text) == ("symbol", "("):
            frames.append(_Frame(opened_by=before, expects=frame.expects, is_from=frame.expects))
            frame.expects = False
        elif (kind, text) == ("symbol", ")"):
            if len(frames) == 1:
                return False
            frames.pop()
        elif (kind, text) == ("symbol", ","):
            frame.expects = frame.is_from
        elif upper == "FROM":
            is_argument = frame.opened_by in _FROM_IS_ARGUMENT or (
                before == "DISTINCT" and i > 1 and tokens[i - 2][1].upper() in ("IS", "NOT")
            )
            if not is_argument:
                frame.expects = frame.is_from = True
        elif upper == "JOIN":
            frame.expects = True
        elif upper in ("UPDATE", "SHARE", "NO", "KEY") and before == "FOR":
            walk.locks_rows = True
        elif upper in _WRITES and not (upper == "UPDATE" and before in ("NO", "KEY")):
            walk.writes = True
            frame.expects = upper in ("INTO", "UPDATE", "TRUNCATE")
        elif frame.expects and upper in ("LATERAL", "ONLY", "TABLE"):
            pass
        elif upper in _OPENS_QUERY:
            frame.expects = frame.is_from = False
        elif upper in _ENDS_FROM:
            frame.is_from = frame.expects = False
        elif frame.expects and kind in ("word", "name"):
            i = _read_relation(tokens, i, walk)
            frame.expects = False
            continue
        elif kind in ("word", "name"):
            _read_name(tokens, i, after, walk)
        elif frame.expects and kind in ("parameter", "text", "number"):
            return False
        i += 1
    return len(frames) == 1


def _read_relation(tokens: list[tuple[str, str]], i: int, walk: _Walk) -> int:
    """Take `name`, `schema.name` or `function(` at i; return where to go on."""
    parts = [_fold(tokens[i])]
    i += 1
    while i + 1 < len(tokens) and tokens[i] == ("symbol", ".") and tokens[i + 1][0] in ("word", "name"):
        parts.append(_fold(tokens[i + 1]))
        i += 2
    if i < len(tokens) and tokens[i] == ("symbol", "(") and not walk.writes:
        walk.functions.add(".".join(parts[-2:]) if len(parts) > 1 and parts[-2] != "pg_catalog" else parts[-1])
    else:
        walk.relations.append((parts[-2] if len(parts) > 1 else None, parts[-1]))
    return i


def _read_name(tokens: list[tuple[str, str]], i: int, after: str, walk: _Walk) -> None:
    kind, text = tokens[i]
    if kind == "word" and text.lower() in BARE and not (i and tokens[i - 1] == ("symbol", ".")) and after != ".":
        walk.functions.add(text.lower())
    if after == "(" and not (kind == "word" and text.upper() in _NO_CALL):
        is_qualified = i > 1 and tokens[i - 1] == ("symbol", ".")
        schema = _fold(tokens[i - 2]) if is_qualified else "pg_catalog"
        name = _fold(tokens[i])
        walk.functions.add(name if schema == "pg_catalog" else f"{schema}.{name}")
    following = [text.upper() for kind, text in tokens[i + 1 : i + 4] if kind in ("word", "symbol")]
    if following[:2] == ["AS", "("] or following in (["AS", "MATERIALIZED", "("], ["AS", "NOT", "MATERIALIZED"]):
        walk.own_names.add(_fold(tokens[i]))


def _fold(token: tuple[str, str]) -> str:
    """A bare word means its lower case, a quoted name itself."""
    kind, text = token
    return text if kind == "name" else text.lower()
