"""Decides what an accelerator may store and may serve: the fence that purges and heartbeats move, as pure functions.

The accelerator (VCL) keeps a `Fence` and obeys `insert`, `hit`; one serial purger per accelerator sends `purge`, `heartbeat`
and `adopt`. A certificate proves a page true up to n; the fence proves that no purge later than n has already passed while the
page was in transit.

Where this is more exact than the contract's prose, because a trace said so (each is a mutation in the tests):

- *Between fence and index.* The accelerator checks the fence in one step and makes the object visible to purges in a later one
  (Varnish: `vcl_backend_response`, then unbusy). A purge between them moves the fence too late and finds nothing: the object is
  stale until the purge is repeated, though commit has returned. So a *young* object (0.5 s) is a hit only if no purge at all
  passed since its certificate; the repeats at 50 and 250 ms remove what slipped in before it is no longer young. 0.5 s = that
  second repeat + as long as an insertion, which does no I/O, is trusted to take (0.25 s). A young object that is no hit must
  *pass*: refetched and stored anew it would be young again, for ever where anything is written several times a second.
- *Late heartbeats.* A heartbeat sent before the accelerator was cut off may be read when it wakes up, and would prolong its
  lease beyond the 3 s that commit waits. So `heard` is no time of arrival: each answer of the accelerator carries a token (its
  own clock), each message of the purger brings the newest token back, and a token counts from when it was issued. The purger
  received it later than that, so its own count from the receipt ends later than the lease. No two clocks are compared; only
  their rates must agree, and the accelerator's must not be set back (a step back of x s prolongs a lease by x s).
- *Adoption.* A message `adopt` may be late as well, and would restore an old epoch or a low m. It must quote the accelerator's
  present vacancy, which changes at every start and at every purge that finds or leaves no epoch. And it names no current seq
  but a *fresh* one (a stamp without tags, taken after the answer that told the vacancy): a writer that could not reach the
  store to stamp has vacated the accelerator instead, and a page certified before, still in transit, would pass a fence at the
  unmoved seq.
- *Purgers that die* take their repeats with them, and an object may be indexed after its accelerator was emptied. So emptying
  is a rule of hits, not only an act: an object of another epoch, or certified before the present adoption (`since`), is never a
  hit.
"""

from typing import NamedTuple

LEASE_SECONDS = 3.0  # commit waits at most this long for an accelerator that stopped answering
YOUNG_SECONDS = 0.5  # second repeat of a purge (0.25 s) + longest insertion (0.25 s)
REPEAT_PURGE_AFTER_SECONDS = (0.05, 0.25, 1.0, 10.0)  # the later ones are for an insertion slower than that


class Fence(NamedTuple):
    """An accelerator's state. `epoch` (vE) None: it stores and serves nothing. `since`: the seq at which it was adopted. `m`:
    the highest purge that passed since. `heard`: when, on the accelerator's own clock, the newest token that came back was
    issued. `vacancy`: the token that `adopt` must quote.
    """

    epoch: str | None
    since: int
    m: int
    heard: float
    vacancy: float


def start(now: float) -> Fence:
    """An accelerator that (re)started at `now` on its own clock: empty, and out of service until adopted."""
    return Fence(None, 0, 0, float("-inf"), now)


def may_insert(fence: Fence, epoch: str, n: int) -> bool:
    """True if a page certified at (epoch, n) may be stored now; else it is delivered and stays uncacheable for 1 s."""
    return fence.epoch == epoch and fence.m <= n


def may_hit(fence: Fence, epoch: str, n: int, age_seconds: float, now: float) -> bool:
    """True if a stored page certified at (epoch, n) may be served at `now` on the accelerator's own clock.

    `age_seconds` counts from when it passed the fence, by a time kept with it: Varnish's `obj.age` also counts a backend's Age
    and Date.
    """
    if fence.epoch != epoch or n < fence.since or not has_lease(fence, now):
        return False
    return fence.m <= n or age_seconds >= YOUNG_SECONDS


def has_lease(fence: Fence, now: float) -> bool:
    """True while the purger may still wait for this accelerator. Without a lease, and with a healthy backend, everything
    passes.
    """
    return now - fence.heard < LEASE_SECONDS


def purge(fence: Fence, epoch: str, k: int, token: float, now: float) -> Fence:
    """Moves the fence, *before* the keys are purged and the purge acknowledged. Of another epoch, old or new, it leaves none.

    A writer whose stamp failed (store unreachable after COMMIT) has no k: it purges with the epoch "", which is nobody's.
    """
    if fence.epoch is not None and fence.epoch == epoch:
        return fence._replace(m=max(fence.m, k), heard=max(fence.heard, token))
    return Fence(None, 0, 0, max(fence.heard, token), _later(fence, now))


def heartbeat(fence: Fence, token: float) -> Fence:
    """Prolongs the lease from when `token` was issued. Sent every second, only while no purge to this accelerator is
    unacknowledged and the daemon's own lease holds: an accelerator must not outlive the eyes that watch other programs.
    """
    return fence._replace(heard=max(fence.heard, token))


def adopt(fence: Fence, epoch: str, seq: int, vacancy: float, token: float) -> Fence:
    """Puts an accelerator without an epoch into service under (epoch, seq), where nothing stored earlier is a hit. A late
    adoption changes nothing.
    """
    if fence.epoch is not None or vacancy != fence.vacancy:
        return fence
    return Fence(epoch, seq, seq, max(fence.heard, token), fence.vacancy)


def vacate(fence: Fence, now: float) -> Fence:
    """Takes the accelerator out of service. A purger that starts cannot know what its predecessor left unsent: it vacates, then
    adopts.
    """
    return fence._replace(epoch=None, since=0, m=0, vacancy=_later(fence, now))


def lease_ends_at(newest_sent_token_received_at: float) -> float:
    """When, on the purger's clock, an accelerator that answers nothing has surely stopped serving: its commit may return then.

    Counts from when the newest token that was *sent back*, in whatever message, answered or not, had been received. A purger
    that starts counts from its start, and a writer that finds no purger from that moment: whatever was sent before had been
    received before.
    """
    return newest_sent_token_received_at + LEASE_SECONDS


def _later(fence: Fence, now: float) -> float:
    """A vacancy never used before, even where the clock stands still or goes back (1 ms is the resolution of its text)."""
    return max(now, fence.vacancy + 0.001)
