"""The database's numbers at one instant, whichever product it is; what a product cannot tell is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DatabaseVitals:
    """Counters (commits, rollbacks, deadlocks, temporary files, WAL, checkpoints) run since the statistics were last reset."""

    connections: int | None
    connections_max: int | None
    connections_active: int | None  # run a statement now
    idle_in_transaction: int | None
    oldest_transaction_seconds: float | None  # None: no transaction is open
    longest_query_seconds: float | None  # None: no statement runs
    blocked: int | None  # sessions that wait for another one's lock
    cache_hit_ratio: float | None  # pages found in the database's own memory, 0 to 1
    size_bytes: int | None  # of the site's database
    commits: int | None
    rollbacks: int | None
    deadlocks: int | None
    temporary_files: int | None  # sorts that did not fit their memory
    temporary_bytes: int | None
    wal_bytes: int | None
    checkpoints_timed: int | None
    checkpoints_requested: int | None  # more writes than one interval has room for
    uptime_seconds: float | None
