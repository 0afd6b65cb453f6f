"""Decides, as the store does, whether what was cached is still true: each script of the store as a pure function over the
store's state.

`store.Store` runs the same decisions inside Redis; a stateful property test holds the two equal, and the model checker explores
these. Names: E epoch, `seq` a counter, T[tag] the seq of the tag's last invalidation, P[tag] the transactions about to commit,
V[key] a value with its tags, audience, and the p and E from which it was built.

Where this is more exact than the contract's prose, because a trace said so:

- E and seq are one key. Evicted apart, seq would restart under the same E, and a new stamp would be lower than an old value's
  p: stale.
- A T belongs to the epoch that set it; one left over from an earlier epoch counts as missing (else a key would miss until seq
  caught up).
- P outlives epochs: a transaction that was about to commit before a flush of E is still about to commit.
- "The daemon is alive" means that it read the whole outbox, and stamped what it found, and that this reading *began* at most 1
  s ago by the store's clock. A lease renewed because a process is alive, or counted from the end of the reading, hides writes
  for longer.
- A transaction is known by a name that no failover repeats (`writes.name_transaction`). Under bare ids a late acknowledgement
  from before the failover swallows a new write's outbox row (stale for ever), and a late stamp ends a new write's pending.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeVar

V = TypeVar("V")

LEASE_MS = 1000  # promise O: writes by other programs are seen within 1 s of becoming visible


class Stamp(NamedTuple):
    """The seq at which a tag was last invalidated, and the epoch that counts it."""

    epoch: str
    seq: int


class Value(NamedTuple):
    """What was cached, and from when: built from snapshots taken after (E, p) was read."""

    body: bytes
    tags: frozenset[str]
    audience: str
    p: int
    epoch: str


class StoreState(NamedTuple):
    """Everything the store knows. `run_id` is the server process's own; `epoch_run_id` the one under which E was opened.

    Mappings are sorted tuples of pairs, so that states are hashable and equal states are equal.
    """

    run_id: str
    epoch: str | None = None
    epoch_run_id: str = ""
    seq: int = 0
    stamps: tuple[tuple[str, Stamp], ...] = ()
    pending: tuple[tuple[str, frozenset[str]], ...] = ()
    values: tuple[tuple[str, Value], ...] = ()
    acknowledged: frozenset[str] = frozenset()
    clock_ms: int = 0
    lease_until_ms: int = 0


class Miss(NamedTuple):
    """No valid value: build one from snapshots taken from now on, and offer it under this (E, p)."""

    epoch: str
    p: int


class Proof(NamedTuple):
    """A point (E, n) in the store's history: of a stamp, which fences what was certified earlier, or of a certificate."""

    epoch: str
    n: int


def open_epoch(state: StoreState, nonce: str) -> StoreState:
    """The state with a current E. A lost E, or one opened by another server process (a snapshot, a promoted replica), ends;
    `nonce` begins.
    """
    if state.epoch is not None and state.epoch_run_id == state.run_id:
        return state
    return state._replace(epoch=nonce, epoch_run_id=state.run_id, seq=0)


def is_valid(state: StoreState, tags: Iterable[str], p: int, epoch: str) -> bool:
    """VALID: E is current, the daemon is alive, and for every tag: P empty, T present, T <= p."""
    if epoch != state.epoch or state.clock_ms >= state.lease_until_ms:
        return False
    stamps, pending = dict(state.stamps), dict(state.pending)
    for tag in tags:
        stamp = stamps.get(tag)
        if pending.get(tag) or stamp is None or stamp.epoch != epoch or stamp.seq > p:
            return False
    return True


def look_up(state: StoreState, key: str, nonce: str) -> tuple[StoreState, Value | Miss]:
    """READ's round trip: the value if it is valid now, else the (E, p) that a build begun after this answer may use."""
    state = open_epoch(state, nonce)
    assert state.epoch is not None
    value = dict(state.values).get(key)
    if value is not None and is_valid(state, value.tags, value.p, value.epoch):
        return state, value
    return state, Miss(state.epoch, state.seq)


def begin(state: StoreState, nonce: str) -> tuple[StoreState, Miss]:
    """PAGE's beginning: (E, p) alone. A worker may go on using an answer for 100 ms: an older p only refuses more."""
    state = open_epoch(state, nonce)
    assert state.epoch is not None
    return state, Miss(state.epoch, state.seq)


def fill(state: StoreState, key: str, value: Value, nonce: str) -> tuple[StoreState, bool]:
    """FILL: gives missing tags the current seq, then keeps the value only if it is valid."""
    state = _with_missing_stamps(open_epoch(state, nonce), value.tags)
    if not is_valid(state, value.tags, value.p, value.epoch):
        return state, False
    return state._replace(values=_put(state.values, key, value)), True


def certify(state: StoreState, tags: Collection[str], p: int, epoch: str, nonce: str) -> tuple[StoreState, Proof | None]:
    """CERTIFY: the point up to which a page built since (E, p) is proved true, or None when it may not be shared."""
    state = _with_missing_stamps(open_epoch(state, nonce), tags)
    if not is_valid(state, tags, p, epoch):
        return state, None
    return state, Proof(epoch, state.seq)


def pend(state: StoreState, tags: Iterable[str], xid: str) -> StoreState:
    """PEND, before COMMIT: from now on nothing that carries these tags is served or stored."""
    pending = state.pending
    for tag in tags:
        pending = _put(pending, tag, dict(pending).get(tag, frozenset()) | {xid})
    return state._replace(pending=pending)


def stamp(state: StoreState, tags: Iterable[str], xid: str, nonce: str) -> tuple[StoreState, Proof]:
    """STAMP, once the write is visible to every new snapshot (or is known never to be): invalidates the tags and ends its
    pending.

    A set of transactions, not a flag: another writer's pending stays. Absent stamps stay absent; the next fill gives them a
    later seq.
    """
    state = open_epoch(state, nonce)
    assert state.epoch is not None
    state = state._replace(seq=state.seq + 1)
    stamps, pending = state.stamps, state.pending
    for tag in tags:
        if tag in dict(stamps):
            stamps = _put(stamps, tag, Stamp(state.epoch or "", state.seq))
        left = dict(pending).get(tag, frozenset()) - {xid}
        pending = _put(pending, tag, left) if left else _without(pending, tag)
    return state._replace(stamps=stamps, pending=pending), Proof(state.epoch or "", state.seq)


def acknowledge(state: StoreState, xid: str) -> StoreState:
    """Notes, after the stamp succeeded and *every* accelerator acknowledged its purge, that the daemon need not repeat them."""
    return state._replace(acknowledged=state.acknowledged | {xid})


def unacknowledged(state: StoreState, xids: Iterable[str]) -> list[str]:
    """Which of these transactions, found in the outbox, the daemon must stamp and purge itself, in the order given."""
    return [xid for xid in xids if xid not in state.acknowledged]


def renew_lease(state: StoreState, outbox_read_from_ms: int) -> StoreState:
    """The daemon is alive until 1 s after the moment, on the store's clock, before which it began the reading now completed.
    Never shortens.
    """
    return state._replace(lease_until_ms=max(state.lease_until_ms, outbox_read_from_ms + LEASE_MS))


def renew_epoch(state: StoreState, nonce: str) -> StoreState:
    """Ends E: nothing cached or certified before counts any longer (the database's timeline or postmaster changed)."""
    return state._replace(epoch=nonce, epoch_run_id=state.run_id, seq=0)


def _with_missing_stamps(state: StoreState, tags: Iterable[str]) -> StoreState:
    stamps = state.stamps
    for tag in tags:
        known = dict(stamps).get(tag)
        if known is None or known.epoch != state.epoch:
            stamps = _put(stamps, tag, Stamp(state.epoch or "", state.seq))
    return state._replace(stamps=stamps)


def _put(pairs: tuple[tuple[str, V], ...], name: str, item: V) -> tuple[tuple[str, V], ...]:
    return tuple(sorted([*_without(pairs, name), (name, item)], key=lambda pair: pair[0]))


def _without(pairs: tuple[tuple[str, V], ...], name: str) -> tuple[tuple[str, V], ...]:
    return tuple(pair for pair in pairs if pair[0] != name)
