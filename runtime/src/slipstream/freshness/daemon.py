"""Watches the outbox for writes by other programs, ends what died writers left pending, and begins a new epoch after a failover.

`python -m slipstream.launch slipstream.freshness.daemon` runs it, one for each stack, with a direct connection to each primary.
While it does not get round within a second, nothing cached counts.
"""

from __future__ import annotations

import argparse
import contextlib
import logging
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from redis import Redis
from redis.exceptions import RedisError, ResponseError

from slipstream.freshness.accelerators import accelerators
from slipstream.freshness.catalog import SCHEMA
from slipstream.freshness.configuration import freshness_settings, is_followed
from slipstream.freshness.keeper import open_client, open_store
from slipstream.freshness.outbox.reading import READ_ALL, SERVER_STARTED_US, NotedTransaction, gather
from slipstream.freshness.standing import take_for_own
from slipstream.freshness.untriggered import VENDORS, is_given_up

logger = logging.getLogger("slipstream.freshness.daemon")
POLL_SECONDS = 0.2

# The server (its start, its timeline) and everything that tags are named by. A change of any of these begins an epoch.
_STATE = f"""
SELECT {SERVER_STARTED_US}, pg_catalog.pg_is_in_recovery(),
       CASE WHEN pg_catalog.pg_is_in_recovery() THEN ''
            ELSE substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
       pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())::text::bigint,
       pg_catalog.to_regclass('{SCHEMA}.outbox') IS NOT NULL,
       (SELECT md5(string_agg(concat_ws(' ', c.oid, n.nspname, c.relname, c.relrowsecurity, c.relhassubclass,
                                        t.tgname, t.tgenabled, encode(t.tgargs, 'hex')), E'\\n' ORDER BY c.oid, t.tgname))
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE t.tgname LIKE 'slipstream\\_%'),
       (SELECT md5(string_agg(concat_ws(' ', a.attrelid, a.attnum, a.attname, a.atttypid, a.attisdropped), E'\\n'
                              ORDER BY a.attrelid, a.attnum))
        FROM pg_catalog.pg_attribute a WHERE a.attnum > 0
          AND a.attrelid IN (SELECT tgrelid FROM pg_catalog.pg_trigger WHERE tgname LIKE 'slipstream\\_%'))
"""
_DELETE = f"DELETE FROM {SCHEMA}.outbox WHERE xid::text = ANY (%s)"


class UnfitStore(Exception):
    """The Redis of the store is set up so that it could bring old data back."""


def find_unfitness(client: Redis) -> str:
    """What is wrong with a Redis as the store; empty when nothing is, or when it does not tell (managed ones refuse CONFIG)."""
    version = str(client.info("server")["redis_version"])
    if int(version.partition(".")[0]) < 7:
        return f"is Redis {version}; version 7 or later is needed, for scripts that must not fail after COMMIT"
    try:
        chosen = {
            key: str(value)
            for name in ("maxmemory-policy", "save", "appendonly")
            for key, value in client.config_get(name).items()
        }
    except ResponseError:
        return ""
    if chosen["maxmemory-policy"].startswith("allkeys"):
        return f"evicts with {chosen['maxmemory-policy']}, also what is pending; set maxmemory-policy to volatile-lru"
    if chosen["save"] or chosen["appendonly"] == "yes":
        return "keeps its data on disk and would come back from the past; switch off save and appendonly"
    return ""


@dataclass
class Watched:
    """One database, over a connection of the daemon's own."""

    alias: str
    connection: Any
    identity: str = ""
    server_started_us: int = 0
    oldest_running: int = 0
    has_outbox: bool = False
    is_replica: bool = False  # nothing that is read from it is kept; once promoted, its identity is another

    def look(self) -> None:
        """Learn which server this is and which transactions are over."""
        with self.connection.cursor() as cursor:
            cursor.execute(_STATE)
            started, is_replica, timeline, oldest, has_outbox, triggers, columns = cursor.fetchone()
        self.is_replica = is_replica
        self.identity = "replica" if is_replica else f"{started} {timeline} {triggers} {columns}"
        self.server_started_us, self.oldest_running, self.has_outbox = started, oldest, has_outbox

    def read_outbox(self) -> list[NotedTransaction]:
        with self.connection.cursor() as cursor:
            cursor.execute(READ_ALL)
            return gather(self.alias, cursor.fetchall())

    def delete(self, transactions: Iterable[NotedTransaction]) -> None:
        with self.connection.cursor() as cursor:
            cursor.execute(_DELETE, [[str(one.xid) for one in transactions]])

    def is_over(self, name: str) -> bool:
        """True when that transaction of this database runs no longer, and all of it is visible or none ever will be."""
        alias, started, xid = name.rsplit(":", 2)
        return alias == self.alias and (int(started) != self.server_started_us or int(xid) < self.oldest_running)


@dataclass
class Daemon:
    """`make_round` is everything; `run` repeats it until told to stop."""

    databases: list[Watched]
    untriggered: frozenset[str] = frozenset()  # aliases of databases that have no outbox
    is_over: threading.Event = field(default_factory=threading.Event)

    def check_store(self) -> None:
        """Raise UnfitStore where the Redis could evict what must stay, or come back from the past."""
        if reason := find_unfitness(open_client()):
            raise UnfitStore(f"The freshness store {freshness_settings().store.rpartition('@')[2]} {reason}.")

    def make_round(self) -> None:
        """Read every outbox to its end, stamp what nobody stamped, reap, and only then prolong the lease.

        Raises RedisError or the database's error; the lease then ends by itself.
        """
        store = open_store()
        began_at_ms = store.read_clock_ms()
        pending = store.pending_transactions()
        for database in self.databases:
            database.look()
            self._compare_identity(database)
            if database.is_replica:
                continue
            while database.has_outbox and (found := database.read_outbox()):
                self._settle(database, found)
            self._reap(pending, database.is_over)
        self._reap(pending, lambda name: name.partition(":")[0] in self.untriggered and is_given_up(name))
        store.renew_lease(began_at_ms)

    def run(self, poll_seconds: float = POLL_SECONDS) -> None:
        was_well = False  # the store is looked at before the first round, and after each failure
        complaint = ""
        while not self.is_over.is_set():
            try:
                if not was_well:
                    self.check_store()
                self.make_round()
                if not was_well:
                    logger.info("reading the outbox")
                was_well, complaint = True, ""
            except Exception as error:  # whatever it is, the lease has ended, and the next round begins from the start
                if str(error) != complaint:
                    logger.error("cannot read the outbox (%s); nothing cached counts until this works again", error)
                was_well, complaint = False, str(error)
                for database in self.databases:
                    with contextlib.suppress(Exception):
                        database.connection.close()
            self.is_over.wait(poll_seconds)

    def _settle(self, database: Watched, found: list[NotedTransaction]) -> None:
        store = open_store()
        unacknowledged = set(store.unacknowledged([one.name for one in found]))
        kept = []
        for one in found:
            if one.name in unacknowledged and not accelerators().purge(store.stamp(one.tags, one.name), one.tags):
                kept.append(one)
        if kept:
            raise ConnectionError("an accelerator did not acknowledge a purge")
        database.delete(found)

    def _reap(self, pending: Mapping[str, frozenset[str]], is_over: Callable[[str], bool]) -> None:
        for name, tags in pending.items():
            if is_over(name):
                logger.info("reaping %s: its writer is gone", name)
                accelerators().purge(open_store().stamp(tags, name), tags)

    def _compare_identity(self, database: Watched) -> None:
        """Begin an epoch unless this is, for certain, the database that the present one was begun with."""
        key = freshness_settings().prefix + "i"
        known = open_client().hget(key, database.alias)
        if known is not None and known.decode() == database.identity:  # type: ignore[union-attr]
            return
        logger.info("database %s: a new server, timeline or set of triggers; a new epoch begins", database.alias)
        open_store().renew_epoch()
        accelerators().vacate()
        open_client().hset(key, database.alias, database.identity)


def watch_databases() -> list[Watched]:
    """The followed PostgreSQL databases of the project, each with a connection that nothing else uses."""
    from django.db import connections

    return [
        Watched(alias, take_for_own(connections[alias].copy()))
        for alias in connections
        if connections[alias].vendor == "postgresql" and is_followed(alias)
    ]


def find_untriggered() -> frozenset[str]:
    from django.db import connections

    return frozenset(alias for alias in connections if connections[alias].vendor in VENDORS and is_followed(alias))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m slipstream.freshness.daemon", description=__doc__)
    parser.add_argument("--once", action="store_true", help="make one round and end")
    options = parser.parse_args()
    import django

    django.setup()
    if not freshness_settings().store:
        raise SystemExit('The settings name no freshness store: write SLIPSTREAM["FRESHNESS"]["STORE"].')
    daemon = Daemon(watch_databases(), find_untriggered())
    if options.once:
        try:
            daemon.check_store()
            daemon.make_round()
        except (RedisError, OSError, UnfitStore) as error:
            raise SystemExit(f"Reading the outbox once: {error}") from None
        return
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.is_over.set())
    daemon.run()


if __name__ == "__main__":
    main()
