"""A write by another program, the daemon that should notice it, and readers, with time: promise O.

The daemon may be slow or die at any step (it then simply takes no further one). Time passes in steps of half a lease.

Safety: no hit lacks a write by another program that has been visible for 1 s or longer.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from slipstream.freshness.protocol import stamps
from slipstream.freshness.protocol.stamps import LEASE_MS, Miss, StoreState, Value

TICK_MS = LEASE_MS // 2
TAGS = frozenset({"a"})


@dataclass(frozen=True)
class ClockSteps:
    """Each default is the protocol's, each other value a mutation."""

    lease_counts_from_end: bool = False
    renews_without_reading: bool = False
    renews_before_stamping: bool = False
    ticks: int = 6
    fills: int = 2
    passes: int = 3


class ClockWorld(NamedTuple):
    store: StoreState
    visible_at_ms: int = -1  # the write's; -1 before
    is_in_outbox: bool = False
    daemon: str = "idle"  # idle timed found_nothing found renewed_early
    read_from_ms: int = 0
    passes: int = 0
    reading: tuple[Miss, bool | None] | None = None  # whether the snapshot saw the write; None: not yet taken
    fills: int = 0


class ClockSystem:
    def __init__(self, steps: ClockSteps | None = None) -> None:
        self.steps = steps or ClockSteps()

    def initial(self) -> ClockWorld:
        store = StoreState("run1", "E1", "run1", lease_until_ms=LEASE_MS)
        return ClockWorld(store, passes=self.steps.passes, fills=self.steps.fills)

    def broken(self, world: ClockWorld) -> str | None:
        found = stamps.look_up(world.store, "a", "E2")[1]
        is_old = isinstance(found, Value) and found.body == b"old"
        if is_old and 0 <= world.visible_at_ms <= world.store.clock_ms - LEASE_MS:
            return f"O: a hit at {world.store.clock_ms} ms lacks the write that has been visible since {world.visible_at_ms} ms"
        return None

    def unfinished(self, world: ClockWorld) -> str | None:
        return None

    def successors(self, world: ClockWorld) -> Iterator[tuple[str, ClockWorld]]:
        store = world.store
        if store.clock_ms < self.steps.ticks * TICK_MS:
            yield f"{TICK_MS} ms pass", world._replace(store=store._replace(clock_ms=store.clock_ms + TICK_MS))
        if world.visible_at_ms < 0:
            yield "another program's write becomes visible", world._replace(visible_at_ms=store.clock_ms, is_in_outbox=True)
        yield from self._reader_steps(world)
        yield from self._daemon_steps(world)

    def _reader_steps(self, world: ClockWorld) -> Iterator[tuple[str, ClockWorld]]:
        if world.reading is None:
            found = stamps.look_up(world.store, "a", "E2")[1]
            if world.fills and isinstance(found, Miss):
                yield "a reader misses", world._replace(reading=(found, None), fills=world.fills - 1)
            return
        seen, content = world.reading
        if content is None:
            yield "the reader takes a snapshot", world._replace(reading=(seen, world.visible_at_ms >= 0))
        else:
            value = Value(b"new" if content else b"old", TAGS, "everyone", seen.p, seen.epoch)
            store, kept = stamps.fill(world.store, "a", value, "E2")
            yield f"the reader's fill is {'kept' if kept else 'refused'}", world._replace(store=store, reading=None)

    def _daemon_steps(self, world: ClockWorld) -> Iterator[tuple[str, ClockWorld]]:
        store = world.store
        if world.daemon == "idle":
            if not world.passes:
                return
            if self.steps.renews_without_reading:
                renewed = stamps.renew_lease(store, store.clock_ms)
                yield "the daemon lives and renews its lease", world._replace(store=renewed, passes=world.passes - 1)
                return
            timed = world._replace(daemon="timed", read_from_ms=store.clock_ms, passes=world.passes - 1)
            yield f"the daemon reads the store's clock: {store.clock_ms} ms", timed
        elif world.daemon == "timed":
            step = "found" if world.is_in_outbox else "found_nothing"
            yield f"the daemon reads the outbox: {'the write' if world.is_in_outbox else 'nothing'}", world._replace(daemon=step)
        elif world.daemon == "found" and self.steps.renews_before_stamping:
            yield "the daemon renews its lease", world._replace(daemon="renewed_early", store=self._renewed(world))
        elif world.daemon in ("found", "renewed_early"):
            stamped, _ = stamps.stamp(store, TAGS, "x0", "E2")
            step = "found_nothing" if world.daemon == "found" else "idle"
            yield "the daemon stamps the write", world._replace(store=stamped, daemon=step, is_in_outbox=False)
        else:
            yield "the daemon renews its lease", world._replace(daemon="idle", store=self._renewed(world))

    def _renewed(self, world: ClockWorld) -> StoreState:
        start = world.store.clock_ms if self.steps.lease_counts_from_end else world.read_from_ms
        return stamps.renew_lease(world.store, start)
