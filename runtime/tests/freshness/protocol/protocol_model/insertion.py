"""One page on its way into an accelerator's index and one purge, with time: why a young page is not trusted, and for how long.

An insertion takes less than a quarter of a second after the fence was checked; a purge is repeated when it is due, not later.
Time passes in steps of 50 ms.

Safety: once the purge is acknowledged (commit returned), the page from before the write is never served.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from slipstream.freshness.protocol import fences
from slipstream.freshness.protocol.fences import Fence

TICK_SECONDS = 0.05
LONGEST_INSERTION_TICKS = 5
LAST_TICK = 30


@dataclass(frozen=True)
class InsertionSteps:
    """The default is the protocol's, each other value a mutation."""

    repeats_seconds: tuple[float, ...] = fences.REPEAT_PURGE_AFTER_SECONDS


class InsertionWorld(NamedTuple):
    fence: Fence
    tick: int = 0
    checked_at: int = -1
    is_indexed: bool = False
    is_gone: bool = False  # refused, or purged
    purged_at: int = -1
    repeats_left: tuple[int, ...] = ()


class InsertionSystem:
    def __init__(self, steps: InsertionSteps | None = None) -> None:
        self.steps = steps or InsertionSteps()

    def initial(self) -> InsertionWorld:
        return InsertionWorld(fences.adopt(fences.start(0.0), "E1", 0, 0.0, 0.0))

    def broken(self, world: InsertionWorld) -> str | None:
        if world.purged_at < 0 or not world.is_indexed or world.is_gone:
            return None
        age_seconds = (world.tick - world.checked_at) * TICK_SECONDS
        is_served = fences.may_hit(world.fence, "E1", 0, age_seconds, world.tick * TICK_SECONDS)
        return f"P: the page is served {age_seconds:.2f} s after its check, though it was purged" if is_served else None

    def unfinished(self, world: InsertionWorld) -> str | None:
        return None

    def successors(self, world: InsertionWorld) -> Iterator[tuple[str, InsertionWorld]]:
        due = [tick for tick in world.repeats_left if tick <= world.tick]
        is_inserting = world.checked_at >= 0 and not world.is_indexed and not world.is_gone
        must_index = is_inserting and world.tick + 1 >= world.checked_at + LONGEST_INSERTION_TICKS
        if world.tick < LAST_TICK and not due and not must_index:
            yield "50 ms pass", world._replace(tick=world.tick + 1)
        if world.checked_at < 0:
            is_taken = fences.may_insert(world.fence, "E1", 0)
            step = "the page passes the fence" if is_taken else "the page is refused"
            yield step, world._replace(checked_at=world.tick, is_gone=not is_taken)
        if is_inserting:
            yield "the page is indexed", world._replace(is_indexed=True)
        if world.purged_at < 0:
            fence = fences.purge(world.fence, "E1", 1, world.tick * TICK_SECONDS, world.tick * TICK_SECONDS)
            repeats = tuple(world.tick + round(after / TICK_SECONDS) for after in self.steps.repeats_seconds)
            is_gone = world.is_gone or world.is_indexed
            moved = world._replace(fence=fence, purged_at=world.tick, repeats_left=repeats, is_gone=is_gone)
            yield (
                "a purge moves the fence, purges, and is acknowledged",
                moved,
            )
        if due:
            repeated = world._replace(repeats_left=tuple(tick for tick in world.repeats_left if tick > world.tick))
            yield "the purge is repeated", repeated._replace(is_gone=world.is_gone or world.is_indexed)
