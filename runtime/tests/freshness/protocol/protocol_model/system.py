"""What may happen next in a modelled world, and what must never: every decision is taken by the protocol's own functions.

Safety, in every state:
- Q (first half): a hit now contains every write whose commit returned. Always, whatever was lost.
- Q (second half): a hit now contains every write that is visible (any reader of the database may have seen it), unless what was
  pending was lost (flush, restart, eviction of a P) while that write was in flight. Not for writes by other programs.
- P: the same two for an accelerator that would answer from its cache now; its second half is not promised, so only the first.
- A hit contains nothing that is not committed and visible. Eventually, in every ending: nothing is pending, the outbox is
  empty, every accelerator is in service, and whatever would be a hit contains every visible write, also those by other programs
  and those whose writer was killed.
"""

from collections.abc import Iterator

from protocol_model.builds import page_steps, reader_steps
from protocol_model.delivery import accelerator_steps
from protocol_model.losses import loss_steps
from protocol_model.repairs import daemon_steps, reaper_steps
from protocol_model.setting import Setting
from protocol_model.transactions import database_steps, outside_writer_steps, writer_steps
from protocol_model.world import FOREVER_MS, Accelerator, Daemon, Page, Reader, Slice, Steps, Stored, World, Writer
from slipstream.freshness.protocol import fences, stamps
from slipstream.freshness.protocol.stamps import StoreState, Value

Successors = Iterator[tuple[str, World]]


class System(Setting):
    """A slice as the explorer wants it: where it begins, what may follow, what is broken."""

    def __init__(self, what: Slice, steps: Steps | None = None) -> None:
        super().__init__(what, steps or Steps())

    def initial(self) -> World:
        store = StoreState("run1", "E1", "run1", lease_until_ms=FOREVER_MS)
        fence = fences.adopt(fences.start(0.0), "E1", 0, 0.0, 0.0)
        what = self.slice
        return World(
            store,
            tuple(Writer() for _ in what.writes),
            tuple(Reader() for _ in what.readers),
            tuple(Page() for _ in range(what.pages)),
            tuple(Accelerator(fence) for _ in range(what.accelerators)),
            Daemon(),
            flushes=what.flushes,
            evictions=what.evictions,
            snapshots=what.snapshots,
            store_restarts=what.store_restarts,
            accelerator_restarts=what.accelerator_restarts,
            daemon_crashes=what.daemon_crashes,
            failovers=what.failovers,
        )

    # What must never be

    def broken(self, world: World) -> str | None:
        visible, returned = world.visible, world.returned
        outside = sum(1 << i for i, write in enumerate(self.slice.writes) if write.is_outside)
        for key, value in world.store.values:
            if not self._is_hit(world, key):
                continue
            content, relevant = value.body[0], self.writes_of(value.tags)
            if returned & relevant & ~outside & ~content:
                return f"Q: a hit on {key} lacks {self.names(returned & relevant & ~content)}, whose commit returned"
            if visible & relevant & ~outside & ~world.forgiven & ~content:
                return f"Q: a hit on {key} lacks {self.names(visible & relevant & ~content)}, which readers of the database see"
            if content & ~visible:
                return f"a hit on {key} contains {self.names(content & ~visible)}, which is not committed"
        for number, accelerator in enumerate(world.accelerators):
            page = self._served(accelerator)
            if page is None:
                continue
            lacking = returned & self.writes_of(page.reads) & ~outside & ~page.content
            if lacking:
                return f"P: accelerator {number} serves a page that lacks {self.names(lacking)}, whose commit returned"
            if page.content & ~visible:
                return f"accelerator {number} serves a page with {self.names(page.content & ~visible)}, which is not committed"
        return None

    def unfinished(self, world: World) -> str | None:
        for tag, xids in world.store.pending:
            return f"blocked for ever: {sorted(xids)} still pending on {tag}"
        for key, value in world.store.values:
            lacking = world.visible & self.writes_of(value.tags) & ~value.body[0]
            if lacking and self._is_hit(world, key):
                return f"stale for ever: a hit on {key} lacks {self.names(lacking)}"
        for number, accelerator in enumerate(world.accelerators):
            if accelerator.fence.epoch is None:
                return f"accelerator {number} stays out of service for ever"
            page = self._served(accelerator)
            if page is not None and world.visible & self.writes_of(page.reads) & ~page.content:
                return f"stale for ever: accelerator {number} serves a page without every visible write"
        for i, writer in enumerate(world.writers):
            if self.slice.has_daemon and self.steps.has_daemon and writer.is_in_outbox and writer.database == "visible":
                return f"the outbox keeps {self.name(i)} for ever"
        return None

    def _is_hit(self, world: World, key: str) -> bool:
        return isinstance(stamps.look_up(world.store, key, self.nonce(world))[1], Value)

    def _served(self, accelerator: Accelerator) -> Stored | None:
        stored = accelerator.stored
        if stored is None:
            return None
        age = 0.0 if stored.is_young else fences.YOUNG_SECONDS
        return stored if fences.may_hit(accelerator.fence, stored.epoch, stored.n, age, 0.0) else None

    # What may happen next

    def successors(self, world: World) -> Successors:
        for i in range(len(world.writers)):
            if self.slice.writes[i].is_outside:
                yield from outside_writer_steps(self, world, i)
            else:
                yield from writer_steps(self, world, i)
            yield from database_steps(self, world, i)
        for i in range(len(world.readers)):
            yield from reader_steps(self, world, i)
        for i in range(len(world.pages)):
            yield from page_steps(self, world, i)
        if self.slice.has_daemon and self.steps.has_daemon:
            yield from daemon_steps(self, world)
        if self.slice.has_reaper and self.steps.has_reaper:
            yield from reaper_steps(self, world)
        for a in range(len(world.accelerators)):
            yield from accelerator_steps(self, world, a)
        yield from loss_steps(self, world)
