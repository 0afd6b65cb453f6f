"""The protocol with one rule broken: every trap that was found, on paper, by experiment or by this checker, as something it
must catch.

A mutation changes either the order of steps around the decisions (`steps`) or a decision itself (`patches`, by module and
function).
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from protocol_model.world import Steps
from slipstream.freshness.protocol import fences, stamps
from slipstream.freshness.protocol.fences import Fence
from slipstream.freshness.protocol.stamps import Miss, Proof, Stamp, StoreState, Value

ONE_WRITER = "a writer that may die or fail at every step, two fillers"
TWO_WRITERS = "two writers of one tag, one may die, a filler"
OUTSIDE = "another program and a writer, a filler"
OUTSIDE_ALONE = "another program, two fillers"
EVICTION = "eviction of any single key"
FAILOVER = "failover between two writes"
PAGE = "page on one accelerator"
TWO_ACCELERATORS = "page on two accelerators"
PAGE_AND_FLUSH = "page and a flush"
PAGE_TWO_WRITERS_FLUSH = "page, two writers and a flush"
ACCELERATOR_RESTART = "page and an accelerator that restarts"
PURGER_RESTART = "page and a purger that restarts"
STORE_CUT = "page and a store cut off after COMMIT"


@dataclass(frozen=True)
class Mutation:
    name: str
    slice_name: str
    expected: str  # words of the violation
    steps: Steps = field(default_factory=Steps)
    patches: Mapping[tuple[Any, str], Callable[..., Any]] = field(default_factory=dict)


def _is_valid(
    state: StoreState,
    tags: Iterable[str],
    p: int,
    epoch: str,
    *,
    accepts_missing: bool = False,
    ignores_pending: bool = False,
    ignores_epoch: bool = False,
    ignores_stamps: bool = False,
) -> bool:
    """VALID with one of its conditions left out."""
    if epoch != state.epoch and not ignores_epoch:
        return False
    known, pending = dict(state.stamps), dict(state.pending)
    for tag in tags:
        stamp = known.get(tag)
        if pending.get(tag) and not ignores_pending:
            return False
        if stamp is None or stamp.epoch != epoch:
            if not accepts_missing:
                return False
        elif stamp.seq > p and not ignores_stamps:
            return False
    return True


def _valid_but(**left_out: bool) -> dict[tuple[Any, str], Callable[..., Any]]:
    return {(stamps, "is_valid"): lambda state, tags, p, epoch: _is_valid(state, tags, p, epoch, **left_out)}


def _fill_stamped_after_reading(state: StoreState, key: str, value: Value, nonce: str) -> tuple[StoreState, bool]:
    state = stamps._with_missing_stamps(stamps.open_epoch(state, nonce), value.tags)
    late = value._replace(p=state.seq, epoch=state.epoch or "")
    return state._replace(values=stamps._put(state.values, key, late)), True


def _missing_stamps_become_zero(state: StoreState, tags: Iterable[str]) -> StoreState:
    known = state.stamps
    for tag in tags:
        if tag not in dict(known):
            known = stamps._put(known, tag, Stamp(state.epoch or "", 0))
    return state._replace(stamps=known)


def _stamp_clears_all_pending(state: StoreState, tags: Iterable[str], xid: str, nonce: str) -> tuple[StoreState, Proof]:
    names = list(tags)
    state, proof = _real_stamp(state, names, xid, nonce)
    return state._replace(pending=tuple(pair for pair in state.pending if pair[0] not in names)), proof


def _stamp_without_new_seq(state: StoreState, tags: Iterable[str], xid: str, nonce: str) -> tuple[StoreState, Proof]:
    opened = stamps.open_epoch(state, nonce)
    return _real_stamp(opened._replace(seq=opened.seq - 1), tags, xid, nonce)


def _open_epoch_ignoring_run_id(state: StoreState, nonce: str) -> StoreState:
    return state if state.epoch is not None else state._replace(epoch=nonce, epoch_run_id=state.run_id, seq=0)


def _open_epoch_forgetting_pending(state: StoreState, nonce: str) -> StoreState:
    opened = _real_open_epoch(state, nonce)
    return opened if opened == state else opened._replace(pending=())


def _look_up_unchecked(state: StoreState, key: str, nonce: str) -> tuple[StoreState, Value | Miss]:
    opened, found = _real_look_up(state, key, nonce)
    return opened, dict(opened.values).get(key, found)


def _late_purge_sets_epoch(fence: Fence, epoch: str, k: int, token: float, now: float) -> Fence:
    return _real_purge(fence, epoch, k, token, now) if fence.epoch == epoch else fence._replace(epoch=epoch, m=k)


def _purge_moves_no_fence(fence: Fence, epoch: str, k: int, token: float, now: float) -> Fence:
    return fence


def _adopt_without_vacancy(fence: Fence, epoch: str, seq: int, vacancy: float, token: float) -> Fence:
    return _real_adopt(fence, epoch, seq, fence.vacancy, token)


def _insert_without_fence(fence: Fence, epoch: str, n: int) -> bool:
    return fence.epoch == epoch


def _insert_of_any_epoch(fence: Fence, epoch: str, n: int) -> bool:
    return fence.epoch is not None and fence.m <= n


def _hit_though_young(fence: Fence, epoch: str, n: int, age_seconds: float, now: float) -> bool:
    return _real_may_hit(fence, epoch, n, fences.YOUNG_SECONDS, now)


def _hit_before_since(fence: Fence, epoch: str, n: int, age_seconds: float, now: float) -> bool:
    return _real_may_hit(fence._replace(since=0), epoch, n, age_seconds, now)


def _hit_of_any_epoch(fence: Fence, epoch: str, n: int, age_seconds: float, now: float) -> bool:
    return fence.epoch is not None and _real_may_hit(fence, fence.epoch, max(n, fence.since), age_seconds, now)


_real_stamp, _real_open_epoch, _real_look_up = stamps.stamp, stamps.open_epoch, stamps.look_up
_real_purge, _real_adopt, _real_may_hit = fences.purge, fences.adopt, fences.may_hit

MUTATIONS = (
    # Query cache
    Mutation("missing stamps accepted", EVICTION, "Q:", patches=_valid_but(accepts_missing=True)),
    Mutation(
        "missing stamps set to zero", ONE_WRITER, "Q:", patches={(stamps, "_with_missing_stamps"): _missing_stamps_become_zero}
    ),
    Mutation("snapshot before p", ONE_WRITER, "Q:", Steps(snapshot_before_p=True)),
    Mutation("fill from an older snapshot or a lagging replica", ONE_WRITER, "Q:", Steps(reads_old_snapshot=True)),
    Mutation("fill inside the writing transaction", ONE_WRITER, "not committed", Steps(reads_own_writes=True)),
    Mutation(
        "fill without certification, stamped after reading",
        ONE_WRITER,
        "Q:",
        patches={(stamps, "fill"): _fill_stamped_after_reading},
    ),
    Mutation("hit without certification", ONE_WRITER, "Q:", patches={(stamps, "look_up"): _look_up_unchecked}),
    Mutation("stamps not compared with p", ONE_WRITER, "Q:", patches=_valid_but(ignores_stamps=True)),
    Mutation("epoch not compared", "store restarted from what it saved", "Q:", patches=_valid_but(ignores_epoch=True)),
    Mutation(
        "run id not compared",
        "store restarted from what it saved",
        "Q:",
        patches={(stamps, "open_epoch"): _open_epoch_ignoring_run_id},
    ),
    Mutation("seq evicted without E", EVICTION, "Q:", Steps(evicts_seq_alone=True)),
    Mutation("nothing pending before COMMIT", ONE_WRITER, "Q:", Steps(pends=False)),
    Mutation("pending not looked at", ONE_WRITER, "Q:", patches=_valid_but(ignores_pending=True)),
    Mutation(
        "pending a flag, cleared by the wrong writer", TWO_WRITERS, "Q:", patches={(stamps, "stamp"): _stamp_clears_all_pending}
    ),
    Mutation(
        "pending forgotten with the epoch", EVICTION, "Q:", patches={(stamps, "open_epoch"): _open_epoch_forgetting_pending}
    ),
    Mutation("neither pending nor stamp, the daemon alone invalidates", ONE_WRITER, "Q:", Steps(pends=False, stamps=False)),
    Mutation("stamp without a new seq", ONE_WRITER, "Q:", patches={(stamps, "stamp"): _stamp_without_new_seq}),
    Mutation("stamp before COMMIT", ONE_WRITER, "Q:", Steps(stamps_before_commit=True)),
    Mutation("stamp when durable, before visibility", OUTSIDE_ALONE, "stale for ever", Steps(stamps_when_durable=True)),
    Mutation("stamp when durable, though a Django writer waits", OUTSIDE, "Q:", Steps(stamps_when_durable=True)),
    Mutation("early reaper", ONE_WRITER, "Q:", Steps(reaps_running=True)),
    Mutation("reaper that drops without stamping", ONE_WRITER, "Q:", Steps(reaps_without_stamp=True)),
    Mutation("no reaper", ONE_WRITER, "blocked for ever", Steps(has_reaper=False)),
    Mutation("no daemon", OUTSIDE_ALONE, "stale for ever", Steps(has_daemon=False)),
    Mutation("transaction ids that a failover repeats", FAILOVER, "stale for ever", Steps(transaction_ids_repeat=True)),
    # Pages
    Mutation("page without certification", PAGE, "P:", Steps(certifies_pages=False)),
    Mutation("n read after certifying", PAGE, "P:", Steps(reads_n_after_certifying=True)),
    Mutation("tags of cached queries do not bubble", "page from a cached query", "P:", Steps(cached_tags_bubble=False)),
    Mutation(
        "no transit fence",
        PAGE,
        "P:",
        patches={(fences, "may_insert"): _insert_without_fence, (fences, "may_hit"): _hit_though_young},
    ),
    Mutation("purges do not move the fence", PAGE, "P:", patches={(fences, "purge"): _purge_moves_no_fence}),
    Mutation(
        "page indexed after the fence was checked, young hits served",
        PAGE,
        "P:",
        patches={(fences, "may_hit"): _hit_though_young},
    ),
    Mutation("purges not repeated", PAGE, "P:", Steps(repeats_purges=False)),
    Mutation("commit returns before the purges", TWO_ACCELERATORS, "P:", Steps(waits_for_purges=False)),
    Mutation("acknowledged before the purges", TWO_ACCELERATORS, "stale for ever", Steps(acknowledges_before_purge=True)),
    Mutation("a 304 keeps old keys", "page whose tags grow", "P:", Steps(fetches_conditionally=True)),
    Mutation(
        "late purge restores an old epoch", PAGE_TWO_WRITERS_FLUSH, "P:", patches={(fences, "purge"): _late_purge_sets_epoch}
    ),
    Mutation(
        "pages of any epoch stored and served",
        PAGE_AND_FLUSH,
        "P:",
        patches={(fences, "may_insert"): _insert_of_any_epoch, (fences, "may_hit"): _hit_of_any_epoch},
    ),
    Mutation("late adoption taken", ACCELERATOR_RESTART, "P:", patches={(fences, "adopt"): _adopt_without_vacancy}),
    Mutation("adoption with the current seq, not a fresh one", STORE_CUT, "P:", Steps(adopts_with_fresh_stamp=False)),
    Mutation("no purge when the stamp failed", STORE_CUT, "P:", Steps(purges_when_stamp_failed=False)),
    Mutation("restarted purger does not vacate", PURGER_RESTART, "P:", Steps(purger_restart_vacates=False)),
    Mutation("pages from before the adoption served", PURGER_RESTART, "P:", patches={(fences, "may_hit"): _hit_before_since}),
)
