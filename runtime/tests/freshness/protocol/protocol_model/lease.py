"""One accelerator that may be cut off, sleep and wake, its purger, and a writer whose commit waits for one of them.

Messages and answers are in flight as long as they like, in any order; a message that is never read is lost. Time passes in
steps of half a lease. The accelerator's clock is 100 s ahead of the purger's: only the rates agree.

Safety: once commit returned, the accelerator never serves the page from before the write, whatever arrives later. Eventually is
not asked here: an accelerator that is cut off for ever stays without a lease, which is what it should.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from slipstream.freshness.protocol import fences
from slipstream.freshness.protocol.fences import Fence

AHEAD_SECONDS = 100.0
TICK_SECONDS = fences.LEASE_SECONDS / 2


@dataclass(frozen=True)
class LeaseSteps:
    """Each default is the protocol's, each other value a mutation."""

    commit_waits: bool = True
    heartbeats_between_purges: bool = False  # not in series
    lease_counts_from_arrival: bool = False  # and the purger's from sending: fails when a heartbeat is read late
    purger_counts_answered_only: bool = False  # forgets that a message without answer may have arrived
    ticks: int = 5
    heartbeats: int = 2
    purges: int = 2


class LeaseWorld(NamedTuple):
    fence: Fence
    tick: int = 0
    has_old_page: bool = True
    writer: str = "begun"  # begun purging returned
    is_acknowledged: bool = False
    token: float = AHEAD_SECONDS  # the newest that the purger received
    token_received_at: float = 0.0
    newest_sent_received_at: float = 0.0
    messages: frozenset[tuple[str, float]] = frozenset()
    answers: frozenset[tuple[str, float]] = frozenset()
    heartbeats: int = 0
    purges: int = 0


class LeaseSystem:
    def __init__(self, steps: LeaseSteps | None = None) -> None:
        self.steps = steps or LeaseSteps()

    def initial(self) -> LeaseWorld:
        fence = fences.adopt(fences.start(AHEAD_SECONDS), "E1", 0, AHEAD_SECONDS, AHEAD_SECONDS)
        return LeaseWorld(fence, heartbeats=self.steps.heartbeats, purges=self.steps.purges)

    def broken(self, world: LeaseWorld) -> str | None:
        clock = world.tick * TICK_SECONDS + AHEAD_SECONDS
        is_served = world.has_old_page and fences.may_hit(world.fence, "E1", 0, fences.YOUNG_SECONDS, clock)
        return (
            "P: the page from before the write is served after commit returned"
            if is_served and world.writer == "returned"
            else None
        )

    def unfinished(self, world: LeaseWorld) -> str | None:
        return None

    def successors(self, world: LeaseWorld) -> Iterator[tuple[str, LeaseWorld]]:
        now = world.tick * TICK_SECONDS
        clock = now + AHEAD_SECONDS
        if world.tick < self.steps.ticks:
            yield f"{TICK_SECONDS} s pass", world._replace(tick=world.tick + 1)

        is_purging = world.writer != "begun" and not world.is_acknowledged
        if world.heartbeats and (not is_purging or self.steps.heartbeats_between_purges):
            sent = self._sent(world, "heartbeat")._replace(heartbeats=world.heartbeats - 1)
            yield f"the purger sends a heartbeat with token {world.token}", sent
        if world.purges and is_purging:
            yield "the purger sends the purge", self._sent(world, "purge")._replace(purges=world.purges - 1)

        for message in world.messages:
            kind, token = message
            heard = clock if self.steps.lease_counts_from_arrival else token
            answered = world._replace(messages=world.messages - {message}, answers=world.answers | {(kind, clock)})
            if kind == "heartbeat":
                fence = fences.heartbeat(world.fence, heard)
                yield f"the accelerator reads the heartbeat with token {token} at {clock}", answered._replace(fence=fence)
            else:
                fence = fences.purge(world.fence, "E1", 1, heard, clock)
                yield "the accelerator reads the purge", answered._replace(fence=fence, has_old_page=False)
        for answer in world.answers:
            kind, token = answer
            told = world._replace(answers=world.answers - {answer})
            if token > world.token:
                told = told._replace(token=token, token_received_at=now)
            if self.steps.purger_counts_answered_only:
                told = told._replace(newest_sent_received_at=max(world.newest_sent_received_at, world.token_received_at))
            if kind == "purge":
                told = told._replace(is_acknowledged=True)
            yield f"the purger reads the answer to a {kind}", told

        if world.writer == "begun":
            yield "the writer commits, stamps and asks for a purge", world._replace(writer="purging")
        if world.writer == "purging":
            is_over = now >= fences.lease_ends_at(world.newest_sent_received_at)
            if world.is_acknowledged or is_over or not self.steps.commit_waits:
                yield (
                    f"commit returns{'' if world.is_acknowledged else ' without an acknowledgement'}",
                    world._replace(writer="returned"),
                )

    def _sent(self, world: LeaseWorld, kind: str) -> LeaseWorld:
        sent = world._replace(messages=world.messages | {(kind, world.token)})
        if self.steps.purger_counts_answered_only:
            return sent
        counted = world.tick * TICK_SECONDS if self.steps.lease_counts_from_arrival else world.token_received_at
        return sent._replace(newest_sent_received_at=max(world.newest_sent_received_at, counted))
