"""What a connection's present transaction has done: whether it may read from the cache, and what COMMIT must do."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

_ATTRIBUTE = "slipstream_standing"
_OWN = "slipstream_is_own"
_ALTERED = "slipstream_altered"


@dataclass(slots=True)
class Standing:
    """What was altered or found holds until the connection is closed, the rest until COMMIT or ROLLBACK."""

    may_have_written: bool = False
    has_definitions: bool = False
    has_locks: bool = False
    altered: str = ""  # a name may mean something else here: why
    noted: set[str] = field(default_factory=set)  # tags noted by hand, where no trigger notes them
    has_outbox: bool = False  # asked for at each write until there is one; `remove` leaves the empty table for this reason
    compiler: Any = None  # whose statement is being executed
    sql: str = ""

    def end_transaction(self) -> None:
        self.may_have_written = self.has_definitions = self.has_locks = False
        self.noted.clear()


def standing_of(connection: Any) -> Standing:
    found = getattr(connection, _ATTRIBUTE, None)
    return found if found is not None else begin_standing(connection)


def begin_standing(connection: Any) -> Standing:
    """A new connection to the database: nothing that was changed on the old one holds."""
    standing = Standing(altered=getattr(connection.connection, _ALTERED, ""))
    setattr(connection, _ATTRIBUTE, standing)
    return standing


def note_altered(connection: Any, why: str) -> None:
    """The session was changed; also for whoever gets the driver's connection next, out of a pool."""
    standing_of(connection).altered = why
    with suppress(AttributeError):  # SQLite's has no room for attributes, and no pool
        setattr(connection.connection, _ALTERED, why)


def take_for_own(connection: Any) -> Any:
    """A connection on which slipstream itself works: what passes there is nobody's read or write."""
    setattr(connection, _OWN, True)
    return connection


def is_own(connection: Any) -> bool:
    return bool(getattr(connection, _OWN, False))
