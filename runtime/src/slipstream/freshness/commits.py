"""The write path: PEND before COMMIT, STAMP and purge after it, and only then does commit return to the caller."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from django.db.utils import Error, OperationalError
from redis.exceptions import RedisError

from slipstream.freshness.accelerators import accelerators
from slipstream.freshness.catalog import forget_catalogs
from slipstream.freshness.configuration import freshness_settings
from slipstream.freshness.keeper import open_store
from slipstream.freshness.outbox.reading import HAS_OUTBOX, READ_ALL, READ_OWN, NotedTransaction, gather
from slipstream.freshness.protocol.stamps import Proof
from slipstream.freshness.standing import standing_of
from slipstream.freshness.untriggered import name_write

logger = logging.getLogger("slipstream.freshness")
IDLE, IN_TRANSACTION, UNKNOWN = 0, 2, 4  # libpq's PGTransactionStatusType


class StoreUnreachable(OperationalError):  # type: ignore[misc]
    """The store of stamps did not answer before COMMIT; nothing was written."""


def transaction_status(connection: Any) -> int:
    """Of the driver's connection, as libpq counts; where it does not tell, as Django believes."""
    if connection.connection is None:
        return UNKNOWN
    if connection.vendor != "postgresql":
        return IDLE if connection.get_autocommit() else IN_TRANSACTION
    return int(connection.connection.info.transaction_status)


def commit(connection: Any, send_commit: Callable[[], Any]) -> Any:
    """COMMIT through `send_commit`, so that no cache hit is older once this returns.

    Raises what the database raises, and StoreUnreachable, after which the transaction must be rolled back.
    """
    standing = standing_of(connection)
    if not standing.may_have_written or transaction_status(connection) != IN_TRANSACTION:
        answer = send_commit()
        standing.end_transaction()
        return answer
    written = read_writes(connection)
    has_definitions = standing.has_definitions
    if written is None and not has_definitions:
        answer = send_commit()
        standing.end_transaction()
        return answer
    if written is not None:
        pend(written)
    try:
        answer = send_commit()
    except Error:
        # The server's refusal is certain and ends the pending. A lost connection is not: the transaction may yet become
        # visible, and stamping before that would be for ever too early; the reaper will know.
        if written is not None and transaction_status(connection) in (IDLE, IN_TRANSACTION, 3):
            settle(written)
        raise
    finally:
        standing.end_transaction()
    if has_definitions:
        begin_epoch()
    if written is not None:
        settle(written)
    return answer


def read_writes(connection: Any) -> NotedTransaction | None:
    """What this transaction wrote: as the triggers noted, or as its statements named it."""
    if connection.vendor == "postgresql":
        return read_own_outbox(connection)
    noted = standing_of(connection).noted
    return name_write(connection.alias, noted) if noted else None


def read_own_outbox(connection: Any) -> NotedTransaction | None:
    """What this transaction wrote; deferred constraints and their triggers run before, and fail here rather than at COMMIT."""
    standing = standing_of(connection)
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        if not standing.has_outbox:
            cursor.execute(HAS_OUTBOX)
            standing.has_outbox = cursor.fetchone()[0]
        if not standing.has_outbox:
            return None
        cursor.execute(f"SET CONSTRAINTS ALL IMMEDIATE; {READ_OWN}", prepare=False)
        cursor.nextset()
        found = gather(connection.alias, cursor.fetchall())
    return found[0] if found else None


def pend(written: NotedTransaction) -> None:
    """End all hits of what is about to change, or refuse to change it."""
    try:
        open_store().pend(written.tags, written.name)
    except RedisError as error:
        if freshness_settings().lost_store == "refuse":
            raise StoreUnreachable(
                f"Committing a write: the freshness store did not answer ({error}), and pages or queries in the cache would "
                'become stale. Nothing was written. Start the store, or set SLIPSTREAM["FRESHNESS"]["LOST_STORE"] to "bounded".'
            ) from error
        logger.warning("the freshness store did not answer (%s); this write is seen within a second, by the daemon", error)


def settle(written: NotedTransaction) -> None:
    """STAMP, purge, acknowledge. What fails is left to the daemon; until then the pending tags keep everyone off the cache."""
    proof: Proof | None = None
    try:
        proof = open_store().stamp(written.tags, written.name)
    except RedisError as error:
        logger.warning("the freshness store did not answer after COMMIT (%s); the daemon will repeat the stamp", error)
    if accelerators().purge(proof, written.tags) and proof is not None:
        with suppress(RedisError):
            open_store().acknowledge(written.name)


def settle_visible(connection: Any) -> None:
    """After a procedure that may have committed by itself: stamp whatever the outbox shows, before its caller goes on."""
    with connection.wrap_database_errors, connection.connection.cursor() as cursor:
        cursor.execute(HAS_OUTBOX)
        if not cursor.fetchone()[0]:
            return
        cursor.execute(READ_ALL)
        found = gather(connection.alias, cursor.fetchall())
    try:
        unacknowledged = set(open_store().unacknowledged([one.name for one in found]))
    except RedisError as error:
        logger.warning("the freshness store did not answer after CALL (%s); the daemon will stamp", error)
        return
    for one in found:
        if one.name in unacknowledged:
            settle(one)


def begin_epoch() -> None:
    """Tables or triggers changed: nothing that was cached before counts any longer, here or anywhere."""
    forget_catalogs()
    try:
        open_store().renew_epoch()
    except RedisError as error:
        logger.warning("the freshness store did not answer after a change of tables (%s); the daemon will begin an epoch", error)
    accelerators().vacate()
