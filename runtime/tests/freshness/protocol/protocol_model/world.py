"""The state of the modelled world, and what each slice puts into it.

Data is the set of writes that it contains, as bits: write 0 is 1, write 1 is 2. A cached thing is stale when it lacks a bit.
This makes "older" exact for concurrent writers of one condition, where no single version number would do.
"""

from dataclasses import dataclass
from typing import NamedTuple

from slipstream.freshness.protocol.fences import Fence
from slipstream.freshness.protocol.stamps import Miss, Proof, StoreState

FOREVER_MS = 1_000_000


@dataclass(frozen=True)
class Write:
    """One transaction. `is_outside`: psql; the triggers fill the outbox, but nobody pends or stamps."""

    tags: frozenset[str] = frozenset({"a"})
    is_outside: bool = False
    may_crash: bool = True
    may_fail: bool = False
    may_lose_store: bool = False  # between COMMIT and STAMP
    begins: str = "at any time"  # or "before the failover", "after the failover"


@dataclass(frozen=True)
class Slice:
    """Who acts in one exploration, and what may be lost in it. Each number is a budget, so every run ends."""

    name: str
    states: int  # how many it has; pinned by the tests, so that a slice cannot silently become smaller
    writes: tuple[Write, ...] = (Write(),)
    readers: tuple[frozenset[str], ...] = ()  # the tags of what each reads; readers with the same tags share a key
    pages: int = 0
    page_uses_query_cache: bool = False
    page_tags: frozenset[str] = frozenset({"a"})
    page_grows_with_write_0: frozenset[str] = frozenset()  # what a page also reads once write 0 is visible
    accelerators: int = 0
    flushes: int = 0
    evictions: int = 0
    snapshots: int = 0  # the store is restarted from what it once saved
    store_restarts: int = 0
    accelerator_restarts: int = 0
    daemon_crashes: int = 0
    failovers: int = 0  # epoch renewals by the daemon
    has_daemon: bool = True  # off, like the reaper, where no writer dies: their repeated stamps are explored elsewhere
    has_reaper: bool = True


@dataclass(frozen=True)
class Steps:
    """The order of the steps around the decisions; each default is the protocol's, each other value a mutation."""

    snapshot_before_p: bool = False
    reads_old_snapshot: bool = False  # REPEATABLE READ begun earlier, or a replica that lags
    reads_own_writes: bool = False  # a reader inside the writing transaction fills
    pends: bool = True
    stamps: bool = True
    stamps_before_commit: bool = False
    stamps_when_durable: bool = False  # a logical slot delivers before new snapshots see it
    waits_for_purges: bool = True
    acknowledges_before_purge: bool = False
    has_daemon: bool = True
    has_reaper: bool = True
    reaps_running: bool = False
    reaps_without_stamp: bool = False
    certifies_pages: bool = True
    reads_n_after_certifying: bool = False
    repeats_purges: bool = True
    cached_tags_bubble: bool = True
    purges_when_stamp_failed: bool = True
    fetches_conditionally: bool = False
    evicts_seq_alone: bool = False
    transaction_ids_repeat: bool = False
    adopts_with_fresh_stamp: bool = True
    purger_restart_vacates: bool = True


class Writer(NamedTuple):
    """A Django process that writes (or psql). `step`: begun pended sent stamped returned done; `is_gone` after a crash."""

    step: str = "begun"
    database: str = "running"  # running, durable (in the log, not yet visible), visible, aborted
    is_gone: bool = False
    proof: Proof | None = None
    purged: int = 0  # accelerators that acknowledged, as bits
    is_in_outbox: bool = True


class Reader(NamedTuple):
    step: str = "begun"
    seen: Miss | None = None
    content: int = 0


class Page(NamedTuple):
    step: str = "begun"  # begun started read certified checked done
    seen: Miss | None = None
    content: int = 0
    proof: Proof | None = None
    accelerator: int = 0
    reads: frozenset[str] = frozenset()  # what it was truly built from
    tags: frozenset[str] = frozenset()  # what it carries: the same, but for mutations


class Stored(NamedTuple):
    """A page in an accelerator's cache. `is_young`: the last repeat of a purge that may have missed it is not over."""

    content: int
    epoch: str
    n: int
    reads: frozenset[str]
    tags: frozenset[str]
    is_young: bool = True


class Accelerator(NamedTuple):
    fence: Fence
    stored: Stored | None = None
    purging: int = -1  # the write whose purge moved the fence and has not yet removed the keys
    repeats: int = 0  # writes whose purge will be repeated, as bits
    adoption: tuple[str, int, float] | None = None  # an adopt message on its way
    kept: frozenset[str] | None = None  # the keys of a purged page kept for conditional fetches (only in a mutation)


class Daemon(NamedTuple):
    handling: int = -1
    proof: Proof | None = None
    purged: int = 0


class World(NamedTuple):
    store: StoreState
    writers: tuple[Writer, ...]
    readers: tuple[Reader, ...]
    pages: tuple[Page, ...]
    accelerators: tuple[Accelerator, ...]
    daemon: Daemon
    forgiven: int = 0  # writes in flight when the store lost what was pending: Q's second half excuses them
    epochs: int = 1
    flushes: int = 0
    evictions: int = 0
    snapshots: int = 0
    saved: StoreState | None = None
    store_restarts: int = 0
    accelerator_restarts: int = 0
    daemon_crashes: int = 0
    failovers: int = 0

    @property
    def visible(self) -> int:
        return sum(1 << i for i, writer in enumerate(self.writers) if writer.database == "visible")

    @property
    def returned(self) -> int:
        return sum(1 << i for i, w in enumerate(self.writers) if w.step in ("returned", "done") and w.database == "visible")
