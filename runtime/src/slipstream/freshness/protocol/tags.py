"""Names the data that a build read and a write changed, in physical names, so that programs without models speak of the same
thing.

row `schema.table:5` · condition `schema.table{column=5}` · table `schema.table` · whole table `schema.table*`

One value has one text, whoever encodes it: everything but ASCII letters, digits, `_` and `-` is percent-encoded, text values
open with an apostrophe (so the text `~` is not NULL), and a text longer than 96 characters is replaced by its digest (a
collision only invalidates more).
"""

import datetime
import hashlib
import re
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

Tag = NewType("Tag", str)

NULL = "~"
_LONGEST_TEXT = 96  # a tag stays a short Redis key; the longest PostgreSQL identifier (63 bytes) is never digested
_UNSAFE = re.compile(r"[^A-Za-z0-9_\-]")
_TABLE_OF_TAG = re.compile(r"[A-Za-z0-9_\-%]*\.[A-Za-z0-9_\-%]*")


class Kind(StrEnum):
    """The column types whose SQL equality is equality of their canonical text. Every other type has no conditions.

    TEXT is text and varchar under a deterministic collation; char(n) (ignores trailing blanks), citext, numeric (5 = 5.0),
    floats, timestamps (time zones) and JSON are absent on purpose.
    """

    INTEGER = "integer"
    UUID = "uuid"
    BOOLEAN = "boolean"
    DATE = "date"
    TEXT = "text"


@dataclass(frozen=True, slots=True)
class Column:
    """A physical column whose equality may name data."""

    name: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """What readers and writers of a physical table must agree on before either names a row or a condition of it.

    `key` is the primary key in its declared order, empty when there is none (no row tags then). `conditions` are the columns
    whose conditions *every* writer emits: a reader that carried another one would wait for a tag that nobody sends.
    """

    schema: str
    name: str
    key: tuple[Column, ...] = ()
    conditions: tuple[Column, ...] = ()


def table_tag(table: Table) -> Tag:
    """`schema.table`: emitted by every write that is not folded; carried by wide readers."""
    return Tag(f"{_escape(table.schema)}.{_escape(table.name)}")


def whole_table_tag(table: Table) -> Tag:
    """`schema.table*`: emitted by folded writes; carried by every reader of the table."""
    return Tag(table_tag(table) + "*")


def row_tag(table: Table, key: Sequence[object]) -> Tag | None:
    """`schema.table:5` for the row with this primary key (in declared order), or None where the row cannot be named."""
    if not table.key or len(key) != len(table.key):
        return None
    parts = [encode_value(column.kind, value) for column, value in zip(table.key, key, strict=True)]
    if any(part is None or part == NULL for part in parts):
        return None
    return Tag(f"{table_tag(table)}:{','.join(part for part in parts if part is not None)}")


def condition_tag(table: Table, column: Column, value: object) -> Tag | None:
    """`schema.table{column=5}`, or None where the value has no canonical text or no writer emits this column's conditions."""
    text = encode_value(column.kind, value) if column in table.conditions else None
    return None if text is None else Tag(f"{table_tag(table)}{{{_escape(column.name)}={text}}}")


def table_of(tag: Tag) -> Tag:
    """The table tag inside any tag. Raises ValueError for a text that is no tag."""
    found = _TABLE_OF_TAG.match(tag)
    if not found or (len(tag) > found.end() and tag[found.end()] not in ":{*"):
        raise ValueError(
            f"Reading a tag: {tag!r} does not begin with schema.table; build tags with slipstream.freshness.protocol.tags."
        )
    return Tag(found[0])


def encode_value(kind: Kind, value: object) -> str | None:
    """The canonical text of a column's value, or None where equality in SQL might not be equality of texts.

    UUIDs and dates are accepted as text too (triggers send rows as JSON); a bool is no integer, a datetime is no date.
    """
    if value is None:
        return NULL
    if kind is Kind.INTEGER:
        return str(value) if type(value) is int else None
    if kind is Kind.BOOLEAN:
        return ("t" if value else "f") if type(value) is bool else None
    if kind is Kind.TEXT:
        return _encode_text(value) if type(value) is str else None
    try:
        if kind is Kind.UUID:
            return (
                str(value if isinstance(value, uuid.UUID) else uuid.UUID(value)) if isinstance(value, uuid.UUID | str) else None
            )
        if type(value) is datetime.date:
            return value.isoformat()
        return datetime.date.fromisoformat(value).isoformat() if type(value) is str else None
    except ValueError:
        return None


def _encode_text(text: str) -> str | None:
    try:
        escaped = _escape(text)
    except UnicodeEncodeError:  # a lone surrogate, which no database holds
        return None
    if len(escaped) <= _LONGEST_TEXT:
        return "'" + escaped
    return "#" + hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _escape(text: str) -> str:
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)
